"""Mailboxes and the letters filed in them: the laws of IMAP, kept by transactions.

Purpose: all changes of the tables mailbox, message and expunged; how their rows are read when some
are damaged is in store/recovery.py. Sync functions that take `sql` run in the database thread,
within the caller's transaction; the others are for the event loop, and what they return is durable.
Invariants: UIDs rise and are never given twice under one UIDVALIDITY; every change of a message
gets a modseq above all earlier ones of its mailbox; an expunged UID is remembered.
Longer than 400 lines because all statements that keep these laws stand together.
See: RFC 9051 sections 2.3.1 and 5; RFC 7162 for modseq; RFC 6154 for SPECIAL-USE.
"""

import json
import logging
import sqlite3
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from postroad.base.errors import DiskFull, PermanentFailure, TemporaryFailure
from postroad.base.ids import Instant
from postroad.base.seams import Clock
from postroad.message import result
from postroad.protocol.imap.events import (
    Appended,
    Changes,
    Column,
    Copied,
    FlagsChanged,
    FlagsOf,
    MailboxInfo,
    Opened,
    Rows,
    StatusInfo,
)
from postroad.protocol.imap.flags import STORED_FLAGS, checked_keywords, merged
from postroad.protocol.imap.flags import Flag as Flag
from postroad.protocol.imap.names import SEPARATOR, checked_name, parents
from postroad.protocol.imap.render import Rendered, render
from postroad.store import requests
from postroad.store.contents import Contents
from postroad.store.database import Database
from postroad.store.recovery import THESE, Findings, Loaded, Reader, put_rendering, read_flags

log = logging.getLogger(__name__)
T = TypeVar("T")

STANDARD: dict[str, str | None] = {
    "INBOX": None,
    "Requests": None,
    "Sent": "\\Sent",
    "Drafts": "\\Drafts",
    "Junk": "\\Junk",
    "Trash": "\\Trash",
    "Archive": "\\Archive",
}
UID_MAX = 0xFFFFFFFF
MAILBOXES_MAX = 2000


class NoSuchMailbox(PermanentFailure):
    """There is no mailbox of that name."""


class MailboxExists(PermanentFailure):
    """There is one of that name already."""


class MailboxGone(PermanentFailure):
    """The mailbox was deleted while somebody worked in it."""


@dataclass(frozen=True, slots=True)
class Added:
    """A letter in its mailbox; `announce` it when it is committed."""

    mailbox_id: int
    name: str
    uid: int
    content_id: int


@dataclass(frozen=True, slots=True)
class _Mailbox:
    id: int
    uid_validity: int
    uid_next: int
    modseq: int
    recent_from: int


class Mailboxes:
    def __init__(self, database: Database, contents: Contents, clock: Clock) -> None:
        self._database = database
        self._contents = contents
        self._reader = Reader(contents)
        self._clock = clock
        self._watchers: dict[int, list[Callable[[], None]]] = {}
        self.on_accepted: Callable[[], None] = lambda: (
            None
        )  # a request; set by the composition root

    # News: on the event loop ----------------------------------------------------------------------

    def watch(self, mailbox_id: int, wake: Callable[[], None]) -> Callable[[], None]:
        """Have `wake` called after each commit that changed the mailbox; returns how to stop."""
        self._watchers.setdefault(mailbox_id, []).append(wake)

        def stop() -> None:
            self._watchers[mailbox_id].remove(wake)
            if not self._watchers[mailbox_id]:
                del self._watchers[mailbox_id]

        return stop

    def announce(self, added: Added) -> None:
        """Wake all who watch that mailbox. Call it on the event loop, after the commit."""
        self._wake(added.mailbox_id)

    def _wake(self, mailbox_id: int) -> None:
        for wake in list(self._watchers.get(mailbox_id, ())):
            wake()

    # Filing: in the database thread, in somebody's transaction ------------------------------------

    def ensure_standard(self, sql: sqlite3.Connection, now: Instant) -> None:
        """Make those of INBOX, Requests, Sent, Drafts, Junk, Trash and Archive that are missing."""
        for name, special_use in STANDARD.items():
            if not _exists(sql, name):
                self._create(sql, name, now, special_use)

    def add(
        self,
        sql: sqlite3.Connection,
        mailbox_name: str,
        octets: bytes,
        rendered: Rendered,
        *,
        flags: int = 0,
        keywords: str = "",
        date: Instant,
    ) -> Added:
        """File a letter as the newest of a mailbox; raises NoSuchMailbox, DiskFull."""
        mailbox = _mailbox(sql, mailbox_name)
        content_id = self._contents.put(sql, octets)
        put_rendering(sql, content_id, rendered)
        message = (flags & STORED_FLAGS, keywords, date, content_id, len(octets))
        (uid,) = _insert(sql, mailbox, [message])
        return Added(mailbox.id, mailbox_name, uid, content_id)

    # Mailboxes ------------------------------------------------------------------------------------

    async def list(self) -> tuple[MailboxInfo, ...]:
        def work(sql: sqlite3.Connection) -> tuple[MailboxInfo, ...]:
            rows = sql.execute("SELECT name, special_use, subscribed FROM mailbox ORDER BY name")
            return tuple(MailboxInfo(name, use, bool(wanted)) for name, use, wanted in rows)

        return await self._database.read(work)

    async def create(self, name: str) -> None:
        """Make a mailbox and the levels above it; raises MailboxExists, PermanentFailure."""
        name = checked_name(name)

        def work(sql: sqlite3.Connection) -> None:
            if _exists(sql, name):
                raise MailboxExists(f"There is a mailbox {name} already.")
            for level in [*parents(name), name]:
                if not _exists(sql, level):
                    self._create(sql, level, self._clock.now())

        await self._database.run(work)

    async def delete(self, name: str) -> None:
        """Delete a mailbox and all that is in it; mailboxes below it stay."""
        if name in STANDARD:
            raise PermanentFailure(f"Postroad needs {name}; it cannot be deleted.")

        def work(sql: sqlite3.Connection) -> int:
            mailbox = _mailbox(sql, name)
            sql.execute("DELETE FROM mailbox WHERE id = ?", (mailbox.id,))
            return mailbox.id

        self._wake(await self._database.run(work))

    async def rename(self, name: str, new_name: str) -> None:
        """Rename a mailbox and those below it. INBOX stays, and gives what is in it away."""
        new_name = checked_name(new_name)
        if name in STANDARD and name != "INBOX":
            raise PermanentFailure(f"Postroad needs {name}; it cannot be renamed.")
        if new_name.startswith(name + SEPARATOR) and name != "INBOX":
            raise PermanentFailure("A mailbox cannot be moved into itself.")

        def work(sql: sqlite3.Connection) -> int | None:
            mailbox = _mailbox(sql, name)
            if _exists(sql, new_name):
                raise MailboxExists(f"There is a mailbox {new_name} already.")
            for level in parents(new_name):
                if not _exists(sql, level):
                    self._create(sql, level, self._clock.now())
            if name == "INBOX":
                self._create(sql, new_name, self._clock.now())
                uids = [uid for (uid,) in sql.execute(
                    "SELECT uid FROM message WHERE mailbox_id = ?", (mailbox.id,))]  # fmt: skip
                _copy(sql, mailbox, uids, _mailbox(sql, new_name))
                _expunge(sql, mailbox, uids)
                return mailbox.id
            sql.execute("UPDATE mailbox SET name = ? WHERE id = ?", (new_name, mailbox.id))
            below = name + SEPARATOR
            sql.execute(
                "UPDATE mailbox SET name = ? || substr(name, ?) WHERE substr(name, 1, ?) = ?",
                (new_name + SEPARATOR, len(below) + 1, len(below), below),
            )
            return None

        changed = await self._database.run(work)
        if changed is not None:
            self._wake(changed)

    async def subscribe(self, name: str, subscribed: bool) -> None:
        def work(sql: sqlite3.Connection) -> None:
            mailbox = _mailbox(sql, name)
            sql.execute(
                "UPDATE mailbox SET subscribed = ? WHERE id = ?", (int(subscribed), mailbox.id)
            )

        await self._database.run(work)

    async def status(self, name: str) -> StatusInfo:
        def work(sql: sqlite3.Connection) -> StatusInfo:
            mailbox = _mailbox(sql, name)
            messages, recent, unseen = sql.execute(
                """SELECT count(*), coalesce(sum(uid >= ?), 0), coalesce(sum(flags & 1 = 0), 0)
                   FROM message WHERE mailbox_id = ?""",
                (mailbox.recent_from, mailbox.id),
            ).fetchone()
            return StatusInfo(messages, recent, unseen, mailbox.uid_next, mailbox.uid_validity)

        return await self._database.read(work)

    def _create(
        self, sql: sqlite3.Connection, name: str, now: Instant, special_use: str | None = None
    ) -> None:
        (count,) = sql.execute("SELECT count(*) FROM mailbox").fetchone()
        if count >= MAILBOXES_MAX:
            raise PermanentFailure(f"There are {MAILBOXES_MAX} mailboxes already.")
        # Above every earlier one, those of deleted mailboxes too, and wherever the clock stands.
        last = sql.execute("SELECT octets FROM value WHERE name = 'uid_validity'").fetchone()
        uid_validity = max(int(last[0]) + 1 if last else 1, min(int(now), UID_MAX // 2))
        sql.execute(
            "INSERT OR REPLACE INTO value (name, octets) VALUES ('uid_validity', ?)",
            (str(uid_validity).encode(),),
        )
        sql.execute(
            "INSERT INTO mailbox (name, special_use, uid_validity) VALUES (?, ?, ?)",
            (name, special_use, uid_validity),
        )

    # Messages -------------------------------------------------------------------------------------

    async def open(self, name: str, *, claim: bool) -> Opened:
        """All UIDs and flags of a mailbox; `claim`: its new messages are recent for this caller."""

        def look(sql: sqlite3.Connection, found: Findings) -> Opened:
            mailbox = _mailbox(sql, name)
            uids, bits, keywords = array("I"), bytearray(), {}
            for flags in read_flags(sql, found, mailbox.id, "uid >= ?", 0):
                uids.append(flags.uid)
                bits.append(flags.bits)
                if flags.keywords:
                    keywords[flags.uid] = flags.keywords
            return Opened(
                mailbox.id, mailbox.uid_validity, mailbox.uid_next, mailbox.modseq,
                mailbox.recent_from, uids, bits, keywords,
            )  # fmt: skip

        def claimed(sql: sqlite3.Connection) -> Opened:
            found = Findings()
            opened = look(sql, found)
            found.settle(sql, self._clock.now())
            _claim(sql, opened.mailbox_id)
            return opened

        if claim and (opened := await self._if_taken(claimed)) is not None:
            return opened
        return await self._look(look)

    async def changes(self, mailbox_id: int, since: int, *, claim: bool) -> Changes:
        """What changed after that modseq; raises MailboxGone."""

        def look(sql: sqlite3.Connection, found: Findings) -> Changes:
            mailbox = _by_id(sql, mailbox_id)
            flags = tuple(read_flags(sql, found, mailbox_id, "modseq > ?", since))
            expunged = sql.execute(
                "SELECT uid FROM expunged WHERE mailbox_id = ? AND modseq > ?", (mailbox_id, since)
            )
            gone = tuple(uid for (uid,) in expunged)
            return Changes(mailbox.modseq, mailbox.recent_from, gone, flags)

        changes = await self._look(look)
        if claim:  # the client need not wait for this commit to hear of a letter
            self._database.later(lambda sql: _claim(sql, mailbox_id))
        return changes

    async def _look(self, look: Callable[[sqlite3.Connection, Findings], T]) -> T:
        """What `look` sees, reading only; damage that it finds is written down."""
        found = Findings()
        answer = await self._database.read(lambda sql: look(sql, found))
        if found:
            await self._if_taken(lambda sql: found.settle(sql, self._clock.now()))
        return answer

    async def _if_taken(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """What follows from a reading, committed; None: it failed, which keeps nobody from reading.
        On a full disk it does for each letter: the health tells of that (`Database.trouble`)."""
        try:
            return await self._database.run(work)
        except DiskFull:
            pass
        except TemporaryFailure as error:
            log.warning("what a reading leaves to be noted was not: %s", error)
        return None

    async def append(
        self,
        name: str,
        octets: bytes,
        *,
        flags: int = 0,
        keywords: Sequence[str] = (),
        date: Instant | None = None,
    ) -> Appended:
        """Add a letter that the owner's program brings; raises NoSuchMailbox, DiskFull."""
        self._contents.disk.require_room(len(octets))
        rendered = await self._database.outside(lambda: render(octets))  # it may take a while
        accepted: list[bytes] = []

        request = result.request_of(rendered.header) if name == "INBOX" else None

        def work(sql: sqlite3.Connection) -> tuple[Added, int]:
            if request is not None and requests.was_brought(sql, request):
                accepted.append(request)
            added = self.add(
                sql,
                name,
                octets,
                rendered,
                flags=flags,
                keywords=merged("", tuple(keywords), ""),
                date=self._clock.now() if date is None else date,
            )
            return added, _by_id(sql, added.mailbox_id).uid_validity

        def committed(done: tuple[Added, int]) -> None:
            self.announce(done[0])
            if accepted:
                self.on_accepted()

        added, uid_validity = await self._database.run(work, then=committed)
        return Appended(uid_validity, added.uid)

    async def change_flags(
        self, mailbox_id: int, uids: Sequence[int], mode: str, bits: int, keywords: tuple[str, ...]
    ) -> FlagsChanged:
        """Add ("+"), take away ("-") or replace ("") flags; the flags of all that are there."""
        bits &= STORED_FLAGS

        def work(sql: sqlite3.Connection) -> tuple[FlagsChanged, bool]:
            mailbox = _by_id(sql, mailbox_id)
            found = Findings()
            before = list(read_flags(sql, found, mailbox_id, THESE, _json(uids)))
            found.settle(sql, self._clock.now())
            after = [_with_flags(flags, mode, bits, keywords) for flags in before]
            changed = [new for old, new in zip(before, after, strict=True) if new != old]
            if changed:
                _write_flags(sql, mailbox, changed)
            return FlagsChanged(tuple(after)), bool(changed)

        answer, changed = await self._database.run(work)
        if changed:
            self._wake(mailbox_id)
        return answer

    async def copy(
        self, mailbox_id: int, uids: Sequence[int], name: str, *, move: bool = False
    ) -> Copied:
        """Copy all that are there, or none; `move` expunges them here in the same commit."""

        copied, there, accepts = await self._database.run(
            lambda sql: _transfer(sql, _by_id(sql, mailbox_id), uids, name, move=move)
        )
        if accepts:
            self.on_accepted()
        for changed in {there, mailbox_id} if move else {there}:
            self._wake(changed)
        return copied

    async def expunge(self, mailbox_id: int, uids: Sequence[int] | None = None) -> tuple[int, ...]:
        """Remove what has the Deleted flag, of these UIDs or of all; the UIDs that are gone."""

        def work(sql: sqlite3.Connection) -> tuple[int, ...]:
            mailbox = _by_id(sql, mailbox_id)
            deleted = sql.execute(
                f"""SELECT uid FROM message WHERE mailbox_id = ? AND flags & 8
                    {"" if uids is None else f"AND {THESE}"}""",  # noqa: S608  (a constant)
                (mailbox_id,) if uids is None else (mailbox_id, _json(uids)),
            )
            gone = tuple(uid for (uid,) in deleted)
            _expunge(sql, mailbox, gone)
            return gone

        gone = await self._database.run(work)
        if gone:
            self._wake(mailbox_id)
        return gone

    def take_away(self, sql: sqlite3.Connection, name: str, uids: Sequence[int]) -> int:
        """Remove these messages, whatever flags they have, in the caller's transaction; the id of
        the mailbox, to `changed` after the commit."""
        mailbox = _mailbox(sql, name)
        there = sql.execute(
            f"SELECT uid FROM message WHERE mailbox_id = ? AND {THESE}",  # noqa: S608  (a constant)
            (mailbox.id, _json(uids)),
        )
        _expunge(sql, mailbox, [uid for (uid,) in there])
        return mailbox.id

    def bring_to_inbox(self, sql: sqlite3.Connection, name: str, uids: Sequence[int]) -> None:
        """Move what is there of these messages, in the caller's transaction; `changed_somewhere`
        after the commit."""
        _transfer(sql, _mailbox(sql, name), uids, "INBOX", move=True)

    def octets(self, sql: sqlite3.Connection, content_id: int) -> bytes:
        """The octets of a message; raises Damaged."""
        return self._contents.get(sql, content_id)

    def changed(self, mailbox_id: int) -> None:
        """Wake all who watch that mailbox, on the event loop."""
        self._wake(mailbox_id)

    def changed_somewhere(self) -> None:
        """Wake all who watch any mailbox, on the event loop."""
        for mailbox_id in list(self._watchers):
            self._wake(mailbox_id)

    async def move_to_inbox(self, name: str, uid: int) -> None:
        """What a mail program does with one message of that mailbox."""
        mailbox_id = await self._database.read(lambda sql: _mailbox(sql, name).id)
        await self.copy(mailbox_id, [uid], "INBOX", move=True)

    async def load(
        self, mailbox_id: int, uids: Sequence[int], columns: Column, *, mark_seen: bool = False
    ) -> Rows:
        """Rows of as many of the first of these messages as are loaded at once, at least one."""

        def work(sql: sqlite3.Connection) -> Loaded:
            _by_id(sql, mailbox_id)
            return self._reader.load(sql, mailbox_id, uids, columns)

        loaded = await self._database.read(work)

        def settle(sql: sqlite3.Connection) -> tuple[FlagsOf, ...]:
            """Write down what was found, and who has been read."""
            seen: tuple[FlagsOf, ...] = ()
            if mark_seen:
                these = _json(row.uid for row in loaded.rows)
                which = f"{THESE} AND flags & 1 = 0"
                unseen = read_flags(sql, loaded.found, mailbox_id, which, these)
                seen = tuple(_with_flags(flags, "+", Flag.SEEN, ()) for flags in unseen)
            loaded.found.settle(sql, self._clock.now())
            if seen:
                _write_flags(sql, _by_id(sql, mailbox_id), seen)
            return seen

        seen: tuple[FlagsOf, ...] = ()
        if mark_seen or loaded.found:
            seen = await self._if_taken(settle) or ()
        if seen:
            self._wake(mailbox_id)
        return Rows(tuple(loaded.rows), loaded.taken, seen)


# Statements ---------------------------------------------------------------------------------------

_Message = tuple[int, str, float, int, int]  # flags, keywords, date, content id, size


def _json(uids: Iterable[int]) -> str:
    return json.dumps(list(uids))


def _exists(sql: sqlite3.Connection, name: str) -> bool:
    return sql.execute("SELECT 1 FROM mailbox WHERE name = ?", (name,)).fetchone() is not None


def _mailbox(sql: sqlite3.Connection, name: str) -> _Mailbox:
    row = sql.execute(
        """SELECT id, uid_validity, uid_next, highest_modseq, recent_from
           FROM mailbox WHERE name = ?""",
        (name,),
    ).fetchone()
    if row is None:
        raise NoSuchMailbox(f"There is no mailbox {name}.")
    return _Mailbox(*row)


def _by_id(sql: sqlite3.Connection, mailbox_id: int) -> _Mailbox:
    row = sql.execute(
        """SELECT id, uid_validity, uid_next, highest_modseq, recent_from
           FROM mailbox WHERE id = ?""",
        (mailbox_id,),
    ).fetchone()
    if row is None:
        raise MailboxGone("The mailbox was deleted.")
    return _Mailbox(*row)


def _claim(sql: sqlite3.Connection, mailbox_id: int) -> None:
    sql.execute(
        "UPDATE mailbox SET recent_from = uid_next WHERE id = ? AND recent_from < uid_next",
        (mailbox_id,),
    )


def _insert(
    sql: sqlite3.Connection, mailbox: _Mailbox, messages: Sequence[_Message]
) -> Sequence[int]:
    """Add messages as the newest of a mailbox; their UIDs."""
    uids = range(mailbox.uid_next, mailbox.uid_next + len(messages))
    if uids.stop > UID_MAX:
        raise PermanentFailure("This mailbox has used up its message numbers; use a new one.")
    modseq = mailbox.modseq + 1
    sql.execute(
        "UPDATE mailbox SET uid_next = ?, highest_modseq = ? WHERE id = ?",
        (uids.stop, modseq, mailbox.id),
    )
    sql.executemany(
        """INSERT INTO message
           (mailbox_id, uid, modseq, flags, keywords, internal_date, content_id, size)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
        ((mailbox.id, uid, modseq, *message) for uid, message in zip(uids, messages, strict=True)),
    )
    return uids


def _copy(
    sql: sqlite3.Connection, here: _Mailbox, uids: Sequence[int], there: _Mailbox
) -> tuple[list[int], Sequence[int]]:
    """Copy with flags and dates; the UIDs that were there, and the new ones."""
    rows = sql.execute(
        f"""SELECT uid, flags, keywords, internal_date, content_id, size
            FROM message WHERE mailbox_id = ? AND {THESE} ORDER BY uid""",  # noqa: S608
        (here.id, _json(uids)),
    ).fetchall()
    if not rows:
        return [], []
    return [row[0] for row in rows], _insert(sql, there, [row[1:] for row in rows])


def _transfer(
    sql: sqlite3.Connection, here: _Mailbox, uids: Sequence[int], name: str, *, move: bool
) -> tuple[Copied, int, bool]:
    """Copy or move; what was copied, the id of that mailbox, and whether a request was accepted."""
    there = _mailbox(sql, name)
    old, new = _copy(sql, here, uids, there)
    accepts = name == "INBOX" and requests.came_to_inbox(sql, _contents(sql, here, old))
    if move:
        _expunge(sql, _by_id(sql, here.id), old)
    return Copied(there.uid_validity, tuple(old), tuple(new)), there.id, accepts


def _contents(sql: sqlite3.Connection, mailbox: _Mailbox, uids: Sequence[int]) -> list[int]:
    """The contents of these messages, by their ids."""
    rows = sql.execute(
        f"SELECT content_id FROM message WHERE mailbox_id = ? AND {THESE}",  # noqa: S608
        (mailbox.id, _json(uids)),
    )
    return [content_id for (content_id,) in rows]


def _expunge(sql: sqlite3.Connection, mailbox: _Mailbox, uids: Sequence[int]) -> None:
    if not uids:
        return
    name = sql.execute("SELECT name FROM mailbox WHERE id = ?", (mailbox.id,)).fetchone()
    if name == (requests.FOLDER,):
        requests.left_folder(sql, uids)
    modseq = mailbox.modseq + 1
    sql.executemany(
        "DELETE FROM message WHERE mailbox_id = ? AND uid = ?", ((mailbox.id, uid) for uid in uids)
    )
    sql.executemany(
        "INSERT INTO expunged (mailbox_id, uid, modseq) VALUES (?, ?, ?)",
        ((mailbox.id, uid, modseq) for uid in uids),
    )
    sql.execute("UPDATE mailbox SET highest_modseq = ? WHERE id = ?", (modseq, mailbox.id))


def _with_flags(flags: FlagsOf, mode: str, bits: int, keywords: tuple[str, ...]) -> FlagsOf:
    changed = {"+": flags.bits | bits, "-": flags.bits & ~bits, "": bits}[mode]
    text = merged(flags.keywords, keywords, mode)
    checked_keywords(text.split())
    return FlagsOf(flags.uid, changed, text)


def _write_flags(sql: sqlite3.Connection, mailbox: _Mailbox, changed: Sequence[FlagsOf]) -> None:
    modseq = mailbox.modseq + 1
    sql.executemany(
        """UPDATE message SET flags = ?, keywords = ?, modseq = ?
           WHERE mailbox_id = ? AND uid = ?""",
        ((one.bits, one.keywords, modseq, mailbox.id, one.uid) for one in changed),
    )
    sql.execute("UPDATE mailbox SET highest_modseq = ? WHERE id = ?", (modseq, mailbox.id))
