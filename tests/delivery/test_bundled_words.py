"""Changes of keys, and wishes to have letters sealed anew, between two who share no network."""

from __future__ import annotations

import asyncio
from pathlib import Path

from delivery.test_bundles import assembled, befriended, items, read, write
from delivery.test_epochs import lose_epoch_keys
from delivery.test_revoked import knows_ended, knows_revoked
from delivery.test_road import ended, is_filed
from delivery.test_rotated import NEW, knows
from postroad.base.tlv import encode
from postroad.delivery.bundled_words import CHANGES_READ_MAX
from postroad.protocol import bundle
from postroad.protocol.identity_records import sign_revoke, sign_revoke_devices
from postroad.protocol.wire_reseal import Reseal
from postroad.sealing.keys import Identity
from postroad.store import queue
from postroad.store.people import Person
from simulator.village import Village, play, until


def test_a_device_that_was_revoked_is_told_by_a_bundle(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await befriended(place)
        lost = Identity(b"\x05" * 32).signing.peer
        await anna.node.own_devices.revoke([lost])
        found = await read(bora, await write(anna, "bora"))
        assert (found.changes, found.unreadable) == (1, 0)
        assert await knows_revoked(bora, anna, lost)

    play(tmp_path, scene)


def test_a_rotation_is_told_by_a_bundle_and_letters_go_on(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await befriended(place)
        was = anna.address
        await anna.node.changes.rotate(NEW)
        found = await read(bora, await write(anna, "bora"))
        assert found.changes == 1
        assert found.author == anna.address
        assert await knows(bora, NEW)
        assert await bora.with_subject("anna has a new key")
        await bora.write(was, subject="to the old address")
        await read(anna, await write(bora, "anna"))
        await until(lambda: is_filed(anna, "to the old address"))

    play(tmp_path, scene)


def test_whose_identity_ended_is_told_by_a_bundle_that_is_for_them(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await befriended(place)
        await bora.node.changes.publish(encode(sign_revoke(Identity(anna.entropy))))
        await read(anna, await write(bora, "anna"))
        assert await knows_ended(anna, anna)
        await until(lambda: is_filed(anna, "Your identity was revoked"))

    play(tmp_path, scene)


def test_a_letter_to_a_key_that_is_gone_is_asked_for_again_by_bundles(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await befriended(place)
        bora_is = bora.address
        await anna.write(bora_is)
        await asyncio.sleep(60)
        sent = await write(anna, "bora")
        await bora.sleep()
        lose_epoch_keys(bora)
        await bora.wake()
        found = await read(bora, sent)
        assert (found.to_be_sealed_anew, found.for_others, found.filed) == (1, 0, 0)
        back = await read(anna, await write(bora, "anna"))
        assert back.sealed_anew == 1
        found = await read(bora, await write(anna, "bora"))
        assert found.filed == 1
        assert (await read(anna, await write(bora, "anna"))).receipts == 1
        await until(lambda: ended(anna, "delivered"))

    play(tmp_path, scene)


def test_forged_wishes_in_a_bundle_make_nobody_dial_and_wait(tmp_path: Path) -> None:
    """Whoever holds a letter knows what its wish would say, but for the signature."""

    async def scene(place: Village) -> None:
        anna, bora = await befriended(place)
        await anna.write(bora.address)
        await asyncio.sleep(60)
        (row,) = await anna.node.database.read(queue.waiting)
        assert row.sealed is not None
        record = items(await write(bora, "anna"))[0]
        forged = Reseal(row.sealed.mail_id, row.sealed.epoch_key, (1 << 63) - 1, bytes(64))
        newer, asked = anna.node.sender._newer, 0

        async def counting(_: Person) -> bool:
            nonlocal asked
            asked += 1
            return False

        newer.ask_theirs = counting  # type: ignore[method-assign,assignment]
        found = await read(anna, assembled([record, *[bundle.Wish(forged)] * 100]))
        assert (asked, found.sealed_anew) == (0, 0)
        found = await read(bora, await write(anna, "bora"))
        assert found.filed == 1

    play(tmp_path, scene)


def test_of_changes_in_a_bundle_forged_ones_change_nothing_and_only_so_many_are_looked_at(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await befriended(place)
        record = items(await write(anna, "bora"))[0]
        mine = Identity(anna.entropy)
        other = Identity(b"\x05" * 32).signing.peer
        forged = bytearray(encode(sign_revoke_devices(mine, {other}, 1 << 32)))
        forged[-1] ^= 1
        bad = bundle.Change(bytes(forged), None)
        good = bundle.Change(encode(sign_revoke_devices(mine, {other}, 1 << 32)), None)
        found = await read(bora, assembled([record, *[bad] * CHANGES_READ_MAX, good]))
        assert (found.changes, found.unreadable) == (0, CHANGES_READ_MAX)
        assert not await knows_revoked(bora, anna, other)
        nobody = bundle.Change(encode(sign_revoke(Identity(bytes(32)))), None)
        found = await read(bora, assembled([record, nobody, good]))
        assert (found.changes, found.unreadable) == (1, 0)
        assert await knows_revoked(bora, anna, other)

    play(tmp_path, scene)
