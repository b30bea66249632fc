"""A contact's new device is known by the record that it brings: by theirs, and a newer one only."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from delivery.test_forged import body_of, bring, header_for, person, sealed, verdict
from delivery.test_revoked import another_device, peer_of
from delivery.test_road import is_filed
from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Contact, Fingerprint, PeerId
from postroad.base.tlv import encode
from postroad.peers.client import Client
from postroad.peers.exchange import Refused
from postroad.protocol.identity_records import sign_revoke_devices
from postroad.protocol.records import PersonRecord, sign_again
from postroad.sealing.certificate import certify
from postroad.sealing.keys import Identity
from postroad.sealing.receipt import Verdict
from postroad.store import people
from simulator.village import Resident, Village, play, until

HIGHEST = (1 << 63) - 1


def place_of(resident: Resident) -> Contact:
    return Contact(resident.node.endpoint.me, resident.node.endpoint.addresses())


async def whose(owner: Resident, device: PeerId) -> Fingerprint | None:
    """As whom that device is known to the owner's node."""
    found = await owner.node.database.read(lambda sql: people.at_device(sql, device))
    return None if found is None else found.fingerprint


async def record_kept(owner: Resident, of: Fingerprint) -> PersonRecord:
    found = await owner.node.database.read(lambda sql: people.contact(sql, of))
    assert found is not None
    return found.record


async def is_refused(teller: Resident, to: Resident, record: bytes) -> None:
    with pytest.raises((Refused, PeerMisbehaved)):
        await Client(teller.node.links).tell_record(place_of(to), record)


async def is_nobody(stranger: Resident, owner: Resident, as_whom: Fingerprint) -> None:
    """Neither known, nor served as a contact, nor heard as that person."""
    assert await whose(owner, stranger.node.endpoint.me) is None
    with pytest.raises(Refused):  # what only contacts may ask for
        await Client(stranger.node.links).find_holders(place_of(owner))
    before = await record_kept(owner, as_whom)
    assert before.certificate.device != stranger.node.endpoint.me


def test_a_new_device_is_known_by_its_own_record_at_once(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        await anna.sleep()
        new = await another_device(place, anna)
        mine = new.node.keyring.fingerprint
        record = replace(await new.node.renter.record(), sequence=HIGHEST - 1)
        record = sign_again(record, new.node.keyring.certificate, new.node.keyring.device)
        assert await whose(bora, peer_of(new)) is None
        await Client(new.node.links).tell_record(place_of(bora), encode(record))
        assert await whose(bora, peer_of(new)) == mine
        assert await whose(bora, peer_of(anna)) is None

    play(tmp_path, scene)


def test_a_stranger_is_not_known_by_a_record_of_somebody_else_or_a_forged_one(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        anna, bora, mallory, carl = await place.settle_in("anna", "bora", "mallory", "carl")
        await place.meet(bora, anna, carl)
        annas, mallorys = anna.node.keyring, mallory.node.keyring
        genuine = await anna.node.renter.record()
        own = await mallory.node.renter.record()
        # Hers, word for word; the same with his device in it; and one that he makes for her.
        await is_refused(mallory, bora, encode(genuine))
        newer = replace(genuine, sequence=HIGHEST, devices=own.devices)
        await is_refused(mallory, bora, encode(newer))
        await is_refused(
            mallory, bora, encode(sign_again(newer, annas.certificate, mallorys.device))
        )
        device = mallory.node.endpoint.me
        by_himself = certify(Identity(mallory.entropy), device, place.clock.now())
        said = replace(annas.certificate.statement, device=device)
        for certificate in (
            replace(by_himself, statement=said),  # her identity, his signature
            replace(annas.certificate, statement=said),  # her signature of another device
        ):
            assert certificate.fingerprint == annas.fingerprint, "it claims to be hers"
            forged = sign_again(newer, certificate, mallorys.device)
            await is_refused(mallory, bora, encode(forged))
        # He is no contact by a record of his own, either, though he writes her device into it.
        his = sign_again(
            replace(own, devices=(*own.devices, *genuine.devices), sequence=HIGHEST),
            mallorys.certificate,
            mallorys.device,
        )
        await is_refused(mallory, bora, encode(his))
        await is_nobody(mallory, bora, annas.fingerprint)
        assert await whose(bora, anna.node.endpoint.me) == annas.fingerprint
        assert await record_kept(bora, annas.fingerprint) == genuine

        body = body_of(anna, bora)
        header = header_for(mallory, bora, body, sender=person(anna))
        with pytest.raises(Refused, match="cannot be opened"):
            await bring(carl, bora, sealed(mallory, bora, header, body))
        assert not await bora.with_subject("forged")
        await anna.write(bora.address, subject="from her")
        await until(lambda: is_filed(bora, "from her"))

    play(tmp_path, scene)


def test_a_contact_takes_no_other_contact_s_device_over(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora, mallory = await place.settle_in("anna", "bora", "mallory")
        await place.meet(bora, anna, mallory)
        annas, mallorys = anna.node.keyring, mallory.node.keyring
        genuine, own = await anna.node.renter.record(), await mallory.node.renter.record()
        await is_refused(mallory, bora, encode(genuine))
        his = sign_again(
            replace(own, devices=(*own.devices, *genuine.devices), sequence=HIGHEST),
            mallorys.certificate,
            mallorys.device,
        )
        await Client(mallory.node.links).tell_record(place_of(bora), encode(his))
        assert await whose(bora, anna.node.endpoint.me) == annas.fingerprint
        assert await whose(bora, mallory.node.endpoint.me) == mallorys.fingerprint
        assert await record_kept(bora, annas.fingerprint) == genuine

    play(tmp_path, scene)


@pytest.mark.parametrize("was_known", [True, False], ids=["known before", "never seen"])
def test_a_revoked_device_is_known_by_no_record(tmp_path: Path, was_known: bool) -> None:
    """Its certificate is good still, and its record newer than all."""

    async def scene(place: Village) -> None:
        anna, bora, carl = await place.settle_in("anna", "bora", "carl")
        await place.meet(bora, anna, carl)
        thief = anna if was_known else await another_device(place, anna)
        record = replace(await thief.node.renter.record(), sequence=HIGHEST)
        lost = thief.node.keyring
        stolen = sign_again(record, lost.certificate, lost.device)
        revoked = sign_revoke_devices(Identity(anna.entropy), {thief.node.endpoint.me}, 1 << 32)
        await Client(bora.node.links).find_record(place_of(thief), lost.fingerprint)
        there = place_of(bora)
        await Client(thief.node.links).tell_change(there, encode(revoked), None)
        await is_refused(thief, bora, encode(stolen))
        assert await whose(bora, thief.node.endpoint.me) is None
        body = body_of(thief, bora)
        header = header_for(thief, bora, body)
        assert await verdict(thief, bora, header, body, bringer=carl) is Verdict.REVOKED
        assert not await bora.with_subject("forged")

    play(tmp_path, scene)


def test_an_older_record_displaces_no_newer_one(tmp_path: Path) -> None:
    """The lost computer runs still, and tells its record as it always did."""

    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        older = await anna.node.renter.record()
        await asyncio.sleep(limits.HOUR)
        new = await another_device(place, anna)
        newer = await new.node.renter.record()
        mine = newer.fingerprint
        assert newer.sequence > older.sequence
        await Client(new.node.links).tell_record(place_of(bora), encode(newer))
        for _ in range(2):
            await Client(anna.node.links).tell_record(place_of(bora), encode(older))
            assert await record_kept(bora, mine) == newer
            assert await whose(bora, new.node.endpoint.me) == mine
            assert await whose(bora, anna.node.endpoint.me) is None
        served = await Client(anna.node.links).find_record(
            place_of(bora), bora.node.keyring.fingerprint
        )
        assert served.fingerprint == bora.node.keyring.fingerprint

    play(tmp_path, scene)
