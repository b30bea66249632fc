"""Pass the word: a peer was seen, or a drop that we hold got a letter.

Purpose: nobody waits for a timer when somebody could have told them. When we come on, our contacts
see us. The owner of a drop who was seen lately is told again and again, until the time at which
they look by themselves: they are on, and rely on it (`receiver`). Others look when they come back.
Whoever comes again and again, and does not see us come, gets a visit after their link is closed:
then they know that we can tell them, and look seldom.
Invariants: `Links` and `Holder` call in without waiting; the queues are bounded by the number of
peers and drops.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, PostroadError, TemporaryFailure
from postroad.base.ids import Contact, DropId, Fingerprint, Instant, PeerId, short
from postroad.base.seams import Clock
from postroad.peers.client import Client
from postroad.store import held, people, rented, renters
from postroad.store.database import Database, Sql

log = logging.getLogger(__name__)
GREETED_AT_ONCE, GREETED_MAX = 8, 256  # contacts' devices, when we come on


@dataclass(frozen=True, slots=True)
class Sighting:
    """A node proved itself just now: a contact's, or, without a `fingerprint`, one that holds for
    us or that rents here. `came`: it came to us, perhaps from far away."""

    peer: PeerId
    fingerprint: Fingerprint | None
    at: Instant
    came: bool


OnSeen = Callable[[Sighting], Awaitable[None]]


class Herald:
    """Run `run` for as long as the node lives."""

    def __init__(
        self, database: Database, client: Client, clock: Clock, *, dial_private: bool = False
    ) -> None:
        self._database = database
        self._client = client
        self._clock = clock
        self._private = dial_private
        self._seen: dict[PeerId, bool] = {}
        self._news: dict[DropId, None] = {}
        self._telling: set[DropId] = set()
        self._comings: dict[PeerId, int] = {}  # of contacts' nodes, since they last saw us come
        self._visiting: set[PeerId] = set()
        self._unknown: deque[PeerId] = deque(maxlen=limits.LINKS_MAX)
        self._greets = False  # our contacts are due to be asked for the time
        self._wake = asyncio.Event()
        self.listeners: Sequence[OnSeen] = ()  # set by the composition root

    def peer_seen(self, peer: PeerId, came: bool) -> None:
        """This peer proved itself over a link, which it made (`came`) or we."""
        self._seen[peer] = came or self._seen.get(peer, False)
        self._wake.set()

    def met(self) -> None:
        """Somebody became a contact: perhaps one whose node was seen before."""
        for peer in self._unknown:
            self.peer_seen(peer, came=True)
        self._unknown.clear()

    def news(self, drop: DropId) -> None:
        """A letter was put into this drop."""
        self._news[drop] = None
        self._wake.set()

    def greet(self) -> None:
        """Ask our contacts what time it is: our clock was set."""
        self._greets = True
        self._wake.set()

    async def run(self) -> None:
        for drop in await self._database.read(held.drops_with_letters):
            self.news(drop)  # whoever was to be told before we stopped may not have been
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._greet(), name="greet")
            while True:
                await self._wake.wait()
                self._wake.clear()
                if self._greets:
                    self._greets = False
                    tasks.create_task(self._greet(even_linked=True), name="greet")
                seen, self._seen = self._seen, {}
                for peer, came in seen.items():
                    is_known = await self._pass_on(peer, came)
                    if is_known and self._owes_visit(peer, came) and peer not in self._visiting:
                        self._visiting.add(peer)
                        tasks.create_task(self._visit(peer), name=f"visit {short(peer)}")
                for drop in [drop for drop in self._news if drop not in self._telling]:
                    del self._news[drop]
                    self._telling.add(drop)
                    tasks.create_task(self._keep_telling(drop), name="tell owner")

    async def _greet(self, *, even_linked: bool = False) -> None:
        """Show ourselves to our contacts: a sender whose holders are off tries seldom, and brings
        at once what it has for us when it sees us come. In vain is no harm."""
        hands = asyncio.Semaphore(GREETED_AT_ONCE)

        async def one(device: Contact) -> None:
            async with hands:
                if even_linked or not self._client.is_linked(device.peer):
                    with suppress(TemporaryFailure, PeerMisbehaved):
                        await self._client.who(device)

        try:
            contacts = await self._database.read(people.contacts)
        except TemporaryFailure as error:
            log.warning("nobody was greeted: %s", error)
            return
        known = [person.record.contacts for person in contacts if not person.blocked]
        devices = [device for devices in known for device in devices]
        await asyncio.gather(*(one(device) for device in devices[:GREETED_MAX]))

    async def _pass_on(self, peer: PeerId, came: bool) -> bool:
        """Tell the listeners; whether it was a node that we know."""
        now = self._clock.now()

        def who(sql: Sql) -> tuple[Fingerprint | None, bool]:
            person = people.at_device(sql, peer)
            if person is not None:
                return person.fingerprint, True
            return None, rented.is_holder(sql, peer) or held.drop_of_device(sql, peer) is not None

        try:
            fingerprint, is_known = await self._database.read(who)
            if not is_known:
                self._unknown.append(peer)
                return False
            if fingerprint is None:
                await self._database.run(lambda sql: held.renter_seen(sql, peer, now))
            sighting = Sighting(peer, fingerprint, now, came)
            for listener in self.listeners:
                await listener(sighting)
            return True
        except PostroadError as error:
            log.warning("a peer's return was not passed on: %s", error)
        except Exception:  # the courtesy of one peer's return is not worth the node
            log.exception("a peer's return was not passed on")
        return False

    def _owes_visit(self, peer: PeerId, came: bool) -> bool:
        """At each second coming without our going in between: they may not have seen us yet, or
        have started anew since, or it was too long ago."""
        comings = self._comings.get(peer, 0) + 1 if came else 0
        self._comings[peer] = comings % 2
        return comings == 2

    async def _visit(self, peer: PeerId) -> None:
        """Show whoever rents here that we can reach them; in vain is no harm."""
        await asyncio.sleep(2 * limits.LINK_IDLE_SECONDS)
        try:
            drop = await self._database.read(lambda sql: _drop_of(sql, peer))
            if drop is not None and not self._client.is_linked(peer):
                await self._tell(drop)
        except PostroadError as error:
            log.info("no visit: %s", error)
        finally:
            self._visiting.discard(peer)

    async def _keep_telling(self, drop: DropId) -> None:
        """Tell until they know, or must have looked by themselves."""
        ends = self._clock.elapsed() + limits.TELL_SECONDS
        wait = limits.RETRY_SECONDS_FIRST
        try:
            while not await self._tell(drop) and self._clock.elapsed() + wait < ends:
                await asyncio.sleep(wait)
                wait = min(2 * wait, limits.RETRY_SECONDS_MAX)
        finally:
            self._telling.discard(drop)
            if drop in self._news:  # more came in the meantime
                self._wake.set()

    async def _tell(self, drop: DropId) -> bool:
        """Tell the drop's owner to look; True: they know, or need not be told again."""
        owner = None
        try:
            owner = await self._database.read(lambda sql: _owner(sql, drop, self._private))
            if owner is None:
                return True
            for device in owner.devices:
                await self._client.tell_news(device, drop)
            return True
        except (TemporaryFailure, PeerMisbehaved) as error:
            log.info("owner of a drop not told: %s", error)
        if owner is None:  # it is our own disk
            return False
        relies_on_us = limits.REACHED_SECONDS + limits.TELL_SECONDS
        return owner.seen_at < self._clock.now() - relies_on_us


@dataclass(frozen=True, slots=True)
class _Owner:
    devices: tuple[Contact, ...]
    seen_at: float


def _drop_of(sql: Sql, peer: PeerId) -> DropId | None:
    person = people.at_device(sql, peer)
    if person is not None:
        return held.newest_drop_of(sql, person.fingerprint)
    found = held.drop_of_device(sql, peer)
    return found.drop if found else None


def _owner(sql: Sql, drop: DropId, private: bool) -> _Owner | None:
    """Whoever rents the drop: a contact, or somebody whom one vouched for."""
    found = held.drop(sql, drop)
    record = renters.record_of(sql, found.fingerprint) if found else None
    if found is None or record is None:
        return None
    person = people.contact(sql, found.fingerprint)
    seen_at = person.seen_at if person else found.seen_at
    devices = renters.dialled_for(sql, found.fingerprint, record.contacts, private=private)
    return _Owner(tuple(devices), seen_at or 0.0)
