"""A port is said in words when it is taken, and is had again by whoever had it."""

import asyncio
import contextlib
import gc
import socket

import pytest

from contracts.networks import SECRETS, SOON, contact_of, maker, run, within
from postroad.base.errors import LinkClosed, NotToBeHad, Unreachable
from postroad.base.ids import Contact, HostPort


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
    if body == "tls":
        pytest.skip("not for TLS: a listener is gone at once, and asyncio loses so early a dial")

    async def test() -> None:
        network = maker(body)()
        host = await network.open(SECRETS[0], 0)
        port = host.addresses()[0].port
        guests = [await maker(body)().open(secret, 0) for secret in SECRETS[1:5]]
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

    gc.disable()
    try:
        run(test())
    finally:
        gc.enable()
