"""The node's endpoint with a gate before it: shut while the node is paused, and opened again.

Purpose: `base.seams.Endpoint` for those who keep one for as long as the node lives. Shut, nothing
of it is left in the network: no port, no links, no timers.
Invariants: whoever named an address, it is dialled only where `protocol.dialable` allows; nothing
beyond the border (`protocol.border`) is dialled, let in, knocked at or waited at.
"""

import logging
from collections.abc import Callable, Sequence

from postroad.base.errors import LinkClosed, Unreachable
from postroad.base.ids import Contact, HostPort, PeerId, Relay, short
from postroad.base.seams import Admits, Endpoint, Link, Network
from postroad.protocol.border import EVERYWHERE, Border
from postroad.protocol.dialable import dialable_of_a_person

log = logging.getLogger(__name__)
BEYOND = "It is in a network with which this node may not speak (networks)."


class Gate:
    """`base.seams.Endpoint`, shut at first."""

    def __init__(
        self,
        network: Network,
        secret: bytes,
        me: PeerId,
        port: int,
        border: Border = EVERYWHERE,
        on_beyond: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`on_beyond` hears who was kept out, or not gone to, for the sake of the border."""
        self._network = network
        self._secret = secret
        self._me = me
        self._port = port
        self._border = border
        self._on_beyond = on_beyond
        self._endpoint: Endpoint | None = None
        self._admits: Admits | None = None

    @property
    def me(self) -> PeerId:
        return self._me

    @property
    def is_open(self) -> bool:
        return self._endpoint is not None

    def addresses(self) -> tuple[HostPort, ...]:
        return () if self._endpoint is None else self._endpoint.addresses()

    async def use_relays(self, relays: Sequence[Relay]) -> None:
        if self._endpoint is not None:
            await self._endpoint.use_relays(
                [relay for relay in relays if self._border.lets(relay.address)]
            )

    def home_relay(self) -> Relay | None:
        return None if self._endpoint is None else self._endpoint.home_relay()

    async def set_outside(self, addresses: Sequence[HostPort]) -> None:
        if self._endpoint is not None:
            await self._endpoint.set_outside(addresses)

    def ask_first(self, admits: Admits) -> None:
        self._admits = admits
        if self._endpoint is not None:
            self._endpoint.ask_first(admits)

    async def changed(self) -> None:
        if self._endpoint is None:
            raise LinkClosed("Your node is paused.")
        await self._endpoint.changed()

    async def knock(self, at: HostPort) -> float:
        if self._endpoint is None:
            raise Unreachable("Your node is paused.")
        self._expect_within(at)
        return await self._endpoint.knock(at)

    async def try_relay(self, relay: Relay) -> float:
        if self._endpoint is None:
            raise Unreachable("Your node is paused.")
        self._expect_within(relay.address)
        return await self._endpoint.try_relay(relay)

    async def open(self) -> None:
        """Join the network; raises NotToBeHad when the port is taken. Harmless the second time."""
        if self._endpoint is None:
            self._endpoint = await self._network.open(self._secret, self._port)
            if self._admits is not None:
                self._endpoint.ask_first(self._admits)

    async def dial(self, contact: Contact) -> Link:
        if self._endpoint is None:
            raise Unreachable("Your node is paused.")
        named = dialable_of_a_person(contact, self._endpoint.addresses())
        if named is None:
            raise Unreachable(f"no address to reach {short(contact.peer)} at")
        within = self._border.within(named)
        if within is None:
            raise self._beyond(named.peer)
        link = await self._endpoint.dial(within)
        if not self.lets(link):
            await link.close()
            raise self._beyond(named.peer)
        return link

    async def accept(self) -> Link:
        if self._endpoint is None:
            raise LinkClosed("Your node is paused.")
        endpoint = self._endpoint
        while not self.lets(link := await endpoint.accept()):
            log.info("a link from beyond the border is closed", extra={"peer": short(link.peer)})
            self._on_beyond(f"a link from {short(link.peer)}")
            await link.close()
        return link

    def lets(self, link: Link) -> bool:
        """Whether its packets go where they may: iroh finds ways that nobody dialled."""
        return self._border.lets_path(link.path())

    def _beyond(self, peer: PeerId) -> Unreachable:
        self._on_beyond(f"a link to {short(peer)}")
        return Unreachable(BEYOND)

    def _expect_within(self, at: HostPort) -> None:
        if not self._border.lets(at):
            raise Unreachable(BEYOND)

    async def close(self) -> None:
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            await endpoint.close()
