"""Read filed letters of which something may be damaged: made again where it can be, else explained.

Purpose: the rows of letters as a mail program is shown them, and the table rendering. Functions run
in the database thread. Reading and mending are apart, so that reads need no transaction: what a
reading found goes into `Findings`, which the caller settles.
Invariants: damage costs only what it stands on, and never hides a neighbour; a letter that cannot
be read is shown as a note and is quarantined; octets of the letter itself are never touched.
See: promise M13 in docs/architecture.md.
"""

import errno
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from postroad.base import limits
from postroad.base.errors import PermanentFailure
from postroad.base.ids import Instant
from postroad.message.damaged import note
from postroad.protocol.imap.events import Column, FlagsOf, Row
from postroad.protocol.imap.flags import STORED_FLAGS, checked_keywords
from postroad.protocol.imap.render import Rendered, render
from postroad.store import quarantine
from postroad.store.contents import Contents, Damaged

QUARANTINE = "message"  # by mailbox id and UID
ROWS_BYTES_MAX = 1 * limits.MIB  # octets of letters loaded at once, beyond the first letter
THESE = "uid IN (SELECT value FROM json_each(?))"  # a JSON list of UIDs
_DISK_ERRORS = (errno.EIO, errno.EBADMSG, errno.EUCLEAN, errno.EISDIR)


@dataclass(slots=True)
class Findings:
    """What a reading found that is to be written down."""

    damaged: list[tuple[int, int, str]] = field(default_factory=list)  # mailbox id, UID, reason
    rendered_again: list[tuple[int, Rendered]] = field(default_factory=list)  # by content id

    def __bool__(self) -> bool:
        return bool(self.damaged or self.rendered_again)

    def settle(self, sql: sqlite3.Connection, now: Instant) -> None:
        """Write it down, in the caller's transaction."""
        for mailbox_id, uid, reason in self.damaged:
            quarantine.note(sql, QUARANTINE, f"{mailbox_id}/{uid}", reason, now)
        for content_id, rendered in self.rendered_again:
            put_rendering(sql, content_id, rendered)


@dataclass(slots=True)
class Loaded:
    """The rows of the first `taken` messages, and what was found in reading them."""

    rows: list[Row] = field(default_factory=list)
    taken: int = 0
    found: Findings = field(default_factory=Findings)


def read_flags(
    sql: sqlite3.Connection, found: Findings, mailbox_id: int, which: str, *values: object
) -> Iterator[FlagsOf]:
    """The flags of those messages of a mailbox for which the condition `which` holds."""
    rows = sql.execute(
        f"""SELECT uid, flags, CAST(keywords AS BLOB) FROM message
            WHERE mailbox_id = ? AND {which} ORDER BY uid""",  # noqa: S608  (constants)
        (mailbox_id, *values),
    ).fetchall()
    for uid, bits, keywords in rows:
        text = ""
        if keywords:
            try:
                text = keywords.decode("ascii")
                checked_keywords(text.split())
            except (UnicodeDecodeError, PermanentFailure):
                text = ""
                found.damaged.append((mailbox_id, uid, "Its keywords cannot be read."))
        yield FlagsOf(uid, bits & STORED_FLAGS, text)


@contextmanager
def disk_errors_as_damage() -> Iterator[None]:
    """Damaged in place of what a disk says that cannot read a letter any more."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise  # short of memory or descriptors: the letter itself may be whole
        raise Damaged(f"The disk did not give it back ({error.strerror}).") from error


def shown_instead(
    sql: sqlite3.Connection,
    found: Findings,
    mailbox_id: int,
    uid: int,
    content_id: int,
    damage: Exception,
) -> bytes:
    """The note in the place of a letter whose octets are damaged; the damage goes into `found`."""
    found.damaged.append((mailbox_id, uid, str(damage)))
    return note(_kept_header(sql, content_id), str(damage))


class Reader:
    """Reads letters; remembers the last large one, for programs that ask for it in pieces."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._kept: tuple[int, bytes] = (0, b"")  # content id and octets

    def load(
        self, sql: sqlite3.Connection, mailbox_id: int, uids: Sequence[int], columns: Column
    ) -> Loaded:
        """Rows of as many of the first of these messages as fit in ROWS_BYTES_MAX, at least one."""
        loaded, size = Loaded(), 0
        stored = {row.uid: row for row in _stored(sql, mailbox_id, uids, columns)}
        for uid in uids:
            if size > ROWS_BYTES_MAX:
                break
            loaded.taken += 1
            if uid in stored:
                row = self._row(sql, mailbox_id, stored[uid], columns, loaded.found)
                loaded.rows.append(row)
                size += len(row.octets)
        return loaded

    def _row(
        self,
        sql: sqlite3.Connection,
        mailbox_id: int,
        stored: "_Stored",
        columns: Column,
        found: Findings,
    ) -> Row:
        """One row in full: what is damaged in it is made again, or explained."""
        rendered, octets, damage = stored.rendered, b"", ""
        header_cut = rendered is not None and rendered.header_size > len(rendered.header)
        header_cut = header_cut and Column.HEADER in columns
        if rendered is None or header_cut or Column.OCTETS in columns:
            try:
                octets = self._octets(sql, stored.content_id)
            except (Damaged, sqlite3.DatabaseError) as error:
                damage = str(error)
                octets = shown_instead(
                    sql, found, mailbox_id, stored.uid, stored.content_id, error
                )
        if rendered is None:
            rendered = render(octets)
            if not damage and stored.repairable:
                found.rendered_again.append((stored.content_id, rendered))
        whole_header = octets[: rendered.header_size] if header_cut and not damage else None
        return Row(
            stored.uid,
            stored.date,
            stored.size,
            rendered.envelope,
            rendered.body,
            rendered.body_structure,
            rendered.header if whole_header is None else whole_header,
            octets if Column.OCTETS in columns else b"",
            bool(damage),
        )

    def _octets(self, sql: sqlite3.Connection, content_id: int) -> bytes:
        if self._kept[0] != content_id:
            with disk_errors_as_damage():
                octets = self._contents.get(sql, content_id)
            if len(octets) <= limits.BODY_IN_DATABASE_BYTES_MAX:
                return octets
            self._kept = (content_id, octets)
        return self._kept[1]


@dataclass(frozen=True, slots=True)
class _Stored:
    """A message row, with its rendering unless that is missing or damaged."""

    uid: int
    date: Instant
    size: int
    content_id: int
    rendered: Rendered | None
    repairable: bool  # SQLite can read the page, so it can write there too


def put_rendering(sql: sqlite3.Connection, content_id: int, rendered: Rendered) -> None:
    """Keep what is sent of a letter, in the caller's transaction."""
    sql.execute(
        """INSERT OR REPLACE INTO rendering
           (content_id, header_size, envelope, body, body_structure, header)
           VALUES (?, ?, ?, ?, ?, ?)""",
        (
            content_id,
            rendered.header_size,
            *map(
                _sealed,
                (rendered.envelope, rendered.body, rendered.body_structure, rendered.header),
            ),
        ),
    )


def _sealed(blob: bytes) -> bytes:
    # SQLite does not notice a flipped bit, and a broken envelope would confuse a mail program.
    return blob + zlib.crc32(blob).to_bytes(4, "big")


def _opened(blob: bytes | None) -> bytes:
    """The blob without its checksum; raises Damaged."""
    if blob is None or zlib.crc32(blob[:-4]).to_bytes(4, "big") != blob[-4:]:
        raise Damaged("Its rendering is damaged.")
    return blob[:-4]


_RENDERED = (
    (Column.ENVELOPE, "envelope"),
    (Column.BODY, "body"),
    (Column.BODY_STRUCTURE, "body_structure"),
    (Column.HEADER, "header"),
)


def _stored(
    sql: sqlite3.Connection, mailbox_id: int, uids: Sequence[int], columns: Column
) -> Iterable[_Stored]:
    """The rows of these messages; a page that SQLite cannot read costs only what stands on it."""
    try:
        yield from _select(sql, mailbox_id, uids, columns)
    except sqlite3.DatabaseError:
        if sql.in_transaction:
            raise
        for uid in uids:
            try:
                yield from _select(sql, mailbox_id, [uid], columns)
            except sqlite3.DatabaseError:
                yield from _select(sql, mailbox_id, [uid], columns, readable=False)


def _select(
    sql: sqlite3.Connection,
    mailbox_id: int,
    uids: Sequence[int],
    columns: Column,
    *,
    readable: bool = True,
) -> Iterable[_Stored]:
    names = [f"r.{name}" if column in columns else "NULL" for column, name in _RENDERED]
    wanted = readable and any(name != "NULL" for name in names)
    joined = "LEFT JOIN rendering AS r ON r.content_id = m.content_id"
    rows = sql.execute(
        f"""SELECT m.uid, m.internal_date, m.size, m.content_id,
                   {f"r.header_size, {', '.join(names)}" if wanted else "0, NULL, NULL, NULL, NULL"}
            FROM message AS m {joined if wanted else ""}
            WHERE m.mailbox_id = ? AND m.{THESE} ORDER BY m.uid""",  # noqa: S608  (constants)
        (mailbox_id, json.dumps(list(uids))),
    ).fetchall()
    found = []
    for uid, date, size, content_id, header_size, *blobs in rows:
        rendered = None
        if readable:
            try:
                opened = [
                    _opened(blob) if column in columns else b""
                    for blob, (column, _) in zip(blobs, _RENDERED, strict=True)
                ]
                rendered = Rendered(header_size, *opened)
            except Damaged:
                rendered = None
        found.append(_Stored(uid, date, size, content_id, rendered, readable))
    return found


def _kept_header(sql: sqlite3.Connection, content_id: int) -> bytes:
    """The header block of a letter whose octets are damaged, if that much is left."""
    try:
        row = sql.execute(
            "SELECT header FROM rendering WHERE content_id = ?", (content_id,)
        ).fetchone()
        return _opened(row[0] if row else None)
    except (Damaged, sqlite3.DatabaseError):
        return b""
