"""A weak key in a record, by each way on which one comes: told, found, in a bundle, in a letter."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import weak_keys
from delivery.test_bundles import read
from delivery.test_forged import bring, header_for
from postroad.base.errors import PostroadError
from postroad.base.ids import DropId
from postroad.base.tlv import encode
from postroad.peers.client import Client
from postroad.protocol import bundle, wire, wire_directory
from postroad.protocol.contacts import encode_contact
from postroad.protocol.records import Drop, PersonRecord
from postroad.sealing.keys import SigningKey
from postroad.sealing.letter import Introduction, Kind
from postroad.store.helpers import GuestBook
from weak_keys import ED25519, X25519, WeakSigner
from weak_places.town import Town, answering, asked, bora_invites, bundled, letter_of, place, text


async def of_device(town: Town, key: bytes) -> PersonRecord:
    mine = town.mallory.node.keyring.certificate
    weak = weak_keys.certificate_of_device(mine, key)
    return weak_keys.signed(await town.record(certificate=weak), WeakSigner(key))


RECORDS: dict[str, Callable[[Town, bytes], Awaitable[PersonRecord]]] = {"its device": of_device}


def kind_of_record(name: str) -> Callable[[Any], Any]:
    def enter(make: Any) -> Any:
        RECORDS[name] = make
        return make

    return enter


@kind_of_record("its identity")
async def of_identity(town: Town, key: bytes) -> PersonRecord:
    mine = town.mallory.node.keyring.certificate
    return await town.record(certificate=weak_keys.certificate_by(mine, key))


@kind_of_record("another device")
async def with_device(town: Town, key: bytes) -> PersonRecord:
    real = await town.mallory.node.renter.record()
    return await town.record(devices=(*real.devices, encode_contact(weak_keys.contact(key))))


@kind_of_record("the relay of a device")
async def with_relay(town: Town, key: bytes) -> PersonRecord:
    me = town.mallory.node.endpoint.me
    return await town.record(devices=(encode_contact(weak_keys.behind(key, me)),))


@kind_of_record("a holder")
async def with_holder(town: Town, key: bytes) -> PersonRecord:
    drop = Drop(DropId(b"d" * 16), encode_contact(weak_keys.contact(key)))
    return await town.record(drops=(drop,))


async def with_epoch_key(town: Town, key: bytes) -> PersonRecord:
    real = await town.mallory.node.renter.record()
    return await town.record(epoch_key=real.epoch_key[:1184] + key)


async def told(town: Town, record: PersonRecord) -> None:
    await asked(town, wire.Record(encode(record)))


async def found(town: Town, record: PersonRecord) -> None:
    answer = wire.Record(encode(record))
    with answering(town.mallory, wire.FindRecord, answer) as at, pytest.raises(PostroadError):
        await Client(town.bora.node.links).find_record(at, record.fingerprint)


async def signed_in(town: Town, record: PersonRecord) -> None:
    book = GuestBook(town.bora.node.database, town.bora.clock)
    with pytest.raises(PostroadError):
        await book.sign_in(None, encode(record), town.mallory.node.endpoint.me)


async def stored(town: Town, record: PersonRecord) -> None:
    await asked(town, wire_directory.Store(None, encode(record)))


async def in_a_bundle(town: Town, record: PersonRecord) -> None:
    read_it = await read(town.bora, bundled(bundle.Record(encode(record))))
    assert read_it.records == 0


async def rented_with(town: Town, record: PersonRecord) -> None:
    drop = SigningKey(b"r" * 32)
    request = wire.Rent(DropId(b"r" * 16), drop.public, encode(record), bytes(64), None)
    me = town.mallory.node.endpoint.me
    await asked(town, wire.sign_owner(request, drop, town.there.peer, me))


async def introduced_with(town: Town, record: PersonRecord, nonce: bytes) -> None:
    """A letter that is good in all, by somebody who has a good invitation."""
    sender = town.stella
    secret = (await bora_invites(town)).secret
    header = header_for(
        sender,
        town.bora,
        text(sender, town.bora),
        kind=Kind.INTRODUCTION,
        nonce=nonce,
        introduction=Introduction(secret, b"t" * 16, encode(record), None),
    )
    # By a contact: of strangers a stamp is wanted before a letter is looked at.
    await bring(
        town.mallory, town.bora, letter_of(town, header, sender.node.keyring.certificate, None)
    )


WAYS: dict[str, Callable[[Town, PersonRecord], Awaitable[None]]] = {
    "told": told,
    "found": found,
    "signed in with": signed_in,
    "to the directory": stored,
    "in a bundle": in_a_bundle,
    "rented with": rented_with,
}


def _record_place(way: str, made: str) -> None:
    bring_it, make = WAYS[way], RECORDS.get(made, with_epoch_key)

    @place(f"record, {way}: {made}", X25519 if make is with_epoch_key else ED25519)
    async def _(town: Town, key: bytes) -> None:
        await bring_it(town, await make(town, key))


for _way in WAYS:
    for _made in (*RECORDS, "the epoch key"):
        _record_place(_way, _made)


@place("record of an introduction: its device")
async def _(town: Town, key: bytes) -> None:
    nonce = hashlib.sha256(key).digest()[:16]
    await introduced_with(town, await of_device(town, key), nonce)
