"""A port is said in words when it is taken, and is had again by whoever had it."""

import asyncio
import contextlib
import gc
import os
import socket
from collections.abc import Awaitable

import pytest

from contracts.networks import SECRETS, SOON, contact_of, maker, run, within
from postroad.base.errors import LinkClosed, NotToBeHad, Unreachable
from postroad.base.ids import Contact, HostPort
from postroad.timeouts import timeout


def test_a_port_can_be_chosen_and_a_taken_one_is_said_in_words(body: str) -> None:
    async def test() -> None:
        network = maker(body)()
        first = await network.open(SECRETS[0], 0)
        port = first.addresses()[0].port
        await first.close()
        second = await network.open(SECRETS[0], port)
        assert second.addresses()[0].port == port
        with pytest.raises(NotToBeHad, match=rf"{port}.*another program has"):
            await network.open(SECRETS[1], port)
        await second.close()
        third = await network.open(SECRETS[0], port)
        assert third.addresses()[0].port == port
        await third.close()

    run(test())


def test_a_port_is_had_again_although_a_dial_was_still_without_an_answer(body: str) -> None:
    """iroh says goodbye for 3 s to whom it dialled in vain, and keeps its port meanwhile."""

    async def test() -> None:
        network = maker(body)()
        first = await network.open(SECRETS[0], 0)
        port = first.addresses()[0].port
        await first.close()
        stranger = await maker(body)().open(SECRETS[1], 0)
        nobody = stranger.me
        await stranger.close()
        with (
            socket.create_server(("127.0.0.1", 0)) as silent,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent_too,
        ):
            silent_too.bind(silent.getsockname())
            nowhere = HostPort(*silent.getsockname())
            second = await network.open(SECRETS[0], port)
            dial = asyncio.create_task(second.dial(Contact(nobody, (nowhere,))))
            await asyncio.sleep(0.1)
            await within(SOON, second.close())
            third = await within(SOON, network.open(SECRETS[0], port))
            assert third.addresses()[0].port == port
            dial.cancel()
            with contextlib.suppress(Unreachable, LinkClosed, asyncio.CancelledError):
                await dial
            await third.close()

    run(test())


def test_a_port_is_had_again_although_somebody_was_just_coming_in(body: str) -> None:
    """What iroh has handed out of a guest keeps its port, and a task's error may keep that: whether
    or not somebody collects garbage, the port must be free."""

    async def test() -> None:
        make = maker(body)
        network = make()
        host = await network.open(SECRETS[0], 0)
        port = host.addresses()[0].port
        guests = [await make().open(secret, 0) for secret in SECRETS[1:5]]
        for round_number in range(6):
            contact = contact_of(host)
            dials = [asyncio.create_task(guest.dial(contact)) for guest in guests]
            await asyncio.sleep(round_number / 500)  # from before the first to after the last
            await within(SOON, host.close())
            for dial in dials:
                dial.cancel()
            await asyncio.wait(dials)
            host = await within(SOON, network.open(SECRETS[0], port))
        for endpoint in (host, *guests):
            await endpoint.close()

    without_collector(test())


def test_a_port_is_had_again_by_who_left_a_stream_in_the_turn_that_it_came(body: str) -> None:
    async def test() -> None:
        make = maker(body)
        network = make()
        host = await network.open(SECRETS[0], 0)
        port = host.addresses()[0].port
        guest = await make().open(SECRETS[1], 0)
        for turns in range(4):  # of the loop, from before the stream is there to after
            _, link = await asyncio.gather(guest.dial(contact_of(host)), host.accept())
            opening = asyncio.create_task(link.open())
            for _ in range(turns):
                await asyncio.sleep(0)
            opening.cancel()
            await asyncio.wait({opening})
            await within(SOON, host.close())
            host = await within(SOON, network.open(SECRETS[0], port))
        for endpoint in (host, guest):
            await endpoint.close()

    run(test())


def test_a_handshake_is_broken_off_in_any_turn_and_leaves_no_descriptor(body: str) -> None:
    async def visit(turns: int, *, by_host: bool) -> None:
        make = maker(body)
        host, guest = await make().open(SECRETS[0], 0), await make().open(SECRETS[1], 0)
        dial = asyncio.create_task(guest.dial(contact_of(host)))
        for _ in range(turns):
            await asyncio.sleep(0)
        if by_host:
            await within(SOON, host.close())
        dial.cancel()
        await asyncio.wait({dial})
        await within(SOON, guest.close())
        await within(SOON, host.close())

    async def test() -> None:
        await visit(0, by_host=False)  # what the process keeps from its first on
        before = descriptors()
        for turns in range(4 if body == "iroh" else 24):  # iroh's goodbyes take a second each
            for by_host in (True, False):
                await visit(turns, by_host=by_host)
                await until_there_are(before)

    without_collector(test())


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def until_there_are(count: int) -> None:
    async with timeout(SOON):
        while descriptors() > count:
            await asyncio.sleep(0.01)


def without_collector(test: Awaitable[None]) -> None:
    """Whether or not somebody collects garbage, what is left must be free."""
    gc.disable()
    try:
        run(test)
    finally:
        gc.enable()
