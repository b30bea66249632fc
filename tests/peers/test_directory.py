"""The directory as its nodes live it: restarts, misfortune, strangers, and one seed one history."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fakes import FakeClock, FakeEntropy, contact, peer
from postroad.base import limits
from postroad.base.errors import LinkClosed
from postroad.base.ids import Contact, HostPort
from postroad.base.tlv import encode
from postroad.peers.directory.storage import Records
from postroad.peers.directory.table import DirectoryNode
from postroad.peers.exchange import Exchange
from postroad.protocol import wire
from postroad.protocol import wire_directory as messages
from postroad.protocol.contacts import decode_contact, encode_contact
from postroad.protocol.directory import record_key
from postroad.protocol.identity_records import REVOKE, ROTATE, sign_revoke, sign_rotate
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
from simulator.network import Weather

TESTS = Path(__file__).resolve().parents[1]


async def publish(place: Town, count: int) -> None:
    for number in range(count):
        octets = record(f"p{number}")
        stored = await place.members[number % 5].directory.put(octets, key_of(octets))
        assert stored.is_enough or stored.is_all


async def found(place: Town, count: int, living: list[Member]) -> list[bool]:
    answers = []
    for number in range(count):
        asker = place.dice.choice(living).directory
        answers.append(await asker.find(person(f"p{number}").fingerprint) is not None)
    return answers


@pytest.mark.parametrize("killed", [9, 15])
def test_all_is_found_when_a_third_or_half_are_gone_at_once(killed: int) -> None:
    async def scene() -> None:
        async with town(30) as place:
            await publish(place, 10)
            gone = place.dice.sample(place.members, killed)
            for member in gone:
                member.crash()
            living = [one for one in place.members if one not in gone]
            assert all(await found(place, 10, living))

    play(scene)


def test_all_is_found_while_a_fifth_of_all_messages_are_lost() -> None:
    async def scene() -> None:
        async with town(24) as place:
            place.world.weather = Weather(loss_chance=0.2, break_chance=0.002)
            await publish(place, 10)
            assert all(await found(place, 10, place.members))

    play(scene)


def test_one_seed_is_one_history() -> None:
    def begin(hash_seed: int) -> subprocess.Popen[str]:
        """In an interpreter of its own, where sets have an order of their own."""
        return subprocess.Popen(
            [sys.executable, "-m", "simulator.directory", "3"],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "PYTHONHASHSEED": f"{hash_seed}",
            },
            cwd=TESTS,
            stdout=subprocess.PIPE,
            text=True,
        )

    digests = [each.communicate(timeout=300)[0] for each in (begin(1), begin(2))]
    assert len(digests[0]) == 65
    assert digests[0] == digests[1]


def test_a_link_that_its_peer_closes_under_a_question_costs_one_more_try() -> None:
    """Their cache was full, or they were started anew: nothing but the question is lost."""

    async def scene() -> None:
        async with town(6) as place:
            asker, other = place.members[0], place.members[1]
            answer, closed = other.answers[messages.Ping], 0

            async def close_first(asked: wire.Message, exchange: Exchange) -> None:
                nonlocal closed
                if not closed:
                    closed += 1
                    place.world.break_links(asker.contact.peer)
                    raise LinkClosed("closed by the test")
                await answer(asked, exchange)

            other.answers[messages.Ping] = close_first
            node = DirectoryNode(other.contact)
            assert asker.links.is_linked(other.contact.peer)
            began = asyncio.get_running_loop().time()
            answered, _ = await asker.directory.protocol.call_ping(node)
            assert answered
            assert closed == 1
            assert asyncio.get_running_loop().time() - began < 1

    play(scene)


def test_what_an_identity_says_of_itself_is_found_like_a_person_s_record() -> None:
    anna, bora = person("anna"), person("bora")
    until = VIRTUAL_NOW + 45 * limits.DAY
    said = {
        REVOKE: encode(sign_revoke(anna.identity)),
        ROTATE: encode(sign_rotate(anna.identity, bora.identity, 1 << 32, until)),
    }

    async def scene() -> None:
        async with town(6) as place:
            for kind, octets in said.items():
                key = record_key(kind, anna.fingerprint)
                assert key_of(octets) == key
                assert (await place.members[1].directory.put(octets, key)).is_all
                assert await place.members[4].directory.get(key) == octets

    play(scene)


def test_a_revocation_is_kept_for_45_days_after_it_came_however_often_it_is_brought() -> None:
    async def scene() -> None:
        clock, shelf = FakeClock(VIRTUAL_NOW), MemoryShelf()
        revoked = encode(sign_revoke(person("anna").identity))
        kept = Records(bytes(20), shelf, clock, FakeEntropy())
        await kept.offer(None, revoked)
        clock.advance(44 * limits.DAY)
        await kept.offer(None, revoked)
        again = Records(bytes(20), shelf, clock, FakeEntropy())
        await again.load()  # nor does a restart make it younger
        for one in (kept, again):
            assert one.get(key_of(revoked)) == revoked
        clock.advance(2 * limits.DAY)
        for one in (kept, again):
            assert one.get(key_of(revoked)) is None

    asyncio.run(scene())


def test_what_a_node_keeps_is_there_after_a_restart() -> None:
    async def scene() -> None:
        async with town(10) as place:
            await publish(place, 1)
            keeper = place.members[3]
            key = key_of(record("p0"))
            assert keeper.directory.storage.get(key) == record("p0")
            keeper.crash()
            await keeper.wake()
            await asyncio.sleep(5)
            assert keeper.directory.storage.get(key) == record("p0")
            assert await keeper.directory.find(person("p0").fingerprint) is not None

    play(scene)


def test_who_loses_the_network_joins_again_when_it_is_back() -> None:
    async def scene() -> None:
        async with town(8) as place:
            await publish(place, 1)
            lonely = place.members[2]
            lonely.owns = [record("lonely")]
            lonely.directory.record_changed()
            await asyncio.sleep(60)
            place.world.part([lonely.contact.peer])
            await asyncio.sleep(limits.MINUTE)
            assert await lonely.directory.find(person("p7").fingerprint) is None
            await asyncio.sleep(limits.HOUR)
            assert len(lonely.directory.table) == 0
            place.world.heal()
            lonely.directory.look_again()
            await asyncio.sleep(limits.MINUTE)
            assert await lonely.directory.find(person("p0").fingerprint) is not None

    play(scene)


def test_addresses_that_strangers_name_are_dialled_only_in_public() -> None:
    """In this town all addresses are private; one member believes only public ones (A4)."""
    dialled: list[Contact] = []

    async def scene() -> None:
        async with town(8) as place:
            careful = place.members[0]
            calls = careful.directory.protocol
            calls._private = False
            inside = [
                Contact(peer(number), (HostPort(host, port),))
                for number, (host, port) in enumerate(
                    [
                        ("127.0.0.1", 46464), ("192.168.1.1", 46464), ("169.254.169.254", 8080),
                        ("8.8.8.8", 22), ("::1", 46464), ("224.0.0.1", 46464),
                    ],
                    start=1,
                )
            ]  # fmt: skip
            public = Contact(peer(9), (HostPort("8.8.8.8", 46464),))

            async def name(_: wire.Message, exchange: Exchange) -> None:
                named = [encode_contact(one) for one in (*inside, public)]
                await exchange.send(messages.Nodes(tuple(named), None))

            for member in place.members[1:]:
                member.answers[messages.FindNode] = name
            dial = careful.links._endpoint.dial

            async def noted(to: Contact) -> object:
                dialled.append(to)
                return await dial(to)

            careful.links._endpoint.dial = noted  # type: ignore[assignment,method-assign]
            await careful.directory.look(bytes(20))

    play(scene)
    assert [one.peer for one in dialled] == [peer(9)]


def test_nobody_learns_private_addresses_from_us() -> None:
    async def scene() -> None:
        async with town(5) as place:
            discreet, asker = place.members[0], place.members[1]
            discreet.directory._private = False
            async with asker.links.exchange(discreet.contact) as exchange:
                await exchange.send(messages.FindNode(None, bytes(20)))
                assert (await exchange.expect(messages.Nodes)).nodes == ()

    play(scene)


def test_who_cannot_be_dialled_asks_and_is_named_to_nobody() -> None:
    async def scene() -> None:
        async with town(5) as place:
            hidden = Member(place, 99)
            hidden.is_hidden = True
            hidden.knows = [place.members[0].contact]
            await hidden.wake()
            await publish(place, 1)
            await asyncio.sleep(120)
            assert await hidden.directory.find(person("p0").fingerprint) is not None
            for member in place.members:
                assert member.directory.table.known(hidden.directory.node.id) is None
            await hidden.sleep()

    play(scene)


def test_a_newer_address_that_a_stranger_names_is_tried_beside_the_one_we_know() -> None:
    async def scene() -> None:
        async with town(2) as place:
            calls = place.members[0].directory.protocol
            known = place.members[1].contact
            moved = Contact(known.peer, (HostPort("10.9.9.9", 46464),))
            node = calls._named(encode_contact(moved))
            assert node is not None
            assert node.contact.addresses == (*known.addresses, *moved.addresses)
            same = calls._named(encode_contact(known))
            assert same is not None
            assert decode_contact(encode_contact(same.contact)) == known
            stranger = calls._named(encode_contact(contact(peer(7))))
            assert stranger is not None

    play(scene)
