"""The node's endpoint with a gate before it: shut while the node is paused, and opened again.

Purpose: `base.seams.Endpoint` for those who keep one for as long as the node lives. Shut, nothing
of it is left in the network: no port, no links, no timers.
Invariant: whoever named an address, it is dialled only where `protocol.dialable` allows.
"""

from collections.abc import Sequence

from postroad.base.errors import LinkClosed, Unreachable
from postroad.base.ids import Contact, HostPort, PeerId, Relay, short
from postroad.base.seams import Admits, Endpoint, Link, Network
from postroad.protocol.dialable import dialable_of_a_person


class Gate:
    """`base.seams.Endpoint`, shut at first."""

    def __init__(self, network: Network, secret: bytes, me: PeerId, port: int) -> None:
        self._network = network
        self._secret = secret
        self._me = me
        self._port = port
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
            await self._endpoint.use_relays(relays)

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
        return await self._endpoint.knock(at)

    async def try_relay(self, relay: Relay) -> float:
        if self._endpoint is None:
            raise Unreachable("Your node is paused.")
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
        return await self._endpoint.dial(named)

    async def accept(self) -> Link:
        if self._endpoint is None:
            raise LinkClosed("Your node is paused.")
        return await self._endpoint.accept()

    async def close(self) -> None:
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            await endpoint.close()
