"""Devices and identities that were revoked: who learns it when, and what counts no more."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from delivery.test_directory import a_box
from delivery.test_road import ended, held_by, is_filed
from fakes import FakeEntropy
from postroad.app.helper import HelperConfig, build_helper
from postroad.base import limits
from postroad.base.errors import PermanentFailure, Unreachable
from postroad.base.ids import Contact, Instant, PeerId, Ticket
from postroad.base.tlv import encode
from postroad.peers.client import Client
from postroad.peers.exchange import Refused
from postroad.protocol import wire
from postroad.protocol.identity_records import sign_revoke, sign_revoke_devices
from postroad.sealing.keys import Identity
from postroad.store import filed, invitations, people, revoked, snapshot, standing
from postroad.store.database import FILE_NAME, Sql
from simulator.village import Resident, Village, play, until


async def another_device(place: Village, of: Resident) -> Resident:
    """A computer set up from the 24 words of somebody; it knows nobody yet."""
    new = Resident(place, of.name, of.entropy)
    new.folder = place.folder / f"{of.name}-new"
    place.residents.append(new)
    await new.wake()
    return new


async def lost_her_laptop(place: Village) -> tuple[Resident, Resident, Resident]:
    """Anna, whose laptop is lost; Bora, her contact; and Anna's new computer, which has met only
    Carl, whom Bora knows, too."""
    anna, bora, carl = await place.settle_in("anna", "bora", "carl")
    await place.meet(bora, anna)
    await place.meet(bora, carl)
    await asyncio.sleep(limits.HOUR)
    await anna.sleep()
    new = await another_device(place, anna)
    await place.meet(carl, new)
    return anna, bora, new


def peer_of(resident: Resident) -> PeerId:
    assert resident.peer is not None
    return resident.peer


async def knows_revoked(resident: Resident, of: Resident, device: PeerId) -> bool:
    fingerprint = Identity(of.entropy).public.fingerprint
    return not await resident.node.database.read(
        lambda sql: revoked.speaks(sql, fingerprint, device)
    )


async def knows_ended(resident: Resident, of: Resident) -> bool:
    return await knows_revoked(resident, of, PeerId(b"?" * 32))


async def revokes(new: Resident, *devices: PeerId) -> None:
    await new.node.own_devices.revoke(devices)


def test_within_a_day_contacts_learn_that_a_lost_laptop_speaks_for_nobody(tmp_path: Path) -> None:
    """The new computer knows none of them: they find it out by themselves."""

    async def scene(place: Village) -> None:
        anna, bora, new = await lost_her_laptop(place)
        lost = peer_of(anna)
        await revokes(new, lost)
        assert not await knows_revoked(bora, anna, lost)
        await until(lambda: knows_revoked(bora, anna, lost), limits.DAY)

    play(tmp_path, scene)


def test_a_contact_learns_at_the_next_exchange_and_then_takes_nothing_from_that_device(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        lost, bora_is = anna.node.endpoint.me, bora.address
        await bora.sleep()
        await anna.write(bora_is, subject="written before")
        await asyncio.sleep(limits.MINUTE)
        await anna.sleep()
        await bora.wake()
        new = await another_device(place, anna)
        await place.meet(bora, new)
        await revokes(new, lost)
        await until(lambda: knows_revoked(bora, anna, lost), limits.MINUTE)
        await bora.write(new.address, subject="to the new one")
        await until(lambda: is_filed(new, "to the new one"))
        # Whoever found the laptop switches it on.
        await anna.wake()
        await until(lambda: ended(anna, "refused"), limits.HOUR)
        assert not await bora.with_subject("written before")
        await until(lambda: is_filed(anna, "This device of yours was revoked"))
        with pytest.raises(PermanentFailure, match="was revoked"):
            await anna.node.outbox.check_recipient(bora_is)

    play(tmp_path, scene)


def test_what_was_sealed_for_a_lost_laptop_is_sealed_anew_for_the_next_one(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        (anna,) = await place.settle_in("anna")
        (hana,) = await place.with_holders(anna, "hana")
        (bora,) = await place.settle_in("bora")
        await place.meet(bora, anna)
        lost, anna_is = anna.node.endpoint.me, anna.address
        await asyncio.sleep(limits.HOUR)
        await anna.sleep()
        await bora.write(anna_is)
        await until(lambda: held_by(bora, 1))
        (before,) = await bora.waiting()
        await bora.sleep()
        new = await another_device(place, anna)
        await place.meet(hana, new)
        await revokes(new, lost)
        await until(lambda: knows_revoked(hana, anna, lost))
        lying = await hana.node.database.read(
            lambda sql: sql.execute("SELECT count(*) FROM held_letter").fetchone()
        )
        assert lying == (0,)  # nobody else can open it, and the lost one shall not
        await bora.wake()
        await place.meet(bora, new)
        await until(lambda: is_filed(new, "hello"), limits.HOUR)
        assert before.sealed is not None
        await until(lambda: ended(bora, "delivered"))

    play(tmp_path, scene)


def test_letters_to_a_revoked_identity_come_back_and_no_new_one_is_accepted(
    tmp_path: Path,
) -> None:
    """Carl, who only has the printed sheet and no key of Anna's, publishes it."""

    async def scene(place: Village) -> None:
        anna, bora, carl = await place.settle_in("anna", "bora", "carl")
        await place.meet(bora, anna)
        await place.meet(bora, carl)
        anna_is = anna.address
        await asyncio.sleep(limits.HOUR)
        await anna.sleep()
        await bora.write(anna_is, subject="too late")
        await carl.node.changes.publish(encode(sign_revoke(Identity(anna.entropy))))
        await until(lambda: knows_ended(bora, anna), limits.DAY)
        await until(lambda: ended(bora, "refused"))
        (returned,) = await bora.with_subject("Not delivered: too late")
        assert b"revoked their identity" in b" ".join(returned.split())
        (notice,) = await bora.with_subject("anna has revoked their identity")
        assert anna_is.encode() in notice
        with pytest.raises(PermanentFailure, match="revoked by its owner"):
            await bora.node.outbox.check_recipient(anna_is)
        # And its owner sees it, too.
        await anna.wake()
        await until(lambda: is_filed(anna, "Your identity was revoked"), limits.DAY)

    play(tmp_path, scene)


def test_nobody_revokes_anybody_else_or_takes_a_revocation_back(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora, mallory = await place.settle_in("anna", "bora", "mallory")
        await place.meet(bora, anna, mallory)
        device = anna.node.endpoint.me
        thief = Identity(mallory.entropy)
        asking = Client(mallory.node.links)
        there = Contact(bora.node.endpoint.me, bora.node.endpoint.addresses())
        # Her own identity may say of any device that it is hers no more: Anna's stays Anna's.
        mine = sign_revoke_devices(thief, {device}, 1 << 32)
        await asking.tell_change(there, encode(mine), None)
        await anna.write(bora.address, subject="still here")
        await until(lambda: is_filed(bora, "still here"))
        # Anna's, signed by Mallory.
        forged = bytearray(encode(sign_revoke_devices(Identity(anna.entropy), {device}, 1 << 32)))
        forged[-1] ^= 1
        with pytest.raises(Refused):
            await asking.tell_change(there, bytes(forged), None)
        assert not await knows_revoked(bora, anna, device)
        # Somebody of whom Bora knows nothing is nothing to her.
        nobody = sign_revoke(Identity(bytes(32)))
        with pytest.raises(Refused, match="not known here"):
            await asking.tell_change(there, encode(nobody), None)
        # What was revoked once stays so, whatever a later record leaves out.
        theirs, other = Identity(anna.entropy), Identity(b"\x05" * 32).signing.peer
        for devices, sequence in (({mallory.node.endpoint.me}, 2), ({other}, 3)):
            record = sign_revoke_devices(theirs, devices, sequence << 32)
            await asking.tell_change(there, encode(record), None)
        assert await knows_revoked(bora, anna, mallory.node.endpoint.me)
        assert await knows_revoked(bora, anna, other)
        await mallory.write(bora.address, subject="mine all the same")
        await until(lambda: is_filed(bora, "mine all the same"))

    play(tmp_path, scene)


async def restored(place: Village, of: Resident) -> Resident:
    """What was on somebody's disk, on another computer, as from a backup; it is not on yet."""
    new = Resident(place, of.name, of.entropy)
    new.folder = place.folder / f"{of.name}-restored"
    shutil.copytree(of.folder, new.folder)
    (new.folder / "keys").unlink()
    mine = Identity(of.entropy).public.fingerprint
    database, now = new.folder / FILE_NAME, place.clock.now()
    snapshot.settle(database, mine, now, int(now), FakeEntropy("restored"))
    place.residents.append(new)
    return new


def test_what_the_lost_device_sealed_is_sealed_anew_and_filed_though_it_is_revoked(
    tmp_path: Path,
) -> None:
    """A restored queue holds parcels, and holders keep copies, that speak for a device which its
    owner then revokes."""

    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        (hana,) = await place.with_holders(bora, "hana")
        anna, carl = await place.settle_in("anna", "carl")
        await place.meet(bora, anna, carl)
        lost, bora_is = anna.node.endpoint.me, bora.address
        await bora.sleep()
        await anna.write(bora_is, subject="waits for her")
        await until(lambda: held_by(anna, 1))
        (row,) = await anna.waiting()
        assert row.sealed is not None
        old = row.sealed.mail_id
        for one in (anna, hana):
            await one.sleep()
        new = await restored(place, anna)
        await new.wake()
        await revokes(new, lost)
        await new.sleep()
        await bora.wake()
        record = sign_revoke_devices(Identity(anna.entropy), {lost}, 1 << 32)
        there = Contact(peer_of(bora), bora.node.endpoint.addresses())
        await Client(carl.node.links).tell_change(there, encode(record), None)
        await hana.wake()

        async def is_answered() -> bool:
            return (
                await bora.node.database.read(lambda sql: filed.receipt_for(sql, old)) is not None
            )

        await until(is_answered, limits.DAY)
        assert not await bora.with_subject("waits for her")
        await new.wake()
        await until(lambda: is_filed(bora, "waits for her"), limits.DAY)
        await until(lambda: ended(new, "delivered"), limits.DAY)
        assert len(await bora.with_subject("waits for her")) == 1

    play(tmp_path, scene)


def test_a_record_that_a_revoked_device_signs_is_believed_by_nobody(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        stolen = await anna.node.renter.record()
        lost = anna.node.endpoint.me
        record = sign_revoke_devices(Identity(anna.entropy), {lost}, 1 << 32)
        asking = Client(anna.node.links)
        there = Contact(bora.node.endpoint.me, bora.node.endpoint.addresses())
        await asking.tell_change(there, encode(record), None)

        def learn(sql: Sql) -> tuple[bool, bool, bytes | None]:
            return (
                people.learn(sql, stolen, place.clock.now()),
                people.keep_record(sql, stolen, place.clock.now()),
                people.kept_record(sql, stolen.fingerprint),
            )

        assert await bora.node.database.run(learn) == (False, False, None)
        assert not await bora.node.database.read(lambda sql: people.is_served(sql, lost))
        # Nothing else is said over its links, in either direction.
        with pytest.raises(Refused) as refused:
            await asking.find_record(there, bora.node.keyring.fingerprint)
        assert refused.value.refusal == wire.Refusal.REVOKED
        with pytest.raises(Unreachable, match="revoked by its owner"):
            await Client(bora.node.links).who(Contact(lost, anna.node.endpoint.addresses()))
        assert await asking.find_changes(there, stolen.fingerprint) == (encode(record),)
        await bora.sleep()
        await bora.wake()
        with pytest.raises(Refused):
            await asking.find_record(there, bora.node.keyring.fingerprint)

    play(tmp_path, scene)


def test_an_invitation_of_somebody_who_was_revoked_is_not_accepted(tmp_path: Path) -> None:
    """Whoever stole the keys invites people who never knew their owner."""

    async def scene(place: Village) -> None:
        anna, bora, carl = await place.settle_in("anna", "bora", "carl")
        await place.meet(bora, carl)
        await place.meet(anna, carl)
        link, _, _ = await anna.node.introductions.invite()
        await carl.node.changes.publish(encode(sign_revoke(Identity(anna.entropy))))
        await asyncio.sleep(limits.MINUTE)
        with pytest.raises(PermanentFailure, match="was revoked by its"):
            await bora.node.introductions.accept(link)
        assert anna.address not in await bora.contacts()

    play(tmp_path, scene)


def test_a_helper_serves_a_revoked_device_no_more(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        disk, machine = a_box(place, tmp_path / "helper")
        async with build_helper(HelperConfig(tmp_path, tmp_path, "box"), machine) as box:
            serving = asyncio.create_task(box.links.serve())
            await asyncio.sleep(1)
            secret, now = b"s" * 16, place.clock.now()
            await box.database.run(
                lambda sql: invitations.add(
                    sql, secret, Ticket(b"t" * 16), now, Instant(now + limits.DAY)
                )
            )
            record = encode(await anna.node.renter.record())
            here, device = box.where_i_am(), anna.node.endpoint.me
            asking = Client(anna.node.links)
            await asking.sign_in(here, record, secret)
            revocation = encode(sign_revoke_devices(Identity(anna.entropy), {device}, 1 << 32))
            # Anybody may bring it: it proves itself.
            await Client(bora.node.links).tell_change(here, revocation, None)
            with pytest.raises(Refused) as refused:
                await asking.sign_in(here, record, None)
            assert refused.value.refusal == wire.Refusal.REVOKED
            serving.cancel()
            await asyncio.wait({serving})
        disk.close()

    play(tmp_path, scene)


def test_a_new_computer_finds_the_lost_one_in_the_directory_and_revokes_it(tmp_path: Path) -> None:
    """It knows nothing of it but the 24 words; nor of Hana, who holds for the lost one and hears of
    it first."""

    async def scene(place: Village) -> None:
        anna, bora, new = await lost_her_laptop(place)
        lost = peer_of(anna)

        async def is_found() -> bool:
            return len(await new.node.own_devices.all()) == 2

        await until(is_found, limits.HOUR)
        this, other = await new.node.own_devices.all()
        assert (this.peer, this.is_revoked) == (new.node.endpoint.me, False)
        assert (other.peer, other.is_revoked) == (lost, False)
        assert await new.node.own_devices.called(lost.hex()[:8]) == lost
        await revokes(new, lost)
        assert [one.is_revoked for one in await new.node.own_devices.all()] == [False, True]
        # Bora's node held for the lost one: it stands in the record that was found.
        await until(lambda: knows_revoked(bora, anna, lost), limits.MINUTE)

    play(tmp_path, scene)


def test_a_stranger_who_was_revoked_is_not_written_to(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora, carl = await place.settle_in("anna", "bora", "carl")
        await place.meet(bora, carl)
        await place.meet(anna, carl)
        await asyncio.sleep(limits.HOUR)
        assert await bora.node.outbox.check_recipient(anna.address) == anna.address
        await carl.node.changes.publish(encode(sign_revoke(Identity(anna.entropy))))
        await asyncio.sleep(2 * limits.DAY)  # what was looked up once is believed for a while
        with pytest.raises(PermanentFailure, match="revoked by its owner"):
            await bora.node.outbox.check_recipient(anna.address)

    play(tmp_path, scene)


def test_one_peer_keeps_nobody_busy_with_changes(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        bora, mallory = await place.settle_in("bora", "mallory")
        await place.meet(bora, mallory)
        asking = Client(mallory.node.links)
        there = Contact(peer_of(bora), bora.node.endpoint.addresses())
        record = encode(sign_revoke(Identity(bytes(32))))
        said = []
        for _ in range(30):
            with pytest.raises(Refused) as refused:
                await asking.tell_change(there, record, None)
            said.append(refused.value.refusal)
        assert said[0] == wire.Refusal.UNKNOWN
        assert said[-1] == wire.Refusal.LATER

    play(tmp_path, scene)


def test_a_damaged_change_stops_neither_the_node_nor_the_others(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora, carl = await place.settle_in("anna", "bora", "carl")
        await place.meet(bora, anna, carl)
        other = Identity(b"\x05" * 32).signing.peer
        await revokes(anna, other)
        await until(lambda: knows_revoked(bora, anna, other), limits.MINUTE)
        for resident in (anna, bora):
            await resident.node.database.run(
                lambda sql: sql.execute("UPDATE change SET octets = x'0100'").rowcount
            )
            await resident.sleep()
            await resident.wake()
        later = Identity(b"\x06" * 32).signing.peer
        await revokes(anna, later)
        await until(lambda: knows_revoked(bora, anna, later), limits.DAY)
        assert await knows_revoked(bora, anna, other)
        assert not place.faults

    play(tmp_path, scene)


def test_who_begins_anew_on_the_device_of_an_identity_that_ended_is_spoken_with_at_once(
    tmp_path: Path,
) -> None:
    """And not any more once they are no contact: by the commit that makes them one or ends it."""

    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        end = encode(sign_revoke(Identity(anna.entropy)))
        asking = Client(anna.node.links)
        there = Contact(peer_of(bora), bora.node.endpoint.addresses())
        await asking.tell_change(there, end, None)
        bora_is = bora.node.keyring.fingerprint
        with pytest.raises(Refused) as refused:
            await asking.find_record(there, bora_is)
        assert refused.value.refusal == wire.Refusal.REVOKED
        # Anna goes on as somebody else, whom Bora meets without knowing that it is she.
        await anna.node.changes.rotate(b"\x33" * 32)
        record = await anna.node.renter.record()
        await bora.node.database.run(
            lambda sql: people.add_contact(
                sql, record, place.clock.now(), my_ticket=None, their_ticket=None
            )
        )
        assert (await asking.find_record(there, bora_is)).fingerprint == bora_is
        await bora.node.database.run(
            lambda sql: standing.remove(sql, record.fingerprint, bora.node.machine.clock.now())
        )
        with pytest.raises(Refused) as refused:
            await asking.find_record(there, bora_is)
        assert refused.value.refusal == wire.Refusal.REVOKED

    play(tmp_path, scene)
