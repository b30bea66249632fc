"""One connection to the relay: the socket's callbacks, turned into calls of `RelayServer` and back.

Invariants: before a key is proven, a connection may say little, and not for long; what waits for a
slow reader is bounded, and what exceeds it is dropped, never awaited.
"""

import asyncio
import ipaddress
import logging
from typing import TYPE_CHECKING

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import HostPort, PeerId
from postroad.protocol import relay as protocol

if TYPE_CHECKING:
    from postroad.peers.relay import RelayServer

log = logging.getLogger(__name__)

UNPROVEN_BYTES_MAX = protocol.HEAD_BYTES_MAX + 2 * protocol.PROOF_BYTES
DATAGRAM_COST_BYTES = 48  # IPv6 and UDP
# Whom a client sent to, so that they hear when it leaves; the oldest are forgotten.
SENT_TO_MAX = 256


class Connection(asyncio.BufferedProtocol):
    """One client of the relay, or somebody who may become one."""

    def __init__(self, relay: "RelayServer") -> None:
        self._relay = relay
        self._session = protocol.Session(relay.token())
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None  # of the handshake
        self._turn: asyncio.TimerHandle | None = None  # when reading goes on
        self._unproven_bytes = 0
        self.subnet = ""
        self.came_from: HostPort | None = None
        self.peer: PeerId | None = None
        self.is_guest = False
        self.is_used = False  # packets passed since the last look
        self.is_full = False  # its reader is slow: drop
        self.sent_to: dict[PeerId, None] = {}
        self._was_slowed = False
        self._was_full = False
        self._silent_looks = 0
        self._unused_looks = 0

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        backlog = limits.RELAY_BACKLOG_BYTES_MAX
        transport.set_write_buffer_limits(high=backlog, low=backlog // 2)
        peername = transport.get_extra_info("peername")
        self.subnet = _subnet(peername)
        self.came_from = HostPort(*peername[:2]) if peername else None
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(limits.RELAY_HANDSHAKE_SECONDS_MAX, self.abort)
        self._relay.came(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._relay.buffer

    def buffer_updated(self, size: int) -> None:
        self._silent_looks = 0
        if self.peer is None:
            self._unproven_bytes += size
            if self._unproven_bytes > UNPROVEN_BYTES_MAX:
                self.abort()
                return
        cost = size
        try:
            for event in self._session.receive(self._relay.buffer[:size]):
                match event:
                    case protocol.Packets():
                        cost += event.count * DATAGRAM_COST_BYTES
                        self._relay.pass_on(self, event)
                    case protocol.Unfit():
                        self._relay.counts.dropped += 1
                    case protocol.Proven(peer):
                        self._relay.proven(self, peer)
                    case protocol.Over():
                        self._close()
                        return
        except PeerMisbehaved as error:
            log.debug("a client of the relay misbehaved: %s", error)
            self.abort()
            return
        self._say()
        if self.peer is not None:
            wait = self._relay.wait_for(self, cost)
            if wait > 0 and not self.is_closing:
                self._slow_down(wait)

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False

    def connection_lost(self, error: Exception | None) -> None:
        for timer in (self._deadline, self._turn):
            if timer is not None:
                timer.cancel()
        self._transport = None
        self._relay.left(self)

    # What the relay calls

    @property
    def is_closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def send(self, octets: bytes) -> None:
        """A frame; dropped when the reader is slow."""
        if self._transport is not None and not self.is_full:
            self._transport.write(octets)

    def admit(self, peer: PeerId, *, is_guest: bool) -> None:
        assert self._deadline is not None
        self._deadline.cancel()
        self.peer, self.is_guest = peer, is_guest
        self._session.confirm()
        self._say()

    def deny(self, reason: str) -> None:
        self._session.deny(reason)
        self._close()

    def note_target(self, peer: PeerId) -> None:
        if peer not in self.sent_to:
            if len(self.sent_to) >= SENT_TO_MAX:
                del self.sent_to[next(iter(self.sent_to))]
            self.sent_to[peer] = None

    def look(self, guest_looks_max: float) -> None:
        """End what is dead, stuck or of no more use; called every LOOK_SECONDS."""
        if self.peer is None:
            return  # its deadline runs
        self._unused_looks = 0 if self.is_used else self._unused_looks + 1
        self._silent_looks += 1
        if (
            (self._was_full and self.is_full)
            or self._silent_looks > 2
            or (self.is_guest and self._unused_looks >= guest_looks_max)
        ):
            self.abort()
        elif self._silent_looks == 2:
            self.send(protocol.ping())
        self._was_full = self.is_full
        self.is_used = False

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _close(self) -> None:
        """Say the last words, unless there is nobody who listens."""
        self._say()
        if self._transport is not None:
            if self._transport.get_write_buffer_size():
                self._transport.abort()
            else:
                self._transport.close()

    def _say(self) -> None:
        octets = self._session.take()
        if octets:
            self.send(octets)

    def _slow_down(self, seconds: float) -> None:
        assert self._transport is not None
        if not self._was_slowed:
            self._was_slowed = True
            self.send(protocol.status(protocol.Status.SLOWED))
        self._transport.pause_reading()
        self._turn = asyncio.get_running_loop().call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        if not self.is_closing:
            assert self._transport is not None
            self._transport.resume_reading()


def _subnet(peername: tuple[str, int] | tuple[str, int, int, int] | None) -> str:
    """What one person can have many addresses of: an IPv6 /64; an IPv4 address."""
    if not peername:
        return ""
    address = ipaddress.ip_address(peername[0].partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return address.packed[:8].hex()
    return str(address)
