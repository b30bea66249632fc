"""Make contacts: invite somebody, accept an invitation, and meet those who accepted ours.

Purpose: two people come to know each other without both being awake at once. The acceptor fetches
the inviter's record from the inviter or a holder, and a sealed introduction waits in the inviter's
drop; the inviter's node answers it with one of its own.
Invariants: an invitation is used by one identity; whoever shows no secret of ours and is no contact
does not become one.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from postroad.base import limits
from postroad.base.errors import (
    Expired,
    PeerMisbehaved,
    PermanentFailure,
    TemporaryFailure,
    UnusableLink,
)
from postroad.base.ids import Contact, Fingerprint, Instant, Nonce, Ticket, short
from postroad.base.seams import Entropy, SureClock
from postroad.base.tlv import decode, encode
from postroad.delivery.former_self import address_as
from postroad.delivery.outbox import Outbox
from postroad.delivery.proposals import Proposals
from postroad.delivery.renter import Renter
from postroad.message import introduction as letters
from postroad.message import nicknames
from postroad.message.address import Address
from postroad.message.introduction import Occasion
from postroad.peers.client import Client
from postroad.phrases import joined, phrase
from postroad.protocol import invitation as links
from postroad.protocol.invitation import Invitation
from postroad.protocol.records import PersonRecord, read_person
from postroad.sealing.letter import Introduction, Opened
from postroad.sealing.receipt import Verdict
from postroad.store import audit, circle, invitations, own_standing, people, revoked, strangers
from postroad.store.database import Database, Sql
from postroad.store.keyring import OwnKeys

log = logging.getLogger(__name__)
REVOKED = joined(
    phrase("The identity that made this invitation, or its device, was revoked by its owner."),
    phrase("Ask them in another way for a new one."),
)


class Introductions:
    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        renter: Renter,
        client: Client,
        keyring: OwnKeys,
        clock: SureClock,
        entropy: Entropy,
        on_met: Callable[[], None],
        proposals: Proposals,
        find: Callable[[Fingerprint], Awaitable[PersonRecord | None]],
    ) -> None:
        """`find`: looks for anybody's record in the directory."""
        self._database = database
        self._outbox = outbox
        self._renter = renter
        self._client = client
        self._keyring = keyring
        self._clock = clock
        self._entropy = entropy
        self._on_met = on_met
        # Looks for changes of an identity; whose it is now. Set by the composition root.
        self.look_up: Callable[[Fingerprint], Awaitable[Fingerprint | None]]
        # Hears of whoever became a contact, in the same transaction. Set by the composition root.
        self.on_contact: Callable[[Sql, Fingerprint], None]
        self._proposals = proposals
        self._find = find

    async def invite(
        self, seconds: float = limits.INVITATION_SECONDS_DEFAULT, name: str = ""
    ) -> tuple[str, int, int]:
        """A new invitation link; how many holders know it now, and how many we have.

        Those that know it take the answer while we are off. It works once, for so many seconds;
        `name`: what the owner will call whoever comes by it. PermanentFailure says why not so."""
        if not limits.INVITATION_SECONDS_MIN <= seconds <= limits.INVITATION_SECONDS_MAX:
            days = limits.INVITATION_SECONDS_MAX // limits.DAY
            raise PermanentFailure(f"An invitation lasts between 10 minutes and {days} days.")
        invitation = await self._new_invitation(seconds, name)
        told = await self._renter.tell_tickets()
        self._renter.wake()  # to tell those who were not reached now
        invitation = replace(invitation, contacts=await self._renter.where_our_record_is())
        if not any(contact.addresses or contact.relay for contact in invitation.contacts):
            raise TemporaryFailure(
                "Your node knows no address at which anybody could reach it or a holder of yours. "
                "Connect this computer to a network and try again."
            )
        return links.to_link(invitation), sum(told), len(told)

    async def invite_by_bundle(self) -> str:
        """A new invitation link that travels together with our record: nobody need be reached."""
        invitation = await self._new_invitation(limits.INVITATION_SECONDS_DEFAULT)
        self._renter.wake()  # to tell holders
        return links.to_link(replace(invitation, contacts=await self._renter.where_our_record_is()))

    async def _new_invitation(self, seconds: float, name: str = "") -> Invitation:
        secret, ticket = self._entropy.token(16), Ticket(self._entropy.token(16))
        now = self._clock.now()
        expires = Instant(float(int(now + seconds)))  # as the link says it
        wanted = nicknames.checked(name) if name else ""

        def work(sql: Sql) -> None:
            own_standing.expect_none(sql, self._keyring)
            taken = dict(people.names_taken(sql, Fingerprint("")))
            if wanted and nicknames.key(wanted) in taken:
                raise PermanentFailure(
                    f"{wanted!r} looks like your contact {taken[nicknames.key(wanted)]!r}. Choose "
                    "another name."
                )
            invitations.add(sql, secret, ticket, now, expires, wanted)

        await self._database.run(work)
        return Invitation(self._keyring.fingerprint, secret, ticket, int(expires), ())

    async def accept(self, link: str, at_hand: PersonRecord | None = None) -> tuple[Address, bool]:
        """Make the inviter a contact and send them our introduction.

        `at_hand`: the inviter's verified record, when it came together with the link.
        Their address, and whether this was new: a link accepted again does nothing more.
        PermanentFailure or TemporaryFailure say in words why not, and what to do."""
        await self._database.read(lambda sql: own_standing.expect_none(sql, self._keyring))
        invitation = links.from_link(link)
        if invitation.fingerprint in self._keyring.fingerprints:
            raise UnusableLink(phrase("This is your own invitation; send it to somebody else."))
        known = await self._database.read(lambda sql: people.contact(sql, invitation.fingerprint))
        if known is not None and known.my_ticket == invitation.ticket:
            return known.record.address, False
        if self._clock.now() > invitation.expires:
            if self._clock.sure_now() is None:
                raise TemporaryFailure(
                    joined(
                        phrase(
                            "This invitation has expired, or the date of this computer is wrong."
                        ),
                        phrase(
                            "If it is right, ask for a new invitation; else set it and try again."
                        ),
                    )
                )
            raise Expired(phrase("This invitation has expired; ask for a new one."))
        inviter = invitation.fingerprint
        await circle.expect_noted(self._database, self._clock.now(), inviter, inviter)
        heir = await self.look_up(invitation.fingerprint)
        if await self._database.read(lambda sql: revoked.is_ended(sql, invitation.fingerprint)):
            raise UnusableLink(REVOKED)
        if heir is not None:
            raise UnusableLink(
                "Whoever made this invitation has another key now, and an address with "
                f"{heir} in it. Ask them in another way for a new invitation."
            )
        if at_hand is not None and at_hand.fingerprint == invitation.fingerprint:
            record = at_hand
        else:
            record = await self._find_inviter(invitation)
        mine = await self._renter.record()
        their_ticket = Ticket(self._entropy.token(16))

        def work(sql: Sql) -> None:
            now = self._clock.now()
            own_standing.expect_none(sql, self._keyring)
            if not revoked.speaks(sql, record.fingerprint, record.certificate.device):
                raise UnusableLink(REVOKED)
            known = people.contact(sql, record.fingerprint)
            ticket = (known and known.their_ticket) or their_ticket
            people.add_contact(sql, record, now, my_ticket=invitation.ticket, their_ticket=ticket)
            if known is None:
                note_added(sql, now, record, "their invitation")
            introduction = Introduction(invitation.secret, ticket, encode(mine), None)
            people.told_record(sql, record.fingerprint, mine.sequence)
            self._introduce(sql, record.address, introduction, Occasion.INVITATION_ACCEPTED)
            self.on_contact(sql, record.fingerprint)

        await self._database.run(work)
        log.info("invitation accepted")
        self.met()
        return record.address, True

    async def _find_inviter(self, invitation: Invitation) -> PersonRecord:
        """The inviter's newest record, from whoever in the invitation answers, else out of the
        directory: an invitation may be older than their addresses."""
        answers = await asyncio.gather(
            *(self._ask(contact, invitation.fingerprint) for contact in invitation.contacts)
        )
        found = [answer for answer in answers if answer is not None]
        if not found and (record := await self._find(invitation.fingerprint)) is not None:
            return record
        if not found:
            raise TemporaryFailure(
                "Nobody named in this invitation could be reached: not the inviter, nor those who "
                "hold their mail. Check your network, and try again when one of them is on. If "
                "they are, a router or firewall stands between you. One of these will do: they "
                "accept an invitation of yours; one of you adds a helper (postroad helper); or the "
                "invitation goes by a file (postroad bundle write --invite)."
            )
        return max(found, key=lambda record: record.sequence)

    async def _ask(self, contact: Contact, fingerprint: Fingerprint) -> PersonRecord | None:
        try:
            return await self._client.find_record(contact, fingerprint)
        except (TemporaryFailure, PeerMisbehaved) as error:
            log.info("no record from there: %s", error, extra={"peer": short(contact.peer)})
            return None

    def meet(self, sql: Sql, opened: Opened) -> Verdict:
        """Accept the sender of an introduction, in this transaction; not FILED: why not."""
        introduction = opened.header.introduction
        if introduction is None:
            return Verdict.STRANGER
        try:
            record = read_person(introduction.record, opened.sender)
        except PeerMisbehaved:
            return Verdict.STRANGER
        if str(record.address) != opened.header.sender.address:
            return Verdict.STRANGER
        if not revoked.speaks(sql, record.fingerprint, record.certificate.device):
            return Verdict.REVOKED
        ticket = Ticket(introduction.ticket)
        if introduction.word is not None:
            return self._proposals.meet(sql, opened, introduction, record)
        if introduction.secret is None:  # the answer of an inviter whom we chose to trust
            if people.contact(sql, opened.sender) is None:
                if not strangers.is_written_to(sql, opened.sender):
                    return Verdict.STRANGER
                self._meet_stranger(sql, record, ticket)  # they accepted our request
                return Verdict.FILED
            people.add_contact(sql, record, self._clock.now(), my_ticket=ticket, their_ticket=None)
            return Verdict.FILED
        return self._meet_invited(sql, introduction.secret, record, ticket, opened.header.created)

    def meet_again(self, sql: Sql, opened: Opened, person: people.Person) -> Verdict:
        """Take an introduction that this contact wrote before they rotated, in this transaction: it
        says what they deposit with, and is their yes to what was proposed; not FILED: why not."""
        introduction = opened.header.introduction
        if introduction is None:
            return Verdict.STRANGER
        people.learn_ticket(sql, person.fingerprint, Ticket(introduction.ticket))
        if introduction.secret and introduction.word is None:
            invitations.use(sql, introduction.secret, person.fingerprint, self._clock.now())
        self._proposals.met_again(sql, opened.sender)
        self.on_contact(sql, person.fingerprint)
        return Verdict.FILED

    def _meet_invited(
        self, sql: Sql, secret: bytes, record: PersonRecord, ticket: Ticket, written: float
    ) -> Verdict:
        now = self._clock.now()
        invitation = invitations.get(sql, secret)
        if invitation is None:
            return Verdict.STRANGER
        if invitation.used_by not in (None, record.fingerprint):
            return Verdict.INVITATION_USED
        # It may have waited in a drop since; when it was written is its author's word.
        if invitation.withdrawn_at is not None or written > invitation.expires_at:
            return Verdict.INVITATION_OVER
        if people.contact(sql, record.fingerprint) is None:
            note_added(sql, now, record, "an invitation")
        people.add_contact(
            sql,
            record,
            now,
            my_ticket=ticket,
            their_ticket=invitation.ticket,
            name=invitation.name,
        )
        invitations.use(sql, secret, record.fingerprint, now)
        mine = people.kept_record(sql, self._keyring.fingerprint)
        assert mine is not None, "our own record is made before the network is joined"
        sequence = decode(PersonRecord, mine).sequence
        people.told_record(sql, record.fingerprint, sequence)
        answer = Introduction(None, invitation.ticket, mine, None)
        self._introduce(sql, record.address, answer, Occasion.INVITATION_ANSWERED)
        self.on_contact(sql, record.fingerprint)
        return Verdict.FILED

    async def own_record(self) -> PersonRecord:
        return await self._renter.record()

    def answer_request(
        self,
        sql: Sql,
        record: PersonRecord,
        theirs: Ticket | None,
        ours: Ticket,
        mine: PersonRecord,
    ) -> None:
        """Make a stranger whose request the owner accepted a contact, and introduce the owner, as
        whose record `mine` is."""
        known = people.contact(sql, record.fingerprint)
        ticket = (known and known.their_ticket) or ours
        now = self._clock.now()
        people.add_contact(sql, record, now, my_ticket=theirs, their_ticket=ticket)
        if known is None:
            note_added(sql, now, record, "their request")
        if mine.fingerprint == self._keyring.fingerprint:
            people.told_record(sql, record.fingerprint, mine.sequence)
        answer = Introduction(None, ticket, encode(mine), None)
        me = mine.fingerprint
        self._introduce(sql, record.address, answer, Occasion.REQUEST_ACCEPTED, me)
        self.on_contact(sql, record.fingerprint)

    def meet_each_other(self, sql: Sql, opened: Opened) -> bool:
        """Make a contact of a stranger to whom the owner wrote, and who wrote to the owner."""
        introduction = opened.header.introduction
        if introduction is None or not strangers.is_written_to(sql, opened.sender):
            return False
        try:
            record = read_person(introduction.record, opened.sender)
        except PeerMisbehaved:
            return False
        if str(record.address) != opened.header.sender.address:
            return False
        self._meet_stranger(sql, record, Ticket(introduction.ticket))
        return True

    def _meet_stranger(self, sql: Sql, record: PersonRecord, theirs: Ticket) -> None:
        known = strangers.stranger(sql, record.fingerprint)
        ours, now = known.ticket if known else None, self._clock.now()
        people.add_contact(sql, record, now, my_ticket=theirs, their_ticket=ours)
        note_added(sql, now, record, "the owner's request")
        self.on_contact(sql, record.fingerprint)

    def met(self) -> None:
        """Somebody became a contact: write to them, perhaps rent a drop, tell our holders."""
        self._on_met()
        self._renter.wake()

    def _introduce(
        self,
        sql: Sql,
        to: Address,
        introduction: Introduction,
        occasion: Occasion,
        me: Fingerprint | None = None,
    ) -> None:
        octets = letters.write(
            address_as(self._keyring, me or self._keyring.fingerprint),
            to,
            occasion,
            now=self._clock.now(),
            token=self._entropy.token(16),
        )
        nonce = Nonce(self._entropy.token(16))
        self._outbox.introduce(sql, to, octets, introduction, nonce)


def note_added(sql: Sql, now: Instant, record: PersonRecord, by: str) -> None:
    """One line of the audit log: who became a contact, and by what."""
    audit.note(sql, now, "contact added", address=str(record.address), by=by)
