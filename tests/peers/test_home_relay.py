"""Which relay a node waits at."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fakes import FakeClock, peer
from postroad.base.errors import Unreachable
from postroad.base.ids import Contact, HostPort, PeerId, Relay
from postroad.peers.home_relay import HomeRelay
from postroad.peers.surroundings import Surroundings

OF_A_HELPER = Relay(peer(1), HostPort("9.9.9.9", 443))
OF_A_CONTACT = Relay(peer(2), HostPort("8.8.8.8", 443))


@dataclass
class Relays:
    """An endpoint in front of relays that all let it in, at these distances."""

    seconds: dict[Relay, float]
    me: PeerId = peer(9)
    at: list[Relay] = field(default_factory=list)

    async def try_relay(self, relay: Relay) -> float:
        if relay not in self.seconds:
            raise Unreachable("nobody there")
        return self.seconds[relay]

    async def use_relays(self, relays: Sequence[Relay]) -> None:
        self.at = list(relays)

    def home_relay(self) -> Relay | None:
        return self.at[0] if self.at else None


def test_a_relay_is_left_whose_owner_serves_us_no_more() -> None:
    """A helper that was removed, or stolen: it answers, and lets us in as a guest."""

    async def run() -> None:
        helpers = [Contact(OF_A_HELPER.peer, (), OF_A_HELPER)]
        contacts = [Contact(OF_A_CONTACT.peer)]

        async def serving() -> Sequence[Contact]:
            return helpers

        async def nodes() -> Sequence[Contact]:
            return contacts

        endpoint: Any = Relays({OF_A_HELPER: 0.010, OF_A_CONTACT: 0.050})
        nothing: Any = None
        around = Surroundings(
            nothing, nodes, serving, lambda: None, lambda: None, nothing, nothing, nothing, nothing
        )
        home = HomeRelay(endpoint, FakeClock(), around, lambda: None, lambda: None)
        home.take_offer(OF_A_CONTACT)
        await home._choose()
        chosen = [home.relay]
        for known in (helpers, contacts):
            known.clear()
            await home._choose()
            chosen.append(home.relay)
        assert chosen == [OF_A_HELPER, OF_A_CONTACT, None]
        assert endpoint.at == []

    asyncio.run(run())
