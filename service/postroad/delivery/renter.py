"""Keep our drops rented, our tickets known at them, and our record published.

Purpose: letters find their way while we are away. Whenever something changes (a new contact, an
invitation, another address of ours) the holders and the contacts are told, and told again until
they know.
Invariants: the record names only drops whose holder agreed; its sequence only grows; it is kept
before anybody is told of it.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, TemporaryFailure
from postroad.base.ids import Contact, DropId, Fingerprint, HostPort, short
from postroad.base.seams import Clock, Entropy
from postroad.base.tlv import decode, encode
from postroad.delivery.herald import Sighting
from postroad.peers.client import Client
from postroad.peers.link import Refused
from postroad.protocol import wire
from postroad.protocol.contacts import encode_contact
from postroad.protocol.records import Drop, PersonRecord, next_sequence, read_person, sign_person
from postroad.sealing.keys import SigningKey
from postroad.store import people
from postroad.store.database import Database, Sql
from postroad.store.keyring import OwnKeys
from postroad.store.people import MyDrop, Person

log = logging.getLogger(__name__)
RENEW_SECONDS = 7 * limits.DAY  # a record is signed afresh after this
ROUND_SECONDS = 1 * limits.HOUR  # all is looked over this often, if nothing happens before
AGAIN_SECONDS = 1 * limits.MINUTE  # after a round that left something undone


class Renter:
    """Run `run` for as long as the node lives."""

    def __init__(
        self,
        database: Database,
        client: Client,
        keyring: OwnKeys,
        clock: Clock,
        entropy: Entropy,
        addresses: Callable[[], tuple[HostPort, ...]],
    ) -> None:
        self._database = database
        self._client = client
        self._keyring = keyring
        self._clock = clock
        self._entropy = entropy
        self._addresses = addresses
        self._wake = asyncio.Event()
        self._round = asyncio.Lock()
        self._lost_at: dict[Fingerprint, float] = {}
        self._announced = 0  # the sequence of the record that was last told of
        self.on_new_record: Callable[[], None] = lambda: None  # set by the composition root

    def wake(self) -> None:
        """Something changed that others should know."""
        self._wake.set()

    async def run(self) -> None:
        while True:
            self._wake.clear()
            try:
                done = await self.settle()
            except TemporaryFailure as error:
                log.warning("drops not looked after: %s", error)
                done = False
            seconds = ROUND_SECONDS if done else AGAIN_SECONDS
            try:
                async with asyncio.timeout(seconds * (0.75 + self._entropy.uniform() / 2)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def settle(self) -> bool:
        """One round: rent, publish, tell. Whether everybody who should know now knows."""
        async with self._round:
            rented = await self._rent_missing()
            record = await self.record()
            _, contacts, _ = await self._database.read(self._state)
            told = await asyncio.gather(
                *(self._tell_contact(person, record) for person in contacts.values())
            )
            with_tickets = await self.tell_tickets()
            return rented and all(told) and all(with_tickets)

    async def tell_tickets(self) -> list[bool]:
        """Bring our tickets to the holders, side by side; for each one, whether it has them."""
        drops, contacts, hashes = await self._database.read(self._state)
        return await asyncio.gather(
            *(self._tell_holder(drop, contacts, hashes) for drop in drops if drop.agreed)
        )

    async def record(self) -> PersonRecord:
        """Our record as it should be now; a new one is made, and kept, when the last is not."""
        now = self._clock.now()
        await self._keyring.renew(now)  # never sign with what is not good at this moment
        me = Contact(self._keyring.device.peer, self._addresses())

        def work(sql: Sql) -> PersonRecord:
            octets = people.kept_record(sql, self._keyring.fingerprint)
            last, sequence = _own_record(octets, self._keyring.fingerprint)
            drops = self._agreed_drops(sql)
            age = (
                RENEW_SECONDS if last is None else now - (last.expires - limits.RECORD_SECONDS_MAX)
            )
            if (
                last is not None
                and 0 <= age < RENEW_SECONDS
                and last.drops == drops
                and last.devices == (encode_contact(me),)
                and last.epoch_key == self._keyring.epoch_public
                and last.certificate == self._keyring.certificate
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
            )
            people.keep_record(sql, record)
            return record

        return await self._database.run(work, then=self._announce)

    def _announce(self, record: PersonRecord) -> None:
        if record.sequence != self._announced:
            self._announced = record.sequence
            self.on_new_record()

    async def where_i_am(self) -> tuple[Contact, ...]:
        """Us and two holders: where an invitation says that our record is to be had."""
        record = await self.record()
        return (*record.contacts[:1], *(drop.contact for drop in record.drops[:2]))

    def _agreed_drops(self, sql: Sql) -> tuple[Drop, ...]:
        drops = []
        for drop in people.my_drops(sql):
            person = people.contact(sql, drop.fingerprint)
            holder = _device(person, drop) if person and drop.agreed else None
            if holder is not None:
                drops.append(Drop(drop.drop, encode_contact(holder)))
        return tuple(drops[: limits.DROPS_IN_RECORD_MAX])

    def _state(self, sql: Sql) -> tuple[list[MyDrop], dict[Fingerprint, Person], list[bytes]]:
        contacts = {person.fingerprint: person for person in people.contacts(sql)}
        tickets = people.tickets(sql, self._clock.now())
        return people.my_drops(sql), contacts, [hashlib.sha256(one).digest() for one in tickets]

    async def _rent_missing(self) -> bool:
        """Ask contacts for drops until there are enough; whether there are, or nobody is left."""
        refused: set[Fingerprint] = set()
        while True:
            drops, contacts, _ = await self._database.read(self._state)
            wanted = limits.HOLDERS_WANTED - sum(drop.agreed for drop in drops)
            asked = {drop.fingerprint: drop for drop in drops}
            able = [
                person
                for person in contacts.values()
                if not person.blocked
                and person.fingerprint not in refused
                and not self._lost_lately(person)
                and (person.fingerprint not in asked or not asked[person.fingerprint].agreed)
            ][: max(wanted, 0)]
            if not able:
                return wanted <= 0 or not refused
            requests = [
                asked.get(person.fingerprint) or await self._new_drop(person) for person in able
            ]
            agreed = await asyncio.gather(*map(self._rent, requests, able))
            refused |= {
                person.fingerprint
                for person, said_yes in zip(able, agreed, strict=True)
                if not said_yes
            }

    def _lost_lately(self, person: Person) -> bool:
        """Whether this contact lost a drop of ours today: it is not asked again so soon."""
        lost_at = self._lost_at.get(person.fingerprint)
        return lost_at is not None and self._clock.elapsed() - lost_at < limits.DAY

    async def _new_drop(self, person: Person) -> MyDrop:
        drop, seed = DropId(self._entropy.token(16)), self._entropy.token(32)
        holder = person.record.certificate.device  # the one that proved itself: it signed
        await self._database.run(
            lambda sql: people.add_my_drop(sql, drop, seed, holder, person.fingerprint)
        )
        return MyDrop(drop, seed, holder, person.fingerprint, False, b"")

    async def _rent(self, drop: MyDrop, person: Person) -> bool:
        """Whether the holder agreed. Asking again is harmless: it knows the drop already."""
        holder = _device(person, drop)
        if holder is None:
            await self._database.run(lambda sql: people.forget_drop(sql, drop.drop))
            return False
        mine = await self.record()
        try:
            await self._client.rent(holder, drop.drop, SigningKey(drop.seed), encode(mine))
        except (TemporaryFailure, PeerMisbehaved) as error:
            log.info("no drop there yet: %s", error, extra={"holder": short(holder.peer)})
            return False
        await self._database.run(lambda sql: people.drop_agreed(sql, drop.drop))
        log.info("drop rented", extra={"holder": short(holder.peer)})
        return True

    async def _tell_holder(
        self,
        drop: MyDrop,
        contacts: dict[Fingerprint, Person],
        hashes: list[bytes],
    ) -> bool:
        """The holder has our tickets; whether it does now."""
        person = contacts.get(drop.fingerprint)
        holder = _device(person, drop) if person else None
        digest = _digest(hashes)
        if holder is None:  # the contact set up anew, and knows nothing of our drop
            await self._database.run(lambda sql: people.forget_drop(sql, drop.drop))
            return False
        try:
            if drop.tickets != digest:
                key = SigningKey(drop.seed)
                await self._client.set_tickets(holder, drop.drop, key, hashes)
                await self._database.run(
                    lambda sql: people.drop_has_tickets(sql, drop.drop, digest)
                )
        except (TemporaryFailure, PeerMisbehaved) as error:
            if isinstance(error, Refused) and error.refusal == wire.Refusal.UNKNOWN:
                await self._database.run(lambda sql: people.forget_drop(sql, drop.drop))
                self._lost_at[drop.fingerprint] = self._clock.elapsed()
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
        """A contact's node proved itself: tell it what it does not know yet."""
        await self._database.run(lambda sql: people.seen(sql, seen.fingerprint, seen.at))
        record = await self.record()
        person = await self._database.read(lambda sql: people.contact(sql, seen.fingerprint))
        missing = await self._database.read(self._missing)
        if missing or (person is not None and person.told < record.sequence):
            self.wake()

    def _missing(self, sql: Sql) -> bool:
        drops, contacts, hashes = self._state(sql)
        digest = _digest(hashes)
        agreed = [drop for drop in drops if drop.agreed]
        wanted = min(limits.HOLDERS_WANTED, len(contacts))
        return len(agreed) < wanted or any(drop.tickets != digest for drop in agreed)


def _digest(hashes: list[bytes]) -> bytes:
    """What is kept to know which tickets a holder has."""
    return hashlib.sha256(b"".join(hashes)).digest()


def _own_record(octets: bytes | None, fingerprint: Fingerprint) -> tuple[PersonRecord | None, int]:
    """Our last record, None when there is none that can be used; and the sequence it had."""
    if octets is None:
        return None, 0
    sequence = 0
    try:
        sequence = decode(PersonRecord, octets).sequence
        return read_person(octets, fingerprint), sequence
    except PeerMisbehaved as error:  # damaged, or signed when the clock was wrong
        log.warning("our own record is made anew: %s", error)
        return None, sequence


def _device(person: Person, drop: MyDrop) -> Contact | None:
    return next((one for one in person.record.contacts if one.peer == drop.holder), None)
