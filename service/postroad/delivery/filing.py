"""File sealed letters in the owner's mailbox: open, check, commit, and only then give the receipt.

Purpose: the third promise, in one place for letters from senders, from drops and from oneself.
Invariants: nothing of a letter is believed before every check of `sealing.letter` held; the address
that is shown is bound to the key that signed; message, memory of the nonce and receipt are one
commit; a letter that cannot be opened gets no receipt, and is noted.
A little long: all that can be the verdict of a letter is decided here, in the order of the checks.
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
from postroad.base.seams import Entropy, SureClock
from postroad.delivery.requests import NotMet
from postroad.message import address as addresses
from postroad.message import headers, names, submitted
from postroad.message import result as results
from postroad.protocol.imap.render import Rendered, render
from postroad.sealing.letter import (
    Header,
    Kind,
    NotOpened,
    Opened,
    Person,
    Read,
    UnknownKey,
    open_sealed,
)
from postroad.sealing.receipt import NONCE_BYTES, Receipt, Verdict, seal_receipt
from postroad.store import (
    audit,
    circle,
    filed,
    invitations,
    own_standing,
    people,
    proposals,
    quarantine,
    revoked,
    rotations,
    strangers,
)
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

    def meet_again(self, sql: Sql, opened: Opened, person: people.Person) -> Verdict:
        """The same of who is a contact, and was another one when they wrote it."""

    def meet_each_other(self, sql: Sql, opened: Opened) -> bool:
        """Accept a stranger to whom the owner wrote as well; False: they did not."""

    def met(self) -> None:
        """Called after the commit of a welcome one."""


class Requests(Protocol):
    """`delivery.requests.RequestBox`."""

    is_open: bool

    def expect_place(self, sql: Sql, sender: Fingerprint) -> None: ...

    def came_again(self, sql: Sql, opened: Opened, mail_id: MailId) -> None: ...

    def enter(
        self, sql: Sql, opened: Opened, body: bytes, mail_id: MailId, trace: bytes
    ) -> Added: ...


class Proposals(Protocol):
    """Takes what contacts propose."""

    def take(self, sql: Sql, opened: Opened, introducer: people.Person) -> Verdict:
        """Note what a contact proposes, in this transaction; not FILED: it cannot be."""

    def letter(self, sql: Sql, opened: Opened, introducer: people.Person) -> bytes:
        """What the owner reads of a proposal that was taken."""


@dataclass(frozen=True, slots=True)
class Before:
    """`receipt`: the one that it got; `is_bad`: it could not be opened."""

    receipt: bytes | None
    is_bad: bool


@dataclass(frozen=True, slots=True)
class _Letter:
    """One that was opened, as it will be filed. `opened`: all but its octets; `fields`: what stands
    on top of them; `called`: as its author calls themselves."""

    opened: Opened
    octets: bytes
    rendered: Rendered
    objection: Verdict | None
    fields: bytes
    called: str

    @property
    def body(self) -> bytes:
        return self.octets[len(self.fields) :]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a letter. `receipt`: sealed, for its sender."""

    opened: Opened
    receipt: bytes
    verdict: Verdict
    added: Added | None = None
    has_met: bool = False  # its sender became a contact by it


class Filing:
    def __init__(
        self,
        database: Database,
        mailboxes: Mailboxes,
        introductions: Introductions,
        requests: Requests,
        proposals: Proposals,
        keyring: OwnKeys,
        clock: SureClock,
        entropy: Entropy,
    ) -> None:
        self._database = database
        self._mailboxes = mailboxes
        self._introductions = introductions
        self._requests = requests
        self._proposals = proposals
        self._keyring = keyring
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
        cannot be opened (UnknownKey: it could be, sealed anew), TemporaryFailure when the disk did
        not take it."""
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
                if result.has_met:
                    self._introductions.met()

        try:
            # Up to a quarter of a second for a large one: no transaction is kept open for that. A
            # small one takes a millisecond, and one visit to the database thread is enough.
            letter = None
            if size > limits.AT_ONCE_BYTES_MAX:
                letter = await self._database.read(open_it)
            return await self._database.run(
                lambda sql: self._file(sql, mail_id, letter or open_it(sql), told=told),
                then=committed,
            )
        except UnknownKey:
            raise  # its sender is asked to seal it anew
        except PeerMisbehaved as error:
            reason = error.reason if isinstance(error, NotOpened) else str(error)
            now = self._clock.now()
            await self._database.run(
                lambda sql: quarantine.note(sql, QUARANTINE, mail_id.hex(), reason, now)
            )
            log.warning("letter not opened: %s", reason, extra={"mail": mail_id.hex()})
            raise

    def _open(self, mail_id: MailId, read: Read, size: int, sql: Sql) -> _Letter:
        """Blocking work, which reads only; NotOpened when it does not open or is not for us."""

        def above(header: Header) -> bytes:
            return self._fields(sql, header, mail_id)

        opened = open_sealed(read, size, self._keyring.epoch_keys(), self._clock.now(), above)
        self._check_persons(opened.header)
        objection = self._objection(opened)
        octets, fields = opened.octets, opened.octets[: opened.above]
        head = octets[opened.above : opened.above + limits.HEADER_READ_BYTES_MAX]
        author = submitted.author(head[: headers.header_size(head)])
        called = headers.decode_words(author.name) if author else ""
        opened = replace(opened, octets=b"", above=0)  # a large letter is kept once
        return _Letter(opened, octets, render(octets), objection, fields, called)

    def trouble(self, sql: Sql) -> str:
        """Why nothing is taken in at all, in words; empty: it is."""
        mine = self._keyring
        return own_standing.trouble(sql, mine.fingerprint, mine.device.peer)

    def _file(self, sql: Sql, mail_id: MailId, letter: _Letter, *, told: bool) -> Result:
        opened, now = letter.opened, self._clock.now()
        ended = self.trouble(sql)
        if ended:
            raise TemporaryFailure(ended)
        before = filed.known(sql, opened.sender, opened.nonce)
        if before is not None and before.digest != opened.header.digest:
            # Our receipt for it would say that we had filed what we never saw.
            raise NotOpened("Another letter of its sender had its nonce.")
        if before is None and filed.is_forgotten(sql, opened.header.expires):
            letter = replace(letter, objection=Verdict.EXPIRED)
        has_met, added = False, None
        if before is None:
            verdict, has_met = self._verdict(sql, letter)
            if verdict is Verdict.FILED:
                added = self._into_inbox(sql, mail_id, letter, now)
            elif verdict is Verdict.REQUESTED:
                trace = self._trace(opened.header, mail_id)
                added = self._requests.enter(sql, opened, letter.body, mail_id, trace)
            # What a revoked device signed is not remembered: its owner may seal the same letter
            # anew with another one, and whoever has the lost one shall not spoil its nonce.
            if verdict is not Verdict.REVOKED:
                memory = Filed(verdict, opened.header.digest, now)
                filed.remember(sql, opened.sender, opened.nonce, memory, opened.header.expires)
        else:
            verdict = before.verdict
            if verdict is Verdict.REQUESTED:
                self._requests.came_again(sql, opened, mail_id)
        receipt = self._receipt(opened, verdict, now)
        sender = rotations.heir(sql, opened.sender)
        due = ReceiptDue(mail_id, sender, opened.device, receipt, 0)
        filed.owe_receipt(sql, due, now, opened.header.expires)
        if told or people.contact(sql, sender) is None:  # a stranger is not called back
            filed.told(sql, mail_id)
        return Result(opened, receipt, verdict, added, has_met)

    def _into_inbox(self, sql: Sql, mail_id: MailId, letter: _Letter, now: Instant) -> Added:
        if letter.opened.header.kind == Kind.PROPOSAL:
            return self._told_of_proposal(sql, letter.opened, now)
        fields = self._fields(sql, letter.opened.header, mail_id, letter.called)
        octets, rendered = letter.octets, letter.rendered
        if fields != letter.fields:  # seldom: an introduction, or a name that is like another
            octets = fields + letter.body
            rendered = render(octets)
        return self._mailboxes.add(sql, "INBOX", octets, rendered, date=now)

    def _told_of_proposal(self, sql: Sql, opened: Opened, now: Instant) -> Added:
        """Our own words about what a contact proposes; theirs are shown to nobody."""
        introducer = rotations.contact(sql, opened.sender)
        assert introducer is not None, "it was just taken from one"
        octets = self._proposals.letter(sql, opened, introducer)
        return self._mailboxes.add(sql, "INBOX", octets, render(octets), date=now)

    def _verdict(self, sql: Sql, letter: _Letter) -> tuple[Verdict, bool]:
        """What is to become of a letter that was not here before, and whether its sender became a
        contact by it."""
        opened = letter.opened
        if not revoked.speaks(sql, opened.sender, opened.device):
            return Verdict.REVOKED, False
        if letter.objection is not None:
            return letter.objection, False
        return self._welcome(sql, opened)

    def _check_persons(self, header: Header) -> None:
        """NotOpened unless it is for us, and everybody in it stands there in their one form."""
        try:
            persons = (header.sender, header.recipient, *header.visible)
            sender, recipient, *_ = map(_read_person, persons)
        except PermanentFailure as error:
            raise NotOpened("It names an address that is not one of ours.") from error
        if recipient.fingerprint not in self._keyring.fingerprints:
            raise NotOpened("It is for somebody else.")
        if sender.tag:
            raise NotOpened("Its sender's address has a tag.")

    def _objection(self, opened: Opened) -> Verdict | None:
        """What alone speaks against filing it, before asking who the sender is to us."""
        header = opened.header
        if self._clock.now() > header.expires + limits.EXPIRY_GRACE_SECONDS:
            if self._clock.sure_now() is None:  # promises M3 and M12: neither filed nor refused
                raise TemporaryFailure("It may have expired, or this node's clock is wrong.")
            return Verdict.EXPIRED
        # As strict as a submission door: a sender's node need not have one of ours.
        most = opened.above + limits.HEADER_BYTES_MAX + limits.TRACE_BYTES_MAX
        try:
            head = submitted.checked_header(opened.octets, most)[opened.above :]
            submitted.check_result(head)
            author = submitted.check_author(head, (header.sender.address,))
            submitted.check_name(author, head)
        except submitted.Disguised:
            return Verdict.DISGUISED
        except PermanentFailure:
            return Verdict.FORGED
        return None

    def _welcome(self, sql: Sql, opened: Opened) -> tuple[Verdict, bool]:
        """Whether the sender may write to us, and whether they became a contact by this letter."""
        header = opened.header
        if opened.sender in self._keyring.fingerprints:
            here = opened.device == self._keyring.device.peer
            if opened.sender != self._keyring.fingerprint and not here:
                return Verdict.ROTATED, False  # whoever stole who we were is not us
            return (Verdict.FILED if header.kind == Kind.PERSON else Verdict.STRANGER), False
        before = rotations.former(sql, opened.sender)
        who = before.heir if before else opened.sender
        if not circle.allows(sql, who):
            address, now = header.sender.address, self._clock.now()
            audit.note_refused(sql, now, "contacts", address=address)
            return Verdict.POLICY, False
        person = people.contact(sql, who)
        if person is not None and person.blocked:
            return Verdict.UNWANTED, False
        if before is not None:
            # Its author may have written it before they became another, on the device that they
            # still have. Whoever stole the old key has certified another one.
            if not rotations.is_device_of(sql, before.heir, opened.device):
                return Verdict.ROTATED, False
            if person is None or before.address != header.sender.address:
                return Verdict.FORGED, False
            return self._welcome_former(sql, opened, person)
        if header.kind == Kind.PROPOSAL and person is not None:
            return self._proposals.take(sql, opened, person), False
        if header.kind == Kind.INTRODUCTION:
            verdict = self._introductions.meet(sql, opened)
            if verdict is Verdict.INVITATION_USED and person is None and self._requests.is_open:
                self._requests.expect_place(sql, opened.sender)
                return Verdict.REQUESTED, False  # whoever comes second may ask like any stranger
            return verdict, verdict is Verdict.FILED
        if header.kind not in (Kind.PERSON, Kind.REQUEST):
            return Verdict.STRANGER, False
        if person is None:
            return self._welcome_stranger(sql, opened)
        same = str(person.record.address) == header.sender.address
        return (Verdict.FILED if same else Verdict.FORGED), False

    def _welcome_former(
        self, sql: Sql, opened: Opened, person: people.Person
    ) -> tuple[Verdict, bool]:
        """The same of a letter that a contact wrote before they rotated."""
        match opened.header.kind:
            case Kind.PERSON | Kind.REQUEST:
                return Verdict.FILED, False
            case Kind.PROPOSAL:
                return self._proposals.take(sql, opened, person), False
            case Kind.INTRODUCTION:
                verdict = self._introductions.meet_again(sql, opened, person)
                return verdict, verdict is Verdict.FILED
            case _:
                return Verdict.FORGED, False

    def _welcome_stranger(self, sql: Sql, opened: Opened) -> tuple[Verdict, bool]:
        kind = opened.header.kind
        if kind == Kind.REQUEST and self._introductions.meet_each_other(sql, opened):
            return Verdict.FILED, True
        if kind == Kind.PERSON and (
            invitations.expects_somebody(sql, self._clock.sure_now())
            or strangers.is_written_to(sql, opened.sender)
            or proposals.person(sql, opened.sender, private=False) is not None
        ):
            # Perhaps it is they, and their introduction lies where we have not looked yet.
            raise NotMet("The recipient does not know the sender yet.")
        if not self._requests.is_open:
            address, now = opened.header.sender.address, self._clock.now()
            audit.note_refused(sql, now, "strangers", address=address)
            return Verdict.STRANGER, False
        self._requests.expect_place(sql, opened.sender)
        return Verdict.REQUESTED, False

    def _receipt(self, opened: Opened, verdict: Verdict, now: Instant) -> bytes:
        recipient = Fingerprint(opened.header.recipient.fingerprint)
        receipt = Receipt(
            opened.sender,
            opened.nonce,
            opened.header_hash,
            recipient,
            int(verdict),
            int(now),
        )
        return seal_receipt(
            receipt,
            device=self._keyring.device,
            certificate=self._keyring.certificate_of(recipient),
            content_key=opened.content_key,
            nonce=self._entropy.token(NONCE_BYTES),
        )

    def _fields(self, sql: Sql, header: Header, mail_id: MailId, called: str = "") -> bytes:
        """Our fields on top of a letter of the owner's, a contact's, or who may be one yet."""
        sender = Fingerprint(header.sender.fingerprint)
        person = rotations.contact(sql, sender)  # also of who they were when they wrote it
        standing, like = results.Standing.STRANGER, None
        if sender in self._keyring.fingerprints:
            standing = results.Standing.SELF
        elif person is not None:
            standing = results.Standing.CONTACT
            own = [(person.name, person.address), (person.record.name, person.address)]
            # Two may have one name: only who is called otherwise by the owner is remarkable.
            if called and names.like(called, own) is None:
                like = names.like(called, people.names(sql, but_of=person.fingerprint))
        told = results.Result(
            header.sender.address,
            sender,
            standing,
            is_verified=person is not None and person.verified and person.fingerprint == sender,
            like=like,
        )
        return self._trace(header, mail_id) + results.field(told)

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
