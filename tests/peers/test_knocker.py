"""What a node does for contacts who ask where it sees them, and what nobody can make it do (A4)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from typing import Any, cast

import pytest

from postroad.base import limits
from postroad.base.errors import Unreachable
from postroad.base.ids import Contact, HostPort, PeerId, Relay
from postroad.base.seams import Endpoint
from postroad.peers.client import Client
from postroad.peers.exchange import Refused
from postroad.peers.knocker import Knocker
from postroad.peers.link import Links
from postroad.peers.surroundings import Surroundings
from simulator import loop
from simulator.loop import LoopClock
from simulator.network import World


class Noted:
    """An endpoint that notes where it was told to knock, and whose knocks at relays succeed."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.knocked: list[HostPort] = []
        self.tried: list[Relay] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._endpoint, name)

    async def knock(self, at: HostPort) -> float:
        self.knocked.append(at)
        return await self._endpoint.knock(at)

    async def try_relay(self, relay: Relay) -> float:
        self.tried.append(relay)
        if relay.address.port == 4444:
            raise Unreachable("nobody relays there")
        return 0.01


class Meeting:
    """Anna asks, Bora serves; `friends` are Bora's contacts."""

    def __init__(self, asker: Endpoint, server: Noted, relay_port: int | None) -> None:
        self.friends: set[PeerId] = {asker.me}
        self.server = server
        self.at = asker.addresses()[0]
        self.me = asker.me
        clock = LoopClock()
        around = cast(Surroundings, _Around(self.friends, relay_port))
        knocker = Knocker(cast(Endpoint, server), clock, around)
        self.links = [
            Links(asker, clock, {}, lambda *_: None),
            Links(cast(Endpoint, server), clock, knocker.answers, lambda *_: None),
        ]
        self.client = Client(self.links[0])
        self.bora = Contact(server.me, server.addresses())


class _Around:
    """Of `Surroundings`, what a knocker asks."""

    def __init__(self, friends: set[PeerId], relay_port: int | None) -> None:
        self._friends = friends
        self._relay_port = relay_port

    async def is_contact(self, peer: PeerId) -> bool:
        return peer in self._friends

    def relay_port(self) -> int | None:
        return self._relay_port


@contextlib.asynccontextmanager
async def meeting(relay_port: int | None = None) -> AsyncIterator[Meeting]:
    world = World(Random(7))
    asker = await world.network().open(bytes([1]) * 32, 0)
    server = Noted(await world.network().open(bytes([2]) * 32, 0))
    found = Meeting(asker, server, relay_port)
    services = [asyncio.create_task(links.serve()) for links in found.links]
    await asyncio.sleep(0)
    try:
        yield found
    finally:
        for service in services:
            service.cancel()
        await asyncio.gather(*services, return_exceptions=True)


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await scene()

    loop.run(run())


def test_a_contact_is_told_where_it_is_seen_and_where_we_relay() -> None:
    async def scene() -> None:
        async with meeting(relay_port=46464) as place:
            seen, _ = await place.client.who(place.bora)
            assert seen.seen_at == place.at
            assert seen.relay_port == (46464).to_bytes(2, "big")

    play(scene)


def test_a_stranger_is_told_nothing_and_nobody_knocks_for_them() -> None:
    async def scene() -> None:
        async with meeting() as place:
            place.friends.clear()
            with pytest.raises(Refused, match="contacts only"):
                await place.client.who(place.bora)
            with pytest.raises(Refused, match="contacts only"):
                await place.client.dial_back(place.bora, None)
            assert place.server.knocked == []

    play(scene)


def test_it_knocks_where_it_sees_the_asker_and_at_their_relay_on_the_same_host() -> None:
    async def scene() -> None:
        async with meeting() as place:
            answer = await place.client.dial_back(place.bora, 46464)
            assert (answer.knocked_at, answer.by_udp, answer.by_tcp) == (place.at, 1, 1)
            assert place.server.knocked == [place.at]
            assert place.server.tried == [Relay(place.me, HostPort(place.at.host, 46464))]

    play(scene)


@pytest.mark.parametrize(
    ("port", "is_tried"), [(25, False), (1023, False), (443, True), (4444, True)]
)
def test_no_asker_makes_it_dial_the_port_of_another_service(port: int, is_tried: bool) -> None:
    async def scene() -> None:
        async with meeting() as place:
            answer = await place.client.dial_back(place.bora, port)
            assert answer.by_tcp == (port == 443)
            assert bool(place.server.tried) == is_tried

    play(scene)


def test_it_knocks_seldom_for_one_peer_and_again_after_a_while() -> None:
    async def scene() -> None:
        async with meeting() as place:
            for _ in range(limits.DIAL_BACKS_A_MINUTE):
                await place.client.dial_back(place.bora, None)
            with pytest.raises(Refused, match="Not so often"):
                await place.client.dial_back(place.bora, None)
            assert len(place.server.knocked) == limits.DIAL_BACKS_A_MINUTE
            await asyncio.sleep(limits.MINUTE)
            await place.client.dial_back(place.bora, None)

    play(scene)
