"""Our own revocations and rotations: publish them, tell those who know us; and look for those of
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
from postroad.delivery.own_devices import OwnDevices
from postroad.peers.client import Client
from postroad.protocol.identity_records import (
    REVOKE,
    ROTATE,
    RevokeRecord,
    RotateRecord,
    read_revoke,
    read_rotate,
    sign_rotate,
)
from postroad.protocol.records import PersonRecord, next_sequence
from postroad.store import changes, people, queue, revoked, rotations
from postroad.store.database import Database, Sql
from postroad.store.keyring import OwnKeys
from postroad.timeouts import timeout

log = logging.getLogger(__name__)
LOOK_SECONDS = 20 * limits.HOUR  # between two looks for changes of one person: within a day
RENEW_SECONDS = 30 * limits.DAY  # before its end a rotation of ours is signed afresh
STRANGER_SECONDS = (
    0.5  # after a stranger's record was found: that they changed is shown as fast, and
)
# that they did not only by the silence of all who could know it
ROUND_SECONDS = 1 * limits.HOUR
AGAIN_SECONDS = 1 * limits.MINUTE  # after a round that left somebody untold; then twice as long


FindChange = Callable[[int, Fingerprint, int], Awaitable[bytes | None]]
FindPerson = Callable[[Fingerprint, int], Awaitable[PersonRecord | None]]


@dataclass(frozen=True, slots=True)
class Owed:
    """A change of ours that others should know."""

    kind: int
    fingerprint: Fingerprint
    sequence: int
    octets: bytes
    person: bytes | None = None  # of the heir


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
        own_devices: OwnDevices,
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
        self._own_devices = own_devices
        self._find_change = find_change
        self._find_person = find_person
        self._find_own = find_own
        self._is_joined = is_joined
        self._on_news = on_news
        self._wake = asyncio.Event()
        self.make_record: Callable[[], Awaitable[object]]  # set by the composition root
        self._ask: dict[PeerId, Contact] = {}  # who said that our device was revoked
        self._ask_of_them: dict[PeerId, Contact] = {}  # who said that they have ended
        self._tried: dict[PeerId, float] = {}  # when those who ended were told in vain, elapsed
        self._found: dict[Fingerprint, tuple[Contact, ...]] = {}  # where strangers who ended were

    def wake(self) -> None:
        """There is something to tell, or to look for."""
        self._wake.set()

    def refused(self, by: Contact) -> None:
        """A node said that our device was revoked: it can show us why."""
        if len(self._ask) < limits.LINKS_MAX:
            self._ask[by.peer] = by
            self._wake.set()

    def has_ended(self, by: Contact) -> None:
        """A node said that it speaks for its person no more: it can show us why."""
        if len(self._ask_of_them) < limits.LINKS_MAX:
            self._ask_of_them[by.peer] = by
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
                async with timeout(seconds * (0.75 + self._entropy.uniform() / 2)):
                    await self._wake.wait()
                    again = AGAIN_SECONDS
            except TimeoutError:
                continue

    # Our own

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
        places = await self._where(whose)
        await self._obeying.obey(record, is_asked_for=True)
        self._found[whose] = places
        self._on_news()
        return whose

    async def _where(self, whose: Fingerprint) -> tuple[Contact, ...]:
        """Where the nodes of somebody are who is no contact, as far as the directory knows."""
        if whose in self._keyring.fingerprints:
            return ()
        try:
            async with timeout(limits.LOOK_UP_SECONDS_MAX):
                record = await self._find_own(whose)
        except (TimeoutError, TemporaryFailure, PeerMisbehaved) as error:
            log.info("who is revoked was not found: %s", error)
            return ()
        return () if record is None else record.contacts

    async def rotate(self, entropy: bytes) -> None:
        """Be another identity from now on; whoever knows us is told, now or when they come."""
        await self._keyring.hand_on(entropy, self._clock.now())
        log.warning("identity rotated")
        await self.make_record()  # who is told of the new identity is shown its record
        self._on_news()

    async def sign_rotations(self) -> None:
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

    def owed(self, sql: Sql) -> list[Owed]:
        """All that others should know of us, in the order in which it happened."""
        owed = []
        for old, new in self._keyring.rotations():
            whose = old.public.fingerprint
            rotated = changes.rotation(sql, whose)
            person = people.kept_record(sql, new.public.fingerprint)
            if rotated is not None and person is not None:
                # Signed afresh it says nothing new to whom it was told.
                owed.append(Owed(ROTATE, whose, 0, encode(rotated), person))
        mine = self._keyring.fingerprint
        last = changes.revocation(sql, mine)
        if last is not None:
            owed.append(Owed(REVOKE, mine, last.sequence, encode(last)))
        return owed

    async def settle(self) -> bool:
        """Tell our changes to those who do not know them yet; whether all do now."""
        await self.sign_rotations()
        untold = await self._database.read(self._untold)
        by_place: dict[Contact, list[Owed]] = {}
        for place, change in untold:
            by_place.setdefault(place, []).append(change)
        answers = await asyncio.gather(*(self._tell_all(*one) for one in by_place.items()))
        await self._tell_those_who_ended()
        return all(answers)

    async def _tell_those_who_ended(self) -> None:
        """Their own nodes should stop, and say so to their owners. Whoever is off hears it when
        they come; they are looked for once a day."""
        now = self._clock.elapsed()
        untold = [
            (place, change)
            for place, change in await self._database.read(self._untold_of_themselves)
            if now - self._tried.get(place.peer, -LOOK_SECONDS) >= LOOK_SECONDS
        ]
        self._tried |= {place.peer: now for place, _ in untold}
        await asyncio.gather(*(self._tell(*one) for one in untold))

    def _untold_of_themselves(self, sql: Sql) -> list[tuple[Contact, Owed]]:
        return [
            (place, Owed(REVOKE, whose, last.sequence, encode(last)))
            for whose, last in changes.ended(sql, self._keyring.fingerprints)
            for told in [changes.told(sql, whose, REVOKE, last.sequence)]
            for place in (*changes.nodes_of(sql, whose), *self._found.get(whose, ()))
            if place.peer not in told and not revoked.speaks(sql, whose, place.peer)
        ]

    async def _tell_all(self, place: Contact, owed: Sequence[Owed]) -> bool:
        """One after the other: the second rotation means nothing to who has not heard the first."""
        for change in owed:
            if not await self._tell(place, change):
                return False
        return True

    def _untold(self, sql: Sql) -> list[tuple[Contact, Owed]]:
        """Whom we owe which word, as far as we know where they are."""
        owed = self.owed(sql)
        places = changes.who_knows_us(sql) if owed else []
        return [
            (place, change)
            for change in owed
            for told in [changes.told(sql, change.fingerprint, change.kind, change.sequence)]
            for place in places
            if place.peer not in told
        ]

    async def _tell(self, place: Contact, change: Owed) -> bool:
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

        untold = await self._database.read(
            lambda sql: [*self._untold(sql), *self._untold_of_themselves(sql)]
        )
        if any(place.peer == seen.peer for place, _ in untold):
            self._tried.pop(seen.peer, None)
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
        while record is None and len(found) < rotations.CHAIN_MAX:
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
                await self._own_devices.look()
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
        asked, self._ask_of_them = list(self._ask_of_them.values()), {}
        for place in asked:
            await self._ask_why_of(place)

    async def _ask_why_of(self, place: Contact) -> None:
        person = await self._database.read(lambda sql: people.at_device(sql, place.peer))
        if person is None:
            return
        try:
            await self._obeying.hear(await self._client.find_changes(place, person.fingerprint))
        except (TemporaryFailure, PeerMisbehaved) as error:
            log.info("not told why: %s", error, extra={"peer": short(place.peer)})
