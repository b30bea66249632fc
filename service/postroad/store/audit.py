"""The audit log: what was decided about people, keys and policy, each entry chained to the last.

Purpose: `note` an event in the same commit as what it tells of; give the log back; keep it small.
Functions run in the database thread.
Invariants: names of events and facts are constants of ours; no subject, body, password or key of
ours ever stands in an entry; damage to the log costs the log and never the node: a page that cannot
be read is set aside, and the chain goes on in a new table.
See: protocol/audit.py for the chain, docs/policy.md for administrators.
"""

import asyncio
import logging
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from postroad.base import limits
from postroad.base.errors import ConfigurationError
from postroad.base.ids import Instant
from postroad.base.seams import Clock, Disk
from postroad.protocol.audit import PRUNED, Fact, Head, Row, written
from postroad.store.database import FILE_NAME, Database, Sql, migrate, to_read
from postroad.store.schema import AUDIT_TABLE

log = logging.getLogger(__name__)
T = TypeVar("T")
SET_ASIDE = "audit set aside"
REFUSED = "policy refused"
WEAK_KEYS_MAX = 500  # that are remembered for an hour, so that each is noted once
_BESIDE = "audit head"  # in the table value
_ASIDE_PREFIX = "audit_set_aside_"


def note(sql: Sql, now: Instant, event: str, /, **facts: Fact) -> None:
    """Add an entry, in the caller's transaction: it is there if and only if that is committed."""
    row = written(newest(sql), now, event, facts)
    # A number that somebody else has taken costs this entry, and shows; it stops nobody's work.
    sql.execute(
        "INSERT OR IGNORE INTO audit (number, line, hash) VALUES (?, ?, ?)",
        (row.number, row.line, row.hash),
    )
    sql.execute(
        "INSERT OR REPLACE INTO value (name, octets) VALUES (?, ?)",
        (_BESIDE, str(row.head).encode()),
    )


def note_from_outside(sql: Sql, now: Instant, event: str, /, **facts: Fact) -> bool:
    """The same for what anybody can cause: only so many of one event in a day, for a flood shall
    not push out of the log what matters. The last one says that more are left out."""
    return _note_some(sql, now, event, event, facts)


def note_refused(sql: Sql, now: Instant, key: str, /, **facts: Fact) -> bool:
    """The policy, or the owner's own configuration, refused something by this key: so many in a
    day of each key, so that none of them hides another."""
    return _note_some(sql, now, REFUSED, f"{REFUSED}: {key}", {"key": key, **facts})


async def note_alone(disk: Disk, now: Instant, event: str, /, **facts: Fact) -> None:
    """`note` while no node runs: whoever calls has taken its folder. Nothing without a store."""
    if FILE_NAME in disk.names(""):
        async with Database(disk) as database:
            await database.run(lambda sql: note(sql, now, event, **facts))


def _note_some(sql: Sql, now: Instant, event: str, counted: str, facts: dict[str, Fact]) -> bool:
    found = sql.execute("SELECT since, count FROM audit_outside WHERE event = ?", (counted,))
    since, count = found.fetchone() or (now, 0)
    if not since <= now < since + limits.DAY:
        since, count = now, 0
    if count >= limits.AUDIT_OUTSIDE_PER_DAY:
        return False
    if count == limits.AUDIT_OUTSIDE_PER_DAY - 1:
        facts["more_left_out_for_a_day"] = True
    sql.execute(
        "INSERT OR REPLACE INTO audit_outside (event, since, count) VALUES (?, ?, ?)",
        (counted, since, count + 1),
    )
    note(sql, now, event, **facts)
    return True


class WeakKeys:
    """`base.vigil.Watch`: each weak key that was refused becomes one entry, whoever found it out
    and however often it is looked at on its way; and one more only an hour later."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._noted: dict[bytes, float] = {}  # of X25519 there are very many that are not canonical

    def __call__(self, kind: str, key: bytes, bringer: str) -> None:
        now = self._clock.elapsed()
        if now - self._noted.get(key, float("-inf")) < limits.AUDIT_WEAK_KEY_SECONDS:
            return
        if len(self._noted) >= WEAK_KEYS_MAX:
            self._forget(now)
        if len(self._noted) >= WEAK_KEYS_MAX:
            return  # a flood: of each kind of event only so many are noted in a day, anyway
        self._noted[key] = now
        try:
            is_here = asyncio.get_running_loop() is self._loop
        except RuntimeError:  # in the database thread
            is_here = False
        if is_here:
            self._note(kind, key, bringer)
        else:
            self._loop.call_soon_threadsafe(self._note, kind, key, bringer)

    def _forget(self, now: float) -> None:
        """Those that would be noted again; in either thread, so one look at all of them."""
        kept = list(self._noted.items())
        self._noted = {key: at for key, at in kept if now - at < limits.AUDIT_WEAK_KEY_SECONDS}

    def _note(self, kind: str, key: bytes, bringer: str) -> None:
        now = self._clock.now()

        def work(sql: Sql) -> None:
            note_from_outside(
                sql, now, "weak key refused", kind=kind, key=key.hex(), bringer=bringer
            )

        self._database.later(work)


def newest(sql: Sql) -> Head | None:
    """The entry that the next one has to name. It is noted beside the log, too, so that cutting
    off the end leaves a gap."""
    beside = beside_the_log(sql)
    if beside is not None:
        return beside
    found = sql.execute(
        "SELECT number, CAST(hash AS BLOB) FROM audit ORDER BY number DESC LIMIT 1"
    ).fetchone()
    return None if found is None else Head(found[0], bytes(found[1] or b"").ljust(32, b"\0")[:32])


def beside_the_log(sql: Sql) -> Head | None:
    found = sql.execute("SELECT octets FROM value WHERE name = ?", (_BESIDE,)).fetchone()
    number, _, digest = bytes(found[0] if found else b"").decode("ascii", "replace").partition(":")
    try:
        head = Head(int(number), bytes.fromhex(digest))
    except ValueError:
        return None
    return head if len(head.hash) == 32 and 1 <= head.number < 2**53 else None


def rows(sql: Sql) -> tuple[list[Row], int]:
    """All entries in their order, and how many cannot be read; outside of a transaction."""
    found: list[Row] = []
    unreadable = 0
    for table in _tables(sql):
        try:
            found += _select(sql, table, "number")
        except sqlite3.DatabaseError:
            some, missing = _one_by_one(sql, table)
            found += some
            unreadable += missing
    return sorted(found, key=lambda row: row.number), unreadable


def _tables(sql: Sql) -> list[str]:
    names = sql.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB ?",
        (_ASIDE_PREFIX + "[0-9]*",),
    )
    ours = re.compile(_ASIDE_PREFIX + "[0-9]{1,16}", re.ASCII)  # GLOB knows no end of the digits
    return [*(str(name) for (name,) in names if ours.fullmatch(str(name))), "audit"]


def _select(sql: Sql, table: str, which: str, *values: int) -> list[Row]:
    found = sql.execute(
        f"""SELECT number, CAST(line AS BLOB), CAST(hash AS BLOB) FROM {table}
            WHERE {which} ORDER BY number""",  # noqa: S608  (constants, and names of ours)
        values,
    )
    return [Row(number, bytes(line or b""), bytes(digest or b"")) for number, line, digest in found]


def _one_by_one(sql: Sql, table: str) -> tuple[list[Row], int]:
    """A page that SQLite cannot read costs only the entries on it."""
    last = beside_the_log(sql)
    end = last.number if last is not None else limits.AUDIT_ENTRIES_MAX
    if table.startswith(_ASIDE_PREFIX):
        end = int(table.removeprefix(_ASIDE_PREFIX))
    found: list[Row] = []
    failed = 0
    for number in range(max(1, end - 2 * limits.AUDIT_ENTRIES_MAX), end + 1):
        try:
            found += _select(sql, table, "number = ?", number)
        except sqlite3.DatabaseError:
            failed += 1
    return found, failed


async def tidy(database: Database, now: Instant) -> None:
    """Keep the log readable and small: at start, and now and then.

    Its newest entry is told to the log of the system, which a user's programs cannot change."""
    reason = await database.read(_why_unreadable)
    if reason is not None:
        log.error("the audit log is damaged and set aside: %s", reason)
        await database.run(lambda sql: _set_aside(sql, now, reason))
    await database.run(lambda sql: _prune(sql, now))
    head = await database.read(beside_the_log)
    log.info("audit log", extra={"head": None if head is None else str(head)})


def _why_unreadable(sql: Sql) -> str | None:
    try:
        sql.execute("SELECT count(*), sum(length(line)), sum(length(hash)) FROM audit").fetchone()
        last = sql.execute("SELECT max(number) FROM audit").fetchone()[0]
    except sqlite3.DatabaseError as error:
        return str(error)
    expected = beside_the_log(sql)
    if last is not None and expected is not None and last > expected.number:
        return "it has entries that were not added by this program"  # they take the next numbers
    return None


def _set_aside(sql: Sql, now: Instant, reason: str) -> None:
    """Give the damaged table another name, which touches none of its pages, and begin a new one."""
    last = beside_the_log(sql)
    number = 0 if last is None else last.number
    sql.execute(f"ALTER TABLE audit RENAME TO {_ASIDE_PREFIX}{number}")
    sql.execute(AUDIT_TABLE)
    note(sql, now, SET_ASIDE, up_to=number, reason=reason)


def _prune(sql: Sql, now: Instant) -> None:
    """Forget the oldest entries of a log that has grown too long; a new one says which, with the
    hash of the last of them, so that the chain can still be followed."""
    first, last = sql.execute("SELECT min(number), max(number) FROM audit").fetchone()
    if first is None or last - first < limits.AUDIT_ENTRIES_MAX:
        return
    up_to = last - limits.AUDIT_ENTRIES_KEPT
    found = sql.execute("SELECT CAST(hash AS BLOB) FROM audit WHERE number = ?", (up_to,))
    row = found.fetchone()
    sql.execute("DELETE FROM audit WHERE number <= ?", (up_to,))
    note(sql, now, PRUNED, up_to=up_to, hash="" if row is None else bytes(row[0]).hex())


def read_file(folder: Path, work: Callable[[Sql], T], what: str = "The audit log") -> T:
    """What `work` reads of the store in this folder while no node needs to run; before the first
    run there is nothing. `what`: it is, for the error.

    Raises ConfigurationError when it cannot be read."""
    path = folder / FILE_NAME
    is_there = path.exists()
    try:
        sql = to_read(path) if is_there else sqlite3.connect(":memory:", isolation_level=None)
        try:
            if not is_there:
                migrate(sql)
            return work(sql)
        finally:
            sql.close()
    except sqlite3.Error as error:
        raise ConfigurationError(
            f"{what} in {path} cannot be read ({error}). It is its owner's alone: type this "
            "as the same user, or as root with --config."
        ) from error
