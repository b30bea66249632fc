"""Choose who holds for us, rent drops there, and replace holders that are silent or leave.

Purpose: eight drops at nodes that are on at unlike hours. Contacts are asked first; when there are
too few of them, they are asked whom of theirs they can name (`duty`).
Invariants: a holder that is replaced is left, not forgotten: letters may lie there; nobody is asked
whom no contact named to us.
See: docs/adr/0007-holders.md.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, TemporaryFailure
from postroad.base.ids import Contact, DropId, Fingerprint, Instant, PeerId, short
from postroad.base.seams import Entropy, SureClock
from postroad.base.tlv import decode, encode
from postroad.delivery.duty import said_holdings
from postroad.delivery.watch import Watch
from postroad.peers.client import Client
from postroad.peers.exchange import Refused
from postroad.protocol import wire
from postroad.protocol.contacts import decode_contact, encode_contact
from postroad.protocol.dialable import dialable
from postroad.protocol.holding import ALL_HOURS, Candidate, HoldFor, Hours, better, choose
from postroad.protocol.records import PersonRecord
from postroad.protocol.wire_holders import Holding, Introduced, Voucher, check_voucher
from postroad.sealing.keys import SigningKey
from postroad.store import helpers, hours, people, rented
from postroad.store.database import Database, Sql
from postroad.store.helpers import OF_A_HELPER, HelperRow
from postroad.store.keyring import OwnKeys
from postroad.store.people import Person
from postroad.store.rented import MyDrop
from postroad.store.revoked import barred

log = logging.getLogger(__name__)
CANDIDATES_MAX = 256  # compared at once: a thousand would hold up the loop for a third of a second


@dataclass(frozen=True, slots=True)
class _Place:
    """A node that could hold for us: through whom we know it, and what it wants to be shown."""

    contact: Contact
    fingerprint: Fingerprint
    voucher: Voucher | None
    hours: Hours


@dataclass(frozen=True, slots=True)
class _Known:
    """What the store knows at the beginning of a round."""

    drops: list[MyDrop]
    people: dict[Fingerprint, Person]
    hours: dict[PeerId, Hours]
    said: dict[Fingerprint, Holding]
    helpers: list[HelperRow]
    barred: frozenset[PeerId]  # revoked by their owners

    @property
    def ours(self) -> list[MyDrop]:
        return [drop for drop in self.drops if drop.is_ours]

    def candidate(self, peer: PeerId, said: bytes | None, is_contact: bool) -> Candidate:
        return Candidate(peer, replace(self.hours.get(peer, Hours()), said=said), is_contact)


class Holders:
    """One part of the renter: `settle` is one round. `record` gives our record as it is now."""

    def __init__(
        self,
        database: Database,
        client: Client,
        keyring: OwnKeys,
        clock: SureClock,
        entropy: Entropy,
        watch: Watch,
        record: Callable[[], Awaitable[PersonRecord]],
        on_change: Callable[[], None],
        *,
        dial_private: bool,
    ) -> None:
        self._database = database
        self._client = client
        self._keyring = keyring
        self._clock = clock
        self._entropy = entropy
        self._watch = watch
        self._record = record
        self._on_change = on_change
        self._private = dial_private
        self._said_no: dict[PeerId, float] = {}  # who refused or lost a drop, and when, elapsed
        self._asked: dict[Fingerprint, float] = {}  # whom for introductions, and when
        # In this life, by contacts: each has places of their own, so that who names many, or
        # somebody else's and wrongly, takes nobody's.
        self._introduced: dict[Fingerprint, dict[PeerId, _Place]] = {}
        self._swapped_at: float | None = None

    async def settle(self) -> bool:
        """One round; False: somebody who would do could not be reached."""
        await self._watch.flush()
        done = await self._rent_missing()
        await self._replace()
        if done:
            await self._swap()
        await self._renew_vouched()
        await self._database.run(lambda sql: rented.forget_left(sql, self._clock.sure_now()))
        return done

    def lost(self, holder: PeerId) -> None:
        """This node knows nothing of our drop: it is not asked again today."""
        self._said_no[holder] = self._clock.elapsed()
        self._on_change()

    async def lost_drop(self, drop: MyDrop) -> None:
        """Forget a drop of which its holder knows nothing."""
        await self._database.run(lambda sql: rented.forget_drop(sql, drop.drop))
        self.lost(drop.holder)

    def has_said(self, holder: PeerId, hold_for: HoldFor) -> None:
        """This node told for whom it holds; its no of before may have been because of that."""
        if hold_for is HoldFor.OFF:
            for places in self._introduced.values():
                places.pop(holder, None)
        else:
            self._said_no.pop(holder, None)
        self._on_change()

    def _has_said_no(self, peer: PeerId) -> bool:
        at = self._said_no.get(peer)
        return at is not None and self._clock.elapsed() - at < limits.DAY

    # Whom there is

    def _known(self, sql: Sql) -> _Known:
        now = self._clock.now()
        said = said_holdings(sql)
        persons = {person.fingerprint: person for person in people.contacts(sql)}
        serving = [row for row in helpers.helpers(sql) if not row.refusal]
        return _Known(
            rented.my_drops(sql), persons, hours.known(sql, now), said, serving, barred(sql)
        )

    def _places(self, known: _Known) -> dict[PeerId, _Place]:
        """All nodes that may be asked: helpers, contacts', and those that contacts introduced."""
        found: dict[PeerId, _Place] = {}
        for person in known.people.values():
            said = known.said.get(person.fingerprint)
            at = person.record.signer
            if at is None or person.blocked or (said and said.hold_for is HoldFor.OFF):
                continue
            seen = known.hours.get(at.peer, Hours())
            at_hours = replace(seen, said=said.hours if said else None)
            found[at.peer] = _Place(at, person.fingerprint, None, at_hours)
        for row in known.helpers:
            at_hours = replace(known.hours.get(row.peer, Hours()), said=ALL_HOURS)
            found[row.peer] = _Place(row.contact, OF_A_HELPER, None, at_hours)
        named = [place for places in self._introduced.values() for place in places.values()]
        for place in named:
            peer = place.contact.peer
            seen = known.hours.get(peer, Hours())
            found.setdefault(peer, replace(place, hours=replace(seen, said=place.hours.said)))
        for peer in (self._client.me, *known.barred):
            found.pop(peer, None)
        for person in known.people.values():
            if (
                person.blocked
            ):  # whoever else names their node; its key alone is proven to be theirs
                found.pop(person.record.certificate.device, None)
        return found

    def _candidates(self, known: _Known) -> tuple[list[Candidate], list[Candidate]]:
        """Those who hold for us and are not silent; and those who could be asked."""
        places = self._places(known)
        by_holder = {drop.holder: drop for drop in known.drops}
        holding, free = [], []
        for peer, place in places.items():
            one = Candidate(peer, place.hours, place.voucher is None)
            drop = by_holder.get(peer)
            if drop is not None and drop.is_ours and not drop.is_silent and not drop.unwanted:
                holding.append(one)
            elif not self._has_said_no(peer) and not (drop and drop.is_silent):
                free.append(one)
        for drop in known.ours:  # vouched ones that nobody introduced in this life of ours
            if drop.holder not in places and not drop.is_silent and not drop.unwanted:
                holding.append(known.candidate(drop.holder, None, False))
        return holding, free

    # To have enough

    async def _rent_missing(self) -> bool:
        """Ask whoever would be best, until there are enough or nobody is left."""
        in_vain: set[PeerId] = set()
        unreached = False
        while True:
            known = await self._database.read(self._known)
            holding, free = self._candidates(known)
            wanted = limits.HOLDERS_WANTED - len(holding)
            free = [one for one in free if one.peer not in in_vain][:CANDIDATES_MAX]
            chosen = choose(free, wanted, kept=holding, mine=self._mine(known))
            if not chosen and wanted > 0 and await self._ask_for_introductions(known):
                continue
            if not chosen:
                return wanted <= 0 or not unreached
            places = self._places(known)
            answers = await asyncio.gather(
                *(self._rent_at(known, places[one.peer]) for one in chosen)
            )
            for one, agreed in zip(chosen, answers, strict=True):
                if not agreed:
                    in_vain.add(one.peer)
                    # Contacts are tried again in a minute; others when we meet them, or in an hour.
                    unreached |= one.is_contact and not self._has_said_no(one.peer)

    async def _rent_at(self, known: _Known, place: _Place) -> bool:
        holder = place.contact.peer
        drop = next((one for one in known.drops if one.holder == holder), None)
        if drop is None:
            drop_id, seed = DropId(self._entropy.token(16)), self._entropy.token(32)
            # Of a contact its record tells; a helper's own row may be damaged, or gone.
            is_contact = place.voucher is None and place.fingerprint != OF_A_HELPER
            at = None if is_contact else encode_contact(place.contact)
            drop = MyDrop(drop_id, seed, holder, place.fingerprint, False, b"", at)
            await self._database.run(
                lambda sql: rented.add_my_drop(
                    sql, drop_id, seed, holder, place.fingerprint, place=at
                )
            )
        return await self._rent(drop, place)

    async def _rent(self, drop: MyDrop, place: _Place) -> bool:
        """Whether the holder agreed. Asking again is harmless: it knows the drop already."""
        mine = await self._record()
        at, key = place.contact, SigningKey(drop.seed)
        try:
            await self._client.rent(at, drop.drop, key, encode(mine), place.voucher)
        except (TemporaryFailure, PeerMisbehaved) as error:
            log.info("no drop there yet: %s", error, extra={"holder": short(at.peer)})
            if isinstance(error, Refused) and error.refusal != wire.Refusal.LATER:
                self._said_no[at.peer] = self._clock.elapsed()
                said = str(error)
                await self._database.run(lambda sql: rented.refused(sql, drop.drop, said))
            return False

        def work(sql: Sql) -> None:
            rented.drop_agreed(sql, drop.drop)
            rented.through(sql, drop.drop, place.fingerprint)
            if place.voucher is not None:
                where, shown = encode_contact(at), encode(place.voucher)
                rented.shown(sql, drop.drop, where, shown, mine.sequence)

        await self._database.run(work)
        if not drop.is_ours:
            log.info("drop rented", extra={"holder": short(at.peer)})
        return True

    async def _ask_for_introductions(self, known: _Known) -> bool:
        """Ask contacts whom of theirs they can name; each once a day. Whether any was asked that
        had not been, and answered."""
        now = self._clock.elapsed()
        due = [
            person
            for person in known.people.values()
            if not person.blocked
            and now - self._asked.get(person.fingerprint, -limits.DAY)
            >= limits.VOUCHERS_ASKED_SECONDS
        ]
        return any(await asyncio.gather(*map(self._ask_one, due)))

    async def _ask_one(self, person: Person) -> bool:
        at = person.record.signer
        if at is None:
            return False
        try:
            found = await self._client.find_holders(at)
        except (TemporaryFailure, PeerMisbehaved) as error:
            log.info("nobody introduced: %s", error, extra={"peer": short(at.peer)})
            soon = (
                0.0 if isinstance(error, Refused) else limits.VOUCHERS_ASKED_SECONDS - limits.HOUR
            )
            self._asked[person.fingerprint] = self._clock.elapsed() - soon
            return False
        self._asked[person.fingerprint] = self._clock.elapsed()
        named = [self._introduced_by(person, one) for one in found]
        self._introduced[person.fingerprint] = {one.contact.peer: one for one in named if one}
        return bool(found)

    def _introduced_by(self, person: Person, one: Introduced) -> _Place | None:
        """The place at a node that the person vouches for, which may be anybody's: promise A4."""
        try:
            at = dialable(decode_contact(one.holder), private=self._private)
            if at is None:
                return None
            mine, now = self._keyring.fingerprint, self._clock.now()
            check_voucher(one.voucher, mine, at.peer, now)
            if one.voucher.voucher != person.record.certificate.device:
                return None
        except PeerMisbehaved as error:
            log.info("an introduction is none: %s", error, extra={"contact": person.fingerprint})
            return None
        return _Place(at, person.fingerprint, one.voucher, Hours(said=one.hours))

    # To have good ones

    async def _replace(self) -> None:
        """Leave silent holders as far as there are others in their place; and those through people
        who were blocked or removed, as soon as anybody else holds."""
        known = await self._database.read(self._known)
        unwanted = [drop for drop in known.ours if drop.unwanted]
        others = any(not drop.is_silent and not drop.unwanted for drop in known.ours)
        for drop in unwanted if others else ():
            await self._leave(drop, "the owner has no more to do with them")
        too_many = len(known.ours) - limits.HOLDERS_WANTED
        silent = sorted(
            (drop for drop in known.ours if drop.is_silent),
            key=lambda drop: (-drop.silent_seconds, drop.drop),
        )
        for drop in silent[: max(too_many, 0)]:
            await self._leave(drop, "silent")

    async def _swap(self) -> None:
        """Once a day, take one better holder for one whose hours others have, too."""
        now = self._clock.elapsed()
        if self._swapped_at is not None and now - self._swapped_at < limits.SWAP_SECONDS:
            return
        known = await self._database.read(self._known)
        holding, free = self._candidates(known)
        if len(holding) < limits.HOLDERS_WANTED:
            return
        self._swapped_at = now
        found = better(holding, free[:CANDIDATES_MAX], mine=self._mine(known))
        if found is None:
            return
        leave, take = found
        if await self._rent_at(known, self._places(known)[take.peer]):
            drop = next(one for one in known.drops if one.holder == leave.peer)
            await self._leave(drop, "another one is on when the others are not")

    async def _leave(self, drop: MyDrop, why: str) -> None:
        await self._database.run(lambda sql: rented.leave(sql, drop.drop, self._clock.now()))
        log.info("holder left: %s", why, extra={"holder": short(drop.holder)})

    async def _renew_vouched(self) -> None:
        """Show vouched holders our newest record, and a fresh voucher before the old one ends."""
        known = await self._database.read(self._known)
        record = await self._record()
        for drop in known.ours:
            if drop.place is None or drop.voucher is None or drop.unwanted:
                continue
            person = known.people.get(drop.fingerprint)
            try:
                at, shown = decode_contact(drop.place), decode(Voucher, drop.voucher)
            except PeerMisbehaved as error:  # the row is damaged
                log.warning("a vouched holder is left as it is: %s", error)
                continue
            ends_soon = shown.expires - self._clock.now() < limits.VOUCHER_SECONDS / 2
            if (ends_soon or drop.silent_seconds > limits.DAY) and person is not None:
                asked = self._asked.get(person.fingerprint, -limits.DAY)
                if self._clock.elapsed() - asked >= limits.VOUCHERS_ASKED_SECONDS:
                    await self._ask_one(person)
            fresh = self._introduced.get(drop.fingerprint, {}).get(drop.holder)
            if fresh is None or fresh.voucher is None or fresh.voucher.expires < shown.expires:
                fresh = _Place(at, drop.fingerprint, shown, Hours())
            if drop.told < record.sequence or fresh.voucher != shown:
                await self._rent(drop, fresh)

    def _mine(self, known: _Known) -> Hours:
        return known.hours.get(self._client.me, Hours())


def in_order(sql: Sql, drops: Sequence[MyDrop], me: PeerId, now: Instant) -> list[MyDrop]:
    """Our drops, the best first: letters above 1 MiB go to the first ones."""
    seen, said_by = hours.known(sql, now), said_holdings(sql)
    served_by = {row.peer for row in helpers.helpers(sql)}
    candidates = []
    for drop in drops:
        told = None if drop.place else said_by.get(drop.fingerprint)
        said = told.hours if told else None
        if drop.holder in served_by:
            said = ALL_HOURS
        at_hours = replace(seen.get(drop.holder, Hours()), said=said)
        candidates.append(Candidate(drop.holder, at_hours, drop.place is None))
    chosen = choose(candidates, len(candidates), mine=seen.get(me, Hours()))
    by_holder = {drop.holder: drop for drop in drops}
    # The silent ones last: they are in the record only while nobody else is to be had.
    found = [by_holder[one.peer] for one in chosen]
    return sorted(found, key=lambda drop: drop.is_silent)
