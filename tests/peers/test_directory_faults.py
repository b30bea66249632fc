"""Each fault of kademlia 2.2.3 that we repair: shown in the library as it is, then gone in ours.

The numbers are those of the rows in ADR 5. Should a new version of the library mend one, the first
half of its test fails, and our override can go.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from kademlia.crawling import ValueSpiderCrawl  # type: ignore[import-untyped]
from kademlia.network import Server  # type: ignore[import-untyped]
from kademlia.node import Node  # type: ignore[import-untyped]
from kademlia.protocol import KademliaProtocol  # type: ignore[import-untyped]
from kademlia.routing import RoutingTable  # type: ignore[import-untyped]
from kademlia.storage import ForgetfulStorage  # type: ignore[import-untyped]
from kademlia.utils import digest  # type: ignore[import-untyped]
from rpcudp.exceptions import MalformedMessage  # type: ignore[import-untyped]

from fakes import FakeClock, FakeEntropy, contact, peer
from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Contact, HostPort, PeerId
from postroad.base.tlv import encode
from postroad.peers.directory.lookup import Lookup
from postroad.peers.directory.storage import Records
from postroad.peers.directory.table import DirectoryNode, Table
from postroad.peers.exchange import Exchange
from postroad.peers.link import Links
from postroad.protocol import wire
from postroad.protocol import wire_directory as messages
from postroad.protocol.contacts import encode_contact
from postroad.protocol.directory import RECORD_BYTES_MAX
from simulator.directory import (
    VIRTUAL_NOW,
    Member,
    MemoryShelf,
    Town,
    key_of,
    person,
    play,
    record,
    town,
)

K = limits.DIRECTORY_NEIGHBOURS


@contextlib.asynccontextmanager
async def stock(
    count: int, protocol: Callable[[int], type[Any]] = lambda _: KademliaProtocol
) -> AsyncIterator[list[Any]]:
    """Nodes of the library as it is, over UDP on loopback, that know each other."""
    servers = []
    try:
        for number in range(count):
            server = Server()
            server.protocol_class = protocol(number)
            await server.listen(0, "127.0.0.1")
            servers.append(server)
        await asyncio.sleep(0)
        for server in servers[1:]:
            await server.bootstrap([place(servers[0])])
        yield servers
    finally:
        for server in servers:
            server.stop()
        await asyncio.sleep(0.01)


def place(server: Any) -> tuple[str, int]:
    host, port = server.transport.get_extra_info("sockname")
    return host, port


def stock_size(server: Any) -> int:
    return sum(len(bucket) for bucket in server.protocol.router.buckets)


def table(elapsed: Callable[[], float] = lambda: 0.0) -> tuple[Table, list[DirectoryNode]]:
    """Ours, and the list of those whom it wants to be asked."""
    asked: list[DirectoryNode] = []
    return Table(node(0), K, elapsed, asked.append), asked


def node(number: int) -> DirectoryNode:
    return DirectoryNode(Contact(PeerId(number.to_bytes(32, "big"))))


@contextlib.asynccontextmanager
async def mallory(place: Town) -> AsyncIterator[Links]:
    """Somebody with links, who answers nothing."""
    endpoint = await place.world.network().open(b"mallory's own secret, 32 octets!", 46464)
    links = Links(endpoint, place.clock, {}, lambda *_: None)
    serving = asyncio.create_task(links.serve())
    await asyncio.sleep(0)
    try:
        yield links
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def ask(links: Links, member: Member, request: wire.Message) -> wire.Message:
    async with links.exchange(member.contact) as exchange:
        await exchange.send(request)
        return await exchange.receive()


# 1. Ids are claims


def test_1_stock_gives_a_place_to_whoever_claims_an_id() -> None:
    async def scene() -> None:
        async with stock(3) as (victim, _, _):
            before = stock_size(victim)
            for _ in range(300):
                victim.protocol.rpc_ping(("10.1.2.3", 9), os.urandom(20))
            assert stock_size(victim) > before + 100

    asyncio.run(scene())


def test_1_ours_gives_a_place_to_whoever_answered_under_a_proven_key() -> None:
    async def scene() -> None:
        async with town(3) as place, mallory(place) as links:
            victim = place.members[0]
            before = {one.id for one in victim.directory.table.nodes()}
            mine = encode_contact(Contact(links.me, (HostPort("10.0.0.99", 46464),)))
            for _ in range(5):  # it asks, but never answers
                assert isinstance(await ask(links, victim, messages.Ping(mine)), messages.Nodes)
            others = encode_contact(contact(peer(9)))
            answer = await ask(links, victim, messages.Ping(others))
            assert isinstance(answer, wire.No)
            assert answer.refusal == wire.Refusal.FORBIDDEN
            await asyncio.sleep(30)
            assert {one.id for one in victim.directory.table.nodes()} == before
            newcomer = await place.settle(1)  # somebody who answers has a place in the end
            assert victim.directory.table.known(newcomer[0].directory.node.id) is not None

    play(scene)


# 2. Anybody stores anything under any key


def test_2_stock_lets_mallory_replace_what_alice_stored() -> None:
    async def scene() -> None:
        async with stock(5) as servers:
            await servers[1].set("alice", "alice's address")
            await servers[2].set("alice", "mallory's")
            # The writer may have kept an old copy of its own, which it prefers: fault 3.
            readers = [one for n, one in enumerate(servers) if n != 2]
            assert [await one.get("alice") for one in readers] == ["mallory's"] * 4

    asyncio.run(scene())


def test_2_ours_keeps_only_what_verifies_and_is_newer() -> None:
    async def scene() -> None:
        async with town(5) as place, mallory(place) as links:
            victim = place.members[0]
            new, old = record("alice", 2), record("alice", 1)
            assert await ask(links, victim, messages.Store(None, new)) == wire.Ok()
            for bad in (old, new[:-1] + bytes([new[-1] ^ 1]), b"mallory's"):
                answer = await ask(links, victim, messages.Store(None, bad))
                assert isinstance(answer, wire.No), bad
            kept = victim.directory.storage
            assert dict(kept) == {key_of(new): new}
            with pytest.raises(PeerMisbehaved, match="not its own"):
                await kept.offer(bytes(20), record("bob"))

    play(scene)


# 3. The first voice, or the own copy, is believed


def test_3_stock_believes_its_own_stale_copy_and_the_majority() -> None:
    async def scene() -> None:
        async with stock(3) as servers:
            await servers[0].set("key", "new")
            servers[1].storage[digest("key")] = "old"
            assert await servers[1].get("key") == "old"
            crawl = ValueSpiderCrawl(servers[2].protocol, Node(digest("key")), [], 20, 3)
            assert await crawl._handle_found_values(["old", "new", "old"]) == "old"

    asyncio.run(scene())


def test_3_ours_takes_the_newest_of_several_and_tells_the_others() -> None:
    async def scene() -> None:
        async with town(12) as place:
            old, new = record("anna", 1), record("anna", 2)
            key = key_of(new)
            members = sorted(
                place.members, key=lambda one: one.directory.node.distance_to(Node(key))
            )
            for member in members[:8]:
                await member.directory.storage.offer(key, old)
            await members[1].directory.storage.offer(key, new)
            asker = members[0].directory
            found = await asker.find(person("anna").fingerprint)
            assert found is not None
            assert encode(found) == new
            await asyncio.sleep(1)
            assert asker.storage.get(key) == new  # read repair, at home
            repaired = [one for one in members[2:] if one.directory.storage.get(key) == new]
            assert repaired  # and with those who showed an older one

    play(scene)


def test_3_whoever_knows_one_record_hears_only_of_a_newer_one() -> None:
    async def scene() -> None:
        async with town(12) as place:
            key = key_of(record("anna"))
            await place.members[0].directory.put(record("anna", 1), key)
            known = person("anna").record(1).sequence
            find = place.members[5].directory.find
            assert await find(person("anna").fingerprint) is not None
            assert await find(person("anna").fingerprint, known) is None
            await place.members[0].directory.put(record("anna", 2), key)
            newer = await find(person("anna").fingerprint, known)
            assert newer is not None
            assert newer.sequence > known

    play(scene)


# 4. One malformed answer ends a lookup


class Malformed(KademliaProtocol):  # type: ignore[misc]
    def rpc_find_node(self, sender: Any, nodeid: Any, key: Any) -> Any:
        return [["x"]]

    rpc_find_value = rpc_find_node


def test_4_stock_fails_with_one_malformed_answer_of_six() -> None:
    async def scene() -> None:
        async with stock(5) as servers:
            bad = Server()
            bad.protocol_class = Malformed
            await bad.listen(0, "127.0.0.1")
            try:
                bad.protocol.router.add_contact(Node(servers[0].node.id, *place(servers[0])))
                await bad.protocol.ping(place(servers[0]), bad.node.id)
                with pytest.raises((AttributeError, TypeError)):
                    await servers[0].set("key", "value")
            finally:
                bad.stop()

    asyncio.run(scene())


def test_4_ours_takes_a_bad_answer_for_none() -> None:
    async def nonsense(_: wire.Message, exchange: Exchange) -> None:
        await exchange.send(messages.Nodes((b"\xff" * 33,), None))

    async def lie(_: wire.Message, exchange: Exchange) -> None:
        await exchange.send(messages.Nodes((), record("mallory")))

    async def scene() -> None:
        async with town(12) as place:
            for member, answer in zip(place.members[2:6], (nonsense, lie) * 2, strict=True):
                member.answers[messages.FindNode] = answer
                member.answers[messages.FindValue] = answer
            wanted = record("anna")
            stored = await place.members[0].directory.put(wanted, key_of(wanted))
            assert stored.yes >= 8
            found = await place.members[1].directory.find(person("anna").fingerprint)
            assert found is not None
            assert encode(found) == wanted

    play(scene)


# 5. The neighbours are not the nearest


def test_5_stock_names_too_few_and_not_the_nearest_and_ours_does() -> None:
    async def scene() -> None:
        dice = Random(5)
        short = wrong = 0
        for number in range(12):
            me = node(number)
            mine = Table(me, K, lambda: 0.0, lambda _: None)
            theirs = RoutingTable(_Quiet(), K, Node(me.id))
            # As after a join: neighbours, and some others of 600.
            everywhere = [node(other) for other in range(100, 700)]
            near = sorted(everywhere, key=me.distance_to)[:K]
            for other in (*near, *dice.sample(everywhere, 20)):
                theirs.add_contact(other)
                mine.add_contact(other)
            for _ in range(20):
                target = Node(dice.randbytes(20))
                everybody = [one for bucket in theirs.buckets for one in bucket.nodes.values()]
                nearest = sorted(everybody, key=target.distance_to)[:K]
                found = theirs.find_neighbors(target)
                short += len(found) < K
                wrong += [one.id for one in found[:3]] != [one.id for one in nearest[:3]]
                ours = sorted(mine.nodes(), key=target.distance_to)[:K]
                assert mine.find_neighbors(target) == ours
        assert short > 12  # of 240
        assert wrong > 12

    asyncio.run(scene())


class _Quiet:
    async def call_ping(self, _: Any) -> None:
        return None


# 6. The slowest of each round


def test_6_stock_waits_for_each_dead_node_and_ours_passes_it_over() -> None:
    async def theirs() -> float:
        async with stock(4) as servers:
            servers[1].protocol._wait_timeout = 0.3  # instead of 5
            servers[2].transport.close()
            began = asyncio.get_running_loop().time()
            await servers[1].set("key", "value")
            return asyncio.get_running_loop().time() - began

    assert asyncio.run(theirs()) >= 0.3  # its timer, whole, though the others answer in 2 ms

    async def scene() -> None:
        async with town(30) as place:
            wanted = record("anna")
            await place.members[0].directory.put(wanted, key_of(wanted))
            for member in place.members[2:12]:
                member.crash()
            began = asyncio.get_running_loop().time()
            assert await place.members[1].directory.find(person("anna").fingerprint)
            assert asyncio.get_running_loop().time() - began < limits.DIAL_SECONDS_MAX / 2

    play(scene)


# 7 and 12. Datagrams


class _Wire:
    """What a datagram transport was given to send."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def sendto(self, octets: bytes, _: Any) -> None:
        self.sent.append(octets)


def test_7_stock_answers_whoever_is_written_on_the_packet_with_ten_times_as_much() -> None:
    async def scene() -> None:
        async with stock(1) as (server,):
            protocol = server.protocol
            for number in range(1, 40):
                protocol.router.add_contact(Node(os.urandom(20), "10.0.0.1", 1000 + number))
            asking, answering = _Wire(), _Wire()
            protocol.transport = asking
            call = protocol.find_node(("192.0.2.1", 9), bytes(20), os.urandom(20))
            protocol.transport = answering
            await protocol._solve_datagram(asking.sent[0], ("192.0.2.1", 9))  # a forged sender
            await asyncio.sleep(0.01)
            assert len(answering.sent[0]) > 5 * len(asking.sent[0])
            with pytest.raises(MalformedMessage, match="8K"):  # 12: and more is not to be had
                protocol.store(("192.0.2.1", 9), bytes(20), bytes(20), bytes(8192))
            call.cancel()
            for _, timer in protocol._outstanding.values():
                timer.cancel()
            protocol.transport = server.transport

    asyncio.run(scene())


def test_7_ours_answers_over_a_proven_link_and_within_bounds() -> None:
    most = messages.Nodes(tuple(bytes(107) for _ in range(K)), bytes(RECORD_BYTES_MAX))
    assert len(wire.frame(most)) < 15 * limits.KIB
    with pytest.raises(AssertionError):
        wire.frame(messages.Nodes(tuple(bytes(33) for _ in range(K + 1)), None))
    octets = b"".join(bytes([1, 0, 33]) + bytes(33) for _ in range(K + 1))
    with pytest.raises(PeerMisbehaved, match="too often"):
        wire.unframe(bytes([34]) + len(octets).to_bytes(4, "big"), octets)


def test_7_ours_answers_one_peer_only_so_often() -> None:
    async def scene() -> None:
        async with town(2) as place, mallory(place) as links:
            victim = place.members[0]
            answers = [
                await ask(links, victim, messages.FindNode(None, bytes(20)))
                for _ in range(limits.DIRECTORY_QUESTIONS_MAX + 20)
            ]
            refused = [one for one in answers if isinstance(one, wire.No)]
            assert 10 <= len(refused) <= 20  # some came back while it asked
            assert "too often" in refused[0].reason
            await asyncio.sleep(60)
            assert isinstance(
                await ask(links, victim, messages.FindNode(None, bytes(20))), messages.Nodes
            )

    play(scene)


# 8. A newcomer costs a walk through all storage, and sends records to the wrong node


class _Counted(ForgetfulStorage):  # type: ignore[misc]
    walks = 0

    def __iter__(self) -> Any:
        self.walks += 1
        return super().__iter__()


def test_8_stock_walks_through_its_storage_and_hashes_what_is_a_hash() -> None:
    async def scene() -> None:
        storage = _Counted()
        server = Server(storage=storage)
        await server.listen(0, "127.0.0.1")
        sent = []

        async def call_store(one: Any, key: bytes, _: Any) -> None:
            sent.append((one, key))

        key = digest("key")
        server.storage = server.protocol.storage = storage
        storage[key] = "value"
        server.protocol.call_store = call_store
        right = Node(key[:19] + bytes([key[19] ^ 1]), "10.0.0.1", 1)  # it should keep the record
        hashed = digest(key)
        far = bytes([key[0] ^ 0xFF]) + key[1:]
        beside = hashed[:19] + bytes([hashed[19] ^ 1])
        server.protocol.router.add_contact(Node(beside, "10.0.0.2", 1))
        server.protocol.router.add_contact(Node(far, "10.0.0.3", 1))
        for number in range(25):
            server.protocol.welcome_if_new(Node(os.urandom(20), "10.0.0.4", number))
        assert storage.walks == 25
        server.protocol.welcome_if_new(right)
        await asyncio.sleep(0)
        assert right not in [one for one, _ in sent]
        server.stop()

    asyncio.run(scene())


def test_8_ours_passes_records_on_by_its_own_pace_to_those_nearest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    walks = 0

    def walk(self: Records) -> Any:
        nonlocal walks
        walks += 1
        return iter(())

    monkeypatch.setattr(Records, "__iter__", walk)

    async def scene() -> None:
        async with town(14) as place:
            wanted = record("anna")
            key = key_of(wanted)
            await place.members[0].directory.put(wanted, key)
            newcomers = await place.settle(10)
            assert walks == 0
            near = sorted(place.members, key=lambda one: one.directory.node.distance_to(Node(key)))[
                :K
            ]
            should = [one for one in near if one in newcomers]
            assert should
            assert not any(one.directory.storage.get(key) for one in should)
            await asyncio.sleep(1.3 * limits.DIRECTORY_REPLICATE_SECONDS)
            assert all(one.directory.storage.get(key) == wanted for one in should)

    play(scene)


# 9. A known node stays where it was, and where it lived


def test_9_stock_ignores_a_new_address_and_does_not_move_who_answers() -> None:
    async def scene() -> None:
        async with stock(1) as (server,):
            protocol = server.protocol
            first, second = Node(b"\1" * 20, "10.0.0.1", 1), Node(b"\2" * 20, "10.0.0.2", 1)
            protocol.handle_call_response((True, None), first)
            protocol.handle_call_response((True, None), second)
            protocol.handle_call_response((True, None), Node(first.id, "10.9.9.9", 2))
            (bucket,) = protocol.router.buckets
            assert bucket[first.id].ip == "10.0.0.1"
            assert bucket.head().id == first.id

    asyncio.run(scene())


def test_9_ours_keeps_the_newest_address_and_the_order_in_which_nodes_were_heard() -> None:
    mine, _ = table()
    first = DirectoryNode(contact(peer(1)))
    mine.add_contact(first)
    mine.add_contact(DirectoryNode(contact(peer(2))))
    moved = Contact(peer(1), (HostPort("8.8.8.8", 1024),))
    mine.add_contact(DirectoryNode(moved))
    (bucket,) = mine.buckets
    known = mine.known(first.id)
    assert known is not None
    assert known.contact == moved
    assert bucket.head().contact.peer == peer(2)


def test_9_a_full_bucket_of_ours_asks_only_who_was_silent_for_long() -> None:
    now = 0.0
    mine, asked = table(lambda: now)
    number = 1
    while not asked and number < 5000:
        mine.add_contact(node(number))
        number += 1
        now += 1.0
    assert asked
    head = asked[-1]
    assert now - head.heard_at > 10 * limits.MINUTE


def test_9_who_moved_is_found_at_the_new_address() -> None:
    async def scene() -> None:
        async with town(6) as place:
            mover = place.members[3]
            me = mover.directory.node.id
            await mover.sleep()
            mover._network = place.world.network()
            mover.knows = [place.members[0].contact]
            await mover.wake()
            await asyncio.sleep(5)
            known = place.members[0].directory.table.known(me)
            assert known is not None
            assert known.contact.addresses[0] == mover.contact.addresses[0]

    play(scene)


# 10. Storage without an end


class _Time:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_10_stock_keeps_everything_and_what_is_repeated_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    time = _Time()
    monkeypatch.setattr("kademlia.storage.time", time)
    storage = ForgetfulStorage(ttl=100)
    for number in range(5000):
        storage[number.to_bytes(20, "big")] = bytes(1000)
    assert len(storage.data) == 5000
    for _ in range(50):
        time.now += 99
        storage[b"key"] = "value"
    assert storage.get(b"key") == "value"


def test_10_ours_is_bounded_and_ends_with_the_signed_expiry() -> None:
    async def scene() -> None:
        clock, shelf = FakeClock(VIRTUAL_NOW), MemoryShelf()
        kept = Records(bytes(20), shelf, clock, FakeEntropy(), records_max=4)
        records = [record(f"p{number}") for number in range(12)]
        for one in records:
            with contextlib.suppress(PeerMisbehaved):
                await kept.offer(None, one)
        far = max(records, key=lambda one: key_of(one))
        with pytest.raises(PeerMisbehaved, match="no room"):
            await kept.offer(None, far)
        near = sorted(key_of(one) for one in records)[:4]  # to a node with id 0
        assert sorted(key for key, _ in kept) == near
        assert sorted(shelf.records) == near
        for _ in range(50):
            clock.advance(limits.DAY)
            for _, one in list(kept):
                with contextlib.suppress(PeerMisbehaved):
                    await kept.offer(None, one)
        assert kept.get(near[0]) is None
        await kept.forget_expired()
        assert (len(kept), shelf.records) == (0, {})

    asyncio.run(scene())


# 11. Everything at once, each hour


def test_11_stock_repeats_all_at_once_and_ours_one_by_one_over_hours() -> None:
    storage = ForgetfulStorage()
    for number in range(100):
        storage[number.to_bytes(20, "big")] = "value"
    assert len(storage.iter_older_than(0)) == 100

    async def scene() -> None:
        kept = Records(bytes(20), MemoryShelf(), FakeClock(VIRTUAL_NOW), FakeEntropy())
        for number in range(20):
            await kept.offer(None, record(f"p{number}"))
        assert list(kept.iter_older_than(0)) == []
        due = []
        for _ in range(20):
            at, key = kept.next_due() or (0.0, b"")
            due.append(at)
            kept._kept.pop(key)
        assert due[-1] - due[0] > limits.DIRECTORY_REPLICATE_SECONDS / 4
        assert max(later - one for one, later in pairwise(due)) < limits.HOUR

    asyncio.run(scene())


def test_11_ours_lets_one_keeper_do_it_for_all() -> None:
    async def scene() -> None:
        async with town(20) as place:
            wanted = record("anna")
            await place.members[0].directory.put(wanted, key_of(wanted))
            stores = 0
            for member in place.members:
                answer = member.answers[messages.Store]

                async def counted(
                    asked: wire.Message, exchange: Exchange, answer: Any = answer
                ) -> None:
                    nonlocal stores
                    stores += 1
                    await answer(asked, exchange)

                member.answers[messages.Store] = counted
            await asyncio.sleep(3 * limits.DIRECTORY_REPLICATE_SECONDS)
            assert 2 <= stores / K <= 6  # not 16 keepers x 3

    play(scene)


# 13. Publishing


def test_13_stock_raises_when_nobody_is_alive_and_takes_one_yes_for_success() -> None:
    async def scene() -> None:
        async with stock(1) as (server,):
            server.protocol._wait_timeout = 0.05
            server.protocol.router.add_contact(Node(os.urandom(20), "127.0.0.1", 9))
            with pytest.raises(ValueError, match="empty"):
                await server.set("key", "value")

    asyncio.run(scene())


def test_13_ours_says_how_many_agreed_and_tries_again() -> None:
    async def scene() -> None:
        async with town(12) as place:
            publisher, others = place.members[0], place.members[1:]
            for member in others:
                member.crash()
            wanted = record("anna")
            stored = await publisher.directory.put(wanted, key_of(wanted))
            assert (stored.yes, stored.is_enough) == (1, False)  # it keeps it itself
            publisher.owns = [wanted]
            publisher.directory.record_changed()
            await asyncio.sleep(10)
            for member in others:
                await member.wake()
            await asyncio.sleep(2 * limits.HOUR)
            keep = [one for one in others if one.directory.storage.get(key_of(wanted))]
            assert len(keep) >= limits.DIRECTORY_STORED_MIN

    play(scene)


# 14. State


def test_14_stock_runs_what_its_state_file_says(tmp_path: Path) -> None:
    proof = tmp_path / "proof"

    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (proof,)

    (tmp_path / "state").write_bytes(pickle.dumps(Evil()))

    async def scene() -> None:
        with contextlib.suppress(TypeError, AttributeError):
            await Server.load_state(str(tmp_path / "state"), 0)

    asyncio.run(scene())
    assert proof.exists()


def test_14_ours_begins_with_good_peers_of_last_time() -> None:
    async def scene() -> None:
        async with town(8) as place:
            member = place.members[4]
            await asyncio.sleep(limits.DIRECTORY_REFRESH_SECONDS * 1.5)
            await member.sleep()
            member.knows = []  # nobody else to begin with
            member.shelf.peers.insert(0, b"not a contact")
            await member.wake()
            await asyncio.sleep(5)
            assert len(member.directory.table) >= 5

    play(scene)


# The library's clock and dice


class _Nobody:
    """A module that nobody may use."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"somebody asked the machine for {name}")


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "kademlia.network.random", "kademlia.protocol.random", "kademlia.routing.time",
        "kademlia.storage.time", "rpcudp.protocol.os", "kademlia.network.pickle",
    ):  # fmt: skip
        monkeypatch.setattr(name, _Nobody())


def test_stock_asks_the_machine_for_time_and_dice(monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch)
    with pytest.raises(AssertionError, match="getrandbits"):
        Server()
    with pytest.raises(AssertionError, match="monotonic"):
        RoutingTable(None, K, Node(bytes(20)))


def test_ours_never_does(monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch)

    async def scene() -> None:
        async with town(14) as place:
            place.members[0].owns = [record("anna")]
            place.members[0].directory.record_changed()
            for member in place.members[5:9]:
                member.crash()
                await member.wake()
            await asyncio.sleep(1.3 * limits.DIRECTORY_REPLICATE_SECONDS)
            assert await place.members[1].directory.find(person("anna").fingerprint)

    play(scene)


def test_a_lookup_ends_though_strangers_name_new_nodes_for_ever() -> None:
    numbers = iter(range(10_000, 1_000_000))

    async def endless(_: wire.Message, exchange: Exchange) -> None:
        named = [contact(peer(next(numbers))) for _ in range(K)]
        await exchange.send(messages.Nodes(tuple(map(encode_contact, named)), None))

    async def scene() -> None:
        async with town(8) as place:
            for member in place.members[1:]:
                member.answers[messages.FindNode] = endless
                member.answers[messages.FindValue] = endless
            asker = place.members[0].directory
            began = asyncio.get_running_loop().time()
            lookup = Lookup(asker.protocol, bytes(20), wants_record=True)
            await lookup.find()
            assert lookup.questions <= limits.DIRECTORY_ASKED_MAX
            took = asyncio.get_running_loop().time() - began
            assert took <= limits.DIRECTORY_LOOKUP_SECONDS_MAX + 1

    play(scene)
