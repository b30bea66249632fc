"""Know how we are reached, and be reachable: outside addresses, dial-back, the home relay.

Purpose: ask contacts where they see us when a link to them is there anyhow, wait at the relay that
is nearest, notice when it is gone, when the network is another one or the machine slept, and settle
what others are told (`here`). Nothing is asked again and again: in a settled network it is silent.
Invariants: only contacts are asked, believed and served; nobody makes us send to an address that
they named: we knock only where we see them (promise A4), and seldom; what changes quickly is told
ever more slowly.
See: protocol/reach.py for what is concluded. Longer than 400 lines, because what is asked, answered
and told share one state.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from math import inf
from statistics import median
from typing import Any

from postroad.base import limits
from postroad.base.errors import LinkClosed, PeerMisbehaved, TemporaryFailure
from postroad.base.ids import Contact, HostPort, PeerId, Relay, short
from postroad.base.seams import Endpoint, Path
from postroad.peers.client import Client
from postroad.peers.exchange import Answer, Refused
from postroad.peers.home_relay import HomeRelay
from postroad.peers.knocker import Knocker
from postroad.peers.link import Links
from postroad.peers.surroundings import Surroundings
from postroad.peers.timekeeper import Timekeeper
from postroad.protocol import netcheck, reach, wire
from postroad.protocol.dialable import is_public
from postroad.protocol.reach import Knock, Observation, Picture
from postroad.timeouts import timeout

log = logging.getLogger(__name__)

WITNESSES_WANTED = 3  # who saw us; then nobody is asked
ASK_AGAIN_SECONDS = 30 * limits.MINUTE  # the same peer; behind a NAT also somebody
ASK_AGAIN_SECONDS_MIN = 1 * limits.MINUTE  # when peers contradict each other
NOT_KNOWN_SECONDS = (0.5, 2.0, 8.0)  # until we ask again whoever does not know us
ASKING_MAX = 4
MEETINGS_OFTEN, MEETING_SECONDS = 10, 10 * limits.MINUTE
CHECKED_MAX = 8  # contacts' nodes that a check tries
PINGS = 3  # after a first one, which finds the way
SLEPT_SECONDS = 5.0  # of suspend that count as a sleep
LINKS_DIE_SECONDS = 25.0  # of suspend, after which the other sides have given our links up
SETTLE_SECONDS = (0.5, 4.0)  # after a change the addresses are looked at, and once more
RELAY_GRACE_SECONDS = 10.0  # without a relay before others hear that we have none


class Reach:
    """Run `run` for as long as the node is on the network."""

    def __init__(
        self,
        endpoint: Endpoint,
        links: Links,
        client: Client,
        clock: Timekeeper,
        around: Surroundings,
    ) -> None:
        self._endpoint = endpoint
        self._links = links
        self._client = client
        self._clock = clock
        self._around = around
        self._here = Contact(endpoint.me)
        self._announced: deque[float] = deque(maxlen=64)
        self._observations: deque[Observation] = deque(maxlen=limits.OBSERVATIONS_MAX)
        self._knocks: dict[tuple[PeerId, HostPort], Knock] = {}
        self._udp_tried: dict[PeerId, tuple[bool, bool]] = {}
        self._asked_at: dict[PeerId, float] = {}
        self._asking: set[PeerId] = set()
        self._own: tuple[HostPort, ...] = ()
        self._outside: tuple[HostPort, ...] = ()
        self._remembered: tuple[HostPort, ...] = ()  # outside addresses of an earlier run
        self._meetings = 0  # tries to meet others at full minutes, since we are here
        self._look_again = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._home = HomeRelay(endpoint, clock, around, self._own_relay, self._look_again.set)
        self._knocker = Knocker(endpoint, clock, around)
        self.answers: Mapping[type[wire.Message], Answer] = self._knocker.answers

    @property
    def here(self) -> Contact:
        """Where others are told to find us."""
        return self._here

    def at_this_moment(self) -> Contact:
        """Where we are reached at this moment, which others may not have been told yet."""
        picture = self.picture()
        seen = {one.address.ip.version for one in picture.outside}
        unseen = [at for at in self._remembered if at.ip.version not in seen]
        own = [at for at in self._endpoint.addresses() if at in self._own]
        addresses = reach.best_first(picture, (*unseen, *own))
        return Contact(self._endpoint.me, addresses, self._home.relay)

    async def helpers(self) -> Sequence[Contact]:
        """The helpers that serve us."""
        return await self._around.helpers()

    @property
    def relay(self) -> Relay | None:
        """Where we wait for those who cannot reach us directly."""
        return self._home.relay

    @property
    def relay_seconds(self) -> float | None:
        """How long it took to answer when it was chosen."""
        return self._home.seconds

    @property
    def clock_error(self) -> float | None:
        """By how much our clock is wrong, if most contacts say so."""
        return reach.clock_error(self._clock.errors())

    @property
    def own(self) -> tuple[HostPort, ...]:
        """The addresses of this machine itself."""
        return self._own

    def picture(self) -> Picture:
        """What is known now."""
        return reach.look(
            self._observations,
            list(self._knocks.values()),
            self._own,
            self._udp_tried.values(),
        )

    async def begin(self) -> None:
        """The endpoint was opened. What others were told in this very place stands until we know
        better, so that a restart is no news to anybody."""
        self._forget()
        self._home.begin()
        self._own = self._endpoint.addresses()
        last = self._around.last(self._own)
        known = () if last is None else last.addresses
        self._remembered = tuple(at for at in known if at not in self._own)
        self._outside = ()
        await self._settle()
        self._here = last or self.at_this_moment()

    async def run(self) -> None:
        self._home.check()
        self._look_again.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                tasks.create_task(self._listen(), name="changes of network")
                tasks.create_task(self._home.run(), name="home relay")
                tasks.create_task(self._announce(), name="announce")
                tasks.create_task(self._meet(), name="both at once")
        finally:
            self._tasks = None

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        if self._tasks is None:
            work.close()
        else:
            self._tasks.create_task(work, name=name)

    # What peers see

    async def peer_linked(self, peer: PeerId) -> None:
        """A link to a contact is there: perhaps ask where it sees us."""
        if self._wants(peer):
            self._asking.add(peer)
            self._start(self._ask(peer), f"ask {short(peer)}")
        await self._home.check_offers()  # in its newest record

    def _wants(self, peer: PeerId) -> bool:
        if len(self._asking) >= ASKING_MAX or peer in self._asking or self._tasks is None:
            return False
        now = self._clock.elapsed()
        direct = {one.by: one for one in self._observations if one.address is not None}
        is_contradicted = reach.is_contradicted(self._observations, self._own)
        since = now - self._asked_at.get(peer, -inf)
        if since < (ASK_AGAIN_SECONDS_MIN if is_contradicted else ASK_AGAIN_SECONDS):
            return False
        if is_contradicted or (peer not in direct and len(direct) < WITNESSES_WANTED):
            return True
        if self._clock.wants_voice(peer):
            return True
        last = max(direct.values(), key=lambda one: one.at, default=None)
        # A router may get another address while ours stays: one word now and then shows it.
        is_mapped = last is not None and last.address not in self._own
        return last is not None and is_mapped and now - last.at > ASK_AGAIN_SECONDS

    async def _ask(self, peer: PeerId) -> None:
        """One contact's word; whatever goes wrong costs nothing but the word."""
        self._asked_at[peer] = self._clock.elapsed()
        try:
            for seconds in NOT_KNOWN_SECONDS:
                try:
                    await self._ask_once(peer)
                    return
                except Refused as error:  # they may not have heard yet that we are their contact
                    log.info("a peer says: %s", error, extra={"peer": short(peer)})
                    await asyncio.sleep(seconds)
                    if not self._links.is_linked(peer):
                        self._asked_at.pop(peer, None)
                        return
        except (TemporaryFailure, PeerMisbehaved) as error:
            log.info("a peer did not say where it sees us: %s", error, extra={"peer": short(peer)})
        finally:
            self._asking.discard(peer)

    async def _ask_once(self, peer: PeerId) -> None:
        """Over the link at hand: it never dials."""
        seen_at = await self._ask_who(Contact(peer))
        await self._settle()
        if None in [one.is_open for one in self.picture().outside if one.address == seen_at]:
            await self._ask_dial_back(peer)
            await self._settle()

    async def _ask_who(self, contact: Contact) -> HostPort | None:
        seen, path = await self._client.who(contact)
        peer = contact.peer
        address = seen.seen_at
        now = self._clock.elapsed()
        self._observations.append(Observation(peer, path.address, address, now))
        if seen.relay_port is not None and path.address is not None:
            port = int.from_bytes(seen.relay_port, "big")
            self._home.take_offer(Relay(peer, HostPort(path.address.host, port)))
        return address

    async def _ask_dial_back(self, peer: PeerId) -> None:
        port = self._around.relay_port()
        answer = await self._client.dial_back(Contact(peer), port)
        at = answer.knocked_at
        tcp = None if port is None else answer.by_tcp
        self._knocks[peer, at] = Knock(at, answer.by_udp, tcp)
        while len(self._knocks) > limits.OBSERVATIONS_MAX:
            self._knocks.pop(next(iter(self._knocks)))
        log.info("a peer knocked: %s", "open" if answer.by_udp else "no way in")

    async def _settle(self) -> None:
        """Use what the picture says now."""
        outside = tuple(at for at in self.at_this_moment().addresses if at not in self._own)
        if outside != self._outside:
            self._outside = (*self._outside, *outside)  # until it returns, either may be told
            await self._endpoint.set_outside(outside)
            self._outside = outside
        if self._own_relay() not in (None, self._home.relay):
            self._home.check()
        self._look_again.set()

    # What we tell others

    async def _announce(self) -> None:
        while True:
            await self._look_again.wait()
            pause = reach.announce_pause(self._announced, self._clock.elapsed())
            await asyncio.sleep(pause)
            if (
                self._here.relay is not None
                and self._home.relay is None
                and not self._home.is_content
            ):
                await asyncio.sleep(RELAY_GRACE_SECONDS)  # it may be back soon, or another found
            self._look_again.clear()
            now = self.at_this_moment()
            if now != self._here:
                self._here = now
                self._announced.append(self._clock.elapsed())
                log.info("others are told new ways to reach us")
                log.debug("reached at %s", now)
                await self._around.keep(self._own, now)
                self._around.announce()

    # Changes

    async def _listen(self) -> None:
        time = asyncio.get_running_loop().time
        slept_before = self._clock.elapsed() - time()
        while True:
            try:
                await self._endpoint.changed()
            except LinkClosed:  # then the node is stopping, or pausing
                await asyncio.Event().wait()
            self._clock.judgement()  # the wall clock may have been set
            slept = self._clock.elapsed() - time() - slept_before
            slept_before += slept
            if slept > LINKS_DIE_SECONDS:
                self._links.drop()
            if slept > SLEPT_SECONDS:
                log.info("slept for %d s", slept)
                await self._move()
            if self._home.relay is not None:
                self._home.check()  # the trouble may be with it
            for seconds in SETTLE_SECONDS:
                await asyncio.sleep(seconds)
                own = tuple(at for at in self._endpoint.addresses() if at not in self._outside)
                if set(own) != set(self._own):
                    log.info("the addresses of this machine have changed")
                    self._own = own
                    self._remembered = ()
                    await self._move()
            if slept > SLEPT_SECONDS:
                self._home.check()  # the network may be back now

    async def _move(self) -> None:
        """We are somewhere else: what was known of the ways to us is not worth much."""
        self._forget()
        await self._settle()
        await self._around.moved()
        for peer in self._links.linked():
            if await self._around.is_contact(peer):
                await self.peer_linked(peer)
        self._home.check(moved=True)

    def _forget(self) -> None:
        self._observations.clear()
        self._knocks.clear()
        self._udp_tried.clear()
        self._asked_at.clear()
        self._meetings = 0

    # Two NATs and nobody else

    async def _meet(self) -> None:
        """Dial those whom nobody can bring to us, at the full minutes, as they dial us: then each
        router lets in whom its own side has just written to. That holds for 30 s at least, so the
        clocks need not agree. Often for some minutes after a change, later at each tenth minute."""
        while True:
            period = limits.MINUTE if self._meetings < MEETINGS_OFTEN else MEETING_SECONDS
            self._meetings += 1
            await asyncio.sleep(period - self._clock.now() % period)
            if self._home.relay is not None or self.picture().is_open:
                continue
            alone = [
                one
                for one in await self._around.contacts()
                if one.relay is None
                and any(map(is_public, one.addresses))
                and not self._links.is_linked(one.peer)
            ]
            await asyncio.gather(*map(self._greet, alone[:CHECKED_MAX]))

    async def _greet(self, contact: Contact) -> None:
        with suppress(TemporaryFailure, PeerMisbehaved):
            await self._client.who(contact)

    def _own_relay(self) -> Relay | None:
        """Our own, when a peer has reached it from outside, or it is there for this."""
        if (named := self._around.own_relay()) is not None:
            return named
        port, picture = self._around.relay_port(), self.picture()
        if port is None or not picture.relay_is_open or not picture.outside:
            return None
        return Relay(self._endpoint.me, HostPort(picture.outside[0].address.host, port))

    def met(self) -> None:
        """Somebody became a contact, or a helper of ours: perhaps they relay."""
        self._home.check()

    def doubt_relay(self) -> None:
        """Somebody could not be reached: is our relay still there?"""
        self._home.doubt()

    # What the owner asks

    async def check(self) -> tuple[int, int]:
        """Ask everybody, and knock at those who should be open; how many contacts' nodes there
        are, and how many of them answered. Ends within `limits.CHECK_SECONDS_MAX`."""
        contacts = list(await self._around.contacts())
        # Those at hand first, then the others; more than some would be no news.
        contacts.sort(key=lambda one: not self._links.is_linked(one.peer))
        asked = contacts[:CHECKED_MAX]
        answered: set[PeerId] = set()

        async def ask(contact: Contact) -> None:
            with suppress(TemporaryFailure, PeerMisbehaved):
                seen_at = await self._ask_who(contact)
                answered.add(contact.peer)
                if seen_at is not None and (contact.peer, seen_at) not in self._knocks:
                    await self._ask_dial_back(contact.peer)

        async def knock(contact: Contact, relay: Relay) -> None:
            tries = [self._knocker.answers_at(at) for at in contact.addresses[:2]]
            tcp, *udp = await asyncio.gather(self._knocker.relays_at(relay), *tries)
            if tries:
                self._udp_tried[contact.peer] = (any(udp), tcp)

        with suppress(TimeoutError):
            async with timeout(limits.CHECK_SECONDS_MAX), asyncio.TaskGroup() as tasks:
                for one in asked:
                    tasks.create_task(ask(one), name="check")
                for one in [*await self._around.helpers(), *contacts][:CHECKED_MAX]:
                    if one.relay is not None and one.relay.peer == one.peer:
                        tasks.create_task(knock(one, one.relay), name="check")
        await self._settle()
        return len(contacts), len(answered)

    async def ping(self, contact: Contact) -> tuple[Path, float]:
        """How packets go to this node, and the median time of some exchanges, in seconds.

        Raises TemporaryFailure or PeerMisbehaved."""
        time = asyncio.get_running_loop().time
        _, path = await self._client.who(contact)
        times = []
        for _ in range(PINGS):
            began = time()
            _, path = await self._client.who(contact)
            times.append(time() - began)
        return path, median(times)

    def why_not_met(self, them: Sequence[Contact]) -> str:
        """What may stand between us and nodes that do not answer, and what will do; perhaps ""."""
        picture = self.picture()
        return netcheck.why_not_met(picture, self._home.relay, them, picture.udp is not False)
