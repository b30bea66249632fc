"""Know how we are reached, and be reachable: outside addresses, dial-back, the home relay.

Purpose: ask contacts where they see us when a link to them is there anyhow, wait at the relay that
is nearest, notice when it is gone, when the network is another one or the machine slept, and settle
what others are told (`here`). Nothing is asked again and again: in a settled network it is silent.
Invariants: only contacts are asked, believed and served; nobody makes us send to an address that
they named: we knock only where we see them (promise A4), and seldom; what changes quickly is told
ever more slowly.
See: protocol/reach.py for what is concluded.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from statistics import median
from typing import Any

from postroad.base import limits
from postroad.base.errors import LinkClosed, PeerMisbehaved, TemporaryFailure, Unreachable
from postroad.base.ids import Contact, HostPort, PeerId, Relay, short
from postroad.base.seams import Clock, Endpoint, Path
from postroad.peers.client import Client
from postroad.peers.link import Answer, Exchange, Links, Refused
from postroad.protocol import netcheck, reach, wire, wire_reach
from postroad.protocol.reach import Knock, Observation, Picture

log = logging.getLogger(__name__)

WITNESSES_WANTED = 3  # who saw us; then nobody is asked
ASK_AGAIN_SECONDS = 30 * limits.MINUTE  # the same peer; behind a NAT also somebody
ASK_AGAIN_SECONDS_MIN = 1 * limits.MINUTE  # when peers contradict each other
NOT_KNOWN_SECONDS = (0.5, 2.0, 8.0)  # until we ask again whoever does not know us
ASKING_MAX = 4
CHECKED_MAX = 8  # contacts' nodes that a check tries
PINGS = 3  # after a first one, which finds the way
SLEPT_SECONDS = 5.0  # of suspend that count as a sleep
LINKS_DIE_SECONDS = 25.0  # of suspend, after which the other sides have given our links up
SETTLE_SECONDS = (0.5, 4.0)  # after a change the addresses are looked at, and once more
HOME_SECONDS_MAX = 3.0  # to be let in at a relay
RELAY_AGAIN_SECONDS_FIRST, RELAY_AGAIN_SECONDS_MAX = 5.0, 10 * limits.MINUTE
RELAY_DOUBT_SECONDS = 30.0  # between looks at it that others' silence causes
RELAY_GRACE_SECONDS = 10.0  # without a relay before others hear that we have none
RELAY_SHUNNED_SECONDS = 10 * limits.MINUTE  # after it failed us
KNOCKS_REMEMBERED_MAX = 256  # peers and addresses that had us knock lately


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What `Reach` needs to hear of the rest of the house."""

    is_contact: Callable[[PeerId], Awaitable[bool]]
    contacts: Callable[[], Awaitable[Sequence[Contact]]]  # the devices of all contacts
    helpers: Callable[[], Awaitable[Sequence[Contact]]]  # that serve us
    relay_port: Callable[[], int | None]  # where we relay ourselves
    own_relay: Callable[[], Relay | None]  # a relay of ours that needs no proof: a helper's
    last: Callable[[tuple[HostPort, ...]], Contact | None]  # told when we had these addresses
    keep: Callable[[tuple[HostPort, ...], Contact], Awaitable[None]]  # what is told from now on
    announce: Callable[[], None]  # `here` has changed
    moved: Callable[[], Awaitable[None]]  # the network is another one, or we slept


class Reach:
    """Run `run` for as long as the node is on the network."""

    def __init__(
        self, endpoint: Endpoint, links: Links, clock: Clock, surroundings: Surroundings
    ) -> None:
        self._endpoint = endpoint
        self._links = links
        self._client = Client(links)
        self._clock = clock
        self._around = surroundings
        self._here = Contact(endpoint.me)
        self._announced: deque[float] = deque(maxlen=64)
        self._observations: deque[Observation] = deque(maxlen=limits.OBSERVATIONS_MAX)
        self._knocks: dict[tuple[PeerId, HostPort], Knock] = {}
        self._udp_tried: dict[PeerId, tuple[bool, bool]] = {}
        self._clock_differences: dict[PeerId, float] = {}
        self._offers: dict[PeerId, Relay] = {}
        self._asked_at: dict[PeerId, float] = {}
        self._asking: set[PeerId] = set()
        self._own: tuple[HostPort, ...] = ()
        self._outside: tuple[HostPort, ...] = ()
        self._remembered: tuple[HostPort, ...] = ()  # outside addresses of an earlier run
        self._is_content = True  # with our relay, or with nobody who offers one
        self._relay: Relay | None = None  # where we wait
        self._relay_seconds: float | None = None
        self._relay_checked_at = -inf
        self._tried: set[Relay] = set()  # at the last choice
        self._shunned: dict[Relay, float] = {}
        self._served: dict[bytes, deque[float]] = {}
        self._check_relay = asyncio.Event()
        self._look_again = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self.answers: Mapping[type[wire.Message], Answer] = {
            wire_reach.Who: self._answer_who,
            wire_reach.DialBack: self._answer_dial_back,
        }

    @property
    def here(self) -> Contact:
        """Where others are told to find us."""
        return self._here

    def now(self) -> Contact:
        """Where we are reached at this moment, which others may not have been told yet."""
        picture = self.picture()
        seen = {reach.ip(one.address).version for one in picture.outside}
        unseen = [at for at in self._remembered if reach.ip(at).version not in seen]
        own = [at for at in self._endpoint.addresses() if at in self._own]
        addresses = reach.best_first(picture, (*unseen, *own))
        return Contact(self._endpoint.me, addresses, self._relay)

    async def helpers(self) -> Sequence[Contact]:
        """The helpers that serve us."""
        return await self._around.helpers()

    @property
    def relay(self) -> Relay | None:
        """Where we wait for those who cannot reach us directly."""
        return self._relay

    @property
    def relay_seconds(self) -> float | None:
        """How long it took to answer when it was chosen."""
        return self._relay_seconds

    @property
    def clock_error(self) -> float | None:
        """By how much our clock is wrong, if most contacts say so."""
        return reach.clock_error(list(self._clock_differences.values()))

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
        self._relay = self._relay_seconds = None
        self._own = self._endpoint.addresses()
        last = self._around.last(self._own)
        known = () if last is None else last.addresses
        self._remembered = tuple(at for at in known if at not in self._own)
        self._outside = ()
        await self._settle()
        self._here = last or self.now()

    async def run(self) -> None:
        self._check_relay.set()
        self._look_again.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                tasks.create_task(self._listen(), name="changes of network")
                tasks.create_task(self._keep_relay(), name="home relay")
                tasks.create_task(self._announce(), name="announce")
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
        if self._relay is None and not set(await self._offered()) <= self._tried:
            self._check_relay.set()  # its newest record offers one

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
        self._clock_differences[peer] = self._clock.now() - seen.now
        while len(self._clock_differences) > limits.OBSERVATIONS_MAX:
            self._clock_differences.pop(next(iter(self._clock_differences)))
        if seen.relay_port is not None and path.address is not None:
            port = int.from_bytes(seen.relay_port, "big")
            self._take_offer(Relay(peer, HostPort(path.address.host, port)))
        return address

    def _take_offer(self, relay: Relay) -> None:
        """A contact relays for us at the address where we see it."""
        if not _may_use(relay) or self._offers.get(relay.peer) == relay:
            return
        self._offers[relay.peer] = relay
        while len(self._offers) > limits.RELAYS_TRIED_MAX:
            self._offers.pop(next(iter(self._offers)))
        if self._relay is None:
            self._check_relay.set()

    async def _ask_dial_back(self, peer: PeerId) -> None:
        port = self._around.relay_port()
        answer = await self._client.dial_back(Contact(peer), port)
        at = answer.knocked_at
        tcp = None if port is None else bool(answer.by_tcp)
        self._knocks[peer, at] = Knock(at, bool(answer.by_udp), tcp)
        while len(self._knocks) > limits.OBSERVATIONS_MAX:
            self._knocks.pop(next(iter(self._knocks)))
        log.info("a peer knocked: %s", "open" if answer.by_udp else "no way in")

    async def _settle(self) -> None:
        """Use what the picture says now."""
        outside = tuple(at for at in self.now().addresses if at not in self._own)
        if outside != self._outside:
            self._outside = outside
            await self._endpoint.set_outside(outside)
        if self._own_relay() is not None and self._relay is None:
            self._check_relay.set()
        self._look_again.set()

    # What we tell others

    async def _announce(self) -> None:
        while True:
            await self._look_again.wait()
            pause = reach.announce_pause(self._announced, self._clock.elapsed())
            await asyncio.sleep(pause)
            if self._here.relay is not None and self._relay is None and not self._is_content:
                await asyncio.sleep(RELAY_GRACE_SECONDS)  # it may be back soon, or another found
            self._look_again.clear()
            now = self.now()
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
            slept = self._clock.elapsed() - time() - slept_before
            slept_before += slept
            if slept > LINKS_DIE_SECONDS:
                self._links.drop()
            if slept > SLEPT_SECONDS:
                log.info("slept for %d s", slept)
                await self._move()
            for seconds in SETTLE_SECONDS:
                await asyncio.sleep(seconds)
                own = tuple(at for at in self._endpoint.addresses() if at not in self._outside)
                if set(own) != set(self._own):
                    log.info("the addresses of this machine have changed")
                    self._own = own
                    self._remembered = ()
                    await self._move()
            if self._relay is not None or slept > SLEPT_SECONDS:
                self._check_relay.set()

    async def _move(self) -> None:
        """We are somewhere else: what was known of the ways to us is not worth much."""
        self._forget()
        await self._settle()
        await self._around.moved()
        for peer in self._links.linked():
            if await self._around.is_contact(peer):
                await self.peer_linked(peer)
        self._check_relay.set()

    def _forget(self) -> None:
        self._observations.clear()
        self._knocks.clear()
        self._udp_tried.clear()
        self._asked_at.clear()
        self._shunned.clear()

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
            tries = [self._answers(self._endpoint.knock(at)) for at in contact.addresses[:2]]
            tcp, *udp = await asyncio.gather(self._answers(self._endpoint.try_relay(relay)), *tries)
            if tries:
                self._udp_tried[contact.peer] = (any(udp), tcp)

        with suppress(TimeoutError):
            async with asyncio.timeout(limits.CHECK_SECONDS_MAX), asyncio.TaskGroup() as tasks:
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
        return netcheck.why_not_met(picture, self._relay, them, picture.udp is not False)

    # The home relay

    def met(self) -> None:
        """Somebody became a contact: perhaps they relay."""
        self._check_relay.set()

    def doubt_relay(self) -> None:
        """Somebody could not be reached: is our relay still there?"""
        now = self._clock.elapsed()
        if self._relay is not None and now - self._relay_checked_at > RELAY_DOUBT_SECONDS:
            self._check_relay.set()

    async def _keep_relay(self) -> None:
        wait = RELAY_AGAIN_SECONDS_FIRST
        while True:
            try:
                async with asyncio.timeout(None if self._is_content else wait):
                    await self._check_relay.wait()
            except TimeoutError:
                wait = min(2 * wait, RELAY_AGAIN_SECONDS_MAX)
            self._check_relay.clear()
            await self._choose_relay()
            if self._is_content:
                wait = RELAY_AGAIN_SECONDS_FIRST

    async def _choose_relay(self) -> None:
        """Stay at a relay that answers; else measure those that are offered and go to the best."""
        self._relay_checked_at = self._clock.elapsed()
        if self._relay is not None:
            with suppress(Unreachable):
                await self._endpoint.try_relay(self._relay)
                self._is_content = self._endpoint.home_relay() == self._relay
                if self._is_content:
                    return
        offered = await self._offered()
        self._tried = set(offered)
        seconds = await self._measure(offered)
        while (best := reach.choose_relay(seconds, self._relay)) is not None:
            if await self._wait_at(best):
                self._relay_seconds = seconds[best]
                break
            self._shun(best)
            del seconds[best]
        self._is_content = best is not None or not offered
        if best is None and self._relay is not None:
            log.warning("the relay at %s is gone, and there is no other", self._relay.address)
            self._relay = self._relay_seconds = None
            await self._endpoint.use_relays(())
        self._look_again.set()

    async def _wait_at(self, relay: Relay) -> bool:
        """Whether this relay has let us in."""
        await self._endpoint.use_relays((relay,))
        if self._endpoint.home_relay() != relay:
            log.info("the relay at %s does not let us in", relay.address)
            return False
        self._relay = relay
        log.info("waiting at the relay at %s", relay.address)
        return True

    def _shun(self, relay: Relay) -> None:
        self._shunned[relay] = self._clock.elapsed() + RELAY_SHUNNED_SECONDS

    def _own_relay(self) -> Relay | None:
        """Our own, when a peer has reached it from outside, or it is there for this."""
        if (named := self._around.own_relay()) is not None:
            return named
        port, picture = self._around.relay_port(), self.picture()
        if port is None or not picture.relay_is_open or not picture.outside:
            return None
        return Relay(self._endpoint.me, HostPort(picture.outside[0].address.host, port))

    async def _offered(self) -> list[Relay]:
        """The relays that we may wait at, as far as we know; our own, if it is one, alone."""
        if (own := self._own_relay()) is not None:
            return [own]
        helpers = await self._around.helpers()
        offers = [one.relay for one in helpers if one.relay is not None]
        offers += self._offers.values()
        for contact in await self._around.contacts():
            relay = contact.relay
            if relay is not None and relay.peer == contact.peer and _may_use(relay):
                offers.append(relay)  # a node that says in its record that it relays
        now = self._clock.elapsed()
        fit = [one for one in dict.fromkeys(offers) if self._shunned.get(one, now) <= now]
        return fit[: limits.RELAYS_TRIED_MAX]

    async def _measure(self, relays: Sequence[Relay]) -> dict[Relay, float]:
        """How long each takes to answer, the median of three; those that answer."""

        async def one(relay: Relay) -> float | None:
            try:
                return median([await self._endpoint.try_relay(relay) for _ in range(3)])
            except Unreachable as error:
                log.info("%s", error, extra={"relay": short(relay.peer)})
                return None

        found = await asyncio.gather(*map(one, relays))
        return {
            relay: seconds
            for relay, seconds in zip(relays, found, strict=True)
            if seconds is not None
        }

    # What others ask of us

    async def _answer_who(self, message: wire.Message, exchange: Exchange) -> None:
        if not await self._around.is_contact(exchange.peer):
            await exchange.refuse(wire.Refusal.FORBIDDEN, "This is for contacts only.")
            return
        at = exchange.path().address
        address = None if at is None else wire_reach.write_address(at)
        port = wire_reach.write_port(self._around.relay_port())
        await exchange.send(wire_reach.Seen(max(int(self._clock.now()), 0), address, port))

    async def _answer_dial_back(self, message: wire.Message, exchange: Exchange) -> None:
        assert isinstance(message, wire_reach.DialBack)
        if not await self._around.is_contact(exchange.peer):
            await exchange.refuse(wire.Refusal.FORBIDDEN, "This is for contacts only.")
            return
        at = exchange.path().address
        if at is None:
            await exchange.refuse(wire.Refusal.UNKNOWN, "You come through a relay.")
            return
        if not (self._may_serve(exchange.peer) and self._may_serve(at.host.encode())):
            await exchange.refuse(wire.Refusal.LATER, "Not so often.")
            return
        udp = await self._answers(self._endpoint.knock(at))
        tcp = False
        if message.relay_port is not None:
            relay_at = HostPort(at.host, int.from_bytes(message.relay_port, "big"))
            if reach.may_relay_at(relay_at):
                tcp = await self._answers(self._endpoint.try_relay(Relay(exchange.peer, relay_at)))
        await exchange.send(
            wire_reach.DialledBack(wire_reach.write_address(at), int(udp), int(tcp))
        )

    def _may_serve(self, who: bytes) -> bool:
        """Whether this peer, or this host, did not have us knock too often lately."""
        now = self._clock.elapsed()
        times = self._served.pop(who, None) or deque(maxlen=limits.DIAL_BACKS_A_MINUTE)
        self._served[who] = times  # the newest last
        while len(self._served) > KNOCKS_REMEMBERED_MAX:
            self._served.pop(next(iter(self._served)))
        if len(times) == times.maxlen and now - times[0] < limits.MINUTE:
            return False
        times.append(now)
        return True

    @staticmethod
    async def _answers(knock: Awaitable[float]) -> bool:
        with suppress(Unreachable):
            await knock
            return True
        return False


def _may_use(relay: Relay) -> bool:
    """Whether to wait at a relay that a contact offers: others have to reach it as well."""
    return reach.may_relay_at(relay.address) and reach.is_public(relay.address)
