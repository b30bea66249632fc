"""Octets of letters: small ones in rows, large ones in files named by their SHA-256.

Purpose: one place that writes, reads and checks them. All functions run in the database thread.
Invariants: a row is written only after its file is durable; octets that do not match their hash
are never given out.
"""

import hashlib
import io
import sqlite3
from dataclasses import dataclass
from typing import BinaryIO

from postroad.base import limits
from postroad.base.errors import TemporaryFailure
from postroad.base.seams import Disk

LOOK_BYTES = 256 * limits.KIB


class Damaged(TemporaryFailure):
    """The octets under this name are missing or are not what was stored.

    Temporary, though no disk heals: a backup may be put back, the same octets may come again (`put`
    mends them), and nobody may say for good that a letter failed because our copy of it is bad."""


@dataclass(frozen=True, slots=True)
class Contents:
    disk: Disk

    def put(self, sql: sqlite3.Connection, octets: bytes) -> int:
        """Store octets once, whoever refers to them; the id of their row."""
        digest = hashlib.sha256(octets).digest()
        small = len(octets) <= limits.BODY_IN_DATABASE_BYTES_MAX
        known = sql.execute("SELECT id FROM content WHERE sha256 = ?", (digest,)).fetchone()
        if known and self._is_whole(sql, int(known[0])):
            return int(known[0])
        if not small:
            self.disk.write(file_name(digest), octets)
        if known:  # what was stored before was lost or damaged, and is whole again
            sql.execute(
                "UPDATE content SET size = ?, octets = ? WHERE id = ?",
                (len(octets), octets if small else None, known[0]),
            )
            return int(known[0])
        made = sql.execute(
            "INSERT INTO content (sha256, size, octets) VALUES (?, ?, ?)",
            (digest, len(octets), octets if small else None),
        )
        assert made.lastrowid is not None
        return made.lastrowid

    def get(self, sql: sqlite3.Connection, content_id: int) -> bytes:
        """The octets, whole and checked against their hash; raises Damaged."""
        digest, size, octets = sql.execute(
            "SELECT sha256, size, octets FROM content WHERE id = ?", (content_id,)
        ).fetchone()
        if octets is None:
            try:
                with self.disk.open(file_name(digest)) as file:
                    octets = file.read(size + 1)
            except FileNotFoundError as error:
                raise Damaged(f"The file {file_name(digest)} is missing.") from error
        if hashlib.sha256(octets).digest() != digest:
            raise Damaged(f"The octets of {digest.hex()} are not what was stored.")
        return bytes(octets)

    def open(self, sql: sqlite3.Connection, content_id: int) -> BinaryIO:
        """The octets as a file to read in pieces, looked through once and found to be whole;
        raises Damaged. It stays readable when the letter is forgotten meanwhile."""
        digest, octets = sql.execute(
            "SELECT sha256, octets FROM content WHERE id = ?", (content_id,)
        ).fetchone()
        file: BinaryIO = io.BytesIO(octets or b"")
        if octets is None:
            try:
                file = self.disk.open(file_name(digest))
            except FileNotFoundError as error:
                raise Damaged(f"The file {file_name(digest)} is missing.") from error
        try:
            seen = hashlib.sha256()
            while piece := file.read(LOOK_BYTES):
                seen.update(piece)
            if seen.digest() != digest:
                raise Damaged(f"The octets of {digest.hex()} are not what was stored.")
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    def _is_whole(self, sql: sqlite3.Connection, content_id: int) -> bool:
        try:
            self.get(sql, content_id)
        except (Damaged, OSError):
            return False
        return True

    def forget_unused(self, sql: sqlite3.Connection) -> None:
        """Remove the rows of octets that nothing refers to any more; their files stay."""
        sql.execute(
            """DELETE FROM content WHERE id NOT IN (SELECT content_id FROM letter)
               AND id NOT IN (SELECT content_id FROM message)"""
        )

    def remove_orphans(self, sql: sqlite3.Connection) -> None:
        """Remove the files that no row names: what a crash left, or what was forgotten.

        Must run in a later commit than `forget_unused`: a file may go only after its row is gone
        for good."""
        named = {
            digest.hex()
            for (digest,) in sql.execute("SELECT sha256 FROM content WHERE octets IS NULL")
        }
        for name in self.disk.names("bodies"):
            if name not in named:
                self.disk.remove(f"bodies/{name}")


def file_name(digest: bytes) -> str:
    return f"bodies/{digest.hex()}"
