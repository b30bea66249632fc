"""Contacts on the same local network: found by their tags, and visited.

Purpose: two computers on one cable or one Wi-Fi reach each other directly, whatever their records
say of their addresses, also where there is no internet. Whoever is found is dialled once; the link
proves who they are, and wakes all that waits for them, as any link does.
Invariants: a tag is only a hint, which anybody may repeat: nobody is dialled who is no contact, and
nobody more than once a minute because of it.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, TemporaryFailure
from postroad.base.ids import Instant, PeerId
from postroad.base.seams import Clock, Lan, Neighbour
from postroad.peers.client import Client
from postroad.peers.sightings import Sightings
from postroad.protocol.neighbourhood import day_of, next_day, tag, tags
from postroad.store import people
from postroad.store.database import Database, Sql
from postroad.timeouts import timeout

log = logging.getLogger(__name__)
VISIT_AGAIN_SECONDS = 60.0
GIVE_WAY_SECONDS = 2.0  # two who see each other at once need one link, not two
SETTLE_SECONDS = 5.0  # contacts may change many at a time


class Neighbours:
    """Run `run` for as long as the node is on the network."""

    def __init__(
        self,
        database: Database,
        client: Client,
        sightings: Sightings,
        clock: Clock,
        lan: Lan,
        port: Callable[[], int],
    ) -> None:
        self._database = database
        self._client = client
        self._sightings = sightings
        self._clock = clock
        self._lan = lan
        self._port = port
        self._known: dict[bytes, PeerId] = {}
        self._visited: dict[PeerId, float] = {}
        self._new: set[PeerId] = set()
        self._wake = asyncio.Event()
        self._met = asyncio.Event()
        self._wanted = asyncio.Event()
        self._wanted.set()

    def want(self, wanted: bool) -> None:
        """Whether to call and listen at all: the owner may change their mind."""
        if wanted:
            self._wanted.set()
        else:
            self._wanted.clear()
            self._met.set()  # to look at it

    def met(self) -> None:
        """Somebody became a contact: perhaps one who was heard before, and not known."""
        self._met.set()

    async def run(self) -> None:
        while True:
            await self._wanted.wait()
            self._met.clear()
            self._known = await self._database.read(self._tags)
            try:
                await self._until_tags_are_others()
            finally:
                self._sightings.clear()

    async def _until_tags_are_others(self) -> None:
        """Call and listen until it is another day, or contacts have other devices."""
        day = day_of(self._clock.now())
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(
                self._lan.serve(
                    tag(self._client.me, day), self._port, self._known.__contains__, self._heard
                ),
                name="local network",
            )
            visiting = tasks.create_task(self._visit_all(), name="visit neighbours")
            while day_of(self._clock.now()) == day:
                await self._wait_for_somebody()
                if not self._wanted.is_set():
                    break
                if await self._database.read(self._tags) != self._known:
                    break
            serving.cancel()
            visiting.cancel()

    async def _wait_for_somebody(self) -> None:
        """Until somebody became a contact, or the day is over; an hour at most: the loop's clock
        stands still while a computer sleeps."""
        now = self._clock.now()
        with suppress(TimeoutError):
            async with timeout(min(next_day(now) - now + 1, limits.HOUR)):
                await self._met.wait()
                if not self._wanted.is_set():
                    return
                await asyncio.sleep(SETTLE_SECONDS)
        self._met.clear()

    def _tags(self, sql: Sql) -> dict[bytes, PeerId]:
        day = day_of(self._clock.now())
        return {
            shown: contact.peer
            for person in people.contacts(sql)
            if not person.blocked
            for contact in person.record.contacts
            for shown in tags(contact.peer, day)
        }

    def _heard(self, neighbour: Neighbour) -> None:
        peer = self._known.get(neighbour.tag)
        if peer is None:
            return
        if not neighbour.addresses:
            self._sightings.forget(peer)
            return
        if self._sightings.note(peer, neighbour.addresses):
            self._new.add(peer)
            self._wake.set()

    async def _visit_all(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._wake.wait()
                self._wake.clear()
                new, self._new = self._new, set()
                now = self._clock.elapsed()
                for peer in new:
                    if now - self._visited.get(peer, -VISIT_AGAIN_SECONDS) >= VISIT_AGAIN_SECONDS:
                        self._visited[peer] = now
                        tasks.create_task(self._visit(peer), name="visit neighbour")

    async def _visit(self, peer: PeerId) -> None:
        """Make a link to them, over which we ask for their newest record."""
        if peer < self._client.me:
            await asyncio.sleep(GIVE_WAY_SECONDS)
        try:
            person = await self._database.read(lambda sql: people.at_device(sql, peer))
            if person is None or self._client.is_linked(peer):
                return
            contact = next(one for one in person.record.contacts if one.peer == peer)
            record = await self._client.find_record(contact, person.fingerprint)
            now = Instant(self._clock.now())

            def work(sql: Sql) -> None:
                people.learn(sql, record, now)
                people.keep_record(sql, record, now)

            await self._database.run(work)
            log.info("a contact is on the local network")
        except (TemporaryFailure, PeerMisbehaved, StopIteration) as error:
            log.info("a neighbour was not reached: %s", error)
