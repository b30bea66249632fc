"""Who gets through to whom, in what time, and whom the door lets in."""

import asyncio
import contextlib
import socket
from dataclasses import replace
from random import Random

import pytest

from contracts.networks import (
    REAL,
    SECRETS,
    SOON,
    ask,
    contact_of,
    echo,
    join,
    joined,
    maker,
    run,
    within,
)
from postroad.base import limits
from postroad.base.errors import LinkClosed, Unreachable
from postroad.base.ids import Contact, HostPort, PeerId
from postroad.timeouts import timeout


def test_another_key_at_the_address_is_unreachable(body: str) -> None:
    async def test() -> None:
        async with joined(body) as pair:
            stranger = await maker(body)().open(SECRETS[2], 0)
            impostor = Contact(stranger.me, pair.other.addresses())
            async with timeout(SOON):
                with pytest.raises(Unreachable):
                    await pair.one.dial(impostor)
                await stranger.close()

    run(test())


def test_whom_no_address_or_no_true_key_is_known_for_is_unreachable_at_once(body: str) -> None:
    async def test() -> None:
        async with joined(body) as pair:
            here = pair.other.addresses()
            for contact in (
                Contact(pair.other.me),
                Contact(pair.one.me, pair.one.addresses()),
                Contact(PeerId(b"\2" + bytes(31)), here),
                Contact(pair.other.me, (replace(here[0], port=0),)),
            ):
                async with timeout(SOON):
                    with pytest.raises(Unreachable):
                        await pair.one.dial(contact)

    run(test())


def test_where_nobody_is_a_dial_ends_by_the_callers_deadline(body: str) -> None:
    async def test() -> None:
        async with joined(body) as pair:
            stranger = await maker(body)().open(SECRETS[2], 0)
            nobody = Contact(stranger.me, stranger.addresses())
            await stranger.close()
            with pytest.raises((Unreachable, TimeoutError)):  # silence, or the port said no
                await within(1.0, pair.one.dial(nobody))

    run(test())


def test_cancelled_accepts_and_dials_lose_nothing(body: str) -> None:
    async def test() -> None:
        async with joined(body) as pair, asyncio.TaskGroup() as tasks:
            for _ in range(20):
                for never in (
                    pair.one.dial(contact_of(pair.other)),
                    pair.accepted.accept(),
                    pair.one.accept(),
                ):
                    with pytest.raises(TimeoutError):
                        await within(0, never)
            tasks.create_task(echo(pair.accepted))
            assert await ask(pair.dialled, b"fine") == b"fine"
            there, _ = await join(pair.other, pair.one)
            assert there.peer == pair.one.me
            await pair.dialled.close()

    run(test())


def test_two_who_dial_each_other_at_once_both_get_through(body: str) -> None:
    async def test() -> None:
        make = maker(body)
        for _ in range(5):
            one, other = await make().open(SECRETS[0], 0), await make().open(SECRETS[1], 0)
            async with timeout(SOON):
                there, back = await asyncio.gather(
                    one.dial(contact_of(other)), other.dial(contact_of(one))
                )
                accepted = [await other.accept(), await one.accept()]
            async with asyncio.TaskGroup() as tasks:
                for link in accepted:
                    tasks.create_task(echo(link))
                assert await ask(there, b"1") == b"1"
                assert await ask(back, b"2") == b"2"
                await there.close()
                await back.close()
            await one.close()
            await other.close()

    run(test())


def test_fifty_dials_one_after_the_other(body: str) -> None:
    async def test() -> None:
        async with joined(body) as pair:
            for n in range(50):
                dialled, accepted = await join(pair.one, pair.other)
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(echo(accepted))
                    assert await ask(dialled, b"%d" % n) == b"%d" % n
                    await dialled.close()

    run(test())


def test_noise_at_the_door_does_not_shut_it(body: str) -> None:
    if body not in REAL:
        pytest.skip("not for the simulator: its door has no wire for noise")

    async def test() -> None:
        async with joined(body) as pair:
            at = pair.other.addresses()[0]
            kind = socket.SOCK_STREAM if body == "tls" else socket.SOCK_DGRAM
            with contextlib.ExitStack() as strangers:
                for noise in (b"", b"\0", b"GET / HTTP/1.1\r\n\r\n", Random(1).randbytes(1200)):
                    stranger = strangers.enter_context(socket.socket(socket.AF_INET, kind))
                    stranger.connect((at.host, at.port))
                    stranger.sendall(noise)
                dialled, accepted = await within(SOON, join(pair.one, pair.other))
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(echo(accepted))
                    assert await ask(dialled, b"and yet") == b"and yet"
                    await dialled.close()

    run(test())


def test_a_peer_cannot_hold_more_links_than_allowed(body: str) -> None:
    async def test() -> None:
        async with joined(body) as pair:
            taken = 1
            for _ in range(limits.LINKS_MAX):
                with contextlib.suppress(Unreachable):
                    link = await within(SOON, pair.one.dial(contact_of(pair.other)))
                    with contextlib.suppress(TimeoutError, LinkClosed):
                        await within(0.01 if taken < limits.LINKS_MAX else SOON, link.accept())
                    taken += not link.closed
            assert taken == limits.LINKS_MAX

    run(test())


def test_who_is_not_admitted_gets_no_link_and_whoever_is_does(body: str) -> None:
    async def test() -> None:
        async with joined(body) as pair:
            await pair.dialled.close()
            asked: list[HostPort | None] = []
            is_open = False

            def admits(at: HostPort | None, peer: PeerId | None) -> bool:
                asked.append(at)
                return is_open

            pair.other.ask_first(admits)
            with pytest.raises((Unreachable, TimeoutError)):
                await within(2, pair.one.dial(contact_of(pair.other)))
            assert asked
            assert asked[0] is not None
            assert asked[0].host == pair.one.addresses()[0].host
            is_open = True
            async with timeout(SOON):
                dialled, accepted = await join(pair.one, pair.other)
                assert (dialled.peer, accepted.peer) == (pair.other.me, pair.one.me)

    run(test())
