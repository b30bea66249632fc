"""Requests: letters of strangers that wait for the owner's answer, and what is done about them.

Purpose: the recipient's half of first contact. A stranger's letter is filed in Requests as its
plain text; the owner accepts it by bringing it to INBOX, or refuses it, or leaves it; what they
decided about it is carried out here, once.
Invariants: nothing of a stranger reaches INBOX before the owner said so; more than so many from one
stranger or in all are left with their sender, for now; a decision and what follows from it are one
commit each, the second after the first, and a crash between them repeats nothing.
See: docs/adr/0011-strangers.md.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, PermanentFailure, TemporaryFailure
from postroad.base.ids import Fingerprint, Instant, MailId, Ticket
from postroad.base.seams import Entropy, SureClock
from postroad.delivery.former_self import record_as
from postroad.message import address as addresses
from postroad.message import request as messages
from postroad.message import result
from postroad.message.plain import plain
from postroad.message.result import Result, Standing
from postroad.protocol.imap.render import render
from postroad.protocol.records import PersonRecord, read_person
from postroad.sealing.letter import Opened
from postroad.sealing.receipt import NONCE_BYTES, Receipt, Verdict, seal_receipt
from postroad.store import audit, circle, filed, own_standing, people, requests, rotations
from postroad.store.database import Database, Sql
from postroad.store.filed import ReceiptDue
from postroad.store.keyring import OwnKeys
from postroad.store.mailboxes import Added, Mailboxes
from postroad.store.requests import FOLDER, Request, Seal, State
from postroad.timeouts import timeout

log = logging.getLogger(__name__)
ROUND_SECONDS = limits.HOUR
AGAIN_SECONDS = limits.MINUTE
REQUESTS_ARE_FULL = (
    "So many letters of strangers wait for the recipient already that yours has to wait for a "
    "place; it is tried again."
)


class TooMany(TemporaryFailure):
    """There is no place for this stranger's letter now; says why, to its sender."""


class NotMet(TemporaryFailure):
    """Its sender may become a contact by a letter that has not come yet."""


class Introductions(Protocol):
    async def own_record(self) -> PersonRecord: ...

    def answer_request(
        self,
        sql: Sql,
        record: PersonRecord,
        theirs: Ticket | None,
        ours: Ticket,
        mine: PersonRecord,
    ) -> None:
        """Make the stranger a contact, and introduce the owner to them as whose record `mine`
        is."""

    def met(self) -> None: ...


class RequestBox:
    """Run `run` for as long as the node lives."""

    def __init__(
        self,
        database: Database,
        mailboxes: Mailboxes,
        introductions: Introductions,
        keyring: OwnKeys,
        clock: SureClock,
        entropy: Entropy,
        find: Callable[[Fingerprint], Awaitable[PersonRecord | None]],
        on_receipt: Callable[[], None],
        *,
        is_open: bool = True,
        refuses_silently: bool = False,
    ) -> None:
        """`find`: looks for anybody's record in the directory; `on_receipt`: there is one that its
        sender should have. Unless it `is_open`, strangers are refused."""
        self._database = database
        self._mailboxes = mailboxes
        self._introductions = introductions
        self._keyring = keyring
        self._clock = clock
        self._entropy = entropy
        self._find = find
        self._on_receipt = on_receipt
        self.refuses_silently = refuses_silently
        self._wake = asyncio.Event()
        self.is_open = is_open

    # A letter has come: in the database thread, in the transaction of `filing`

    def expect_place(self, sql: Sql, sender: Fingerprint) -> None:
        """Raise TooMany when a letter of this stranger has to wait elsewhere."""
        if requests.count_waiting(sql) >= limits.REQUESTS_MAX:
            raise TooMany(REQUESTS_ARE_FULL)
        day_ago = self._clock.now() - limits.DAY
        if requests.count_since(sql, sender, day_ago) >= limits.REQUESTS_PER_STRANGER_A_DAY:
            raise TooMany(
                f"A stranger may write {limits.REQUESTS_PER_STRANGER_A_DAY} letters a day to the "
                "recipient; this one is tried again tomorrow."
            )

    def enter(self, sql: Sql, opened: Opened, body: bytes, mail_id: MailId, trace: bytes) -> Added:
        """File a stranger's letter as what may be shown of it; `trace`: our fields on top."""
        now, header = self._clock.now(), opened.header
        author = addresses.parse(header.sender.address)
        names = people.names(sql, but_of=opened.sender)
        names.append((self._keyring.name, str(self._keyring.address)))
        request_id = self._entropy.token(result.ID_BYTES)
        who = messages.stranger(body, author, names)
        shown = messages.write(
            body,
            who,
            header.recipient.address,
            written=Instant(float(header.created)),
            token=request_id,
        )
        told = Result(
            str(author), author.fingerprint, Standing.STRANGER, like=who.like, request=request_id
        )
        octets = trace + result.field(told) + shown
        added = self._mailboxes.add(sql, FOLDER, octets, render(octets), date=now)
        introduction = header.introduction
        record = _record_of(introduction.record, opened) if introduction else None
        requests.add(
            sql,
            Request(
                request_id,
                _seal_of(opened, mail_id),
                opened.sender,
                str(author),
                opened.nonce,
                record,
                Ticket(introduction.ticket) if introduction and record else None,
                messages.subject_of(body[: limits.HEADER_BYTES_MAX]),
                added.content_id,
                added.uid,
                now,
                float(header.expires),
            ),
        )
        return added

    def came_again(self, sql: Sql, opened: Opened, mail_id: MailId) -> None:
        """Another parcel of a letter that waits: to another address of ours, or sealed anew."""
        request = requests.of_letter(sql, opened.sender, opened.nonce)
        if request is not None and requests.by_mail_id(sql, mail_id) is None:
            requests.add_copy(sql, request.id, _seal_of(opened, mail_id))

    def settle(self, sql: Sql, who: Fingerprint) -> None:
        """This person is a contact now, whatever made them one: letters of theirs that wait are
        accepted by that, in the transaction that made them one; `told` after its commit."""
        person = people.contact(sql, who)
        if person is None or person.blocked:
            return
        for request in requests.undone_of(sql, [who, *people.were(sql, who)]):
            self._mailboxes.bring_to_inbox(sql, FOLDER, [request.uid])
            requests.accept(sql, request.id)
            audit.note(sql, self._clock.now(), "request accepted", address=request.address)
            self._tell(sql, request, Verdict.FILED)

    def answers(self, sql: Sql, who: Fingerprint) -> None:
        """The owner writes to this stranger, in this transaction: that is a yes to what waits of
        theirs, for they have become contacts of each other by it; `wake` and `told` after it."""
        for request in requests.undone_of(sql, [who]):
            self._mailboxes.bring_to_inbox(sql, FOLDER, [request.uid])
            requests.accept(sql, request.id)

    def told(self) -> None:
        """Somebody became a contact: letters may have come to INBOX, and receipts be due."""
        self._mailboxes.changed_somewhere()
        self._on_receipt()

    # The owner decides, at the control socket

    async def waiting(self) -> list[Request]:
        return await self._database.read(requests.waiting)

    async def show(self, name: str) -> tuple[Request, str]:
        """The request, and the text of its message."""

        def work(sql: Sql) -> tuple[Request, str]:
            found = requests.called(sql, name)
            octets = self._mailboxes.octets(sql, found.content_id)
            return found, plain(octets, limits.OPEN_LETTER_BYTES_MAX).text

        return await self._database.read(work)

    async def accept(self, name: str) -> Request:
        """As if the message had been moved to INBOX; PermanentFailure says why not."""

        def look(sql: Sql) -> Request:
            own_standing.expect_none(sql, self._keyring)
            return requests.called(sql, name)

        found = await self._database.read(look)
        now, whom = self._clock.now(), found.fingerprint
        await circle.expect_noted(self._database, now, whom, found.address)
        await self._mailboxes.move_to_inbox(FOLDER, found.uid)
        return found

    async def refuse(self, name: str, *, silently: bool | None = None) -> tuple[Request, bool]:
        """Take the request away; whether its sender is told nothing."""
        silent = self.refuses_silently if silently is None else silently

        def work(sql: Sql) -> tuple[Request, int]:
            found = requests.called(sql, name)
            requests.refuse(sql, found.id, silently=silent)
            audit.note(
                sql, self._clock.now(), "request refused", address=found.address, silently=silent
            )
            return found, self._mailboxes.take_away(sql, FOLDER, [found.uid])

        found, mailbox_id = await self._database.run(work)
        self._mailboxes.changed(mailbox_id)
        self.wake()
        return found, silent

    # Carried out

    def wake(self) -> None:
        """The owner decided about a request."""
        self._wake.set()

    async def run(self) -> None:
        while True:
            self._wake.clear()
            await self._take_away_old()
            is_done = all([await self._settle(one) for one in await self._unanswered()])
            with suppress(TimeoutError):
                async with timeout(ROUND_SECONDS if is_done else AGAIN_SECONDS):
                    await self._wake.wait()

    async def _unanswered(self) -> list[Request]:
        return await self._database.read(requests.unanswered)

    async def _take_away_old(self) -> None:
        now = self._clock.sure_now()
        if now is None:
            return

        def work(sql: Sql) -> int | None:
            uids = requests.too_old(sql, now)
            return self._mailboxes.take_away(sql, FOLDER, uids) if uids else None

        if await self._database.read(lambda sql: requests.too_old(sql, now)):
            mailbox_id = await self._database.run(work)
            if mailbox_id is not None:
                self._mailboxes.changed(mailbox_id)

    async def _settle(self, request: Request) -> bool:
        """Do what the owner decided about one; False: it has to be tried again."""
        try:
            if request.state is State.ACCEPTED:
                return await self._answer(request)
            await self._database.run(lambda sql: self._tell(sql, request, Verdict.DECLINED))
            self._on_receipt()
            log.info("request refused", extra={"letter": request.nonce.hex()})
        except (TemporaryFailure, PeerMisbehaved) as error:
            log.warning("a request is not answered yet: %s", error)
            return False
        except PermanentFailure as error:  # our end, the policy, who rotated: no other waits
            log.warning("a request cannot be answered: %s", error)
        return True

    async def _answer(self, request: Request) -> bool:
        record = await self._record(request)
        if record is None:
            log.info("who made an accepted request is not found yet")
            return False
        me = self._recipient(request.seal)  # they know us by no other name
        mine = record_as(self._keyring, await self._introductions.own_record(), me)
        ours = Ticket(self._entropy.token(16))

        def work(sql: Sql) -> bool:
            own_standing.expect_none(sql, self._keyring)
            who = rotations.heir(sql, request.fingerprint)
            if not circle.allows(sql, who):
                # It was drawn closer since, and a mail program asks nobody.
                now, address = self._clock.now(), request.address
                audit.note_refused(sql, now, "contacts", address=address)
                self._tell(sql, request, Verdict.POLICY)
                return False
            if who == request.fingerprint:  # else they are a contact already
                self._introductions.answer_request(sql, record, request.ticket, ours, mine)
            self.settle(sql, who)  # this one, and what else they wrote
            return True

        if not await self._database.run(work):
            log.warning("an accepted request is refused: the policy does not allow its sender")
            self._on_receipt()
            return True
        log.info("request accepted", extra={"letter": request.nonce.hex()})
        self._introductions.met()
        self._on_receipt()
        return True

    async def _record(self, request: Request) -> PersonRecord | None:
        if request.record is not None:
            return read_person(request.record, request.fingerprint)
        known = await self._database.read(lambda sql: rotations.contact(sql, request.fingerprint))
        return known.record if known else await self._find(request.fingerprint)

    def _recipient(self, seal: Seal) -> Fingerprint:
        """As whom we got it; a fifth identity before this one is forgotten."""
        if seal.recipient in self._keyring.fingerprints:
            return seal.recipient
        return self._keyring.fingerprint

    def _tell(self, sql: Sql, request: Request, verdict: Verdict) -> None:
        """The sender is owed another receipt than that which they got."""
        now, whose = self._clock.now(), rotations.heir(sql, request.fingerprint)
        filed.decided(sql, request.fingerprint, request.nonce, verdict)
        for seal in requests.seals(sql, request):
            mine = self._recipient(seal)
            receipt = Receipt(
                request.fingerprint,
                request.nonce,
                seal.header_hash,
                mine,
                int(verdict),
                int(now),
            )
            sealed = seal_receipt(
                receipt,
                device=self._keyring.device,
                certificate=self._keyring.certificate_of(mine),
                content_key=seal.content_key,
                nonce=self._entropy.token(NONCE_BYTES),
            )
            due = ReceiptDue(seal.mail_id, whose, seal.device, sealed, 0)
            filed.answer_again(sql, due, now)
        requests.answered(sql, request.id)


def _seal_of(opened: Opened, mail_id: MailId) -> Seal:
    recipient = Fingerprint(opened.header.recipient.fingerprint)
    return Seal(mail_id, opened.device, recipient, opened.header_hash, opened.content_key)


def _record_of(octets: bytes, opened: Opened) -> bytes | None:
    """The record that a request brought, if it is its sender's."""
    with suppress(PeerMisbehaved):
        if str(read_person(octets, opened.sender).address) == opened.header.sender.address:
            return octets
    return None
