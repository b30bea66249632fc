"""Sealed letters as bytes: our own on the way out, and those that we hold for others.

Purpose: keep each once under its mail id, small ones in a row, large ones in a file; stream both
ways, so that memory does not grow with the letter. Functions with `sql` run in the database thread.
"""

import hashlib
import sqlite3
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from postroad.base import limits
from postroad.base.ids import MailId
from postroad.base.seams import Disk
from postroad.store.contents import Damaged
from postroad.store.database import Database


@dataclass(slots=True)
class Arriving:
    """A sealed letter while it comes in: in memory when small, else in a spool file."""

    disk: Disk
    size: int  # as announced
    digest: "hashlib._Hash"
    received: int = 0
    small: bytearray | None = None
    spool: BinaryIO | None = None

    def write(self, chunk: bytes) -> None:
        """Take the next bytes; blocks on the disk for large letters."""
        self.received += len(chunk)
        self.digest.update(chunk)
        if self.spool is not None:
            self.spool.write(chunk)
        else:
            assert self.small is not None
            self.small += chunk

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes of what came, from `offset`."""
        if self.spool is None:
            assert self.small is not None
            return bytes(self.small[offset : offset + size])
        self.spool.seek(offset)
        return self.spool.read(size)

    @property
    def mail_id(self) -> MailId:
        return MailId(self.digest.digest())

    def discard(self) -> None:
        """Forget what came; harmless after it was put away."""
        if self.spool is not None:
            self.spool.close()


@dataclass(frozen=True, slots=True)
class SealedStore:
    disk: Disk

    def arriving(self, size: int) -> Arriving:
        """Begin to take in a letter of `size` bytes; raises DiskFull."""
        if size <= limits.BODY_IN_DATABASE_BYTES_MAX:
            return Arriving(self.disk, size, hashlib.sha256(), small=bytearray())
        return Arriving(self.disk, size, hashlib.sha256(), spool=self.disk.spool())

    def put(self, sql: sqlite3.Connection, arrived: Arriving) -> MailId:
        """Make it durable with this commit; a letter that is there already is kept once."""
        mail_id = arrived.mail_id
        if self.is_whole(sql, mail_id):
            arrived.discard()
            return mail_id
        if arrived.spool is not None:
            self.disk.keep(arrived.spool, file_name(mail_id))
        sql.execute("DELETE FROM sealed WHERE mail_id = ?", (mail_id,))  # its file was lost
        sql.execute(
            "INSERT INTO sealed (mail_id, size, octets) VALUES (?, ?, ?)",
            (mail_id, arrived.received, arrived.small),
        )
        return mail_id

    def is_whole(self, sql: sqlite3.Connection, mail_id: MailId) -> bool:
        """Whether it is here from its first byte to its last."""
        row = sql.execute(
            "SELECT size, octets IS NULL FROM sealed WHERE mail_id = ?", (mail_id,)
        ).fetchone()
        if row is None or not row[1]:
            return row is not None
        try:
            with self.disk.open(file_name(mail_id)) as file:
                return bool(file.seek(0, 2) == row[0])
        except OSError:
            return False

    def put_all(self, sql: sqlite3.Connection, chunks: Iterable[bytes], size: int) -> MailId:
        """`arriving`, `write` and `put` in one, for a letter that we sealed ourselves."""
        arriving = self.arriving(size)
        try:
            for chunk in chunks:
                arriving.write(chunk)
            return self.put(sql, arriving)
        finally:
            arriving.discard()

    def read(self, sql: sqlite3.Connection, mail_id: MailId, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; raises Damaged when the letter is not there."""
        row = sql.execute(
            "SELECT octets IS NULL, substr(octets, ?, ?) FROM sealed WHERE mail_id = ?",
            (offset + 1, size, mail_id),
        ).fetchone()
        if row is None:
            raise Damaged(f"The sealed letter {mail_id.hex()} is missing.")
        if not row[0]:
            return bytes(row[1] or b"")  # substr of no octets is NULL
        try:
            with self.disk.open(file_name(mail_id)) as file:
                file.seek(offset)
                return file.read(size)
        except FileNotFoundError as error:
            raise Damaged(f"The file {file_name(mail_id)} is missing.") from error

    def size(self, sql: sqlite3.Connection, mail_id: MailId) -> int:
        """Raises Damaged when the letter is not there."""
        row = sql.execute("SELECT size FROM sealed WHERE mail_id = ?", (mail_id,)).fetchone()
        if row is None:
            raise Damaged(f"The sealed letter {mail_id.hex()} is missing.")
        return int(row[0])

    async def pieces(self, database: Database, mail_id: MailId, size: int) -> AsyncIterator[bytes]:
        """The letter's `size` bytes, a piece at a time; raises Damaged when they end early."""
        for offset in range(0, size, limits.BULK_CHUNK_BYTES):
            wanted = min(limits.BULK_CHUNK_BYTES, size - offset)
            read = partial(self.read, mail_id=mail_id, offset=offset, size=wanted)
            piece = await database.read(read)
            if len(piece) != wanted:
                raise Damaged(f"The sealed letter {mail_id.hex()} is cut short.")
            yield piece

    def forget_unused(self, sql: sqlite3.Connection) -> None:
        """Remove the rows of letters that no open parcel and no held letter needs."""
        sql.execute(
            """DELETE FROM sealed
               WHERE mail_id NOT IN (SELECT mail_id FROM held_letter
                                   WHERE tombstone IS NULL AND reseal IS NULL)
               AND mail_id NOT IN (SELECT mail_id FROM parcel
                                   WHERE mail_id IS NOT NULL AND state IN ('waiting', 'held'))"""
        )

    def remove_orphans(self, sql: sqlite3.Connection) -> None:
        """Remove files that no row names. Must run in a later commit than `forget_unused`."""
        named = {
            mail_id.hex()
            for (mail_id,) in sql.execute("SELECT mail_id FROM sealed WHERE octets IS NULL")
        }
        for name in self.disk.names("sealed"):
            if name not in named:
                self.disk.remove(f"sealed/{name}")


def file_name(mail_id: MailId) -> str:
    return f"sealed/{mail_id.hex()}"
