"""A copy of the database as it was at one moment, for a backup; and what is made of it afterwards.

Purpose: `take` beside a running node, which is not held up: it reads as any other reader does.
`settle` prepares a restored copy for its new life, in which some things happened that it does not
know of: letters that came, were read and answered after it was made.
Invariants: a copy is whole, or none; no number that was ever given out is given out again.
See: docs/adr/0023-backup.md.
"""

import fcntl
import os
import re
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from postroad.base import limits
from postroad.base.errors import ConfigurationError, DiskFull
from postroad.base.ids import Fingerprint, Instant
from postroad.base.seams import Entropy
from postroad.store import audit, filed, people, queue, sealed
from postroad.store.contents import file_name
from postroad.store.database import FILE_NAME, Sql, connect, in_words, to_read

_COPY = re.compile(re.escape(FILE_NAME) + r"\.[0-9a-f]{16}\.backup", re.ASCII)
_JOURNAL = "-journal"  # SQLite's, beside a copy that is being written
_ASIDE = "*_set_aside_*"  # damaged tables, which nothing needs: of statistics, incoming and audit
UIDS_SKIPPED = 1 << 16  # in each mailbox: of what came after the backup, and is lost
UIDS_PER_SECOND = 4  # since the backup: more than ever come, for weeks on end
UIDS_BY_CHANCE = 1 << 22
UIDS_TOLD = 1 << 11  # of them, to programs that ask what is gone since
NUMBERS_SKIPPED = 1 << 32  # mod-sequences, and arrivals in drops
NUMBERS_PER_SECOND = 1 << 24
SECONDS_SKIPPED_MAX = 365 * limits.DAY  # a clock that is far ahead uses up no more
# Our records: a day of them, one for each minute (`protocol.records.next_sequence`). With more, a
# device made of the 24 words alone would not be believed for as long.
RECORDS_SKIPPED = limits.DAY // limits.MINUTE


@contextmanager
def taken(folder: Path, reserve_bytes: int = limits.DISK_RESERVE_BYTES) -> Iterator[Path]:
    """A copy of the database in this folder, beside it; it is gone afterwards. `reserve_bytes`:
    what has to stay free beside it.

    Raises ConfigurationError, DiskFull or TemporaryFailure in words."""
    with ExitStack() as stack:
        with _in_words():
            draft = _new(folder, stack)
            _copy(folder / FILE_NAME, draft, reserve_bytes)
        yield draft


def _new(folder: Path, stack: ExitStack) -> Path:
    """An empty file that is ours until the stack is left: whoever removes what killed backups have
    left sees that somebody is at it."""
    remove_left(folder)
    while True:
        path = folder / f"{FILE_NAME}.{secrets.token_hex(8)}.backup"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        stack.callback(os.close, handle)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_nlink:  # else somebody was quicker than the lock
            stack.callback(path.unlink, missing_ok=True)
            return path


def remove_left(folder: Path) -> None:
    """Remove the copies of backups that were killed. OSError."""
    names = os.listdir(folder)
    for name in filter(_COPY.fullmatch, {one.removesuffix(_JOURNAL) for one in names}):
        with suppress(FileNotFoundError), (folder / name).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # a backup is being made just now
                continue
            (folder / name).unlink()
        (folder / (name + _JOURNAL)).unlink(missing_ok=True)


def _copy(path: Path, draft: Path, reserve_bytes: int) -> None:
    if not path.exists():
        raise ConfigurationError(
            f"There is no store in {path.parent} yet: the first postroad run makes it."
        )
    with (
        closing(to_read(path, for_long=True)) as source,
        closing(sqlite3.connect(str(draft))) as copy,
    ):
        copy.execute("PRAGMA synchronous = OFF")  # of this copy nobody needs more than to read it
        # Within one transaction the pages that are read are those of one moment, however much the
        # node writes meanwhile.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        _expect_room(source, path.parent, reserve_bytes)
        source.backup(copy)
        source.execute("COMMIT")


def _expect_room(source: Sql, folder: Path, reserve_bytes: int) -> None:
    """DiskFull unless a second database leaves the reserve free."""
    pages, page_bytes = (
        int(source.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "page_size")
    )
    disk = os.statvfs(folder)
    lacking = pages * page_bytes + reserve_bytes - disk.f_bavail * disk.f_frsize
    if lacking > 0:
        raise DiskFull(
            "A backup is made from a copy of the database, for which the disk of your mail has no "
            f"room: {-(-lacking // limits.MIB):,} MiB more are needed. Make room in {folder}."
        )


def files_named(path: Path) -> dict[str, int]:
    """The files beside the database that this copy of it names, with their sizes."""
    with _in_words(), _read_only(path) as sql:
        bodies = sql.execute("SELECT sha256, size FROM content WHERE octets IS NULL")
        found = {file_name(digest): int(size) for digest, size in bodies}
        letters = sql.execute("SELECT mail_id, size FROM sealed WHERE octets IS NULL")
        return found | {sealed.file_name(one): int(size) for one, size in letters}


def messages(path: Path) -> int:
    with _in_words(), _read_only(path) as sql:
        return int(sql.execute("SELECT count(*) FROM message").fetchone()[0])


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        raise in_words(error) from error
    except sqlite3.DatabaseError as error:
        raise ConfigurationError(
            f"The store is damaged ({error}). Look with: postroad store check"
        ) from error


@contextmanager
def _read_only(path: Path) -> Iterator[Sql]:
    """A database that nobody writes to."""
    uri = f"file:{quote(str(path))}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as sql:
        yield sql


@dataclass(frozen=True, slots=True)
class Letters:
    """What stands in some files. `told`: in words; `files`: those of which that tells."""

    told: list[str]
    files: set[str]


def letters_in(path: Path, names: set[str]) -> Letters:
    """Which messages, and letters under way, stand in these files, as far as this database, which
    may be damaged, tells; it is read where it lies, however large it is."""
    found = Letters([], set())
    if not names:
        return found
    with suppress(sqlite3.Error), _read_only(path) as sql:
        for rows in (_messages(sql), _under_way(sql)):
            for what, digest in rows:
                name = file_name(digest)
                if name in names:
                    found.told.append(what)
                    found.files.add(name)
    return found


def _messages(sql: Sql) -> Iterator[tuple[str, bytes]]:
    rows = sql.execute(
        """SELECT mailbox.name, message.uid, content.sha256 FROM message
           JOIN mailbox ON mailbox.id = mailbox_id JOIN content ON content.id = content_id
           WHERE content.octets IS NULL ORDER BY mailbox.name, uid"""
    )
    for mailbox, uid, digest in rows:
        yield f"message {uid} in {mailbox}", digest


def _under_way(sql: Sql) -> Iterator[tuple[str, bytes]]:
    rows = sql.execute(
        """SELECT parcel.recipient, content.sha256 FROM parcel
           JOIN letter ON letter.id = letter_id JOIN content ON content.id = content_id
           WHERE content.octets IS NULL AND parcel.state IN ('waiting', 'held', 'requested')
           ORDER BY parcel.id"""
    )
    for recipient, digest in rows:
        yield f"a letter of yours on its way to {recipient}", digest


def fault(path: Path) -> str:
    """What is wrong with the database at `path`; "" when it is whole.

    A table that was set aside stays damaged for ever: once there is one, only the others count."""
    try:
        with _read_only(path) as sql:
            said = _check(sql, "1")
            if not said:
                return ""
            tables = sql.execute(
                "SELECT name, name GLOB ? FROM sqlite_schema WHERE type = 'table'", (_ASIDE,)
            ).fetchall()
            if not any(is_aside for _, is_aside in tables):
                return said
            names = ["sqlite_schema", *(name for name, is_aside in tables if not is_aside)]
            return next(filter(None, (_check(sql, f'"{name}"') for name in names)), "")
    except sqlite3.Error as error:
        return str(error)


def _check(sql: Sql, what: str) -> str:
    """The first fault of all, where `what` is a number, or of this table; "" when there is none."""
    try:
        said = str(sql.execute(f"PRAGMA integrity_check({what})").fetchone()[0])
    except sqlite3.DatabaseError as error:  # it does not come to an end
        return str(error)
    return "" if said == "ok" else said


HEAD_BYTES = 20  # of an SQLite database


def is_settled(head: bytes) -> bool:
    """Whether a database that begins so is as `settle` left it: every node keeps a log beside it,
    which is noted in the octets 18 and 19."""
    return head[18:HEAD_BYTES] == b"\1\1"


def settle(path: Path, mine: Fingerprint, now: Instant, made_at: int, entropy: Entropy) -> None:
    """Prepare the restored database at `path`, which nobody has open; it is durable afterwards.
    `mine`: whose it is.

    What was given out after the backup is skipped: a mail program may know those letters, and
    other holders those numbers. What others were told is told again."""
    try:
        with closing(connect(str(path))) as sql:
            sql.execute("BEGIN IMMEDIATE")
            skip = _Skip.since(made_at, now, entropy)
            _skip(sql, skip)
            people.skip_records(sql, mine, skip.records)
            sql.execute("UPDATE my_drop SET tickets = x''")
            sql.execute("UPDATE holding SET told = NULL")
            sql.execute("DELETE FROM value WHERE name = 'clock'")  # another computer's
            queue.wake_all(sql, now)
            filed.wake_all_receipts(sql, now)
            audit.note(sql, now, "restored from a backup", made_at=made_at)
            sql.execute("COMMIT")
            sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            sql.execute("PRAGMA journal_mode = DELETE")  # one file, until the node opens it
    except sqlite3.Error as error:
        raise in_words(error) from error
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@dataclass(frozen=True, slots=True)
class _Skip:
    """How far each kind of number goes on."""

    uids: int
    numbers: int
    records: int

    @classmethod
    def since(cls, made_at: int, now: Instant, entropy: Entropy) -> "_Skip":
        """The same backup may be restored twice, one time after the other or on two computers, and
        each of them gives numbers out. So the later one goes further, by the time between them, and
        two at once go apart by chance."""
        seconds = min(max(0, int(now) - made_at), SECONDS_SKIPPED_MAX)
        chance = entropy.uniform()
        return cls(
            UIDS_SKIPPED + seconds * UIDS_PER_SECOND + int(chance * UIDS_BY_CHANCE),
            NUMBERS_SKIPPED + seconds * NUMBERS_PER_SECOND + int(chance * NUMBERS_PER_SECOND),
            RECORDS_SKIPPED + seconds // limits.MINUTE,
        )


def _skip(sql: Sql, skip: _Skip) -> None:
    """No UID, mod-sequence or arrival that was given out after the backup is given out again.

    All flags are of now, and what may have come meanwhile is gone: so says the node to a mail
    program that asks what happened since a moment that the backup does not know."""
    sql.execute("UPDATE mailbox SET highest_modseq = highest_modseq + ?", (skip.numbers,))
    sql.execute(
        """UPDATE message SET modseq =
           (SELECT highest_modseq FROM mailbox WHERE mailbox.id = mailbox_id)"""
    )
    sql.execute(
        """WITH RECURSIVE step (at) AS
               (SELECT 0 UNION ALL SELECT at + 1 FROM step WHERE at + 1 < ?)
           INSERT OR IGNORE INTO expunged (mailbox_id, uid, modseq)
           SELECT id, uid_next + at, highest_modseq FROM mailbox JOIN step""",
        (UIDS_TOLD,),
    )
    sql.execute("UPDATE mailbox SET uid_next = uid_next + ?", (skip.uids,))
    sql.execute("UPDATE held_drop SET arrivals = arrivals + ?", (skip.numbers,))
