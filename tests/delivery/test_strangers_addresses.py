"""Addresses that strangers name to holders and renters are not dialled (promise A4)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from delivery.test_holders import count, lying, through
from fakes import NOW, opened_store, peer, someone
from postroad.base import limits
from postroad.base.ids import Contact, HostPort, PeerId
from postroad.peers.client import Client
from postroad.protocol import wire_holders
from postroad.protocol.contacts import decode_contact, encode_contact
from postroad.protocol.records import Drop, sign_person
from postroad.store import people, rented
from postroad.store.directory import acquaintances
from simulator.network import SimulatedEndpoint
from simulator.village import Resident, Village, play, until

LOOPBACK = HostPort("127.0.0.1", 6379)


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[PeerId, Contact]]:
    """Who dialled whom, and where."""
    found: list[tuple[PeerId, Contact]] = []
    dial = SimulatedEndpoint.dial

    async def noted(self: SimulatedEndpoint, contact: Contact) -> Any:
        found.append((self.me, contact))
        return await dial(self, contact)

    monkeypatch.setattr(SimulatedEndpoint, "dial", noted)
    return found


async def settle_in(place: Village, name: str) -> Resident:
    """Somebody who lives in the internet: what strangers name has to be public."""
    resident = Resident(place, name)
    resident.dial_private = False
    place.residents.append(resident)
    await resident.wake()
    return resident


def test_a_holder_dials_nothing_private_that_a_vouched_renter_names(
    tmp_path: Path, dialled: list[tuple[PeerId, Contact]]
) -> None:
    """Bora is a stranger to Wim, and her record names herself and Vera in a private network."""

    async def scene(place: Village) -> None:
        bora, vera, anna = await place.settle_in("bora", "vera", "anna")
        wim = await settle_in(place, "wim")
        await place.meet(vera, wim)
        await place.meet(bora, vera, anna)

        async def three() -> bool:
            return await bora.holders() == 3

        await until(three, 3 * limits.HOUR)
        await asyncio.sleep(limits.MINUTE)
        bora_is, bora_s = bora.address, bora.node.endpoint.me
        await bora.sleep()
        await vera.sleep()
        await anna.write(bora_is)
        await until(count(lying, wim, 1))
        dialled.clear()
        await asyncio.sleep(3 * limits.SIBLINGS_SECONDS)
        by_wim = [contact for me, contact in dialled if me == wim.node.endpoint.me]
        assert [one.addresses for one in by_wim if one.peer == bora_s and one.addresses] == []
        anna_s = anna.node.endpoint.me  # she holds for Bora, too
        assert [one.addresses for one in by_wim if one.peer == anna_s and one.addresses] == []

    play(tmp_path, scene)


def test_nobody_rents_where_a_contacts_contact_is_in_a_private_network(
    tmp_path: Path, dialled: list[tuple[PeerId, Contact]]
) -> None:
    async def scene(place: Village) -> None:
        vera, wim = await place.settle_in("vera", "wim")
        await place.meet(vera, wim)
        bora = await settle_in(place, "bora")
        await place.meet(bora, vera)
        wim_s = wim.node.endpoint.me
        await asyncio.sleep(3 * limits.HOUR)
        (named,) = await Client(bora.node.links).find_holders(
            Contact(vera.node.endpoint.me, vera.node.endpoint.addresses())
        )
        assert decode_contact(named.holder).peer == wim_s
        assert [one for me, one in dialled if (me, one.peer) == (bora.peer, wim_s)] == []
        assert await bora.holders() == 1

    play(tmp_path, scene)


def test_a_contact_cannot_misplace_a_holder_that_another_one_vouches_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mallory names Wim, too: elsewhere, with a voucher that is none, and one that lasts longer."""
    find = Client.find_holders

    async def scene(place: Village) -> None:
        bora, vera, wim = await through(place)
        (mallory,) = await place.settle_in("mallory")
        mallory_s, wim_s = mallory.node.endpoint.me, wim.node.endpoint.me

        async def lied(self: Client, at: Contact) -> tuple[wire_holders.Introduced, ...]:
            if at.peer != mallory_s:
                return await find(self, at)
            (true,) = await find(self, Contact(vera.node.endpoint.me))
            voucher = replace(true.voucher, expires=true.voucher.expires + limits.HOUR)
            where = encode_contact(Contact(wim_s, (LOOPBACK,)))
            return (wire_holders.Introduced(where, None, voucher),)

        monkeypatch.setattr(Client, "find_holders", lied)
        await place.meet(bora, mallory)
        await asyncio.sleep(2 * limits.HOUR)
        await bora.node.renter.settle()
        drops = await bora.node.database.read(rented.my_drops)
        (drop,) = [one for one in drops if one.holder == wim_s]
        assert drop.is_ours
        assert drop.place is not None
        assert LOOPBACK not in decode_contact(drop.place).addresses
        assert drop.told == (await bora.node.renter.record()).sequence

    play(tmp_path, scene)


def test_the_directory_begins_with_no_private_address_of_a_contacts_holder(tmp_path: Path) -> None:
    """Where a holder is, it said itself: it may be anybody."""
    anna = someone("anna")
    near, far = Contact(peer(1), (LOOPBACK,)), Contact(peer(2), (HostPort("9.9.9.9", 4646),))
    record = sign_person(
        name="anna",
        devices=(anna.contact,),
        drops=tuple(Drop(at.peer[:16], encode_contact(at)) for at in (near, far)),
        epoch_key=anna.epoch.public,
        sequence=anna.record().sequence,
        expires=NOW + limits.RECORD_SECONDS_MAX,
        certificate=anna.certificate,
        device=anna.device,
    )
    with opened_store(tmp_path) as store:
        people.add_contact(store.sql, record, NOW, my_ticket=None, their_ticket=None)
        assert acquaintances(store.sql, private=False)[1:] == [far]
        assert acquaintances(store.sql, private=True)[1:] == [near, far]
