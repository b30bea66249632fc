"""Keep our drops rented (`holders`), our tickets known at them, and our record published.

Purpose: letters find their way while we are away. Whenever something changes (a new contact, an
invitation, another address of ours) the holders and the contacts are told, and told again until
they know.
Invariants: the record names only drops whose holder agreed; its sequence only grows; it is kept
before anybody is told of it.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, TemporaryFailure
from postroad.base.ids import Contact, Fingerprint, Instant, short
from postroad.base.seams import Entropy, SureClock
from postroad.base.tlv import encode
from postroad.delivery.duty import Duty
from postroad.delivery.epochs import Epochs
from postroad.delivery.herald import Sighting
from postroad.delivery.holders import Holders, in_order
from postroad.delivery.watch import Watch
from postroad.peers.client import Client
from postroad.peers.exchange import Refused
from postroad.protocol import wire
from postroad.protocol.contacts import encode_contact
from postroad.protocol.holding import HoldFor
from postroad.protocol.records import Drop, PersonRecord, next_sequence, read_person, sign_person
from postroad.sealing.keys import SigningKey
from postroad.store import people, rented
from postroad.store.database import Database, Sql
from postroad.store.keyring import OwnKeys
from postroad.store.people import Person
from postroad.store.rented import MyDrop
from postroad.timeouts import timeout

log = logging.getLogger(__name__)
RENEW_SECONDS = 7 * limits.DAY  # a record is signed afresh after this
ROUND_SECONDS = 1 * limits.HOUR  # all is looked over this often, if nothing happens before
AGAIN_SECONDS = 1 * limits.MINUTE  # after a round that left something undone, and twice as long
# after each further one: somebody who is away for a week is not dialled every minute


class Whereabouts(Protocol):
    """`peers.reach.Reach`."""

    @property
    def here(self) -> Contact: ...

    def at_this_moment(self) -> Contact: ...

    async def helpers(self) -> Sequence[Contact]: ...


class Renter:
    """Run `run` for as long as the node lives."""

    def __init__(
        self,
        database: Database,
        client: Client,
        keyring: OwnKeys,
        clock: SureClock,
        entropy: Entropy,
        whereabouts: Whereabouts,
        watch: Watch,
        epochs: Epochs,
        hold_for: HoldFor = HoldFor.VOUCHED,
        *,
        dial_private: bool = False,
        strangers: int = 0,
    ) -> None:
        """`strangers`: what our record says of them (`PersonRecord.strangers`)."""
        self.strangers = strangers
        self._database = database
        self._client = client
        self._keyring = keyring
        self._clock = clock
        self._entropy = entropy
        self._whereabouts = whereabouts
        self._epochs = epochs
        self._wake = asyncio.Event()
        self._round = asyncio.Lock()
        self._announced = 0  # the sequence of the record that was last told of
        self.on_new_record: Callable[[], None] = lambda: None  # set by the composition root
        self.tell_changes: Callable[[], Awaitable[bool]]  # set by the composition root
        self.tell_helpers: Callable[[PersonRecord], Awaitable[bool]]  # set by the composition root
        self.holders = Holders(
            database,
            client,
            keyring,
            clock,
            entropy,
            watch,
            self.record,
            self.wake,
            dial_private=dial_private,
        )
        self.duty = Duty(
            database,
            client,
            keyring,
            clock,
            hold_for,
            self.holders.has_said,
            dial_private=dial_private,
        )

    def wake(self) -> None:
        """Something changed that others should know."""
        self._wake.set()

    async def run(self) -> None:
        again = AGAIN_SECONDS
        while True:
            self._wake.clear()
            try:
                done = await self.settle()
            except TemporaryFailure as error:
                log.warning("drops not looked after: %s", error)
                done = False
            seconds = ROUND_SECONDS if done else min(again, ROUND_SECONDS)
            again *= 2
            try:
                async with timeout(seconds * (0.75 + self._entropy.uniform() / 2)):
                    await self._wake.wait()
                    again = AGAIN_SECONDS
            except TimeoutError:
                continue

    async def settle(self) -> bool:
        """One round: rent, publish, tell. Whether everybody who should know now knows."""
        async with self._round:
            await self.tell_changes()  # who does not know who we are believes no record of ours
            rented = await self.holders.settle()
            await self._epochs.turn(self.record)
            record = await self.record()
            contacts, _ = await self._database.read(self._state)
            told = await asyncio.gather(
                *(self._tell_contact(person, record) for person in contacts.values())
            )
            helped = await self.tell_helpers(record)
            knows_duty = await self.duty.tell_holding(list(contacts.values()))
            with_tickets = await self.tell_tickets()
            return rented and all(told) and helped and knows_duty and all(with_tickets)

    async def tell_tickets(self) -> list[bool]:
        """Bring our tickets to the holders, side by side; for each one, whether it has them."""
        drops = await self._database.read(rented.my_drops)
        _, hashes = await self._database.read(self._state)
        return await asyncio.gather(
            *(self._tell_holder(drop, hashes) for drop in drops if drop.is_ours)
        )

    async def record(self) -> PersonRecord:
        """Our record as it should be now; a new one is made, and kept, when the last is not."""
        now = self._clock.now()
        await self._keyring.renew(now)  # never sign with what is not good at this moment
        here = self._whereabouts.here

        def work(sql: Sql) -> PersonRecord:
            mine, *former = self._keyring.fingerprints
            last = _own_record(people.kept_record(sql, mine), mine)
            # `told` of contacts counts on through a rotation
            sequence = max(people.kept_sequence(sql, one) for one in (mine, *former))
            me = here
            known = here.addresses or here.relay
            if last is not None and not known and last.contacts[0].peer == here.peer:
                me = last.contacts[0]  # off the network, the last address is the best guess
            age = (
                RENEW_SECONDS if last is None else now - (last.expires - limits.RECORD_SECONDS_MAX)
            )
            is_young = 0 <= age < RENEW_SECONDS
            drops = self._agreed_drops(sql, last if is_young else None, now)
            if (
                last is not None
                and is_young
                and last.drops == drops
                and last.devices == (encode_contact(me),)
                and last.epoch_key == self._keyring.epoch_public
                and last.certificate == self._keyring.certificate
                and last.strangers == self.strangers
            ):
                return last
            record = sign_person(
                name=self._keyring.name,
                devices=(me,),
                drops=drops,
                epoch_key=self._keyring.epoch_public,
                sequence=next_sequence(sequence, me.peer, now),
                expires=now + limits.RECORD_SECONDS_MAX,
                certificate=self._keyring.certificate,
                device=self._keyring.device,
                strangers=self.strangers,
            )
            people.keep_record(sql, record, now, is_ours=True)
            return record

        return await self._database.run(work, then=self._announce)

    def _announce(self, record: PersonRecord) -> None:
        if record.sequence != self._announced:
            self._announced = record.sequence
            self.on_new_record()

    async def where_our_record_is(self) -> tuple[Contact, ...]:
        """Us as we are reached now, helpers and holders: where an invitation says that our record
        is to be had. All of them have it, or are told it at once."""
        record = await self.record()
        helpers = await self._whereabouts.helpers()
        places = (*helpers[:1], *(drop.contact for drop in record.drops[:2]))
        return (
            self._whereabouts.at_this_moment(),
            *{place.peer: place for place in places}.values(),
        )

    def _agreed_drops(self, sql: Sql, last: PersonRecord | None, now: Instant) -> tuple[Drop, ...]:
        """The drops of our record, the best first. Another order alone makes no new record: where
        `last` has the same drops, it is kept."""
        ours = {}
        for drop in rented.my_drops(sql):
            holder = rented.holder_of(sql, drop) if drop.is_ours else None
            if holder is not None:
                ours[drop] = Drop(drop.drop, encode_contact(holder))
        if last is not None and sorted(last.drops, key=_place) == sorted(ours.values(), key=_place):
            return last.drops
        order = in_order(sql, list(ours), self._client.me, now)
        return tuple(ours[drop] for drop in order[: limits.DROPS_IN_RECORD_MAX])

    def _state(self, sql: Sql) -> tuple[dict[Fingerprint, Person], list[bytes]]:
        contacts = {person.fingerprint: person for person in people.contacts(sql)}
        tickets = people.tickets(sql, self._clock.sure_now())
        return contacts, [hashlib.sha256(one).digest() for one in tickets]

    async def _tell_holder(self, drop: MyDrop, hashes: list[bytes]) -> bool:
        """The holder has our tickets; whether it does now."""
        holder = await self._database.read(lambda sql: rented.holder_of(sql, drop))
        digest = _digest(hashes)
        if holder is None:  # the contact set up anew, and knows nothing of our drop
            await self._database.run(lambda sql: rented.forget_drop(sql, drop.drop))
            return False
        try:
            if drop.tickets != digest:
                key = SigningKey(drop.seed)
                await self._client.set_tickets(holder, drop.drop, key, hashes)
                await self._database.run(
                    lambda sql: rented.drop_has_tickets(sql, drop.drop, digest)
                )
        except (TemporaryFailure, PeerMisbehaved) as error:
            if isinstance(error, Refused) and error.refusal == wire.Refusal.UNKNOWN:
                await self.holders.lost_drop(drop)
            log.info("holder not told: %s", error, extra={"holder": short(holder.peer)})
            return False
        return True

    async def _tell_contact(self, person: Person, record: PersonRecord) -> bool:
        """The contact has our newest record; whether they do now. Holders are contacts too."""
        if person.told >= record.sequence or person.blocked:
            return True
        for device in person.record.contacts:
            try:
                await self._client.tell_record(device, encode(record))
            except (TemporaryFailure, PeerMisbehaved) as error:
                log.info("contact not told: %s", error, extra={"peer": short(device.peer)})
                continue
            await self._database.run(
                lambda sql: people.told_record(sql, person.fingerprint, record.sequence)
            )
            return True
        return False

    async def peer_seen(self, seen: Sighting) -> None:
        """A contact's node, or a holder's, proved itself: tell it what it does not know yet."""
        fingerprint = seen.fingerprint
        person = None
        if fingerprint is not None:
            await self._database.run(lambda sql: people.seen(sql, fingerprint, seen.at))
            person = await self._database.read(lambda sql: people.contact(sql, fingerprint))
        record = await self.record()
        missing = await self._database.read(self._missing)
        if missing or (person is not None and person.told < record.sequence):
            self.wake()

    def _missing(self, sql: Sql) -> bool:
        contacts, hashes = self._state(sql)
        digest = _digest(hashes)
        ours = [drop for drop in rented.my_drops(sql) if drop.is_ours]
        wanted = min(limits.HOLDERS_WANTED, len(contacts))
        return len(ours) < wanted or any(drop.tickets != digest for drop in ours)


def _digest(hashes: list[bytes]) -> bytes:
    """What is kept to know which tickets a holder has."""
    return hashlib.sha256(b"".join(hashes)).digest()


def _own_record(octets: bytes | None, fingerprint: Fingerprint) -> PersonRecord | None:
    """Our last record, None when there is none that can be used."""
    if octets is None:
        return None
    try:
        return read_person(octets, fingerprint)
    except PeerMisbehaved as error:  # damaged, or signed when the clock was wrong
        log.warning("our own record is made anew: %s", error)
        return None


def _place(drop: Drop) -> bytes:
    return drop.drop
