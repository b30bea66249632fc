"""Look whether the store is whole and how large it is, also beside a running node; make it smaller.

Purpose: what a person asks who fears for their disk. Looking needs nothing of the node: it reads as
any other reader does, and holds nobody up.
Invariants: looking changes nothing. `compact` puts a store in place of the old one only when it is
durable and whole, and only where no node runs.
"""

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from postroad.base import limits
from postroad.base.errors import ConfigurationError, DiskFull
from postroad.store import quarantine, sealed, snapshot
from postroad.store.contents import file_name
from postroad.store.database import FILE_NAME, Sql, connect, to_read
from postroad.store.schema import MIGRATIONS

T = TypeVar("T")
FAULTS_MAX = 100
PIECE_BYTES = 1 << 20
DRAFT = FILE_NAME + ".compact"
FORMAT = len(MIGRATIONS)
"""What `PRAGMA user_version` says of a store that this program has opened."""


@dataclass(frozen=True, slots=True)
class Size:
    """`unused`: octets of the database that nothing stands in."""

    database: int
    unused: int
    bodies: int
    sealed: int
    free: int  # on the disk, for this user


@dataclass(frozen=True, slots=True)
class Count:
    messages: int
    mailboxes: int
    parcels_under_way: int
    letters_held: int  # for others
    quarantine: int


@dataclass(frozen=True, slots=True)
class Fault:
    """`what`: database, body or sealed letter; `where`: what of the owner's it concerns."""

    what: str
    name: str
    reason: str
    where: str = ""


def sqlite_version() -> str:
    return sqlite3.sqlite_version


def read_file(folder: Path, work: Callable[[Sql], T]) -> T:
    """What `work` reads of the store in this folder, whether or not a node runs in it.

    Raises ConfigurationError when there is none, or it cannot be read."""
    path = folder / FILE_NAME
    if not path.exists():
        raise ConfigurationError(
            f"There is no store in {folder} yet: the first postroad run makes it."
        )
    try:
        with closing(to_read(path, for_long=True)) as sql:
            return work(sql)
    except sqlite3.Error as error:
        raise ConfigurationError(f"The store {path} cannot be read ({error}).") from error


def size(sql: Sql, folder: Path) -> Size:
    pages, unused, page_bytes = (
        int(sql.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    beside = sum(_file_bytes(folder / f"{FILE_NAME}{end}") for end in ("-wal", "-shm"))
    disk = os.statvfs(folder)
    return Size(
        pages * page_bytes + beside,
        unused * page_bytes,
        _folder_bytes(folder / "bodies"),
        _folder_bytes(folder / "sealed"),
        disk.f_bavail * disk.f_frsize,
    )


def count(sql: Sql) -> Count:
    def of(what: str) -> int:
        return int(sql.execute(f"SELECT count(*) FROM {what}").fetchone()[0])  # noqa: S608

    return Count(
        of("message"),
        of("mailbox"),
        of("parcel WHERE state IN ('waiting', 'held')"),
        of("held_letter WHERE tombstone IS NULL AND reseal IS NULL"),
        len(quarantine.noted(sql)),
    )


def written_format(sql: Sql) -> int:
    return int(sql.execute("PRAGMA user_version").fetchone()[0])


def promises(sql: Sql) -> tuple[str, int]:
    """How this connection writes: the mode of its journal, and how far it waits for the disk (2 is
    FULL). Asserted when the node opens its store."""
    mode = sql.execute("PRAGMA journal_mode").fetchone()[0]
    return str(mode), int(sql.execute("PRAGMA synchronous").fetchone()[0])


def octets_to_check(sql: Sql) -> int:
    """0 of a store that is too damaged to say; `faults` tells what is wrong with it."""
    try:
        found = sql.execute(
            "SELECT (SELECT coalesce(sum(size), 0) FROM content) + "
            "(SELECT coalesce(sum(size), 0) FROM sealed)"
        ).fetchone()
    except sqlite3.DatabaseError:
        return 0
    return int(found[0])


def faults(sql: Sql, folder: Path, seen: Callable[[int], None]) -> Iterator[Fault]:
    """All that is not as it was written; `seen` hears of the octets that were looked at.

    A store that is damaged further than SQLite can read is one fault at its end."""
    try:
        yield from _database_faults(sql)
        for row_id, digest, wanted, in_row in sql.execute(
            "SELECT id, sha256, size, octets IS NULL = 0 FROM content"
        ).fetchall():
            path = folder / file_name(digest)
            reason = _wrong(sql, "content", "id", row_id, path, digest, in_row)
            seen(wanted)
            if reason:
                yield Fault("body", digest.hex(), reason, _message_of(sql, row_id))
        for mail_id, wanted, in_row in sql.execute(
            "SELECT mail_id, size, octets IS NULL = 0 FROM sealed"
        ).fetchall():
            path = folder / sealed.file_name(mail_id)
            reason = _wrong(sql, "sealed", "mail_id", mail_id, path, mail_id, in_row)
            seen(wanted)
            if reason:
                yield Fault("sealed letter", mail_id.hex(), reason)
    except sqlite3.DatabaseError as error:
        yield Fault("database", FILE_NAME, str(error))


def _database_faults(sql: Sql) -> Iterator[Fault]:
    for (said,) in sql.execute(f"PRAGMA integrity_check({FAULTS_MAX})"):
        if said != "ok":
            yield Fault("database", FILE_NAME, str(said))
    for table, row, parent, _ in sql.execute("PRAGMA foreign_key_check"):
        yield Fault("database", FILE_NAME, f"{table} {row} names what is not in {parent}")


def _wrong(
    sql: Sql, table: str, key: str, row: object, path: Path, digest: bytes, in_row: int
) -> str:
    """What is wrong with these octets; "" when nothing is, or they went meanwhile."""
    if in_row:
        found = sql.execute(f"SELECT octets FROM {table} WHERE {key} = ?", (row,))  # noqa: S608
        octets = next((one for (one,) in found), None)
        is_whole = octets is None or hashlib.sha256(octets).digest() == digest
        return "" if is_whole else "it is not what was stored"
    reason = _wrong_file(path, digest)
    still = sql.execute(f"SELECT 1 FROM {table} WHERE {key} = ?", (row,))  # noqa: S608
    return reason if reason and still.fetchone() else ""


def _wrong_file(path: Path, digest: bytes) -> str:
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while octets := file.read(PIECE_BYTES):
                found.update(octets)
    except FileNotFoundError:
        return "its file is missing"
    except OSError as error:
        return f"its file cannot be read ({error.strerror})"
    return "" if found.digest() == digest else "its file is not what was stored"


def _message_of(sql: Sql, content_id: int) -> str:
    found = sql.execute(
        """SELECT mailbox.name, message.uid FROM message JOIN mailbox ON mailbox.id = mailbox_id
           WHERE content_id = ? LIMIT 1""",
        (content_id,),
    ).fetchone()
    return "" if found is None else f"the message {found[1]} in {found[0]}"


def remove_left(folder: Path) -> None:
    """Remove what a killed compaction, or backup, has left; for whoever has the folder to
    themselves. OSError."""
    (folder / DRAFT).unlink(missing_ok=True)
    snapshot.remove_left(folder)


def compact(folder: Path) -> tuple[int, int]:
    """Write the database anew without what is unused: its octets before, and after.

    For whoever has the folder to themselves. Raises DiskFull when the disk has no room for both."""
    path, draft = folder / FILE_NAME, folder / DRAFT
    with closing(connect(str(path))) as sql:
        before = size(sql, folder)
        if before.free < before.database + limits.DISK_RESERVE_BYTES:
            raise DiskFull("The disk has no room for a second copy of the store. Make room first.")
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            sql.execute("VACUUM INTO ?", (str(draft),))
            _expect_whole(draft)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    # Closed by its last reader, the old one has no log left that could be taken for the new one's.
    if path.with_name(FILE_NAME + "-wal").exists():
        draft.unlink()
        raise ConfigurationError("Somebody reads the store just now. Try again.")
    draft.replace(path)
    _fsync(folder)
    with closing(connect(str(path))) as sql:
        return before.database, size(sql, folder).database


def _expect_whole(draft: Path) -> None:
    with closing(sqlite3.connect(str(draft))) as sql:
        said = sql.execute("PRAGMA quick_check(1)").fetchone()[0]
    if said != "ok":
        raise ConfigurationError(f"The store is damaged ({said}). See: postroad store check")
    _fsync(draft)


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _file_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _folder_bytes(folder: Path) -> int:
    try:
        return sum(_file_bytes(folder / name) for name in os.listdir(folder))
    except FileNotFoundError:
        return 0
