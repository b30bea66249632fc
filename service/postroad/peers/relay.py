"""The relay: pass on the packets of iroh endpoints that cannot reach each other.

Purpose: who may come in, who may send to whom, how much, and when a connection ends. What the bytes
mean is `protocol/relay.py`. What passes is QUIC's, encrypted from end to end: a relay sees keys,
sizes and times.

**Clients** are those for whom `may_relay` says yes, by default the devices of the owner's contacts.
They may have their home at this relay, and send to everybody who is connected. But iroh reaches
somebody by connecting to *their* relay, so two people would meet only where both are known. Hence
**guests**: anybody else who proves a key. A guest sends to clients alone and hears from clients
alone, so that nothing ever passes between two guests; guests are few, few from one subnet, slower
all together than a quarter of what the relay passes on, and shown out after 90 s in which nothing
passed between them and a client. Whether Anna answers a stranger is for Anna's node to say, as for
any packet that reaches it. With `serves_anybody`, guests may also send to each other and may stay.

**Rates.** Reading is what is slowed down: who has sent more than may pass is not read until the
debt is paid, so each gets a turn in that time, and a waiting letter costs no memory. A datagram
counts with the headers it would have on a wire, so that many tiny ones are as dear as they are.
Each hop is a datagram service: what a slow reader leaves lying beyond 256 KiB is dropped, which
tells QUIC to slow down; a queue without bound would tell it nothing.

**Two connections with one key**: packets go to the newest, the older one is told and waits, as with
iroh's own relay; closing it would make two machines with one key throw each other out for ever.

Invariants: a connection without a proven key is closed in time, and gives way when there are many;
everything kept for a connection is bounded; nothing runs while nobody is connected.
See: docs/adr/0006-relay.md.
"""

import asyncio
import contextlib
import logging
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from postroad.base import limits
from postroad.base.errors import PostroadError
from postroad.base.ids import PeerId, short
from postroad.base.seams import Entropy
from postroad.peers.rates import Allowance, Bucket
from postroad.peers.relay_connection import Connection
from postroad.protocol import relay as protocol
from postroad.protocol.border import EVERYWHERE, Border

log = logging.getLogger(__name__)

LOOK_SECONDS = 30.0  # clients of iroh say something every 15 s
REVIEW_LOOKS = 20  # so many looks, and `may_relay` is asked again about everybody: 10 minutes
SUBNETS_MAX = 1024  # whose arrivals are remembered
CHUNK_BYTES_MIN = 16 * limits.KIB
CHUNK_BYTES_MAX = 128 * limits.KIB
CHUNKS_PER_SECOND = 64  # a turn is so small a part of a second's worth
# In the kernel, where what waits can neither be dropped nor overtaken: iroh's client gives up when
# a sign of life takes 5 s.
KERNEL_BYTES = 128 * limits.KIB

MayRelay = Callable[[PeerId], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Rules:
    """What the owner, and the test, may want otherwise."""

    serves_anybody: bool = False
    bytes_per_second: float = limits.RELAY_BYTES_PER_SECOND
    clients_max: int = limits.RELAY_CLIENTS_MAX
    guests_max: int = limits.RELAY_GUESTS_MAX
    guests_per_subnet_max: int = limits.RELAY_GUESTS_PER_SUBNET_MAX
    guest_idle_seconds: float = limits.RELAY_GUEST_IDLE_SECONDS
    look_seconds: float = LOOK_SECONDS
    border: Border = EVERYWHERE  # of those who may come in at all


@dataclass(slots=True)
class Counts:
    """Since the relay began; `clients` and `guests` are those of now."""

    clients: int = 0
    guests: int = 0
    packets: int = 0
    bytes: int = 0
    dropped: int = 0
    denied: int = 0


class RelayServer:
    """`may_relay`: whether the node with this key may have its home here."""

    def __init__(self, may_relay: MayRelay, entropy: Entropy, rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self.counts = Counts()
        self._may_relay = may_relay
        self.is_scarce: Callable[[], bool] = lambda: False  # see `base.seams.Supply`
        self._entropy = entropy
        self._active: dict[PeerId, Connection] = {}
        self._waiting: dict[PeerId, Connection] = {}  # the older of two with one key
        self._unproven: dict[Connection, None] = {}  # the oldest first
        self._guests: Counter[str] = Counter()  # by subnet
        self._arrivals = Allowance(
            limits.RELAY_ARRIVALS_BURST, limits.RELAY_ARRIVALS_PER_SECOND, SUBNETS_MAX
        )
        self._connections: set[Connection] = set()
        self._inhabited = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self.change(self.rules)

    def change(self, rules: Rules) -> None:
        """Go by other rules from now on; connections stay, but for guests who may not stay."""
        self.rules = rules
        per_second = rules.bytes_per_second
        chunk = min(max(round(per_second) // CHUNKS_PER_SECOND, CHUNK_BYTES_MIN), CHUNK_BYTES_MAX)
        # One buffer serves all: asyncio's selector loop fills it and calls back at once.
        self.buffer = memoryview(bytearray(chunk))
        self._everybody = Bucket(per_second, per_second * limits.RELAY_BURST_SECONDS, 0.0)
        per_second *= limits.RELAY_GUESTS_SHARE
        self._all_guests = Bucket(per_second, per_second * limits.RELAY_BURST_SECONDS, 0.0)

    async def serve(self, sockets: Sequence[socket.socket]) -> None:
        """Serve these listening sockets until cancelled; then they and the connections close."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks, contextlib.AsyncExitStack() as closing:
            self._tasks = tasks
            closing.callback(self._close)
            for listening in sockets:
                closing.callback(listening.close)
            for listening in sockets:
                _prepare(listening)
                server = await loop.create_server(lambda: Connection(self), sock=listening)
                closing.callback(server.close)
            await self._look_after()

    def _close(self) -> None:
        self._tasks = None
        for connection in list(self._connections):
            connection.abort()

    # What connections call

    def token(self) -> bytes:
        return self._entropy.token(protocol.CHALLENGE_BYTES)

    def came(self, connection: Connection) -> None:
        self._connections.add(connection)
        self._inhabited.set()
        if connection.came_from is None or not self.rules.border.lets(connection.came_from):
            connection.abort()
            return
        now = asyncio.get_running_loop().time()
        if self._tasks is None or not self._arrivals.takes(connection.subnet, now):
            connection.abort()
            return
        neighbours = [one for one in self._unproven if one.subnet == connection.subnet]
        if len(neighbours) >= limits.RELAY_UNPROVEN_PER_SUBNET_MAX:
            self._evict(neighbours[0])
        elif len(self._unproven) >= limits.RELAY_UNPROVEN_MAX:
            self._evict(next(iter(self._unproven)))
        self._unproven[connection] = None

    def _evict(self, connection: Connection) -> None:
        del self._unproven[connection]
        connection.abort()

    def proven(self, connection: Connection, peer: PeerId) -> None:
        if self._tasks is not None:
            self._tasks.create_task(self._introduce(connection, peer), name="relay client")

    def pass_on(self, source: Connection, packets: protocol.Packets) -> None:
        target = self._active.get(packets.to)
        if (
            target is None
            or target is source
            or target.is_full
            or (source.is_guest and target.is_guest and not self.rules.serves_anybody)
        ):
            self.counts.dropped += packets.count
            return
        assert source.peer is not None
        target.send(protocol.passed_on(packets, source.peer))
        source.is_used = target.is_used = True
        source.note_target(packets.to)
        self.counts.packets += packets.count
        self.counts.bytes += len(packets.frame)

    def wait_for(self, connection: Connection, size: int) -> float:
        """Seconds until this connection may be read again."""
        now = asyncio.get_running_loop().time()
        wait = self._everybody.draw(size, now)
        if connection.is_guest:
            wait = max(wait, self._all_guests.draw(size, now))
        return wait

    def left(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._unproven.pop(connection, None)
        if not self._connections:
            self._inhabited.clear()
        peer = connection.peer
        if peer is None:
            return
        self._count(connection, -1)
        if self._waiting.get(peer) is connection:
            del self._waiting[peer]
        elif self._active.get(peer) is connection:
            older = self._waiting.pop(peer, None)
            if older is not None:
                self._active[peer] = older
                older.send(protocol.status(protocol.Status.HEALTHY))
                return
            del self._active[peer]
            for target in connection.sent_to:
                if target in self._active:
                    self._active[target].send(protocol.gone(peer))

    # Who may come in

    async def _introduce(self, connection: Connection, peer: PeerId) -> None:
        """The doorstep of one connection: whatever goes wrong here stays here."""
        try:
            refusal = None
            is_client = await self._may_relay(peer)
        except PostroadError as error:
            log.warning("whether %s may use the relay is not known: %s", short(peer), error)
            refusal, is_client = "This relay cannot say now; come again.", False
        if connection.is_closing:
            return
        refusal = refusal or self._refusal(connection, is_client)
        if refusal is not None:
            self.counts.denied += 1
            connection.deny(refusal)
            return
        self._unproven.pop(connection, None)
        connection.admit(peer, is_guest=not is_client)
        self._count(connection, 1)
        older = self._active.get(peer)
        if older is not None:
            if peer in self._waiting:
                self._waiting[peer].abort()
            self._waiting[peer] = older
            older.send(protocol.status(protocol.Status.SAME_KEY))
        self._active[peer] = connection
        log.debug("relay client", extra={"peer": short(peer), "guest": not is_client})

    def _refusal(self, connection: Connection, is_client: bool) -> str | None:
        if is_client:
            is_full = self.counts.clients >= self.rules.clients_max
            return "This relay has as many clients as it may." if is_full else None
        if self.is_scarce():
            return "This relay spares its battery or its connection just now."
        if self.counts.guests >= self.rules.guests_max:
            return "This relay has as many guests as it may."
        if self._guests[connection.subnet] >= self.rules.guests_per_subnet_max:
            return "This relay has as many guests of your network as it may."
        return None

    def _count(self, connection: Connection, change: int) -> None:
        if connection.is_guest:
            self.counts.guests += change
            self._guests[connection.subnet] += change
            if not self._guests[connection.subnet]:
                del self._guests[connection.subnet]
        else:
            self.counts.clients += change

    # Who has to go

    async def _look_after(self) -> None:
        looks = 0
        while True:
            await self._inhabited.wait()
            await asyncio.sleep(self.rules.look_seconds)
            looks += 1
            may_stay = self.rules.serves_anybody
            guest_looks_max = self.rules.guest_idle_seconds / self.rules.look_seconds
            for connection in list(self._connections):
                connection.look(guest_looks_max if not may_stay else float("inf"))
            if looks % REVIEW_LOOKS == 0:
                await self.review()

    def review_soon(self) -> None:
        """Somebody became a contact."""
        if self._tasks is not None:
            self._tasks.create_task(self.review(), name="relay review")

    async def review(self) -> None:
        """Ask about everybody anew: a contact may have become a stranger, who has to begin anew, or
        a guest a contact, who is served as one from now on."""
        for connection in list(self._connections):
            if connection.peer is None:
                continue
            try:
                is_client = await self._may_relay(connection.peer)
            except PostroadError as error:
                log.warning("the relay's clients stay as they are: %s", error)
                return
            if connection.is_closing or is_client != connection.is_guest:
                continue
            if is_client and self.counts.clients < self.rules.clients_max:
                self._count(connection, -1)
                connection.is_guest = False
                self._count(connection, 1)
            else:
                connection.abort()


def _prepare(listening: socket.socket) -> None:
    """Connections inherit it: short answers are not held back, and little waits in the kernel."""
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BYTES)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, KERNEL_BYTES)
