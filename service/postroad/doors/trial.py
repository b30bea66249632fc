"""What the owner may ask for to try a mail program: a letter in their own INBOX.

It never leaves the computer. One in LETTER_SECONDS at most: whoever may ask is a program of the
owner's, and none of those shall fill their mailbox.
"""

from typing import Any

from postroad.base.errors import TemporaryFailure
from postroad.base.ids import Instant
from postroad.base.seams import Clock, Entropy
from postroad.message import changed
from postroad.message.trial import trial
from postroad.phrases import phrase
from postroad.protocol.imap.render import render
from postroad.store.database import Database, Sql
from postroad.store.keyring import OwnKeys
from postroad.store.mailboxes import Added, Mailboxes

Reply = dict[str, Any]
LETTER_SECONDS = 5.0
INBOX = "INBOX"


class TrialDesk:
    """`questions` are for `doors.control`."""

    def __init__(
        self,
        database: Database,
        mailboxes: Mailboxes,
        keyring: OwnKeys,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._database = database
        self._mailboxes = mailboxes
        self._keyring = keyring
        self._clock = clock
        self._entropy = entropy
        self._written_at: float | None = None
        self.questions = {"test letter": self._write}

    async def _write(self, request: dict[str, Any]) -> Reply:
        elapsed = self._clock.elapsed()
        if self._written_at is not None and elapsed - self._written_at < LETTER_SECONDS:
            raise TemporaryFailure(
                phrase("One was written just now. Look into your INBOX, or try again.")
            )
        self._written_at = elapsed
        address, now = str(self._keyring.address), self._clock.now()
        octets = trial(address, now=now, token=self._entropy.token(changed.TOKEN_BYTES))

        def work(sql: Sql) -> Added:
            return self._mailboxes.add(sql, INBOX, octets, render(octets), date=Instant(now))

        self._mailboxes.announce(await self._database.run(work))
        return {"mailbox": INBOX, "address": address}
