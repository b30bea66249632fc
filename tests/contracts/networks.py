"""The three bodies of `base.seams.Network`, and what tests do with two endpoints of one.

They are iroh, TLS over TCP, and the simulator's; the tests beside this say what each must do.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from typing import TypeVar

from postroad.base import limits
from postroad.base.errors import LinkClosed
from postroad.base.ids import Contact
from postroad.base.seams import Endpoint, Link, Network, Stream
from postroad.machine.iroh_network import LOOPBACK, IrohNetwork
from postroad.machine.tls_network import TlsNetwork
from postroad.timeouts import timeout
from simulator.network import World

T = TypeVar("T")
KIB, MIB = limits.KIB, limits.MIB
SECRETS = [bytes([n]) * 32 for n in range(1, 10)]
SOON = 10.0  # seconds: long for a loopback, short for a person who waits for the tests
REAL = ("tls", "iroh")


def only_loopback() -> bool:
    return [name for _, name in socket.if_nameindex()] == ["lo"]


def maker(body: str) -> Callable[[], Network]:
    """A maker of networks that reach each other."""
    makers: dict[str, Callable[[], Network]] = {
        "simulated": World(Random(1)).network,
        "tls": lambda: TlsNetwork(("127.0.0.1",)),
        "iroh": lambda: IrohNetwork(LOOPBACK),
    }
    return makers[body]


class Pair:
    """Two endpoints, and a link from the first to the second."""

    def __init__(self, one: Endpoint, other: Endpoint, dialled: Link, accepted: Link) -> None:
        self.one, self.other, self.dialled, self.accepted = one, other, dialled, accepted


def contact_of(endpoint: Endpoint) -> Contact:
    return Contact(endpoint.me, endpoint.addresses())


async def join(one: Endpoint, other: Endpoint) -> tuple[Link, Link]:
    dialled, accepted = await asyncio.gather(one.dial(contact_of(other)), other.accept())
    return dialled, accepted


@contextlib.asynccontextmanager
async def joined(body: str) -> AsyncIterator[Pair]:
    """Two of this body, until they are done with."""
    make = maker(body)
    one, other = await make().open(SECRETS[0], 0), await make().open(SECRETS[1], 0)
    try:
        yield Pair(one, other, *await join(one, other))
    finally:
        async with timeout(SOON):
            await one.close()
            await other.close()


def run(test: Awaitable[None]) -> None:
    """Play one test in a loop of its own; nothing may be left hanging when it is over."""

    async def play() -> None:
        async with timeout(60):
            await test
        await asyncio.sleep(0)
        # The caller waits a second for goodbyes; iroh may take some more, and then frees the port.
        closing = [task for task in asyncio.all_tasks() if task.get_name() == "iroh close"]
        await within(SOON, asyncio.gather(*closing))
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert left == []

    asyncio.run(play())


async def read_all(stream: Stream) -> bytes:
    found = bytearray()
    while octets := await stream.read(64 * KIB):
        found += octets
    return bytes(found)


async def say(stream: Stream, octets: bytes) -> None:
    await stream.write(octets)
    await stream.finish()


async def pour(stream: Stream) -> None:
    """Write for ever, or rather until it fails."""
    while True:
        await stream.write(bytes(64 * KIB))


async def within(seconds: float, awaited: Awaitable[T]) -> T:
    async with timeout(seconds):
        return await awaited


async def echo(link: Link) -> None:
    """Answer each stream with what it said, until the link ends."""

    async def answer(stream: Stream) -> None:
        with contextlib.suppress(LinkClosed):
            await say(stream, await read_all(stream))

    async with asyncio.TaskGroup() as answers:
        with contextlib.suppress(LinkClosed):
            while True:
                answers.create_task(answer(await link.accept()))


async def ask(link: Link, octets: bytes) -> bytes:
    stream = await link.open()
    await say(stream, octets)
    return await read_all(stream)
