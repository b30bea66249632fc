"""File a notice about a parcel in its sender's own INBOX: late, returned, delivered, corrected.

Purpose: the honest word to the person who wrote the letter (promises M1, M3, M11). It is filed in
the same commit as the step that causes it, and never about another notice.
"""

from dataclasses import dataclass

from postroad.base.seams import Clock, Entropy
from postroad.base.tlv import decode
from postroad.message import bounce, headers
from postroad.message.address import parse
from postroad.message.bounce import Notice
from postroad.message.envelope import Notify
from postroad.protocol.delivery import INVITATION_USED, Step
from postroad.protocol.imap.render import render
from postroad.sealing.letter import Introduction, Kind
from postroad.store import proposals, queue
from postroad.store.contents import Contents, Damaged
from postroad.store.database import Sql
from postroad.store.keyring import OwnKeys
from postroad.store.mailboxes import Added, Mailboxes

_WANTED = {
    Notice.DELAYED: Notify.DELAY,
    Notice.DELIVERED: Notify.SUCCESS,
    Notice.REQUESTED: Notify.SUCCESS | Notify.DELAY,
    Notice.REFUSED: Notify.FAILURE,
    Notice.EXPIRED: Notify.FAILURE,
    Notice.CORRECTED: Notify.FAILURE,
}


@dataclass(frozen=True, slots=True)
class Notices:
    mailboxes: Mailboxes
    contents: Contents
    keyring: OwnKeys
    clock: Clock
    entropy: Entropy

    def file(self, sql: Sql, row: queue.Row, step: Step) -> Added | None:
        """File what the step calls for in the caller's transaction; announce it afterwards.

        Nothing is filed that the sender did not ask for, nor about what Postroad wrote itself but
        for one thing: that what the owner said yes to does not come about."""
        if step.notice is None:
            return None
        if row.kind is not Kind.PERSON and not _is_failed_yes(row, step):
            return None
        if _is_proposed(row):
            proposals.refused(sql, parse(row.recipient).fingerprint)  # whom it was said to
        if not row.notify & _WANTED[step.notice]:
            return None
        try:
            letter = self.contents.get(sql, row.content_id)
        except Damaged:  # it cannot be quoted; its sender must hear of it all the same
            letter = b"Subject: (the letter itself is damaged on this disk)\r\n\r\n"
        if bounce.is_notification(letter[: headers.header_size(letter)]):
            return None
        now = self.clock.now()
        fate = bounce.Fate(
            row.recipient, self._reason(sql, row, step), step.status, row.original_recipient
        )
        facts = bounce.Facts(
            step.notice,
            (fate,),
            str(self.keyring.address),
            letter,
            row.parcel.accepted_at,
            row.parcel.expires_at,
            row.envelope_id,
            row.return_full,
        )
        token = self.entropy.token(bounce.TOKEN_BYTES)
        written = bounce.notification(facts, now=now, token=token)
        return self.mailboxes.add(sql, "INBOX", written, render(written), date=now)

    def _reason(self, sql: Sql, row: queue.Row, step: Step) -> str:
        if row.kind is Kind.INTRODUCTION and step.notice is Notice.REQUESTED:
            return f"{INVITATION_USED} {step.parcel.reason}"
        if row.kind is Kind.INTRODUCTION and step.status and not _is_proposed(row):
            return f"{step.parcel.reason} Until then your letters to them are refused."
        if step.notice is not Notice.EXPIRED or not queue.leases(sql, row.id):
            return step.parcel.reason
        return "It lay at holders of the recipient, but nobody confirmed that it was fetched."


def _is_failed_yes(row: queue.Row, step: Step) -> bool:
    """Whether this says that an invitation or introduction to which the owner said yes, or one that
    they proposed, does not come about."""
    if step.notice not in (Notice.REFUSED, Notice.EXPIRED, Notice.REQUESTED):
        return False
    if row.introduction is None:
        return row.kind is Kind.PROPOSAL
    return bool(decode(Introduction, row.introduction).secret)


def _is_proposed(row: queue.Row) -> bool:
    """Whether it is the owner's yes to a proposal."""
    if row.introduction is None:
        return False
    return decode(Introduction, row.introduction).word is not None
