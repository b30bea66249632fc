"""The INBOX as POP3 sees it: as it stood at one moment, read in pieces, emptied in one commit.

Purpose: what doors/pop3.py asks of the store. The laws of the tables are kept by store/mailboxes.
Invariants: nothing is written until `remove`, except that damage is noted; a letter is checked
before its first octet is given out, and of a large one no more than a piece is in memory; a letter
for which a note was given out is not removed before all of it was given out: programs delete what
they have fetched without a look at it, and damage may be over tomorrow. Whoever deletes it has it
out of sight for a day, lest the same note is fetched at each visit.
"""

import io
import json
import sqlite3
from array import array
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO

from postroad.base import limits
from postroad.base.errors import TemporaryFailure
from postroad.base.seams import Clock
from postroad.protocol.pop3 import Maildrop
from postroad.store.contents import Contents, Damaged
from postroad.store.database import Database
from postroad.store.mailboxes import Mailboxes
from postroad.store.recovery import THESE, Findings, disk_errors_as_damage, shown_instead

FOLDER = "INBOX"
PIECE_BYTES = 128 * limits.KIB
OUT_OF_SIGHT_SECONDS = 24 * 3600


class OpenLetter:
    """One letter that is being read. `size`: its octets; `is_damaged`: they are a note."""

    def __init__(
        self, database: Database, file: BinaryIO, size: int, message: tuple[int, int], *,
        is_damaged: bool,
    ) -> None:  # fmt: skip
        self._database = database
        self._file = file
        self._message = message  # mailbox id and UID
        self.size = size
        self.is_damaged = is_damaged

    async def read(self) -> bytes:
        """The next piece; empty at the end."""

        def work(sql: sqlite3.Connection) -> tuple[bytes, bool]:
            with disk_errors_as_damage():
                octets = self._file.read(PIECE_BYTES)
            return octets, not octets and not self.is_damaged and _is_told(sql, *self._message)

        octets, is_whole_again = await self._database.read(work)
        if is_whole_again:
            with suppress(TemporaryFailure):  # else it is kept when it is deleted now
                await self._database.run(
                    lambda sql: sql.execute(
                        "DELETE FROM told_damaged WHERE mailbox_id = ? AND uid = ?", self._message
                    )
                )
        return octets

    def close(self) -> None:
        self._file.close()


class Inbox:
    def __init__(
        self, database: Database, contents: Contents, mailboxes: Mailboxes, clock: Clock
    ) -> None:
        self._database = database
        self._contents = contents
        self._mailboxes = mailboxes
        self._clock = clock

    async def look(self) -> Maildrop:
        """What is in the INBOX now."""

        def work(sql: sqlite3.Connection) -> Maildrop:
            mailbox_id, uid_validity = sql.execute(
                "SELECT id, uid_validity FROM mailbox WHERE name = ?", (FOLDER,)
            ).fetchone()
            now = self._clock.now()
            out_of_sight = sql.execute(  # a clock that leapt back hides nothing for longer
                """SELECT uid FROM told_damaged
                   WHERE mailbox_id = ? AND shown_again_at > ? AND shown_again_at <= ?""",
                (mailbox_id, now, now + OUT_OF_SIGHT_SECONDS),
            )
            hidden = {uid for (uid,) in out_of_sight}
            uids, sizes = array("I"), array("Q")
            for uid, size in sql.execute(
                "SELECT uid, size FROM message WHERE mailbox_id = ? ORDER BY uid", (mailbox_id,)
            ):
                if uid not in hidden:
                    uids.append(uid)
                    sizes.append(size)
            return Maildrop(uid_validity, uids, sizes)

        return await self._database.read(work)

    async def open(self, uid: int) -> OpenLetter | None:
        """The letter, or a note in its place if it is damaged; None when it is gone.

        That there is a note was written down before it is given out."""
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
                return OpenLetter(self._database, file, size, (mailbox_id, uid), is_damaged=False)
            except (Damaged, sqlite3.DatabaseError) as error:
                octets = shown_instead(sql, found, mailbox_id, uid, content_id, error)
                return OpenLetter(
                    self._database, io.BytesIO(octets), len(octets), (mailbox_id, uid),
                    is_damaged=True,
                )  # fmt: skip

        def settle(sql: sqlite3.Connection) -> None:
            found.settle(sql, self._clock.now())
            for mailbox_id, damaged_uid, _ in found.damaged:
                sql.execute(
                    """INSERT INTO told_damaged (mailbox_id, uid)
                       SELECT mailbox_id, uid FROM message WHERE mailbox_id = ? AND uid = ?
                       ON CONFLICT DO NOTHING""",
                    (mailbox_id, damaged_uid),
                )

        letter = await self._database.read(work)
        if found:
            await self._database.run(settle)
        return letter

    async def remove(self, uids: Sequence[int]) -> int:
        """Remove these letters, all in one commit; those that are gone already stay gone. How many
        stay, out of sight of POP3, because a note was all that was given out of them."""

        def work(sql: sqlite3.Connection) -> tuple[int, int]:
            told = sql.execute(
                f"""SELECT mailbox_id, uid FROM told_damaged
                    WHERE mailbox_id = (SELECT id FROM mailbox WHERE name = ?)
                    AND {THESE}""",  # noqa: S608  (a constant)
                (FOLDER, json.dumps(list(uids))),
            ).fetchall()
            again_at = self._clock.now() + OUT_OF_SIGHT_SECONDS
            sql.executemany(
                "UPDATE told_damaged SET shown_again_at = ? WHERE mailbox_id = ? AND uid = ?",
                ((again_at, *one) for one in told),
            )
            kept = {uid for _, uid in told}
            taken = [uid for uid in uids if uid not in kept]
            return self._mailboxes.take_away(sql, FOLDER, taken), len(kept)

        _, kept = await self._database.run(work, then=lambda done: self._mailboxes.changed(done[0]))
        return kept


def _is_told(sql: sqlite3.Connection, mailbox_id: int, uid: int) -> bool:
    """Whether a note was given out in place of that letter."""
    found = sql.execute(
        "SELECT 1 FROM told_damaged WHERE mailbox_id = ? AND uid = ?", (mailbox_id, uid)
    )
    return found.fetchone() is not None
