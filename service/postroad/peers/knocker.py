"""Tell contacts where we see them, and knock there for them.

Invariants: only contacts are served, and not often; we knock only at the host where we see them,
never at one that they name (promise A4), and at ports where no service of others is expected.
"""

from collections.abc import Awaitable, Mapping
from contextlib import suppress

from postroad.base import limits
from postroad.base.errors import Unreachable
from postroad.base.ids import HostPort, Relay
from postroad.base.seams import Clock, Endpoint
from postroad.peers.exchange import Answer, Exchange
from postroad.peers.rates import Allowance
from postroad.peers.surroundings import Surroundings
from postroad.protocol import wire, wire_reach
from postroad.protocol.dialable import may_relay_at

REMEMBERED_MAX = 256  # peers and hosts that had us knock lately


class Knocker:
    """`answers` are for `Links`."""

    def __init__(self, endpoint: Endpoint, clock: Clock, around: Surroundings) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._around = around
        often = limits.DIAL_BACKS_A_MINUTE
        self._served = Allowance(often, often / limits.MINUTE, REMEMBERED_MAX)
        self.answers: Mapping[type[wire.Message], Answer] = {
            wire_reach.Who: self._answer_who,
            wire_reach.DialBack: self._answer_dial_back,
        }

    async def answers_at(self, at: HostPort) -> bool:
        """Whether a node answers there to somebody of whom it never heard."""
        return await _comes_back(self._endpoint.knock(at))

    async def relays_at(self, relay: Relay) -> bool:
        """Whether this relay answers."""
        return await _comes_back(self._endpoint.try_relay(relay))

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
        udp = await self.answers_at(at)
        tcp = False
        if message.relay_port is not None:
            relay_at = HostPort(at.host, int.from_bytes(message.relay_port, "big"))
            if may_relay_at(relay_at):
                tcp = await self.relays_at(Relay(exchange.peer, relay_at))
        await exchange.send(wire_reach.DialledBack(wire_reach.write_address(at), udp, tcp))

    def _may_serve(self, who: bytes) -> bool:
        """Whether this peer, or this host, did not have us knock too often lately."""
        return self._served.takes(who, self._clock.elapsed())


async def _comes_back(knock: Awaitable[float]) -> bool:
    with suppress(Unreachable):
        await knock
        return True
    return False
