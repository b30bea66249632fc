"""Our own revocations: make them, publish them, tell those who know us; and look for those of
others once a day.

Purpose: contacts learn of a change at the next exchange, or within a day out of the directory.
Whoever is told notes it durably before they say yes, and is not told again.
Invariants: a change is kept and obeyed here before anybody hears of it; a look costs two questions
to the directory for each contact and day, one contact after the other.
See: docs/adr/0015-devices.md.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from postroad.base import limits
from postroad.base.errors import (
    PeerMisbehaved,
    PermanentFailure,
    PostroadError,
    TemporaryFailure,
)
from postroad.base.ids import Contact, Fingerprint, Instant, PeerId, short
from postroad.base.seams import Clock, Entropy
from postroad.base.tlv import decode, encode
from postroad.delivery.herald import Sighting
from postroad.delivery.obeying import Obeying
from postroad.peers.client import Client
from postroad.protocol.identity_records import (
    REVOKE,
    ROTATE,
    RevokeRecord,
    RotateRecord,
    read_revoke,
    read_rotate,
    sign_revoke_devices,
    sign_rotate,
)
from postroad.protocol.records import PersonRecord, next_sequence
from postroad.sealing.keys import load_ed25519
from postroad.store import changes, helpers, people, queue, rented, revoked, rotations
from postroad.store.database import Database, Sql
from postroad.store.keyring import OwnKeys

log = logging.getLogger(__name__)
LOOK_SECONDS = 20 * limits.HOUR  # between two looks for changes of one person: within a day
RENEW_SECONDS = 30 * limits.DAY  # before its end a rotation of ours is signed afresh
STRANGER_SECONDS = (
    0.5  # after a stranger's record was found: that they changed is shown as fast, and
)
# that they did not only by the silence of all who could know it
CHAIN_MAX = 8  # rotations in a row that are followed in the directory
ROUND_SECONDS = 1 * limits.HOUR
DIGITS_MIN = 8  # of a device's key: as many as are shown
AGAIN_SECONDS = 1 * limits.MINUTE  # after a round that left somebody untold; then twice as long


FindChange = Callable[[int, Fingerprint, int], Awaitable[bytes | None]]
FindPerson = Callable[[Fingerprint, int], Awaitable[PersonRecord | None]]


@dataclass(frozen=True, slots=True)
class _Owed:
    """A change of ours that others should know."""

    kind: int
    fingerprint: Fingerprint
    sequence: int
    octets: bytes
    person: bytes | None = None  # of the heir


@dataclass(frozen=True, slots=True)
class OwnDevice:
    """`takes_mail`: its record of us is the newest; `seen_at`: when we found that record."""

    peer: PeerId
    is_revoked: bool
    takes_mail: bool
    seen_at: Instant | None
    certified_until: float | None


class Changes:
    """Run `run` for as long as the node is on the network. `find_change` and `find_person` look in
    the directory; `is_joined` says whether there is one; `on_change` hears that there is something
    new to publish, `on_news` that letters may go another way now."""

    def __init__(
        self,
        database: Database,
        client: Client,
        keyring: OwnKeys,
        clock: Clock,
        entropy: Entropy,
        obeying: Obeying,
        find_change: FindChange,
        find_person: FindPerson,
        find_own: Callable[[Fingerprint], Awaitable[PersonRecord | None]],
        is_joined: Callable[[], bool],
        on_news: Callable[[], None],
    ) -> None:
        self._database = database
        self._client = client
        self._keyring = keyring
        self._clock = clock
        self._entropy = entropy
        self._obeying = obeying
        self._find_change = find_change
        self._find_person = find_person
        self._find_own = find_own
        self._has_found_ourselves = False
        self._is_joined = is_joined
        self._on_news = on_news
        self._wake = asyncio.Event()
        self.make_record: Callable[[], Awaitable[object]]  # set by the composition root
        self._ask: dict[PeerId, Contact] = {}  # who said that our device was revoked

    def wake(self) -> None:
        """There is something to tell, or to look for."""
        self._wake.set()

    def refused(self, by: Contact) -> None:
        """A node said that our device was revoked: it can show us why."""
        if len(self._ask) < limits.LINKS_MAX:
            self._ask[by.peer] = by
            self._wake.set()

    async def run(self) -> None:
        again = AGAIN_SECONDS
        while True:
            self._wake.clear()
            try:
                await self._ask_why()
                told = await self.settle()
                done = await self._look() and told
            except TemporaryFailure as error:
                log.warning("changes not looked after: %s", error)
                done = False
            seconds = ROUND_SECONDS if done else min(again, ROUND_SECONDS)
            again *= 2
            try:
                async with asyncio.timeout(seconds * (0.75 + self._entropy.uniform() / 2)):
                    await self._wake.wait()
                    again = AGAIN_SECONDS
            except TimeoutError:
                continue

    # Our own

    async def revoke_devices(self, devices: Sequence[PeerId]) -> None:
        """Take the word of these devices of ours from them, for ever; durable when it returns."""
        mine, me = self._keyring.fingerprint, self._keyring.device.peer
        if await self.is_ended():
            raise PermanentFailure("Your identity has ended, and all its devices with it.")

        def before(sql: Sql) -> tuple[list[PeerId], int]:
            return revoked.of(sql, mine), changes.last_sequence(sql, mine, REVOKE)

        known, last = await self._database.read(before)
        sequence = next_sequence(last, me, self._clock.now())
        record = sign_revoke_devices(self._keyring.identity, {*known, *devices}, sequence)
        await self._obeying.obey(encode(record))
        self.wake()

    async def publish(self, record: bytes) -> Fingerprint:
        """Make known that an identity has ended, whosever it is: who has the printed sheet needs no
        keys. Durable when it returns; PermanentFailure when it is no such record."""
        try:
            revocation = decode(RevokeRecord, record)
            whose = read_revoke(record, revocation.fingerprint).fingerprint
        except PeerMisbehaved as error:
            raise PermanentFailure(f"This is no revocation: {error}.") from error
        if revocation.devices:
            raise PermanentFailure("This revokes some devices only; it is not a printed sheet's.")
        await self._obeying.obey(record, is_asked_for=True)
        self._on_news()
        return whose

    async def is_ended(self) -> bool:
        """Whether our whole identity was revoked."""
        mine = self._keyring.fingerprint
        return await self._database.read(lambda sql: revoked.is_ended(sql, mine))

    async def devices(self) -> list[OwnDevice]:
        """This device, and others of ours that we know of, the revoked ones last."""
        return await self._database.read(self._devices)

    def _devices(self, sql: Sql) -> list[OwnDevice]:
        mine, me = self._keyring.fingerprint, self._keyring.device.peer
        octets = people.kept_record(sql, mine)
        ours = 0 if octets is None else decode(PersonRecord, octets).sequence
        seen = {record.certificate.device: (record, at) for record, at in changes.own_seen(sql)}
        newest = max((record.sequence for record, _ in seen.values()), default=0)
        ends = float(self._keyring.certificate.statement.ends)
        this = OwnDevice(me, not revoked.speaks(sql, mine, me), newest <= ours, None, ends)
        others = [
            OwnDevice(
                peer,
                not revoked.speaks(sql, mine, peer),
                record.sequence == newest > ours,
                at,
                float(record.certificate.statement.ends),
            )
            for peer, (record, at) in seen.items()
            if peer != me
        ]
        unseen = [
            OwnDevice(peer, True, False, None, None)
            for peer in revoked.of(sql, mine)
            if peer != me and peer not in seen
        ]
        return sorted([this, *others, *unseen], key=lambda one: (one.is_revoked, one.peer != me))

    async def device_called(self, wanted: str) -> PeerId:
        """The device of ours whose key begins so, or is so; PermanentFailure says why there is
        none to revoke."""
        wanted = wanted.strip().lower()
        found = [one for one in await self.devices() if one.peer.hex().startswith(wanted)]
        if len(wanted) == 64 and not found:  # one that we never saw; its owner has it in writing
            try:
                key = PeerId(bytes.fromhex(wanted))
                load_ed25519(key)
            except (ValueError, PeerMisbehaved) as error:
                raise PermanentFailure(f"{wanted} is no device's key.") from error
            return key
        if len(wanted) < DIGITS_MIN or len(found) != 1:
            raise PermanentFailure(
                f"You have no one device called {wanted!r}. Take a number from: postroad devices"
            )
        if found[0].peer == self._keyring.device.peer:
            raise PermanentFailure(
                "That is this computer. Revoke it from another one that has your 24 words, or end "
                "the identity itself with its printed sheet."
            )
        if found[0].is_revoked:
            raise PermanentFailure("This device is revoked already.")
        return found[0].peer

    async def find_ourselves(self) -> None:
        """Look once in each life for what other devices of ours published, before we do: a computer
        set up from the 24 words alone learns so of the lost one, and of those who held for it."""
        if not self._has_found_ourselves:
            self._has_found_ourselves = True
            await self._look_for_ourselves()

    async def _look_for_ourselves(self) -> None:
        record = await self._find_own(self._keyring.fingerprint)
        if record is not None and record.certificate.device != self._keyring.device.peer:
            found, now = record, self._clock.now()
            await self._database.run(lambda sql: changes.saw_own(sql, found, now))
            self.wake()

    async def rotate(self, entropy: bytes) -> None:
        """Be another identity from now on; whoever knows us is told, now or when they come."""
        await self._keyring.hand_on(entropy, self._clock.now())
        log.warning("identity rotated")
        await self.make_record()  # who is told of the new identity is shown its record
        self._on_news()

    async def _sign_rotations(self) -> None:
        """Have a rotation at hand for whomever we were, signed not too long ago."""
        pairs, now = self._keyring.rotations(), self._clock.now()
        me = self._keyring.device.peer

        def work(sql: Sql) -> None:
            for old, new in pairs:
                whose = old.public.fingerprint
                last = changes.rotation(sql, whose)
                if last is None or now > last.expires - RENEW_SECONDS:
                    before = changes.last_sequence(sql, whose, ROTATE)
                    sequence = next_sequence(before, me, now)
                    record = sign_rotate(old, new, sequence, now + limits.RECORD_SECONDS_MAX)
                    changes.keep(sql, ROTATE, whose, sequence, encode(record), now)

        if pairs:
            await self._database.run(work)

    def _owed(self, sql: Sql) -> list[_Owed]:
        """All that others should know of us, in the order in which it happened."""
        owed = []
        for old, new in self._keyring.rotations():
            whose = old.public.fingerprint
            rotated = changes.rotation(sql, whose)
            person = people.kept_record(sql, new.public.fingerprint)
            if rotated is not None and person is not None:
                # Signed afresh it says nothing new to whom it was told.
                owed.append(_Owed(ROTATE, whose, 0, encode(rotated), person))
        mine = self._keyring.fingerprint
        last = changes.revocation(sql, mine)
        if last is not None:
            owed.append(_Owed(REVOKE, mine, last.sequence, encode(last)))
        return owed

    async def settle(self) -> bool:
        """Tell our changes to those who do not know them yet; whether all do now."""
        await self._sign_rotations()
        untold = await self._database.read(self._untold)
        by_place: dict[Contact, list[_Owed]] = {}
        for place, change in untold:
            by_place.setdefault(place, []).append(change)
        answers = await asyncio.gather(*(self._tell_all(*one) for one in by_place.items()))
        return all(answers)

    async def _tell_all(self, place: Contact, owed: Sequence[_Owed]) -> bool:
        """One after the other: the second rotation means nothing to who has not heard the first."""
        for change in owed:
            if not await self._tell(place, change):
                return False
        return True

    def _untold(self, sql: Sql) -> list[tuple[Contact, _Owed]]:
        """Whom we owe which word, as far as we know where they are."""
        owed = self._owed(sql)
        places = _who_knows_us(sql) if owed else []
        return [
            (place, change)
            for change in owed
            for told in [changes.told(sql, change.fingerprint, change.kind, change.sequence)]
            for place in places
            if place.peer not in told
        ]

    async def _tell(self, place: Contact, change: _Owed) -> bool:
        try:
            await self._client.tell_change(place, change.octets, change.person)
        except (TemporaryFailure, PeerMisbehaved) as error:
            log.info("change not told: %s", error, extra={"peer": short(place.peer)})
            return False
        await self._database.run(
            lambda sql: changes.tell(
                sql, place.peer, change.fingerprint, change.kind, change.sequence
            )
        )
        return True

    async def peer_seen(self, seen: Sighting) -> None:
        """A node that knows us proved itself: tell it what it does not know yet."""

        untold = await self._database.read(self._untold)
        if any(place.peer == seen.peer for place, _ in untold):
            self.wake()

    # Those of others

    async def ask_about(self, fingerprint: Fingerprint) -> Fingerprint | None:
        """The same at once for somebody whom the owner is about to meet or to write to; who they
        are now, when this is an identity of before."""
        known = await self._database.read(lambda sql: rotations.former(sql, fingerprint))
        if known is not None:
            return known.heir
        try:
            return await self.look_up(fingerprint, is_asked_for=True)
        except PeerMisbehaved as error:
            log.warning("what the directory showed is not a change: %s", error)
            return None

    async def find_stranger(self, fingerprint: Fingerprint) -> PersonRecord | None:
        """The record of somebody who is no contact, out of the directory; none that a device signed
        which was revoked, as the directory shows it, too. PermanentFailure when they rotated."""
        record = await self._find_own(fingerprint)
        heir = await self._ask_quickly(fingerprint)
        if heir is not None:
            raise PermanentFailure(
                f"Whoever had this address has another key now, and an address with {heir} in it. "
                "Ask them for it in another way: a thief of the old key can say the same."
            )
        if record is None:
            return None
        device = record.certificate.device
        speaks = await self._database.read(lambda sql: revoked.speaks(sql, fingerprint, device))
        return record if speaks else None

    async def _ask_quickly(self, fingerprint: Fingerprint) -> Fingerprint | None:
        """As `ask_about`, without waiting for those who are silent: that somebody changed is shown
        at once, that they did not only by the silence of all who could know."""

        async def quietly(looking: Awaitable[Fingerprint | None]) -> Fingerprint | None:
            try:
                return await looking
            except PostroadError as error:
                log.info("not looked for changes: %s", error)
                return None

        async with asyncio.TaskGroup() as tasks:
            ending = tasks.create_task(quietly(self._look_for_end(fingerprint, is_asked_for=True)))
            rotating = tasks.create_task(quietly(self._look_for_heir(fingerprint)))
            await asyncio.wait({ending, rotating}, timeout=STRANGER_SECONDS)
            ending.cancel()
            rotating.cancel()
        return None if rotating.cancelled() else rotating.result()

    async def look_up(
        self, fingerprint: Fingerprint, *, is_asked_for: bool = False
    ) -> Fingerprint | None:
        """Ask the directory for changes of this identity, and obey what it shows; who it is now,
        when it was handed on."""
        await self._look_for_end(fingerprint, is_asked_for=is_asked_for)
        return await self._look_for_heir(fingerprint)

    async def _look_for_end(self, fingerprint: Fingerprint, *, is_asked_for: bool) -> None:
        known = await self._database.read(lambda sql: changes.revocation(sql, fingerprint))
        above = -1 if known is None else known.sequence
        found = await self._find_change(REVOKE, fingerprint, above)
        if found is not None:
            await self._obeying.obey(found, is_asked_for=is_asked_for)

    async def _look_for_heir(self, fingerprint: Fingerprint) -> Fingerprint | None:
        """Follow this identity's rotation, and the next one's, to whoever has a record now."""
        found: list[RotateRecord] = []
        record, at = None, fingerprint
        while record is None and len(found) < CHAIN_MAX:
            octets = await self._find_change(ROTATE, at, -1)
            if octets is None:
                break
            found.append(read_rotate(octets, at))
            at = found[-1].new.fingerprint
            record = await self._find_own(at)
        if not found:
            return None
        await self._obeying.follow(found, record)
        return at

    async def _look(self) -> bool:
        """Look for changes of all who were not looked for since yesterday, oldest look first;
        whether all of them were."""
        for fingerprint in await self._database.read(self._due):
            if not self._is_joined():
                return False
            await self._look_for(fingerprint)
        return True

    async def _look_for(self, fingerprint: Fingerprint) -> None:
        try:
            await self.look_up(fingerprint)
            if fingerprint == self._keyring.fingerprint:
                await self._look_for_ourselves()
            else:
                await self._look_for_record(fingerprint)
        except PeerMisbehaved as error:
            log.warning("what the directory showed is not a change: %s", error)
        except TemporaryFailure:
            raise
        except Exception:  # strangers' answers are not worth the node: a doorstep (A7)
            log.exception("looking for changes failed")
        now = self._clock.now()
        await self._database.run(lambda sql: changes.looked(sql, fingerprint, now))

    def _due(self, sql: Sql) -> list[Fingerprint]:
        last = changes.last_looked(sql)
        whom = [self._keyring.fingerprint, *(one.fingerprint for one in people.contacts(sql))]
        limit = self._clock.now() - LOOK_SECONDS
        due = [one for one in whom if not limit < last.get(one, 0.0) <= self._clock.now()]
        return sorted(due, key=lambda one: (last.get(one, 0.0), one))

    async def _look_for_record(self, fingerprint: Fingerprint) -> None:
        """Whose device was revoked has another one by now, perhaps."""

        def lost(sql: Sql) -> int | None:
            person = people.contact(sql, fingerprint)
            if person is None:
                return None
            device = person.record.certificate.device
            return None if revoked.speaks(sql, fingerprint, device) else person.record.sequence

        sequence = await self._database.read(lost)
        if sequence is None:
            return
        record = await self._find_person(fingerprint, sequence)
        if record is not None:
            await self.learn(record, self._clock.now())

    async def learn(self, record: PersonRecord, now: Instant) -> None:
        """Keep a contact's newer record; what waits for them is due."""

        def work(sql: Sql) -> None:
            if people.learn(sql, record, now):
                queue.wake(sql, record.fingerprint, now)

        await self._database.run(work)
        self._on_news()

    async def _ask_why(self) -> None:
        """Have those who call our device revoked show the record, which we believe if it is one."""
        asked, self._ask = list(self._ask.values()), {}
        for place in asked:
            try:
                found = await self._client.find_changes(place, self._keyring.fingerprint)
                await self._obeying.hear(found)
            except (TemporaryFailure, PeerMisbehaved) as error:
                log.info("not told why: %s", error, extra={"peer": short(place.peer)})


def _who_knows_us(sql: Sql) -> list[Contact]:
    """The nodes of contacts, helpers and holders, each once."""
    found = {row.peer: row.contact for row in helpers.helpers(sql) if not row.refusal}
    for person in people.contacts(sql):
        if not person.blocked:
            found |= {one.peer: one for one in person.record.contacts}
    for drop in people.my_drops(sql):
        holder = rented.holder_of(sql, drop) if drop.agreed else None
        if holder is not None:
            found.setdefault(holder.peer, holder)
    for record, _ in changes.own_seen(sql):
        for held in record.drops:  # for the lost device: contacts of ours whom we may not know
            found.setdefault(held.contact.peer, held.contact)
    return list(found.values())
