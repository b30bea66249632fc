"""The simulator's network: links between nodes of one process, through seeded weather.

Purpose: `base.seams.Network` without a wire, as harsh as the real ones are: a node that is gone is
silence for 30 s, not an error, and what a closed link had not delivered is lost.
Invariants: time is the event loop's, chance is the `Random` that was handed in, and nothing depends
on the order of a set; so one seed on a virtual clock is one history.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from postroad.base import limits
from postroad.base.errors import LinkClosed, NotToBeHad, Unreachable
from postroad.base.ids import Contact, HostPort, PeerId, Relay, short
from postroad.base.seams import Admits, Path

RESEND_SECONDS = 0.2  # before the first try to send again what was lost; each further one doubles
SILENCE_SECONDS_MAX = 30.0  # then a link is dead and a dial has failed, as with iroh
WINDOW_BYTES = 256 * limits.KIB  # unread octets of one stream


@dataclass(frozen=True, slots=True)
class Weather:
    latency_seconds: tuple[float, float] = (0.0005, 0.005)  # one way; drawn once for each link
    jitter_seconds: float = 0.001
    loss_chance: float = 0.0  # that a message has to be sent again: it and what follows is late
    break_chance: float = 0.0  # that a message finds its link broken


class World:
    """All that the simulated nodes share: addresses, weather, and misfortune on command."""

    def __init__(
        self,
        dice: Random,
        weather: Weather | None = None,
        note: Callable[[str], None] | None = None,
    ) -> None:
        """`note` hears of everything that arrives, in order; it never hears a ciphertext."""
        self.dice = dice
        self.weather = weather or Weather()
        self.note = note
        self.endpoints: dict[HostPort, SimulatedEndpoint] = {}
        self._island: dict[PeerId, int] = {}
        self._hosts = 0

    def network(self, host: str | None = None) -> "SimulatedNetwork":
        """The network as one machine sees it; by default, each has an address of its own."""
        self._hosts += 1
        return SimulatedNetwork(self, host or f"10.0.{self._hosts // 250}.{self._hosts % 250 + 1}")

    def connects(self, one: PeerId, other: PeerId) -> bool:
        return self._island.get(one) == self._island.get(other)

    def part(self, *islands: Iterable[PeerId]) -> None:
        """Let nothing through between the islands; nodes on none of them make up one more."""
        self._island = {peer: n for n, island in enumerate(islands) for peer in island}
        for link in self._links():
            link.fall_silent()

    def heal(self) -> None:
        """Let all through again; links that were not given up yet go on."""
        self._island = {}
        for link in self._links():
            link.speak_again()

    def crash(self, peer: PeerId) -> None:
        """The node is gone without a word: others notice when they have waited long enough."""
        for endpoint in [one for one in self.endpoints.values() if one.me == peer]:
            endpoint.vanish()

    def break_links(self, peer: PeerId) -> None:
        """All links of this node are dead at once, and both ends see it."""
        for link in [link for link in self._links() if link.me == peer]:
            link.other.lose()
            link.lose()

    def delay(self, latency_seconds: float) -> float:
        """How long a message is on its way, the times included that it was lost and sent again."""
        seconds = latency_seconds + self.dice.uniform(0, self.weather.jitter_seconds)
        again = RESEND_SECONDS
        while self.weather.loss_chance and seconds < SILENCE_SECONDS_MAX:
            if self.dice.random() >= self.weather.loss_chance:
                break
            seconds += again
            again *= 2
        return seconds

    def _links(self) -> list["SimulatedLink"]:
        return [link for endpoint in self.endpoints.values() for link in endpoint.links]


class SimulatedNetwork:
    """`base.seams.Network`, for the endpoints of one machine."""

    def __init__(self, world: World, host: str) -> None:
        self._world = world
        self._host = host

    async def open(self, secret: bytes, port: int) -> "SimulatedEndpoint":
        key = Ed25519PrivateKey.from_private_bytes(secret)
        ports = [port] if port else range(40000, 65536)
        for free in ports:
            at = HostPort(self._host, free)
            if at not in self._world.endpoints:
                me = PeerId(key.public_key().public_bytes_raw())
                return SimulatedEndpoint(self._world, me, at)
        raise NotToBeHad(f"Port {port} cannot be had: another program has it.")


class SimulatedEndpoint:
    """`base.seams.Endpoint`."""

    def __init__(self, world: World, me: PeerId, at: HostPort) -> None:
        self._world = world
        self._me = me
        self._at = at
        self._arrived: asyncio.Queue[SimulatedLink | None] = asyncio.Queue()
        self._open = True
        self.admits: Admits = lambda at, peer: True
        self.news = asyncio.Event()  # something around it changed
        self.links: dict[SimulatedLink, None] = {}  # in order, which a set is not
        world.endpoints[at] = self

    @property
    def me(self) -> PeerId:
        return self._me

    def addresses(self) -> tuple[HostPort, ...]:
        return (self._at,)

    def ask_first(self, admits: Admits) -> None:
        self.admits = admits

    async def use_relays(self, relays: Sequence[Relay]) -> None:
        """Here everybody reaches everybody, or nobody does."""

    def home_relay(self) -> Relay | None:
        return None

    async def set_outside(self, addresses: Sequence[HostPort]) -> None:
        """The address that others see is the one it has."""

    async def changed(self) -> None:
        await self.news.wait()
        if not self._open:
            raise LinkClosed("this node's endpoint is closed")
        self.news.clear()

    async def knock(self, at: HostPort) -> float:
        seconds = 2 * self._world.delay(
            self._world.dice.uniform(*self._world.weather.latency_seconds)
        )
        there = self._world.endpoints.get(at)
        if there is None or not self._world.connects(self._me, there.me):
            await asyncio.sleep(limits.KNOCK_SECONDS_MAX)
            raise Unreachable(f"nobody answers at {at}")
        await asyncio.sleep(seconds)
        return seconds

    async def try_relay(self, relay: Relay) -> float:
        raise Unreachable("there are no relays on this network")

    async def dial(self, contact: Contact) -> "SimulatedLink":
        known = [at for at in contact.addresses if at.port]
        if not known or contact.peer == self._me or not self._open:
            raise Unreachable(f"no address to reach {short(contact.peer)} at")
        latency = self._world.dice.uniform(*self._world.weather.latency_seconds)
        await asyncio.sleep(self._world.delay(latency) + self._world.delay(latency))
        for at in known:
            there = self._world.endpoints.get(at)
            if there is not None and self._world.connects(self._me, there.me):
                is_full = len(there.links) >= limits.LINKS_MAX
                if there.me != contact.peer or is_full or not there.admits(self._at, None):
                    raise Unreachable(f"{short(contact.peer)} does not answer")
                return self._join(there, latency)
        await asyncio.sleep(SILENCE_SECONDS_MAX)
        raise Unreachable(f"{short(contact.peer)} does not answer")

    async def accept(self) -> "SimulatedLink":
        while (link := await self._arrived.get()) is not None:
            if not link.closed:
                return link
        self._arrived.put_nowait(None)
        raise LinkClosed("this node's endpoint is closed")

    async def close(self) -> None:
        for link in list(self.links):
            await link.close()
        self._leave()

    def vanish(self) -> None:
        for link in list(self.links):
            link.other.fall_silent()
            link.lose()
        self._leave()

    def _leave(self) -> None:
        self._open = False
        self.news.set()
        if self._world.endpoints.get(self._at) is self:
            del self._world.endpoints[self._at]
        self._arrived.put_nowait(None)

    def _join(self, there: "SimulatedEndpoint", latency: float) -> "SimulatedLink":
        mine = SimulatedLink(self._world, self, there.me, latency, parity=0)
        theirs = SimulatedLink(self._world, there, self._me, latency, parity=1)
        mine.other, theirs.other = theirs, mine
        self.links[mine] = there.links[theirs] = None
        there._arrived.put_nowait(theirs)
        return mine


class SimulatedLink:
    """`base.seams.Link`: one end, and the way from it to the other end."""

    other: "SimulatedLink"

    def __init__(
        self,
        world: World,
        endpoint: SimulatedEndpoint,
        peer: PeerId,
        latency: float,
        parity: int,
    ) -> None:
        self._world = world
        self._endpoint = endpoint
        self._peer = peer
        self._latency = latency
        self._closed = False
        self._next = parity
        self._parity = parity
        self._streams: dict[int, SimulatedStream] = {}
        self._opening = asyncio.Semaphore(limits.STREAMS_PER_LINK_MAX)
        self._arrived: asyncio.Queue[SimulatedStream | None] = asyncio.Queue()
        self._outbox: deque[tuple[Callable[[SimulatedLink], None], str]] = deque()
        self._held = 0  # messages whose time has come, but not their way
        self._arrival = 0.0  # of the last message: they stay in order
        self._silence: asyncio.TimerHandle | None = None

    @property
    def me(self) -> PeerId:
        return self._endpoint.me

    @property
    def peer(self) -> PeerId:
        return self._peer

    @property
    def closed(self) -> bool:
        return self._closed

    def path(self) -> Path:
        return Path(True, self.other._endpoint._at, 2 * self._latency)

    async def open(self) -> "SimulatedStream":
        await self._opening.acquire()
        if self._closed:
            self._opening.release()
            raise LinkClosed(f"the link to {short(self._peer)} has ended")
        number, self._next = self._next, self._next + 2
        stream = self._streams[number] = SimulatedStream(self, number)
        return stream

    async def accept(self) -> "SimulatedStream":
        stream = await self._arrived.get()
        if stream is None or self._closed:
            self._arrived.put_nowait(None)
            raise LinkClosed(f"the link to {short(self._peer)} has ended")
        return stream

    async def close(self) -> None:
        if not self._closed:
            self.post(SimulatedLink.lose, "goodbye")
            self.lose()

    def lose(self) -> None:
        """This end is over; streams and waiters hear of it."""
        if not self._closed:
            self._closed = True
            if self._silence is not None:
                self._silence.cancel()
            for stream in list(self._streams.values()):
                stream.lose()
            self._arrived.put_nowait(None)
            del self._endpoint.links[self]

    def post(self, message: "Callable[[SimulatedLink], None]", word: str) -> None:
        """Let this happen at the other end, after all that was posted before it.

        `word` is what the trace says of it."""
        loop, world = asyncio.get_running_loop(), self._world
        if world.weather.break_chance and world.dice.random() < world.weather.break_chance:
            message, word = _break, "break"
        self._outbox.append((message, word))
        self._arrival = max(self._arrival, loop.time() + world.delay(self._latency))
        loop.call_at(self._arrival, self._deliver)

    def fall_silent(self) -> None:
        """Begin to wait for a sign of life, unless the way is free."""
        gone = self.other.closed or not self._world.connects(self.me, self._peer)
        if gone and self._silence is None and not self._closed:
            loop = asyncio.get_running_loop()
            self._silence = loop.call_later(SILENCE_SECONDS_MAX, self.lose)

    def speak_again(self) -> None:
        if self._silence is not None and not self.other.closed:
            self._silence.cancel()
            self._silence = None
        held, self._held = self._held, 0
        for _ in range(held):
            self._deliver()

    def begin(self, number: int) -> None:
        if number % 2 != self._parity and number not in self._streams:
            stream = self._streams[number] = SimulatedStream(self, number)
            if sum(one % 2 != self._parity for one in self._streams) > limits.INCOMING_STREAMS_MAX:
                stream.abort()
            else:
                self._arrived.put_nowait(stream)

    def stream(self, number: int) -> "SimulatedStream | None":
        return self._streams.get(number)

    def end(self, number: int) -> None:
        if self._streams.pop(number, None) is not None and number % 2 == self._parity:
            self._opening.release()

    def _deliver(self) -> None:
        if not self._world.connects(self.me, self._peer):
            self._held += 1
            return
        message, word = self._outbox.popleft()
        if not self.other.closed:
            if self._world.note is not None:
                self._world.note(f"{short(self.me)} to {short(self._peer)}: {word}")
            message(self.other)


def _break(link: SimulatedLink) -> None:
    link.other.lose()
    link.lose()


class SimulatedStream:
    """`base.seams.Stream`: one end."""

    def __init__(self, link: SimulatedLink, number: int) -> None:
        self._link = link
        self._number = number
        self._is_announced = False
        self._credit = WINDOW_BYTES
        self._unread: deque[bytes] = deque()
        self._peer_finished = False
        self._is_written = False
        self._is_refused = False  # the peer wants no more, but what it said can still be read
        self._is_lost = False
        self._news = asyncio.Event()

    async def read(self, size: int) -> bytes:
        await self._until(lambda: bool(self._unread) or self._peer_finished)
        if not self._unread:
            return b""
        octets = self._unread.popleft()
        if len(octets) > size:
            self._unread.appendleft(octets[size:])
            octets = octets[:size]
        self._post(lambda peer: peer.grant(len(octets)), f"read {len(octets)}")
        self._settle()
        return octets

    async def write(self, octets: bytes) -> None:
        assert not self._is_written, "written after finish"
        self._check_writing()
        self._announce()
        at = 0
        while at < len(octets):
            await self._until(lambda: self._credit > 0 or self._is_refused)
            self._check_writing()
            piece = octets[at : at + min(self._credit, limits.BULK_CHUNK_BYTES)]
            self._credit -= len(piece)
            at += len(piece)
            self._post(partial(SimulatedStream.receive, octets=piece), f"octets {len(piece)}")

    async def finish(self) -> None:
        if not self._is_written:
            self._check()
            self._announce()
            self._is_written = True
            self._post(SimulatedStream.receive_end, "end")
            self._settle()

    def abort(self) -> None:
        if not self._is_lost and not self._is_over:
            self._post(SimulatedStream.receive_abort, "abort")
            self.lose()

    def lose(self) -> None:
        if not self._is_lost and not self._is_over:
            self._is_lost = True
            self._unread.clear()
            self._link.end(self._number)
            self._news.set()

    def grant(self, size: int) -> None:
        self._credit += size
        self._news.set()

    def receive(self, octets: bytes) -> None:
        self._unread.append(octets)
        self._news.set()

    def receive_end(self) -> None:
        self._peer_finished = True
        self._news.set()
        self._settle()

    def receive_abort(self) -> None:
        if self._peer_finished:
            self._is_refused = True
            self._news.set()
            self._settle()
        else:
            self.lose()

    def _announce(self) -> None:
        if not self._is_announced:
            self._is_announced = True
            number = self._number
            self._link.post(lambda there: there.begin(number), f"{number} begin")

    def _post(self, message: "Callable[[SimulatedStream], None]", word: str) -> None:
        def arrive(there: SimulatedLink) -> None:
            stream = there.stream(self._number)
            if stream is not None:
                message(stream)

        if not self._link.closed:
            self._link.post(arrive, f"{self._number} {word}")

    def _check(self) -> None:
        if self._is_lost:
            raise LinkClosed(f"the exchange with {short(self._link.peer)} was broken off")

    def _check_writing(self) -> None:
        self._check()
        if self._is_refused:
            raise LinkClosed(f"{short(self._link.peer)} does not want to read any more")

    async def _until(self, ready: Callable[[], bool]) -> None:
        self._check()
        try:
            while not ready():
                self._news.clear()
                await self._news.wait()
                self._check()
        except asyncio.CancelledError:
            self.abort()
            raise

    @property
    def _is_over(self) -> bool:
        """Both have said all, whether or not anybody asked for the end."""
        is_read = self._peer_finished and not self._unread
        return is_read and (self._is_written or self._is_refused)

    def _settle(self) -> None:
        if self._is_over:
            self._link.end(self._number)
