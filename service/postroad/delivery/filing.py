"""File sealed letters in the owner's mailbox: open, check, commit, and only then give the receipt.

Purpose: the third promise, in one place for letters from senders, from drops and from oneself.
Invariants: nothing of a letter is believed before every check of `sealing.letter` held; the address
that is shown is bound to the key that signed; message, memory of the nonce and receipt are one
commit; a letter that cannot be opened gets no receipt, and is noted.
"""

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from typing import Protocol

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, PermanentFailure, TemporaryFailure
from postroad.base.ids import Fingerprint, Instant, MailId
from postroad.base.seams import Clock, Entropy
from postroad.message import address as addresses
from postroad.message import submitted
from postroad.protocol.imap.render import Rendered, render
from postroad.sealing.letter import Header, Kind, NotOpened, Opened, Person, Read, open_sealed
from postroad.sealing.receipt import NONCE_BYTES, Receipt, Verdict, seal_receipt
from postroad.store import filed, invitations, people, quarantine, revoked
from postroad.store.database import Database, Sql
from postroad.store.filed import Filed, ReceiptDue
from postroad.store.keyring import OwnKeys
from postroad.store.mailboxes import Added, Mailboxes

log = logging.getLogger(__name__)
QUARANTINE = "letter"


class Introductions(Protocol):
    """Makes contacts of people who were invited, and of those whose invitation we accepted."""

    def meet(self, sql: Sql, opened: Opened) -> Verdict:
        """Accept the sender of an introduction, in this transaction; not FILED: why not."""

    def met(self) -> None:
        """Called after the commit of a welcome one."""


@dataclass(frozen=True, slots=True)
class Before:
    """`receipt`: the one that it got; `is_bad`: it could not be opened."""

    receipt: bytes | None
    is_bad: bool


@dataclass(frozen=True, slots=True)
class _Letter:
    """One that was opened, as it will be filed. `opened`: all but its octets."""

    opened: Opened
    octets: bytes
    rendered: Rendered
    objection: Verdict | None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a letter. `receipt`: sealed, for its sender."""

    opened: Opened
    receipt: bytes
    verdict: Verdict
    added: Added | None = None


class Filing:
    def __init__(
        self,
        database: Database,
        mailboxes: Mailboxes,
        introductions: Introductions,
        keyring: OwnKeys,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._database = database
        self._mailboxes = mailboxes
        self._introductions = introductions
        self._keyring = keyring
        self._epoch_keys = keyring.epoch_keys()
        self._clock = clock
        self._entropy = entropy

    def before(self, sql: Sql, mail_id: MailId) -> Before:
        """What became of this sealed letter when it was here before."""
        receipt = filed.receipt_for(sql, mail_id)
        return Before(receipt, quarantine.is_noted(sql, QUARANTINE, mail_id.hex()))

    async def take(self, mail_id: MailId, read: Read, size: int, *, told: bool) -> bytes:
        """File a sealed letter, or refuse it, and give the sealed receipt that says so: `file`."""
        return (await self.file(mail_id, read, size, told=told)).receipt

    async def file(self, mail_id: MailId, read: Read, size: int, *, told: bool) -> Result:
        """File a sealed letter, or refuse it, and say so.

        `told`: the caller hands the receipt to the sender itself. Raises NotOpened when the letter
        cannot be opened, TemporaryFailure when the disk did not take it."""
        await self._keyring.renew(self._clock.now())
        open_it = partial(self._open, mail_id, read, size)

        def committed(result: Result) -> None:
            log.info(
                "letter %s",
                result.verdict.name.lower(),
                extra={"letter": result.opened.nonce.hex(), "mail": mail_id.hex(), "size": size},
            )
            if result.added is not None:
                self._mailboxes.announce(result.added)
                if result.opened.header.kind == Kind.INTRODUCTION:
                    self._introductions.met()

        try:
            # Up to a quarter of a second for a large one: no transaction is kept open for that. A
            # small one takes a millisecond, and one visit to the database thread is enough.
            letter = None
            if size > limits.AT_ONCE_BYTES_MAX:
                letter = await self._database.outside(open_it)
            return await self._database.run(
                lambda sql: self._file(sql, mail_id, letter or open_it(), told=told),
                then=committed,
            )
        except PeerMisbehaved as error:
            reason = error.reason if isinstance(error, NotOpened) else str(error)
            now = self._clock.now()
            await self._database.run(
                lambda sql: quarantine.note(sql, QUARANTINE, mail_id.hex(), reason, now)
            )
            log.warning("letter not opened: %s", reason, extra={"mail": mail_id.hex()})
            raise

    def _open(self, mail_id: MailId, read: Read, size: int) -> _Letter:
        """Blocking work; NotOpened when it does not open or is not for us."""
        trace = partial(self._trace, mail_id=mail_id)
        opened = open_sealed(read, size, self._epoch_keys, self._clock.now(), trace)
        self._check_persons(opened.header)
        objection = self._objection(opened)
        octets = opened.octets
        opened = replace(opened, octets=b"", above=0)  # a large letter is kept once
        return _Letter(opened, octets, render(octets), objection)

    def _file(self, sql: Sql, mail_id: MailId, letter: _Letter, *, told: bool) -> Result:
        opened, now = letter.opened, self._clock.now()
        before = filed.known(sql, opened.sender, opened.nonce)
        if before is not None and before.digest != opened.header.digest:
            # Our receipt for it would say that we had filed what we never saw.
            raise NotOpened("Another letter of its sender had its nonce.")
        verdict = before.verdict if before else self._verdict(sql, letter)
        added = None
        if before is None:
            if verdict is Verdict.FILED:
                added = self._mailboxes.add(sql, "INBOX", letter.octets, letter.rendered, date=now)
            memory = Filed(verdict, opened.header.digest, now)
            filed.remember(sql, opened.sender, opened.nonce, memory, opened.header.expires)
        receipt = self._receipt(opened, verdict, now)
        due = ReceiptDue(mail_id, opened.sender, opened.device, receipt, 0)
        filed.owe_receipt(sql, due, now, opened.header.expires)
        if told or people.contact(sql, opened.sender) is None:  # a stranger is not called back
            filed.told(sql, mail_id)
        return Result(opened, receipt, verdict, added)

    def _verdict(self, sql: Sql, letter: _Letter) -> Verdict:
        """What is to become of a letter that was not here before."""
        opened = letter.opened
        if not revoked.speaks(sql, opened.sender, opened.device):
            return Verdict.REVOKED
        return letter.objection or self._welcome(sql, opened)

    def _check_persons(self, header: Header) -> None:
        """NotOpened unless it is for us, and everybody in it stands there in their one form."""
        try:
            persons = (header.sender, header.recipient, *header.visible)
            sender, recipient, *_ = map(_read_person, persons)
        except PermanentFailure as error:
            raise NotOpened("It names an address that is not one of ours.") from error
        if recipient.fingerprint != self._keyring.fingerprint:
            raise NotOpened("It is for somebody else.")
        if sender.tag:
            raise NotOpened("Its sender's address has a tag.")

    def _objection(self, opened: Opened) -> Verdict | None:
        """What alone speaks against filing it, before asking who the sender is to us."""
        header = opened.header
        if self._clock.now() > header.expires + limits.EXPIRY_GRACE_SECONDS:
            return Verdict.EXPIRED
        # As strict as a submission door: a sender's node need not have one of ours.
        most = opened.above + limits.HEADER_BYTES_MAX + limits.TRACE_BYTES_MAX
        try:
            head = submitted.checked_header(opened.octets, most)
            submitted.check_author(head, (header.sender.address,))
        except PermanentFailure:
            return Verdict.FORGED
        return None

    def _welcome(self, sql: Sql, opened: Opened) -> Verdict:
        """Whether the sender may write to us; an introduction may make them a contact."""
        header = opened.header
        person = people.contact(sql, opened.sender)
        if person is not None and person.blocked:
            return Verdict.UNWANTED
        if header.kind == Kind.INTRODUCTION:
            return self._introductions.meet(sql, opened)
        if header.kind != Kind.PERSON:
            return Verdict.STRANGER
        if opened.sender == self._keyring.fingerprint:
            return Verdict.FILED
        if person is None:
            if invitations.expects_somebody(sql, self._clock.now()):
                # Perhaps it is they, and their introduction lies where we have not looked yet.
                raise TemporaryFailure("The recipient does not know the sender yet.")
            return Verdict.STRANGER
        same = str(person.record.address) == header.sender.address
        return Verdict.FILED if same else Verdict.FORGED

    def _receipt(self, opened: Opened, verdict: Verdict, now: Instant) -> bytes:
        receipt = Receipt(
            opened.sender,
            opened.nonce,
            opened.header_hash,
            self._keyring.fingerprint,
            int(verdict),
            int(now),
        )
        return seal_receipt(
            receipt,
            device=self._keyring.device,
            certificate=self._keyring.certificate,
            content_key=opened.content_key,
            nonce=self._entropy.token(NONCE_BYTES),
        )

    def _trace(self, header: Header, mail_id: MailId) -> bytes:
        """Our fields on top: RFC 5321 section 4.4. What follows is what the sender signed."""
        date = format_datetime(datetime.fromtimestamp(self._clock.now(), UTC))
        return (
            f"Return-Path: <{header.sender.address}>\r\n"
            f"Delivered-To: {header.recipient.address}\r\n"
            f"Received: from {Fingerprint(header.sender.fingerprint)} by "
            f"{self._keyring.fingerprint}\r\n\t(Postroad) id {mail_id.hex()[:32]}; {date}\r\n"
        ).encode()


def _read_person(person: Person) -> addresses.Address:
    """Their address; NotOpened or PermanentFailure when it is not written as it must be."""
    address = addresses.parse(person.address)
    if person != Person(str(address), address.fingerprint):
        raise NotOpened("It does not write somebody's address in its one form.")
    return address
