"""The INBOX as POP3 sees it: as it stood at one moment, read in pieces, emptied in one commit.

Purpose: what doors/pop3.py asks of the store. The laws of the tables are kept by store/mailboxes.
Invariants: nothing is written until `remove`, except that damage is noted; a letter is checked
before its first octet is given out, and of a large one no more than a piece is in memory.
"""

import io
import sqlite3
from array import array
from collections.abc import Sequence
from typing import BinaryIO

from postroad.base import limits
from postroad.base.seams import Clock
from postroad.protocol.pop3 import Drop
from postroad.store.contents import Contents, Damaged
from postroad.store.database import Database
from postroad.store.mailboxes import Mailboxes
from postroad.store.recovery import Findings, disk_errors_as_damage, shown_instead

FOLDER = "INBOX"
PIECE_BYTES = 128 * limits.KIB


class OpenLetter:
    """One letter that is being read. `size`: its octets; `is_damaged`: they are a note."""

    def __init__(self, database: Database, file: BinaryIO, size: int, *, is_damaged: bool) -> None:
        self._database = database
        self._file = file
        self.size = size
        self.is_damaged = is_damaged

    async def read(self) -> bytes:
        """The next piece; empty at the end."""

        def work(_: sqlite3.Connection) -> bytes:
            with disk_errors_as_damage():
                return self._file.read(PIECE_BYTES)

        return await self._database.read(work)

    def close(self) -> None:
        self._file.close()


class Maildrop:
    def __init__(
        self, database: Database, contents: Contents, mailboxes: Mailboxes, clock: Clock
    ) -> None:
        self._database = database
        self._contents = contents
        self._mailboxes = mailboxes
        self._clock = clock

    async def look(self) -> Drop:
        """What is in the INBOX now."""

        def work(sql: sqlite3.Connection) -> Drop:
            mailbox_id, uid_validity = sql.execute(
                "SELECT id, uid_validity FROM mailbox WHERE name = ?", (FOLDER,)
            ).fetchone()
            uids, sizes = array("I"), array("Q")
            for uid, size in sql.execute(
                "SELECT uid, size FROM message WHERE mailbox_id = ? ORDER BY uid", (mailbox_id,)
            ):
                uids.append(uid)
                sizes.append(size)
            return Drop(uid_validity, uids, sizes)

        return await self._database.read(work)

    async def open(self, uid: int) -> OpenLetter | None:
        """The letter, or a note in its place if it is damaged; None when it is gone."""
        found = Findings()

        def work(sql: sqlite3.Connection) -> OpenLetter | None:
            row = sql.execute(
                """SELECT m.mailbox_id, m.content_id, m.size FROM message AS m
                   JOIN mailbox AS b ON b.id = m.mailbox_id WHERE b.name = ? AND m.uid = ?""",
                (FOLDER, uid),
            ).fetchone()
            if row is None:
                return None
            mailbox_id, content_id, size = row
            try:
                with disk_errors_as_damage():
                    file = self._contents.open(sql, content_id)
                return OpenLetter(self._database, file, size, is_damaged=False)
            except (Damaged, sqlite3.DatabaseError) as error:
                octets = shown_instead(sql, found, mailbox_id, uid, content_id, error)
                shown = io.BytesIO(octets)
                return OpenLetter(self._database, shown, len(octets), is_damaged=True)

        letter = await self._database.read(work)
        if found:
            await self._database.run(lambda sql: found.settle(sql, self._clock.now()))
        return letter

    async def remove(self, uids: Sequence[int]) -> None:
        """Remove these letters, all in one commit; those that are gone already stay gone."""
        await self._database.run(
            lambda sql: self._mailboxes.take_away(sql, FOLDER, uids),
            then=self._mailboxes.changed,
        )
