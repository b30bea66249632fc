"""Introduce two contacts to each other, and be introduced by one.

Purpose: a third person, a contact of both, proposes; each of the two says yes or no; whoever says
yes sends the other an introduction of their own, which waits until they have decided, too.
Invariants: nobody becomes a contact without the owner's yes and the other's own signature; the
introducer's word never marks anybody as verified, and its text is not shown.
See: docs/adr/0014-contacts.md.
"""

import logging
from collections.abc import Callable

from postroad.base import limits
from postroad.base.errors import NotDecided, PeerMisbehaved, PermanentFailure
from postroad.base.ids import Fingerprint, Instant, Nonce, Ticket
from postroad.base.seams import Entropy, SureClock
from postroad.base.tlv import decode, encode
from postroad.delivery.former_self import address_as, record_as
from postroad.delivery.outbox import Outbox
from postroad.message import introduction as introductions
from postroad.message import nicknames
from postroad.message import proposal as letters
from postroad.message.introduction import Occasion
from postroad.protocol.records import PersonRecord, read_person
from postroad.sealing.letter import Introduction, Opened
from postroad.sealing.proposal import Proposal, SignedWord, Word, check_word, give_word
from postroad.sealing.receipt import Verdict
from postroad.store import audit, own_standing, people, proposals, queue, revoked, rotations
from postroad.store.database import Database, Sql
from postroad.store.keyring import OwnKeys
from postroad.store.people import Person
from postroad.store.proposals import ProposalRow, State

log = logging.getLogger(__name__)


class Proposals:
    """`on_decided` is called after each decision of the owner's: letters may wait for it, here and
    in our drops, and our drops take other tickets now."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        keyring: OwnKeys,
        clock: SureClock,
        entropy: Entropy,
        on_decided: Callable[[], None],
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._keyring = keyring
        self._clock = clock
        self._entropy = entropy
        self._on_decided = on_decided
        # Hears of whoever became a contact, in the same transaction. Set by the composition root.
        self.on_contact: Callable[[Sql, Fingerprint], None]

    # As the third

    async def introduce(self, name: str, other_name: str) -> tuple[Person, Person]:
        """Propose two contacts to each other, by a letter to each in one commit."""
        await self._keyring.renew(self._clock.now())
        secret = self._entropy.token(16)

        def work(sql: Sql) -> tuple[Person, Person]:
            own_standing.expect_none(sql, self._keyring)
            one, other = people.called(sql, name), people.called(sql, other_name)
            if one.fingerprint == other.fingerprint:
                raise PermanentFailure(f"{one.name} knows themselves; name two contacts.")
            for person in (one, other):
                if person.blocked:
                    raise PermanentFailure(f"You have blocked {person.name}; unblock them first.")
            now = self._clock.now()
            pair = (one.fingerprint, other.fingerprint)
            word = give_word(pair, secret, now, self._keyring.device, self._keyring.certificate)
            self._propose(sql, one, other, word)
            self._propose(sql, other, one, word)
            return one, other

        done = await self._database.run(work, then=lambda _: self._on_decided())
        log.info("two contacts proposed to each other")
        return done

    def _propose(self, sql: Sql, to: Person, other: Person, word: SignedWord) -> None:
        address, now = to.record.address, self._clock.now()
        token, nonce = self._entropy.token(16), Nonce(self._entropy.token(16))
        octets = letters.envelope(self._keyring.address, address, other.record.address, now, token)
        proposal = Proposal(word, encode(other.record))
        until = Instant(float(word.word.expires))
        self._outbox.propose(sql, address, octets, proposal, nonce, until)

    # As one of the two

    def take(self, sql: Sql, opened: Opened, introducer: Person) -> Verdict:
        """Note what a contact proposes, in this transaction; not FILED: it cannot be."""
        proposal = opened.header.proposal
        assert proposal is not None, "a letter of this kind has one"
        now, by = self._clock.now(), opened.sender  # they may have rotated since
        word = proposal.signed.word
        me = self._me_in(word) or self._keyring.fingerprint
        other = Fingerprint(word.one if word.other == me else word.other)
        try:
            check_word(proposal.signed, by, {me, other}, now)
            record = read_person(proposal.record, other)
        except PeerMisbehaved as error:
            log.info("a proposal is none: %s", error)
            return Verdict.NOT_INTRODUCED
        if (
            self._is_over(word.expires)
            or other in self._keyring.fingerprints
            or not _is_word_of(sql, introducer, proposal.signed)
            or not revoked.speaks(sql, other, record.certificate.device)
        ):
            return Verdict.NOT_INTRODUCED
        made = sum(
            proposals.open_of(sql, one, now)
            for one in (introducer.fingerprint, *people.were(sql, introducer.fingerprint))
        )
        if made >= limits.PROPOSALS_OPEN_MAX:
            return Verdict.NOT_INTRODUCED
        proposals.keep(sql, record, proposal.signed, now)
        return Verdict.FILED

    def _me_in(self, word: Word) -> Fingerprint | None:
        """Which of the two we are, or were."""
        ours = self._keyring.fingerprints
        return next((one for one in ours if one in (word.one, word.other)), None)

    def letter(self, sql: Sql, opened: Opened, introducer: Person) -> bytes:
        """What the owner reads of a proposal that was taken."""
        proposal = opened.header.proposal
        assert proposal is not None
        record = decode(PersonRecord, proposal.record)
        facts = letters.Facts(
            proposal.signed.word.id,
            self._keyring.address,
            introducer.name,
            introducer.address,
            record.address,
            Instant(float(proposal.signed.word.expires)),
            remarks(sql, record),
        )
        return letters.write(facts, self._clock.now(), self._entropy.token(16))

    def meet(
        self, sql: Sql, opened: Opened, introduction: Introduction, record: PersonRecord
    ) -> Verdict:
        """Make the sender of an introduction a contact if the owner said yes to them, in this
        transaction; NotDecided when the owner has yet to say."""
        assert introduction.word is not None
        now, other = self._clock.now(), record.fingerprint
        rows = proposals.of(sql, other)
        for row in rows:
            if row.state in (State.ACCEPTED, State.MET) and row.ticket is not None:
                return self._met(sql, row, introduction, record, opened.header.created)
        if any(row.state is State.OPEN and not self._is_over(row.expires_at) for row in rows):
            raise NotDecided("The recipient has not said yes or no to the introduction yet.")
        if rows:
            return Verdict.NOT_INTRODUCED
        return self._not_heard_of(sql, introduction.word, other, now)

    def _not_heard_of(
        self, sql: Sql, signed: SignedWord, other: Fingerprint, now: Instant
    ) -> Verdict:
        """The other was told first, and said yes at once: our letter may still be on its way."""
        by, me = Fingerprint(signed.word.introducer), self._me_in(signed.word)
        introducer = rotations.contact(sql, by)
        if introducer is None or introducer.blocked or me is None:
            return Verdict.STRANGER
        try:
            check_word(signed, by, {str(me), str(other)}, now)
        except PeerMisbehaved:
            return Verdict.STRANGER
        if not _is_word_of(sql, introducer, signed):
            return Verdict.STRANGER
        if self._is_over(signed.word.expires):
            return Verdict.NOT_INTRODUCED
        raise NotDecided("The recipient has not heard of this introduction yet.")

    def _met(
        self,
        sql: Sql,
        row: ProposalRow,
        introduction: Introduction,
        record: PersonRecord,
        written: float,
    ) -> Verdict:
        if written > row.expires_at:
            return Verdict.NOT_INTRODUCED
        now, is_new = self._clock.now(), people.contact(sql, record.fingerprint) is None
        ticket = Ticket(introduction.ticket)
        people.add_contact(sql, record, now, my_ticket=ticket, their_ticket=row.ticket)
        proposals.decided(sql, row, State.MET)
        queue.wake(sql, record.fingerprint, now)  # our own introduction may wait for their yes
        if is_new:
            by = f"introduction of {row.introducer}"
            audit.note(sql, now, "contact added", address=str(record.address), by=by)
        self.on_contact(sql, record.fingerprint)
        return Verdict.FILED

    def met_again(self, sql: Sql, before: Fingerprint) -> None:
        """A contact said yes as whom they were before."""
        for row in proposals.of(sql, before):
            if row.state is State.ACCEPTED:
                proposals.decided(sql, row, State.MET)

    def _is_over(self, expires: float) -> bool:
        """Nothing is refused for its time while our clock may be wrong (promise M12)."""
        now = self._clock.sure_now()
        return now is not None and now >= expires

    # The owner decides

    async def all(self) -> list[tuple[ProposalRow, str, tuple[str, ...]]]:
        """All that are remembered; what the introducer is called, and what is to be known first."""

        def work(sql: Sql) -> list[tuple[ProposalRow, str, tuple[str, ...]]]:
            return [self._told(sql, row) for row in proposals.all_made(sql)]

        return await self._database.read(work)

    def _told(self, sql: Sql, row: ProposalRow) -> tuple[ProposalRow, str, tuple[str, ...]]:
        introducer = rotations.contact(sql, row.introducer)
        return row, introducer.name if introducer else row.introducer, remarks(sql, row.record)

    async def accept(
        self, wanted: str, mine: PersonRecord
    ) -> tuple[ProposalRow, str, tuple[str, ...]]:
        """Say yes: our introduction goes to the other (`mine`: our record). Saying it again does
        nothing more. PermanentFailure tells why it cannot be said."""
        ticket = Ticket(self._entropy.token(16))

        def work(sql: Sql) -> tuple[ProposalRow, str, tuple[str, ...]]:
            row, now = proposals.called(sql, wanted), self._clock.now()
            if row.state in (State.ACCEPTED, State.MET):
                return self._told(sql, row)
            own_standing.expect_none(sql, self._keyring)
            self._expect_open(row, now)
            known = rotations.contact(sql, row.other)
            if known is not None and known.blocked:
                raise PermanentFailure(f"You have blocked {known.name}; unblock them first.")
            me = self._me_in(row.signed.word)  # the other was shown this one, and knows no other
            if me is None:
                raise PermanentFailure(
                    "Your key has changed too often since this was proposed. Ask for it to be "
                    "proposed again."
                )
            theirs = (known and known.their_ticket) or ticket
            proposals.decided(sql, row, State.ACCEPTED, theirs)
            record = record_as(self._keyring, mine, me)
            said = Introduction(row.signed.word.secret, theirs, encode(record), row.signed)
            self._introduce(sql, row, said, me)
            audit.note(sql, now, "proposal accepted", address=str(row.record.address))
            return self._told(sql, proposals.called(sql, wanted))

        return await self._database.run(work, then=lambda _: self._on_decided())

    def _introduce(
        self, sql: Sql, row: ProposalRow, introduction: Introduction, me: Fingerprint
    ) -> None:
        octets = introductions.write(
            address_as(self._keyring, me),
            row.record.address,
            Occasion.PROPOSAL_ACCEPTED,
            now=self._clock.now(),
            token=self._entropy.token(16),
        )
        nonce = Nonce(self._entropy.token(16))
        self._outbox.introduce(sql, row.record.address, octets, introduction, nonce)

    async def decline(self, wanted: str) -> tuple[ProposalRow, str, tuple[str, ...]]:
        """Say no. The introducer does not hear of it; the other does if they said yes."""

        def work(sql: Sql) -> tuple[ProposalRow, str, tuple[str, ...]]:
            row, now = proposals.called(sql, wanted), self._clock.now()
            self._expect_open(row, now)
            proposals.decided(sql, row, State.DECLINED)
            audit.note(sql, now, "proposal declined", address=str(row.record.address))
            return self._told(sql, proposals.called(sql, wanted))

        return await self._database.run(work, then=lambda _: self._on_decided())

    def _expect_open(self, row: ProposalRow, now: Instant) -> None:
        if row.state is State.OPEN and now < row.expires_at:
            return
        became = {
            State.OPEN: "is over: its time has passed. Ask for it to be made again.",
            State.ACCEPTED: "was accepted by you; if you do not want them, remove the contact.",
            State.MET: "came about; if you do not want them, remove the contact.",
            State.DECLINED: "was declined by you. Ask for it to be made again.",
            State.REFUSED: "was refused by the other.",
        }
        raise PermanentFailure(f"Proposal {row.id} {became[row.state]}")


def _is_word_of(sql: Sql, introducer: Person, signed: SignedWord) -> bool:
    """Whether that contact gave it, perhaps before they rotated: then on a device that they still
    have, for whoever stole the old key has certified another one."""
    by, device = Fingerprint(signed.word.introducer), signed.certificate.device
    if by != introducer.fingerprint and not rotations.is_device_of(
        sql, introducer.fingerprint, device
    ):
        return False
    return revoked.speaks(sql, by, device) and revoked.speaks(sql, introducer.fingerprint, device)


def remarks(sql: Sql, record: PersonRecord) -> tuple[str, ...]:
    """What the owner should know before they say yes to this person, in sentences."""
    known = rotations.contact(sql, record.fingerprint)
    if known is not None and known.blocked:
        return (f"This is {known.name}, whom you have blocked.",)
    if known is not None:
        return (
            f"This is {known.name}, who is among your contacts already. Say yes only if letters "
            "of yours to them are refused.",
        )
    alike = dict(reversed(people.names_taken(sql, record.fingerprint)))
    whose = alike.get(nicknames.key(record.name))
    if whose is None:
        return ()
    return (
        f"WARNING: you have a contact {whose} with such a name, and this is ANOTHER key. It is "
        f"somebody else, or {whose} has set up anew, or somebody pretends to be {whose}. Ask "
        f"{whose} in another way before you say yes.",
    )
