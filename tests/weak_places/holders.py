"""A weak key where drops are rented, and where holders are introduced."""

from __future__ import annotations

import weak_keys
from postroad.base import limits
from postroad.base.ids import Contact, DropId, Instant, PeerId
from postroad.base.tlv import encode
from postroad.protocol import wire, wire_holders
from postroad.protocol.contacts import encode_contact
from postroad.sealing.keys import SigningKey
from postroad.store import people
from simulator.village import Resident
from weak_places.town import Town, answering, asked, place


@place("rent: the key of the drop")
async def _(town: Town, key: bytes) -> None:
    mine = encode(await town.mallory.node.renter.record())
    await asked(town, wire.Rent(DropId(b"r" * 16), key, mine, weak_keys.EVERYBODYS_SIGNATURE, None))


@place("rent: who vouches")
async def _(town: Town, key: bytes) -> None:
    await rented_by_stella(town, key, town.there.peer)


@place("rent: the holder in the voucher")
async def _(town: Town, key: bytes) -> None:
    await rented_by_stella(town, town.mallory.node.keyring.device.public, PeerId(key))


@place("introduced holder: its node")
async def _(town: Town, key: bytes) -> None:
    await not_introduced(town, weak_keys.contact(key), town.mallory.node.keyring.device.public)


@place("introduced holder: its relay")
async def _(town: Town, key: bytes) -> None:
    good = weak_keys.behind(key, town.stella.node.endpoint.me)
    await not_introduced(town, good, town.mallory.node.keyring.device.public)


@place("introduced holder: who vouches")
async def _(town: Town, key: bytes) -> None:
    await not_introduced(town, Contact(town.stella.node.endpoint.me, (weak_keys.AT,)), key)


async def rented_by_stella(town: Town, voucher: bytes, holder: PeerId) -> None:
    stella, drop = town.stella.node, SigningKey(b"r" * 32)
    word = wire_holders.Voucher(
        stella.keyring.fingerprint,
        holder,
        voucher,
        int(town.bora.clock.now()) + limits.DAY,
        weak_keys.EVERYBODYS_SIGNATURE,
    )
    mine = encode(await stella.renter.record())
    request = wire.Rent(DropId(b"r" * 16), drop.public, mine, bytes(64), word)
    signed = wire.sign_owner(request, drop, town.there.peer, stella.endpoint.me)
    await asked(town, signed, town.stella)


async def not_introduced(town: Town, holder: Contact, voucher: bytes) -> None:
    word = wire_holders.Voucher(
        town.bora.node.keyring.fingerprint,
        holder.peer,
        voucher,
        int(town.bora.clock.now()) + limits.DAY,
        weak_keys.EVERYBODYS_SIGNATURE,
    )
    if voucher == town.mallory.node.keyring.device.public:
        expires = Instant(float(word.expires))
        mine = town.bora.node.keyring.fingerprint
        word = wire_holders.vouch(mine, holder.peer, expires, town.mallory.node.keyring.device)
    answer = wire_holders.Holders((wire_holders.Introduced(encode_contact(holder), None, word),))
    mallory = await person(town.bora, town.mallory)
    holders = town.bora.node.renter.holders
    with answering(town.mallory, wire_holders.FindHolders, answer):
        await holders._ask_one(mallory)
    assert not holders._introduced[mallory.fingerprint]


async def person(owner: Resident, who: Resident) -> people.Person:
    fingerprint = who.node.keyring.fingerprint
    found = await owner.node.database.read(lambda sql: people.contact(sql, fingerprint))
    assert found is not None
    return found
