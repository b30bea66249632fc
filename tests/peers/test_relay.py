"""The relay, on loopback: who may come in, who may send to whom, how much, and what ends."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from fakes import FakeEntropy
from needed import skip_without
from postroad.base import limits
from postroad.base.errors import TemporaryFailure, Unreachable
from postroad.base.ids import Contact, HostPort, PeerId, Relay
from postroad.base.seams import Endpoint, Link
from postroad.machine.iroh_network import LOOPBACK, IrohNetwork
from postroad.machine.listeners import SystemListeners
from postroad.peers.relay import RelayServer, Rules
from postroad.protocol import relay as protocol
from postroad.protocol.relay import DATAGRAM_BYTES_MAX, Kind
from postroad.timeouts import timeout
from relay_client import REQUEST, Client, admitted, batch, connected, frame, keys, packet

ANNA, BORA, CARO, DORA = keys(4)
SOON = 10.0
FAST = Rules(bytes_per_second=1e9)
SLOWED, SAME_KEY, HEALTHY = (bytes([Kind.STATUS, how]) for how in (2, 1, 0))


def run(test: Awaitable[None], seconds: float = 60.0) -> None:
    async def play() -> None:
        async with timeout(seconds):
            await test

    asyncio.run(play())


class Place:
    """A relay that serves, and whom it lets in."""

    def __init__(self, rules: Rules, port: int = 0) -> None:
        self.contacts = {ANNA.peer, BORA.peer}
        self.relay = RelayServer(self.may_relay, FakeEntropy(), rules)
        self.sockets = SystemListeners({}, ("127.0.0.1",)).relay(port)
        self.port: int = self.sockets[0].getsockname()[1]
        self.serving = asyncio.create_task(self.relay.serve(self.sockets))

    async def may_relay(self, peer: PeerId) -> bool:
        return peer in self.contacts

    async def close(self) -> None:
        self.serving.cancel()
        await asyncio.wait({self.serving})
        assert self.serving.cancelled(), self.serving
        await asyncio.sleep(0.01)  # connections hear of it in the next turn of the loop

    def at(self, peer: PeerId) -> Relay:
        return Relay(peer, HostPort("127.0.0.1", self.port))


@contextlib.asynccontextmanager
async def place(rules: Rules = FAST, port: int = 0) -> AsyncIterator[Place]:
    made = Place(rules, port)
    try:
        yield made
    finally:
        await made.close()


async def until(holds: Callable[[], object], seconds: float = SOON) -> None:
    async with timeout(seconds):
        while not holds():
            await asyncio.sleep(0.01)


async def heard(client: Client) -> bytes:
    async with timeout(SOON):
        return await client.message()


async def hears_nothing(client: Client, place: Place) -> bool:
    """Whether nothing is on the way: what the relay answers to a question comes first."""
    client.writer.write(frame(bytes([Kind.PING]) + b"question"))
    return await heard(client) == bytes([Kind.PONG]) + b"question"


def test_clients_hear_each_other_and_who_it_was() -> None:
    async def play() -> None:
        async with place() as at, admitted(at.port, ANNA) as anna, admitted(at.port, BORA) as bora:
            anna.writer.write(packet(BORA.public, b"hello") + batch(BORA.public, 2, b"abc"))
            assert await heard(bora) == bytes([Kind.FROM]) + ANNA.public + b"\0hello"
            assert await heard(bora) == bytes([Kind.FROM_MANY]) + ANNA.public + b"\0\0\2abc"
            anna.writer.write(packet(CARO.public, b"nobody") + packet(ANNA.public, b"myself"))
            assert await hears_nothing(anna, at)
            counts = at.relay.counts
            assert (counts.clients, counts.guests) == (2, 0)
            assert (counts.packets, counts.dropped) == (3, 2)

    run(play())


def test_a_guest_meets_clients_and_no_other_guest() -> None:
    async def play() -> None:
        async with (
            place() as at,
            admitted(at.port, ANNA) as anna,
            admitted(at.port, CARO) as caro,
            admitted(at.port, DORA) as dora,
        ):
            assert (at.relay.counts.clients, at.relay.counts.guests) == (1, 2)
            caro.writer.write(packet(ANNA.public, b"guest"))
            assert await heard(anna) == bytes([Kind.FROM]) + CARO.public + b"\0guest"
            anna.writer.write(packet(CARO.public, b"welcome"))
            assert await heard(caro) == bytes([Kind.FROM]) + ANNA.public + b"\0welcome"
            caro.writer.write(packet(DORA.public, b"psst"))
            assert await hears_nothing(caro, at)
            assert await hears_nothing(dora, at)
            assert at.relay.counts.dropped == 1

    run(play())


def test_where_the_owner_serves_anybody_guests_meet_too() -> None:
    async def play() -> None:
        rules = Rules(serves_anybody=True, bytes_per_second=1e9)
        async with (
            place(rules) as at,
            admitted(at.port, CARO) as caro,
            admitted(at.port, DORA) as dora,
        ):
            caro.writer.write(packet(DORA.public, b"hello"))
            assert await heard(dora) == bytes([Kind.FROM]) + CARO.public + b"\0hello"

    run(play())


def test_guests_are_few_and_few_from_one_subnet_and_leave_clients_their_place() -> None:
    strangers = keys(5, seed=7)

    async def denied(at: Place) -> bytes:
        async with connected(at.port) as client:
            verdict = await client.hello(strangers[4])
            assert await client.is_closed()
            return verdict

    async def play() -> None:
        for rules, why in (
            (Rules(guests_max=3), b"as many guests as it may"),
            (Rules(guests_per_subnet_max=3), b"guests of your network"),
        ):
            async with place(rules) as at, contextlib.AsyncExitStack() as inside:
                for one in strangers[:3]:
                    await inside.enter_async_context(admitted(at.port, one))
                assert why in await denied(at)
                await inside.enter_async_context(admitted(at.port, ANNA))
                await inside.aclose()
                await until(lambda: at.relay.counts.guests == 0)
                async with admitted(at.port, strangers[4]):
                    pass
        async with (
            place(Rules(clients_max=1)) as at,
            admitted(at.port, ANNA),
            connected(at.port) as client,
        ):
            assert b"as many clients as it may" in await client.hello(BORA)

    run(play())


def test_when_nobody_knows_who_may_come_in_nobody_does_and_the_relay_lives() -> None:
    async def play() -> None:
        async with place() as at:
            right = at.may_relay

            async def broken(peer: PeerId) -> bool:
                raise TemporaryFailure("The disk is gone.")

            at.relay._may_relay = broken
            async with connected(at.port) as client:
                assert b"come again" in await client.hello(ANNA)
            at.relay._may_relay = right
            async with admitted(at.port, ANNA):
                pass

    run(play())


def test_who_becomes_a_stranger_begins_anew_as_one() -> None:
    async def play() -> None:
        rules = Rules(look_seconds=0.05)
        async with place(rules) as at, admitted(at.port, ANNA) as anna, admitted(at.port, CARO):

            async def chat(client: Client) -> None:
                while True:
                    client.writer.write(frame(bytes([Kind.PING]) + bytes(8)))
                    await asyncio.sleep(0.03)

            chatting = asyncio.create_task(chat(anna))
            at.contacts.remove(ANNA.peer)
            async with timeout(SOON):
                assert await anna.is_closed()
            chatting.cancel()
            async with admitted(at.port, ANNA):
                assert at.relay.counts.clients == 0

    run(play())


def test_a_guest_who_becomes_a_contact_is_served_as_one_without_coming_again() -> None:
    async def play() -> None:
        async with (
            place() as at,
            admitted(at.port, CARO) as caro,
            admitted(at.port, DORA) as dora,
        ):
            at.contacts.add(CARO.peer)
            await at.relay.review()
            assert (at.relay.counts.clients, at.relay.counts.guests) == (1, 1)
            dora.writer.write(packet(CARO.public, b"now"))
            assert await heard(caro) == bytes([Kind.FROM]) + DORA.public + b"\0now"

    run(play())


def test_a_silent_client_is_asked_whether_it_lives_and_a_dead_one_is_shown_out() -> None:
    async def play() -> None:
        async with (
            place(Rules(look_seconds=0.2)) as at,
            admitted(at.port, ANNA) as anna,
            admitted(at.port, BORA) as bora,
        ):
            for _ in range(3):  # Anna answers
                assert await heard(anna) == bytes([Kind.PING]) + bytes(8)
                anna.writer.write(frame(bytes([Kind.PONG]) + bytes(8)))
            async with timeout(SOON):
                assert await bora.is_closed()  # Bora does not
            assert at.relay.counts.clients == 1

    run(play())


def test_a_guest_with_nothing_to_pass_on_is_shown_out_and_a_client_stays() -> None:
    async def play() -> None:
        rules = Rules(look_seconds=0.1, guest_idle_seconds=0.5)
        async with (
            place(rules) as at,
            admitted(at.port, ANNA) as anna,
            admitted(at.port, CARO) as idle,
            admitted(at.port, DORA) as busy,
        ):
            began = time.monotonic()

            async def live(client: Client, word: bytes) -> None:
                while True:
                    client.writer.write(word)
                    await asyncio.sleep(0.04)

            ping = frame(bytes([Kind.PING]) + bytes(8))
            talk = [
                asyncio.create_task(live(anna, ping)),
                asyncio.create_task(live(idle, ping + packet(BORA.public, b"nobody"))),
                asyncio.create_task(live(busy, packet(ANNA.public, b"hello"))),
            ]
            async with timeout(SOON):
                assert await idle.is_closed()
            assert 0.4 < time.monotonic() - began < 5
            await asyncio.sleep(0.5)
            assert (at.relay.counts.clients, at.relay.counts.guests) == (1, 1)
            for each in talk:
                each.cancel()

    run(play())


def test_of_two_connections_with_one_key_the_newest_is_served_and_the_older_one_waits() -> None:
    async def play() -> None:
        async with place() as at, admitted(at.port, BORA) as bora, admitted(at.port, ANNA) as old:
            async with admitted(at.port, ANNA) as new:
                assert await heard(old) == SAME_KEY
                bora.writer.write(packet(ANNA.public, b"one"))
                assert (await heard(new)).endswith(b"one")
                async with admitted(at.port, ANNA) as newest:
                    assert await old.is_closed()  # two are enough
                    assert await heard(new) == SAME_KEY
                    bora.writer.write(packet(ANNA.public, b"two"))
                    assert (await heard(newest)).endswith(b"two")
                assert await heard(new) == HEALTHY
                bora.writer.write(packet(ANNA.public, b"three"))
                assert (await heard(new)).endswith(b"three")
            await until(lambda: at.relay.counts.clients == 1)

    run(play())


def test_who_was_written_to_hears_when_the_writer_leaves() -> None:
    async def play() -> None:
        async with place() as at, admitted(at.port, BORA) as bora:
            async with admitted(at.port, ANNA) as anna:
                anna.writer.write(packet(BORA.public, b"bye"))
                await heard(bora)
            assert await heard(bora) == bytes([Kind.GONE]) + ANNA.public

    run(play())


def test_whoever_shows_no_key_has_a_deadline_and_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        async with place() as at, contextlib.AsyncExitStack() as inside:
            most = limits.RELAY_UNPROVEN_PER_SUBNET_MAX
            waiting = [
                await inside.enter_async_context(connected(at.port)) for _ in range(most + 3)
            ]
            for one in waiting[:3]:
                async with timeout(SOON):
                    assert await one.is_closed()
            async with admitted(at.port, ANNA):  # in spite of them all
                pass
            assert len(at.relay._unproven) < most
            monkeypatch.setattr(limits, "RELAY_HANDSHAKE_SECONDS_MAX", 0.2)
            async with connected(at.port) as late:
                late.writer.write(b"GET /relay HTTP/1.1\r\n")
                async with timeout(SOON):
                    assert await late.is_closed()

    run(play())


def test_who_comes_again_and_again_is_turned_away_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "RELAY_ARRIVALS_BURST", 5.0)
    monkeypatch.setattr(limits, "RELAY_ARRIVALS_PER_SECOND", 0.3)  # 3 s: longer than five take

    async def is_let_in(at: Place) -> bool:
        try:
            async with admitted(at.port, ANNA):
                return True
        except (asyncio.IncompleteReadError, ConnectionError):
            return False

    async def play() -> None:
        async with place() as at:
            assert [await is_let_in(at) for _ in range(5)] == [True] * 5
            assert not await is_let_in(at)
            while not await is_let_in(at):
                await asyncio.sleep(0.1)

    run(play())


@pytest.mark.parametrize(
    "words",
    [
        frame(b"", length=1 << 40),
        frame(bytes(70_000)),
        frame(bytes([Kind.TO]) + b"short"),
        b"\x82\x01\x09",
        frame(b"bye", first=0x88),
    ],
)
def test_what_one_client_does_wrong_ends_its_connection_alone(words: bytes) -> None:
    async def play() -> None:
        async with place() as at, admitted(at.port, ANNA) as anna, admitted(at.port, BORA) as bora:
            bora.writer.write(words)
            async with timeout(SOON):
                assert await bora.is_closed()
            assert await hears_nothing(anna, at)
            assert at.relay.counts.clients == 1

    run(play())


def test_who_shows_no_key_may_not_say_much() -> None:
    async def play() -> None:
        async with place() as at:
            for begin, more in (
                (b"GET /relay HTTP/1.1\r\n", b"x: " + b"y" * 1000 + b"\r\n"),
                (REQUEST, frame(b"", first=0x8A) * 100),  # each of them allowed
            ):
                async with connected(at.port) as other:
                    other.writer.write(begin)
                    with contextlib.suppress(ConnectionError):
                        for _ in range(20):
                            other.writer.write(more)
                            await other.writer.drain()
                    async with timeout(5):  # sooner than the deadline
                        assert await other.is_closed()

    run(play())


async def flood(client: Client, to: bytes, total: int) -> None:
    """Batches of iroh's size until so many bytes were taken off our hands."""
    octets = batch(to, 1200, bytes(1200 * 10))
    for _ in range(total // len(octets)):
        client.writer.write(octets)
        await client.writer.drain()


async def count(client: Client, sink: list[int]) -> None:
    while True:
        sink.append(len(await client.message()))


def test_a_slow_reader_costs_its_own_packets_and_little_memory() -> None:
    async def play() -> None:
        async with (
            place() as at,
            admitted(at.port, ANNA) as anna,
            admitted(at.port, BORA) as bora,
            admitted(at.port, CARO) as caro,
        ):
            bora.writer.transport.pause_reading()  # type: ignore[attr-defined]
            pouring = asyncio.create_task(flood(anna, BORA.public, 60 * limits.MIB))
            await until(lambda: at.relay.counts.dropped > 0)
            [slow] = [one for one in at.relay._connections if one.peer == BORA.peer]
            assert slow._transport is not None
            most = 0
            for _ in range(50):  # meanwhile others are served
                caro.writer.write(packet(ANNA.public, b"hello"))
                await heard(anna)
                most = max(most, slow._transport.get_write_buffer_size())
            await pouring
            assert 0 < most < limits.RELAY_BACKLOG_BYTES_MAX + 128 * limits.KIB

    run(play())


def test_who_asks_and_never_reads_is_not_answered_for_ever() -> None:
    async def play() -> None:
        async with (
            place() as at,
            admitted(at.port, ANNA) as anna,
            admitted(at.port, BORA) as bora,
        ):
            bora.writer.transport.pause_reading()  # type: ignore[attr-defined]
            [slow] = [one for one in at.relay._connections if one.peer == BORA.peer]
            assert slow._transport is not None
            pouring = asyncio.create_task(flood(anna, BORA.public, 60 * limits.MIB))
            await until(lambda: slow.is_full)
            for _ in range(500):
                bora.writer.write(frame(b"?" * 125, first=0x89))
                await bora.writer.drain()
                await asyncio.sleep(0.001)  # else only the last of many is answered
            await pouring
            most = limits.RELAY_BACKLOG_BYTES_MAX + protocol.MESSAGE_BYTES_MAX
            assert slow._transport.get_write_buffer_size() < most

    run(play())


def test_a_reader_that_is_stuck_is_shown_out() -> None:
    async def play() -> None:
        rules = Rules(bytes_per_second=1e9, look_seconds=0.3)
        async with (
            place(rules) as at,
            admitted(at.port, ANNA) as anna,
            admitted(at.port, BORA) as bora,
        ):
            bora.writer.transport.pause_reading()  # type: ignore[attr-defined]
            pouring = asyncio.create_task(flood(anna, BORA.public, 300 * limits.MIB))
            await until(lambda: at.relay.counts.clients == 1)
            pouring.cancel()

    run(play())


def test_what_is_more_than_may_pass_is_slowed_down_and_its_sender_is_told_once() -> None:
    async def play() -> None:
        rules = Rules(bytes_per_second=500_000)  # and a burst of 2 MB
        async with (
            place(rules) as at,
            admitted(at.port, ANNA) as anna,
            admitted(at.port, BORA) as bora,
        ):
            sizes: list[int] = []
            reading = asyncio.create_task(count(bora, sizes))
            began = time.monotonic()
            await flood(anna, BORA.public, 3_000_000)
            await until(lambda: sum(sizes) > 2_950_000, 20)
            took = time.monotonic() - began
            assert took > 1.5
            assert await heard(anna) == SLOWED
            assert await hears_nothing(anna, at)
            assert at.relay.counts.dropped == 0
            reading.cancel()

    run(play())


def test_tiny_datagrams_are_as_dear_as_they_are() -> None:
    async def play() -> None:
        async with (
            place(Rules(bytes_per_second=100_000)) as at,
            admitted(at.port, ANNA) as anna,
            admitted(at.port, BORA) as bora,
        ):
            sizes: list[int] = []
            reading = asyncio.create_task(count(bora, sizes))
            anna.writer.write(batch(BORA.public, 1, bytes(128)) * 200)  # 25,600 of one byte
            assert await heard(anna) == SLOWED
            await asyncio.sleep(0.3)
            assert at.relay.counts.packets < 20_000
            reading.cancel()

    run(play())


def test_clients_keep_their_share_when_guests_want_everything() -> None:
    async def play() -> None:
        rules = Rules(bytes_per_second=1_000_000)
        async with (
            place(rules) as at,
            admitted(at.port, ANNA) as anna,
            admitted(at.port, BORA) as bora,
            admitted(at.port, CARO) as caro,
            admitted(at.port, DORA) as dora,
        ):
            sizes: list[int] = []
            reading = asyncio.create_task(count(bora, sizes))
            pouring = [
                asyncio.create_task(flood(guest, BORA.public, 50_000_000)) for guest in (caro, dora)
            ]
            assert await heard(caro) == SLOWED
            assert await heard(dora) == SLOWED
            before, began = sum(sizes), time.monotonic()
            await asyncio.sleep(1.5)
            guests_rate = (sum(sizes) - before) / (time.monotonic() - began)
            assert guests_rate < 350_000
            began = time.monotonic()
            sizes.clear()
            anna_s = asyncio.create_task(flood(anna, BORA.public, 2_000_000))
            await anna_s  # the burst that is left, at once
            assert time.monotonic() - began < 5  # at the guests' rate it would be 8
            reading.cancel()
            for each in pouring:
                each.cancel()

    run(play())


def test_no_flood_blocks_the_loop() -> None:
    """Promise A7: 250 ms; measured here with everything that a busy machine adds."""

    async def play() -> None:
        tiny = packet(BORA.public, b"x") * 1500
        empty = frame(b"", first=0x8A) * 9000
        greatest = batch(BORA.public, 1200, bytes(1200 * 54)) * 4
        for words in (tiny, empty, greatest):
            async with (
                place() as at,
                admitted(at.port, ANNA) as anna,
                admitted(at.port, BORA) as bora,
            ):
                sizes: list[int] = []
                reading = asyncio.create_task(count(bora, sizes))
                longest = 0.0
                [source] = [one for one in at.relay._connections if one.peer == ANNA.peer]
                heard_by = source.buffer_updated

                def timed(size: int) -> None:
                    nonlocal longest
                    began = time.thread_time()
                    heard_by(size)  # noqa: B023
                    longest = max(longest, time.thread_time() - began)

                source.buffer_updated = timed  # type: ignore[method-assign]
                for _ in range(30):
                    anna.writer.write(words)
                    await anna.writer.drain()
                await hears_nothing(anna, at)
                reading.cancel()
                assert 0 < longest < 0.25

    run(play())


def test_a_relay_that_ends_leaves_nothing_and_serves_again() -> None:
    async def play() -> None:
        at = Place(FAST)
        async with admitted(at.port, ANNA) as anna, connected(at.port) as unproven:
            await at.close()
            assert await anna.is_closed()
            assert await unproven.is_closed()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", at.port)
            assert at.relay.counts.clients == 0
            assert not at.relay._connections
            at.sockets = SystemListeners({}, ("127.0.0.1",)).relay(at.port)
            at.serving = asyncio.create_task(at.relay.serve(at.sockets))
            async with admitted(at.port, ANNA):
                pass
            await at.close()

    run(play())


# Real endpoints


def _only_loopback() -> bool:
    return [name for _, name in socket.if_nameindex()] == ["lo"]


with_iroh = pytest.mark.skipif(
    not (_only_loopback() or os.environ.get("POSTROAD_OPEN_NETWORK") == "1"),
    reason="iroh multicasts: run in a network namespace with only lo (make test does)",
)


def _nft(rules: str) -> bool:
    return subprocess.run(["nft", rules], capture_output=True, check=False).returncode == 0


@pytest.fixture
def without_udp() -> Iterator[None]:
    """All UDP is dropped, as behind some firewalls."""
    if not _only_loopback():
        pytest.skip("the firewall is only ours where loopback is the only network")
    skip_without("nft")
    if not _nft(
        "add table inet relay_test;"
        "add chain inet relay_test out { type filter hook output priority 0; };"
        "add rule inet relay_test out meta l4proto udp drop"
    ):
        pytest.skip("rules of a firewall may not be laid here")
    try:
        yield
    finally:
        _nft("delete table inet relay_test")


@contextlib.asynccontextmanager
async def endpoints(count: int) -> AsyncIterator[list[Endpoint]]:
    made = [await IrohNetwork(LOOPBACK).open(bytes([n + 1]) * 32, 0) for n in range(count)]
    try:
        yield list(made)
    finally:
        for one in made:
            await one.close()


async def settle(endpoint: Endpoint, *relays: Relay) -> None:
    await endpoint.use_relays(relays)
    await until(lambda: endpoint.home_relay() in relays, 20)


async def meet(one: Endpoint, other: Endpoint, relay: Relay) -> tuple[Link, Link]:
    """By the relay alone: no address is told."""
    async with timeout(SOON):
        dialled, accepted = await asyncio.gather(
            one.dial(Contact(other.me, (), relay)), other.accept()
        )
        return dialled, accepted


async def carry(dialled: Link, accepted: Link, size: int) -> None:
    """So many bytes across, the same on both sides."""
    sent = hashlib.sha256()

    async def say() -> None:
        stream = await dialled.open()
        piece = os.urandom(64 * limits.KIB)
        for _ in range(size // len(piece)):
            sent.update(piece)
            await stream.write(piece)
        await stream.finish()
        await stream.read(1)

    async def hear() -> bytes:
        stream = await accepted.accept()
        found = hashlib.sha256()
        while octets := await stream.read(256 * limits.KIB):
            found.update(octets)
        await stream.finish()
        return found.digest()

    async with timeout(50):
        _, found = await asyncio.gather(say(), hear())
    assert found == sent.digest()


@with_iroh
def test_a_guest_dials_a_client_by_key_and_they_find_the_direct_way() -> None:
    async def play() -> None:
        async with place(Rules()) as at, endpoints(2) as (anna, bora):
            at.contacts = {anna.me}
            await settle(anna, at.at(anna.me))
            dialled, accepted = await meet(bora, anna, at.at(anna.me))
            assert (at.relay.counts.clients, at.relay.counts.guests) == (1, 1)
            await carry(dialled, accepted, 1 * limits.MIB)
            await until(lambda: dialled.path().is_direct)
            passed = at.relay.counts.bytes
            await carry(dialled, accepted, 4 * limits.MIB)
            assert at.relay.counts.bytes - passed < 1 * limits.MIB

    run(play())


@with_iroh
def test_twenty_mebibytes_pass_where_all_udp_is_dropped(without_udp: None) -> None:
    async def play() -> None:
        async with place() as at, endpoints(2) as (anna, bora):
            at.contacts = {anna.me}
            await settle(anna, at.at(anna.me))
            dialled, accepted = await meet(bora, anna, at.at(anna.me))
            await carry(dialled, accepted, 20 * limits.MIB)
            assert not dialled.path().is_direct
            assert at.relay.counts.bytes > 20 * limits.MIB
            # No honest datagram is longer than what we pass on.
            assert at.relay.counts.bytes / at.relay.counts.packets < DATAGRAM_BYTES_MAX

    run(play())


@with_iroh
def test_two_guests_do_not_meet_here(without_udp: None) -> None:
    async def play() -> None:
        async with place() as at, endpoints(2) as (anna, bora):
            at.contacts = set()
            await settle(anna, at.at(anna.me))
            with pytest.raises((TimeoutError, Unreachable)):
                async with timeout(3):
                    await bora.dial(Contact(anna.me, (), at.at(anna.me)))
            assert at.relay.counts.packets == 0
            assert at.relay.counts.dropped > 0

    run(play())


@with_iroh
def test_when_a_relay_dies_another_one_carries_on(without_udp: None) -> None:
    async def play() -> None:
        first = Place(FAST)
        async with place() as second, endpoints(2) as (anna, bora):
            first.contacts = second.contacts = {anna.me}
            await settle(anna, first.at(anna.me))
            dialled, accepted = await meet(bora, anna, first.at(anna.me))
            await carry(dialled, accepted, 1 * limits.MIB)
            await first.close()
            # While iroh believes in the old link, it dials the same peer over that link's relay.
            await dialled.close()
            await accepted.close()
            await settle(anna, second.at(anna.me))
            dialled, accepted = await meet(bora, anna, second.at(anna.me))
            await carry(dialled, accepted, 1 * limits.MIB)

    run(play())


@with_iroh
def test_after_a_pause_of_the_relay_its_clients_come_back_by_themselves(without_udp: None) -> None:
    async def play() -> None:
        at = Place(FAST)
        async with endpoints(2) as (anna, bora):
            at.contacts = {anna.me}
            await settle(anna, at.at(anna.me))
            await at.close()
            again = Place(FAST, at.port)
            again.contacts = {anna.me}
            await until(lambda: again.relay.counts.clients == 1, 30)
            dialled, accepted = await meet(bora, anna, again.at(anna.me))
            await carry(dialled, accepted, 1 * limits.MIB)
            await again.close()

    run(play())


@with_iroh
def test_letters_pass_at_the_rate_that_is_allowed_and_no_link_breaks(without_udp: None) -> None:
    async def play() -> None:
        async with place(Rules(bytes_per_second=300_000)) as at, endpoints(2) as (anna, bora):
            at.contacts = {anna.me, bora.me}
            await settle(anna, at.at(anna.me))
            dialled, accepted = await meet(bora, anna, at.at(anna.me))
            began = time.monotonic()
            await carry(dialled, accepted, 4 * limits.MIB)
            assert time.monotonic() - began > (4 * limits.MIB - 1_200_000) / 300_000
            assert not dialled.closed
            assert at.relay.counts.clients == 2  # and neither had to come again
            assert at.relay.counts.dropped == 0

    run(play())


@with_iroh
def test_a_crafted_batch_does_not_reach_an_endpoint_and_the_road_stays_open(
    without_udp: None,
) -> None:
    async def play() -> None:
        async with place() as at, endpoints(2) as (anna, bora):
            at.contacts = {anna.me}
            await settle(anna, at.at(anna.me))
            async with admitted(at.port, CARO) as caro:
                for segment, size in ((65535, 60000), (2000, 4000), (1, 60000)):
                    caro.writer.write(batch(anna.me, segment, bytes(size)))
                caro.writer.write(packet(anna.me, bytes(60000)))
                await until(lambda: at.relay.counts.dropped == 4)
                for size in range(1, 1400, 100):  # these may, and mean nothing to QUIC
                    caro.writer.write(batch(anna.me, size, os.urandom(min(128 * size, 60000))))
            dialled, accepted = await meet(bora, anna, at.at(anna.me))
            await carry(dialled, accepted, 1 * limits.MIB)

    run(play())
