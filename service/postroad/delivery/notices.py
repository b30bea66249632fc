"""File a notice about a parcel in its sender's own INBOX: late, returned, delivered, corrected.

Purpose: the honest word to the person who wrote the letter (promises M1, M3, M11). It is filed in
the same commit as the step that causes it, and never about another notice.
"""

from dataclasses import dataclass

from postroad.base.seams import Clock, Entropy
from postroad.message.envelope import Notify
from postroad.protocol.delivery import Notice
from postroad.protocol.imap.render import render
from postroad.sealing.letter import Kind
from postroad.store import queue
from postroad.store.contents import Contents, Damaged
from postroad.store.database import Sql
from postroad.store.keyring import Keyring
from postroad.store.mailboxes import Added, Mailboxes

_WANTED = {
    Notice.DELAYED: Notify.DELAY,
    Notice.DELIVERED: Notify.SUCCESS,
    Notice.REFUSED: Notify.FAILURE,
    Notice.EXPIRED: Notify.FAILURE,
    Notice.CORRECTED: Notify.FAILURE,
}


@dataclass(frozen=True, slots=True)
class Notices:
    mailboxes: Mailboxes
    contents: Contents
    keyring: Keyring
    clock: Clock
    entropy: Entropy

    def file(self, sql: Sql, row: queue.Row, notice: Notice, reason: str) -> Added | None:
        """File it in the caller's transaction, when the sender wants such; announce afterwards."""
        if not row.notify & _WANTED[notice] or row.kind is not Kind.PERSON:
            return None
        try:
            octets = self.contents.get(sql, row.content_id)
        except Damaged:  # the letter cannot be quoted; its sender must hear of it all the same
            octets = b"Subject: (the letter itself is damaged)\r\n\r\n"
        written = self._write(row, notice, reason, octets, len(queue.leases(sql, row.id)))
        now = self.clock.now()
        return self.mailboxes.add(sql, "INBOX", written, render(written), date=now)
