"""Links between two nodes on the simulator's network and a virtual clock."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from random import Random
from typing import cast

import pytest

from postroad.base import limits
from postroad.base.errors import LinkClosed, PeerMisbehaved, Unreachable
from postroad.base.ids import Contact, PeerId
from postroad.base.seams import Endpoint, Link
from postroad.peers.exchange import Answer, Exchange, Refused
from postroad.peers.link import Links
from postroad.protocol import wire
from postroad.timeouts import timeout
from simulator import loop
from simulator.loop import LoopClock
from simulator.network import SimulatedEndpoint, World


class Peer:
    def __init__(self, endpoint: Endpoint, answers: Mapping[type[wire.Message], Answer]) -> None:
        self.endpoint = endpoint
        self.seen: list[PeerId] = []
        self.links = Links(endpoint, LoopClock(), answers, lambda peer, _: self.seen.append(peer))
        self.contact = Contact(endpoint.me, endpoint.addresses())

    def open_links(self) -> int:
        return sum(len(entries) for entries in self.links._entries.values())


async def say_ok(message: wire.Message, exchange: Exchange) -> None:
    await exchange.send(wire.Ok())


@contextlib.asynccontextmanager
async def two(
    answers: Mapping[type[wire.Message], Answer], world: World | None = None
) -> AsyncIterator[tuple[Peer, Peer, World]]:
    """One who asks and one who answers; their services are cancelled at the end."""
    world = world or World(Random(7))
    one = Peer(await world.network().open(bytes([1]) * 32, 0), {})
    other = Peer(await world.network().open(bytes([2]) * 32, 0), answers)
    services = [asyncio.create_task(peer.links.serve()) for peer in (one, other)]
    await asyncio.sleep(0)
    try:
        yield one, other, world
    finally:
        for service in services:
            service.cancel()
        await asyncio.gather(*services, return_exceptions=True)


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await scene()

    loop.run(run())


async def ask(one: Peer, other: Peer) -> wire.Message:
    async with one.links.exchange(other.contact) as exchange:
        await exchange.send(wire.News(bytes(16)))
        return await exchange.expect(wire.Ok)


def test_many_exchanges_share_one_link_and_both_sides_hear_of_it() -> None:
    async def scene() -> None:
        async with two({wire.News: say_ok}) as (one, other, _):
            await asyncio.gather(*(ask(one, other) for _ in range(20)))
            assert (one.open_links(), other.open_links()) == (1, 1)
            assert (one.seen, other.seen) == ([other.contact.peer], [one.contact.peer])

    play(scene)


def test_a_link_without_work_is_closed_after_a_minute() -> None:
    async def scene() -> None:
        async with two({wire.News: say_ok}) as (one, other, _):
            await ask(one, other)
            await asyncio.sleep(limits.LINK_IDLE_SECONDS - 2)
            assert one.open_links() == 1
            await asyncio.sleep(4)
            assert (one.open_links(), other.open_links()) == (0, 0)

    play(scene)


def test_nobody_there_is_unreachable_within_the_deadline() -> None:
    async def scene() -> None:
        async with two({wire.News: say_ok}) as (one, other, world):
            world.crash(other.contact.peer)
            began = asyncio.get_running_loop().time()
            with pytest.raises(Unreachable, match="did not answer in time"):
                await ask(one, other)
            assert asyncio.get_running_loop().time() - began <= limits.DIAL_SECONDS_MAX + 0.1

    play(scene)


def test_a_link_that_died_costs_one_deadline_and_is_dialled_afresh() -> None:
    async def scene() -> None:
        async with two({wire.News: say_ok}) as (one, other, world):
            await ask(one, other)
            world.part([one.contact.peer], [other.contact.peer])
            with pytest.raises(LinkClosed):
                await ask(one, other)
            world.heal()
            await ask(one, other)
            assert one.seen == [other.contact.peer] * 2

    play(scene)


def test_a_refusal_and_a_failure_come_as_words() -> None:
    async def no_room(message: wire.Message, exchange: Exchange) -> None:
        await exchange.send(wire.No(wire.Refusal.FULL, "This drop is full."))

    async def broken(message: wire.Message, exchange: Exchange) -> None:
        raise Unreachable("The disk is almost full.")

    async def scene() -> None:
        for answer, refusal, words in (
            (no_room, wire.Refusal.FULL, "This drop is full"),
            (broken, wire.Refusal.LATER, "almost full"),
        ):
            async with two({wire.News: answer}) as (one, other, _):
                with pytest.raises(Refused, match=words) as refused:
                    await ask(one, other)
                assert refused.value.refusal == refusal

    play(scene)


def test_a_bug_in_one_answer_leaves_the_link_and_the_node_alive() -> None:
    calls = 0

    async def sometimes(message: wire.Message, exchange: Exchange) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ZeroDivisionError
        await exchange.send(wire.Ok())

    async def scene() -> None:
        async with two({wire.News: sometimes}) as (one, other, _):
            with pytest.raises(LinkClosed):
                await ask(one, other)
            await ask(one, other)

    play(scene)


def test_what_is_no_request_is_refused() -> None:
    async def scene() -> None:
        async with two({wire.News: say_ok}) as (one, other, _):
            async with one.links.exchange(other.contact) as exchange:
                await exchange.send(wire.Ok())
                with pytest.raises(Refused, match="not what the protocol allows"):
                    await exchange.expect(wire.Ok)
            await ask(one, other)

    play(scene)


@pytest.mark.parametrize(
    "octets", [b"\xff\x00\x00\x00\x00", b"\x10\xff\xff\xff\xff", b"\x10\0\0\0\x02xx"]
)
def test_bytes_that_are_no_message_harm_nobody(octets: bytes) -> None:
    async def scene() -> None:
        async with two({wire.News: say_ok}) as (one, other, _):
            with contextlib.suppress(LinkClosed, Refused, PeerMisbehaved):
                async with one.links.exchange(other.contact) as exchange:
                    await exchange.stream.write(octets)
                    await exchange.expect(wire.Ok)
            await ask(one, other)

    play(scene)


def test_a_peer_that_begins_and_says_nothing_is_given_up() -> None:
    async def scene() -> None:
        async with two({wire.News: say_ok}) as (one, other, _):
            with pytest.raises(LinkClosed):
                await begin_and_wait(one, other)
            assert asyncio.get_running_loop().time() <= 2 * limits.ANSWER_SECONDS_MAX

    play(scene)


async def begin_and_wait(one: Peer, other: Peer) -> None:
    async with one.links.exchange(other.contact) as silent:
        await silent.stream.write(b"\x10")
        await silent.receive(3 * limits.ANSWER_SECONDS_MAX)


def test_a_peer_has_no_more_than_two_links_to_us() -> None:
    async def scene() -> None:
        async with two({wire.News: say_ok}) as (one, other, _):
            dialled = [await one.endpoint.dial(other.contact) for _ in range(5)]
            await asyncio.sleep(1)
            assert other.open_links() == limits.LINKS_PER_PEER_MAX
            assert [link.closed for link in dialled] == [True, True, True, False, False]

    play(scene)


def test_an_exchange_that_its_asker_gives_up_ends_on_both_sides() -> None:
    ended = asyncio.Event()

    async def patient(message: wire.Message, exchange: Exchange) -> None:
        try:
            async for _ in exchange.receive_bulk(10**6):
                pass
        finally:
            ended.set()

    async def scene() -> None:
        async with two({wire.News: patient}) as (one, other, _):
            with contextlib.suppress(TimeoutError):
                async with timeout(1):
                    await ask(one, other)
            async with timeout(2):
                await ended.wait()

    play(scene)


def test_a_full_cache_closes_no_link_that_is_in_use() -> None:
    """The prototype closed its oldest one, whatever was asked on it: the answer never came, and a
    timer of two seconds told of it."""
    go_on = asyncio.Event()

    async def slow(message: wire.Message, exchange: Exchange) -> None:
        await go_on.wait()
        await exchange.send(wire.Ok())

    async def scene() -> None:
        world = World(Random(3))
        async with two({wire.News: slow}, world) as (one, other, _), asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(ask(one, other))
            await asyncio.sleep(0.1)
            crowd = []
            for number in range(limits.LINKS_MAX + 3):
                peer = Peer(
                    await world.network().open(bytes([9, number]) + bytes(30), 0),
                    {wire.News: say_ok},
                )
                crowd.append(tasks.create_task(peer.links.serve()))
                await asyncio.sleep(0)
                await ask(one, peer)  # ours is full,
                await ask_news(peer, other)  # and so is theirs
            go_on.set()
            assert await waiting == wire.Ok()
            assert max(one.links.count, other.links.count) <= limits.LINKS_MAX
            for service in crowd:
                service.cancel()

    play(scene)


async def ask_news(one: Peer, other: Peer) -> None:
    """Make a link, and say nothing on it."""
    async with one.links.exchange(other.contact):
        pass


def test_more_links_than_allowed_cost_the_idlest_one() -> None:
    async def scene() -> None:
        world = World(Random(3))
        async with two({}, world) as (one, _, _), asyncio.TaskGroup() as tasks:
            crowd = []
            for number in range(limits.LINKS_MAX + 3):
                seed = bytes([9, number]) + bytes(30)
                peer = Peer(await world.network().open(seed, 0), {wire.News: say_ok})
                crowd.append((peer, tasks.create_task(peer.links.serve())))
            await asyncio.sleep(0)
            for peer, _ in crowd:
                await ask(one, peer)
            assert one.open_links() <= limits.LINKS_MAX
            for peer, service in crowd:
                await ask(one, peer)
                service.cancel()

    play(scene)


def test_both_dial_at_once_and_one_dial_hangs() -> None:
    """Fifty times, each time the other side's dial is the one that hangs."""

    class Hanging:
        """An endpoint whose own dials never end; it is dialled as ever."""

        def __init__(self, endpoint: SimulatedEndpoint) -> None:
            self._endpoint = endpoint
            self.hangs = False

        def __getattr__(self, name: str) -> object:
            return getattr(self._endpoint, name)

        async def dial(self, contact: Contact) -> Link:
            if self.hangs:
                await asyncio.sleep(30)
            return await self._endpoint.dial(contact)

    async def scene() -> None:
        world = World(Random(7))
        ends = [Hanging(await world.network().open(bytes([number]) * 32, 0)) for number in (1, 2)]
        one, other = (Peer(cast(Endpoint, end), {wire.News: say_ok}) for end in ends)
        services = [asyncio.create_task(peer.links.serve()) for peer in (one, other)]
        await asyncio.sleep(0)
        time = asyncio.get_running_loop().time
        for turn in range(50):
            ends[turn % 2].hangs, ends[1 - turn % 2].hangs = True, False
            began = time()
            await asyncio.gather(ask(one, other), ask(other, one))
            assert time() - began <= 3.0
            await asyncio.sleep(limits.LINK_IDLE_SECONDS + 2)
            assert (one.open_links(), other.open_links()) == (0, 0)
        for service in services:
            service.cancel()
        await asyncio.gather(*services, return_exceptions=True)

    play(scene)


def test_a_link_whose_packets_go_where_they_may_not_is_used_no_more() -> None:
    async def scene() -> None:
        async with two({wire.News: say_ok}) as (one, other, _):
            await ask(one, other)
            one.links._may_use = lambda _: False
            assert not one.links.is_linked(other.contact.peer)
            with pytest.raises(Unreachable):
                await ask(one, other)
            one.links._may_use = lambda _: True
            await ask(one, other)
            other.links._may_use = lambda _: False
            with pytest.raises(LinkClosed):
                await ask(one, other)

    play(scene)
