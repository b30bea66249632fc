"""Real endpoints with a border: who comes from beyond it, and what lies beyond it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from fakes import FakeEntropy
from postroad.base.errors import Unreachable
from postroad.base.ids import Contact, HostPort, PeerId, Relay
from postroad.base.seams import Endpoint, Network
from postroad.machine.iroh_network import IrohNetwork
from postroad.machine.listeners import SystemListeners
from postroad.machine.tls_network import TlsNetwork
from postroad.peers.gate import BEYOND, Gate
from postroad.peers.relay import RelayServer, Rules
from postroad.protocol.border import EVERYWHERE, Border, border
from postroad.sealing.keys import SigningKey
from postroad.timeouts import timeout

HOST = "127.0.0.1"
ELSEWHERE = border(["10.0.0.0/8"])
HERE = border(["127.0.0.0/8"])
ANNA, BEN = SigningKey(b"a" * 32), SigningKey(b"b" * 32)
OUTSIDE = HostPort("192.0.2.1", 46464)
Make = Callable[[Border], Network]


@pytest.fixture(params=["tls", "iroh"])
def make(request: pytest.FixtureRequest) -> Make:
    if request.param == "tls":
        return lambda within: TlsNetwork([HOST], border=within)
    return lambda within: IrohNetwork([HOST], within)


def run(scene: Callable[[], Awaitable[None]]) -> None:
    async def work() -> None:
        async with timeout(30):
            await scene()

    asyncio.run(work())


async def close(*endpoints: Endpoint | Gate) -> None:
    for one in endpoints:
        await one.close()


@pytest.mark.parametrize(("within", "is_let_in"), [(ELSEWHERE, False), (HERE, True)])
def test_whoever_comes_from_beyond_is_not_let_in(
    make: Make, within: Border, is_let_in: bool
) -> None:
    async def scene() -> None:
        door = await make(within).open(ANNA.seed, 0)
        guest = await make(EVERYWHERE).open(BEN.seed, 0)
        try:
            async with asyncio.TaskGroup() as tasks:
                dial = tasks.create_task(_dial(guest, Contact(ANNA.peer, door.addresses())))
                try:
                    async with timeout(2):
                        link = await door.accept()
                    assert link.peer == BEN.peer
                    came = True
                except TimeoutError:
                    came = False
                dial.cancel()
            assert came == is_let_in
        finally:
            await close(guest, door)

    run(scene)


async def _dial(guest: Endpoint, to: Contact) -> None:
    try:
        link = await guest.dial(to)
        await link.accept()
    except Exception:
        pass


def test_the_gate_dials_knocks_and_waits_at_nothing_beyond(make: Make) -> None:
    async def scene() -> None:
        gate = Gate(make(EVERYWHERE), ANNA.seed, ANNA.peer, 0, ELSEWHERE)
        await gate.open()
        relay = Relay(BEN.peer, OUTSIDE)
        try:
            for unreachable in (
                gate.dial(Contact(BEN.peer, (OUTSIDE,), relay)),
                gate.knock(OUTSIDE),
                gate.try_relay(relay),
            ):
                with pytest.raises(Unreachable, match="may not speak"):
                    await unreachable
            await gate.use_relays([relay])
            assert gate.home_relay() is None
        finally:
            await close(gate)

    run(scene)


def test_a_link_that_came_another_way_is_closed(make: Make) -> None:
    """What the network lets in, the gate looks at once more."""

    async def scene() -> None:
        gate = Gate(make(EVERYWHERE), ANNA.seed, ANNA.peer, 0, ELSEWHERE)
        await gate.open()
        guest = await make(EVERYWHERE).open(BEN.seed, 0)
        try:
            async with asyncio.TaskGroup() as tasks:
                accepting = tasks.create_task(gate.accept())
                link = await guest.dial(Contact(ANNA.peer, gate.addresses()))
                while not link.closed:
                    await asyncio.sleep(0.01)
                assert not accepting.done()
                accepting.cancel()
        finally:
            await close(guest, gate)

    run(scene)


@pytest.mark.parametrize(("within", "is_let_in"), [(ELSEWHERE, False), (HERE, True)])
def test_the_relay_says_nothing_to_whoever_comes_from_beyond(
    within: Border, is_let_in: bool
) -> None:
    async def may_relay(_: PeerId) -> bool:
        return True

    async def scene() -> None:
        relay = RelayServer(may_relay, FakeEntropy(), Rules(border=within))
        listening: Sequence[object] = SystemListeners(peer_hosts=(HOST,)).relay(0)
        port = listening[0].getsockname()[1]  # type: ignore[attr-defined]
        serving = asyncio.create_task(relay.serve(listening))  # type: ignore[arg-type]
        try:
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            try:
                answer = await reader.read(100)
            except ConnectionError:
                answer = b""
            assert answer.startswith(b"HTTP/1.1 ") == is_let_in
            writer.transport.abort()
        finally:
            serving.cancel()
            await asyncio.wait({serving})

    run(scene)


def test_what_is_said_of_it_names_the_key() -> None:
    assert "(networks)" in BEYOND
