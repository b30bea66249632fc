"""Links in a flood of strangers: those whom we know keep theirs."""

from __future__ import annotations

import asyncio
from random import Random

from fakes import peer
from peers.test_link import Peer, play, say_ok
from postroad.base import limits
from postroad.base.ids import Contact, PeerId
from postroad.peers.admission import Admission, Known
from postroad.peers.link import Links
from postroad.protocol import wire
from postroad.timeouts import timeout
from simulator.loop import LoopClock
from simulator.network import World


class Attended(Peer):
    """A peer who knows some, and takes everybody else for a stranger."""

    async def begin(self, friends: set[PeerId]) -> None:
        async def known() -> Known:
            return frozenset(friends), frozenset()

        admission = Admission(LoopClock(), known)
        await admission.refresh()
        self.links = Links(
            self.endpoint,
            LoopClock(),
            {wire.News: say_ok},
            lambda peer, _: self.seen.append(peer),
            admission=admission,
        )


async def ask(asker: Peer, contact: Contact) -> float:
    """How long one exchange took."""
    began = asyncio.get_running_loop().time()
    async with timeout(600), asker.links.exchange(contact) as exchange:
        await exchange.send(wire.News(bytes(16)))
        await exchange.expect(wire.Ok, 300)
    return asyncio.get_running_loop().time() - began


def test_a_flood_of_keys_takes_no_place_of_those_whom_we_know() -> None:
    async def scene() -> None:
        world = World(Random(7))
        target = Attended(await world.network().open(bytes([1]) * 32, 0), {})
        friend = Peer(await world.network().open(bytes([2]) * 32, 0), {})
        await target.begin({friend.endpoint.me})
        services = [asyncio.create_task(one.links.serve()) for one in (target, friend)]
        await asyncio.sleep(0)
        await ask(friend, target.contact)
        for number in range(100):
            stranger = Peer(await world.network().open(number.to_bytes(32, "big"), 0), {})
            services.append(asyncio.create_task(stranger.links.serve()))
            await asyncio.sleep(0)
            await ask(stranger, target.contact)
            assert target.open_links() <= limits.STRANGER_LINKS_MAX + 1
            assert target.links.is_linked(friend.endpoint.me)
        assert await ask(friend, target.contact) < 1
        for service in services:
            service.cancel()
        await asyncio.gather(*services, return_exceptions=True)

    play(scene)


def test_a_stranger_who_asks_without_end_waits_and_a_friend_does_not() -> None:
    async def scene() -> None:
        world = World(Random(7))
        target = Attended(await world.network().open(bytes([1]) * 32, 0), {})
        friend = Peer(await world.network().open(bytes([2]) * 32, 0), {})
        stranger = Peer(await world.network().open(bytes([3]) * 32, 0), {})
        await target.begin({friend.endpoint.me, peer(9)})
        everybody = (target, friend, stranger)
        services = [asyncio.create_task(one.links.serve()) for one in everybody]
        await asyncio.sleep(0)
        for _ in range(limits.STRANGER_EXCHANGES_AT_ONCE):
            assert await ask(stranger, target.contact) < 1
        began = asyncio.get_running_loop().time()
        for _ in range(100):
            await ask(stranger, target.contact)
        took = asyncio.get_running_loop().time() - began
        assert took >= 0.5 * 100 / limits.STRANGER_EXCHANGES_PER_SECOND
        for _ in range(300):
            assert await ask(friend, target.contact) < 1
        for service in services:
            service.cancel()
        await asyncio.gather(*services, return_exceptions=True)

    play(scene)
