"""Keys that are replaced and deleted, and letters that were sealed to one that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from delivery.test_holders import with_siblings
from postroad.base import limits
from postroad.base.ids import MailId
from postroad.base.tlv import encode
from postroad.peers.client import Client
from postroad.peers.exchange import Refused
from postroad.protocol.wire_reseal import sign_reseal
from postroad.sealing.keys import SigningKey
from postroad.store import held, keyring, people
from postroad.store.database import Sql
from postroad.store.keyring import StoredEpochKey
from simulator.village import Resident, Village, play, until


async def filed_by(resident: Resident, subject: str = "hello") -> bool:
    return bool(await resident.with_subject(subject))


def ends(sender: Resident, state: str) -> Callable[[], Awaitable[bool]]:
    async def has_ended() -> bool:
        return (await sender.states())[-1] == state

    return has_ended


def is_held(sender: Resident, holders: int = 1) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return len(await leases(sender)) >= holders

    return holds


async def leases(sender: Resident) -> list[tuple[bytes, bytes]]:
    return await sender.node.database.read(
        lambda sql: sql.execute("SELECT mail_id, drop_id FROM lease ORDER BY drop_id").fetchall()
    )


async def seal_of(sender: Resident) -> tuple[bytes, bytes, bytes, int]:
    """Mail id, content key, nonce and sequence of the last letter."""
    row = await sender.node.database.read(
        lambda sql: sql.execute(
            """SELECT mail_id, content_key, nonce, sealed_for, letter.expires_at
               FROM parcel JOIN letter ON letter.id = letter_id ORDER BY parcel.id DESC LIMIT 1"""
        ).fetchone()
    )
    return tuple(row)


def lose_epoch_keys(resident: Resident, *, keep: bool = False) -> None:
    """While it is off: its epoch keys are other ones, as after 45 days and more."""
    assert resident.disk is not None
    disk = type(resident.disk)(resident.folder, lambda _: None, reserve_bytes=0)
    made = keyring.load(disk)
    secret = resident._dice.token(96)
    stored = (StoredEpochKey(secret, made.stored_epoch_keys[-1].since, 0),)
    keyring.save(disk, replace(made, stored_epoch_keys=stored))
    disk.close()


async def written_to(place: Village, *, after: float = 0.0) -> tuple[Resident, Resident, Resident]:
    """Anna's letter to Bora, who sleeps since, lies at Hana, who holds for her; `after`: seconds
    since she was last told of."""
    anna, bora = await place.settle_in("anna", "bora")
    await place.meet(bora, anna)
    (hana,) = await place.with_holders(bora, "hana")
    await asyncio.sleep(limits.MINUTE)
    bora_is = bora.address
    place.put_forward(after)
    await bora.sleep()
    await anna.write(bora_is)
    await until(is_held(anna))
    return anna, bora, hana


def test_a_node_that_runs_replaces_its_key_each_week_and_deletes_the_old_ones(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        keys = []
        for week in range(12):
            place.put_forward(limits.DAY * 7)
            await asyncio.sleep(2 * limits.HOUR)
            known = await anna.node.database.read(
                lambda sql: people.contact(sql, bora.node.keyring.fingerprint)
            )
            assert known is not None
            keys.append(known.record.epoch_key)
            await anna.write(bora.address, subject=f"week {week}")
            await until(lambda week=week: filed_by(bora, f"week {week}"))  # type: ignore[misc]
        assert len(set(keys)) == len(keys)
        assert 7 <= len(bora.node.keyring.epoch_keys()) <= 9
        noted = await bora.node.database.read(
            lambda sql: sql.execute(
                "SELECT count(*) FROM audit WHERE CAST(line AS TEXT) LIKE '%epoch key deleted%'"
            ).fetchone()[0]
        )
        assert noted == 12 + 1 - len(bora.node.keyring.epoch_keys())

    play(tmp_path, scene)


def test_a_holiday_of_a_month_bounces_nothing(tmp_path: Path) -> None:
    """What was sealed to the key of before it opens after it, though that has been replaced."""

    async def scene(place: Village) -> None:
        anna, bora, _ = await written_to(place, after=limits.DAY)
        await anna.sleep()
        place.put_forward(29 * limits.DAY)
        await bora.wake()
        await until(lambda: filed_by(bora))

    play(tmp_path, scene)


def test_a_letter_at_a_holder_whose_key_is_gone_is_sealed_anew_by_its_sender(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        anna, bora, hana = await written_to(place)
        before = await seal_of(anna)
        await anna.sleep()
        lose_epoch_keys(bora)
        await bora.wake()

        async def asked() -> bool:
            (count,) = await hana.node.database.read(
                lambda sql: sql.execute(
                    "SELECT count(*) FROM held_letter WHERE reseal IS NOT NULL"
                ).fetchone()
            )
            return bool(count)

        await until(asked)
        assert await hana.node.database.read(held.lying) == 0, "nobody can open it any more"
        assert not await bora.node.database.read(
            lambda sql: sql.execute("SELECT name FROM quarantine").fetchall()
        )
        await bora.sleep()
        await anna.wake()  # only the holder tells her
        place.put_forward(limits.HELD_SECONDS_MAX)
        await asyncio.sleep(limits.MINUTE)
        await bora.wake()
        await until(lambda: filed_by(bora), 3.0 * limits.HOUR)
        await until(ends(anna, "delivered"))
        after = await seal_of(anna)
        assert len(await bora.with_subject("hello")) == 1
        assert after[0] != before[0]
        assert after[1] != before[1], "a new content key"
        assert after[2] == before[2], "the same nonce"
        assert after[3] > before[3], "for a newer record"
        assert after[4:] == before[4:], "the same expiry"

    play(tmp_path, scene)


def test_a_letter_that_its_sender_brings_is_sealed_anew_at_once(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        bora_is = bora.address
        await bora.sleep()
        await anna.write(bora_is)
        await asyncio.sleep(limits.MINUTE)
        lose_epoch_keys(bora)
        await bora.wake()
        await until(lambda: filed_by(bora), 10.0 * limits.MINUTE)
        await until(ends(anna, "delivered"))

    play(tmp_path, scene)


def test_whoever_begins_anew_from_the_24_words_gets_what_waits_with_holders_and_senders(
    tmp_path: Path,
) -> None:
    """On another device: other keys, other drops, and no memory of what holders keep."""

    async def scene(place: Village) -> None:
        anna, bora, cora = await place.settle_in("anna", "bora", "cora")
        await place.meet(bora, anna, cora)
        await place.with_holders(bora, "hana")
        await asyncio.sleep(limits.MINUTE)
        bora_is = bora.address
        await bora.sleep()
        await anna.write(bora_is, subject="held")
        await until(is_held(anna, 2))
        for one in place.residents:
            if one is not anna and one is not bora:
                await one.sleep()
        await anna.write(bora_is, subject="waits")
        again = Resident(place, "bora", bora.entropy)
        again.folder = tmp_path / "bora anew"
        for one in place.residents:
            if one is not anna and one is not bora:
                await one.wake()
        place.residents.append(again)
        place.put_forward(limits.DAY)
        await again.wake()
        assert again.address == bora_is

        async def all_delivered() -> bool:
            return set(await anna.states()) == {"delivered"}

        link, _, _ = await anna.node.introductions.invite()
        await again.node.introductions.accept(link)
        await until(lambda: filed_by(again, "waits"), 3.0 * limits.HOUR)
        await until(lambda: filed_by(again, "held"), 3.0 * limits.HOUR)
        await until(all_delivered, 3.0 * limits.HOUR)

    play(tmp_path, scene)


def test_a_holder_that_lies_makes_nobody_seal_anew_nor_try_without_end(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora, hana = await written_to(place)
        before = await seal_of(anna)
        await lie(hana, anna, before)
        for _ in range(4):
            place.put_forward(limits.HELD_SECONDS_MAX)
            await asyncio.sleep(limits.MINUTE)
        assert await seal_of(anna) == before
        assert (await anna.states())[-1] == "held"
        await hana.node.database.run(_unlie)
        await bora.wake()
        await until(lambda: filed_by(bora))

    async def lie(hana: Resident, anna: Resident, seal: Any) -> None:
        row = (await anna.waiting())[-1]
        assert row.sealed is not None
        device: SigningKey = hana.node.keyring.device
        wish = sign_reseal(MailId(seal[0]), row.sealed.epoch_key, 2**60, device)
        await hana.node.database.run(
            lambda sql: sql.execute("UPDATE held_letter SET reseal = ?", (encode(wish),)).rowcount
        )

    def _unlie(sql: Sql) -> None:
        sql.execute("UPDATE held_letter SET reseal = NULL")

    play(tmp_path, scene)


def test_only_the_owner_of_a_drop_can_have_a_letter_in_it_sealed_anew(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, _, hana = await written_to(place)
        (known,) = await anna.node.database.read(people.contacts)
        (drop,) = [one for one in known.record.drops if one.contact.peer == hana.peer]
        (mail_id, _), *_ = await leases(anna)
        key = anna.node.keyring.device
        wish = sign_reseal(MailId(mail_id), bytes(16), 2**60, key)
        with pytest.raises(Refused):
            await Client(anna.node.links).leave_reseal(drop.contact, drop.id, key, wish)
        assert await hana.node.database.read(held.lying) == 1

    play(tmp_path, scene)


def test_holders_tell_each_other_that_a_letter_has_to_be_sealed_anew(tmp_path: Path) -> None:
    """Bora meets Hana only; Anna, later, only Hugo."""

    async def scene(place: Village) -> None:
        bora, (hana, hugo), anna, bora_is = await with_siblings(place, "hana", "hugo")
        await anna.write(bora_is)
        await until(is_held(anna, 2))
        before = await seal_of(anna)
        await anna.sleep()
        await hugo.sleep()
        lose_epoch_keys(bora)
        await bora.wake()
        await until(lambda: is_wished(hana))
        await bora.sleep()
        await hugo.wake()
        await until(lambda: is_wished(hugo), limits.HOUR)
        assert await hugo.node.database.read(held.lying) == 0
        await hana.sleep()
        await anna.wake()
        await asyncio.sleep(limits.HOUR)
        await bora.wake()
        await until(lambda: filed_by(bora), limits.HOUR)
        await until(ends(anna, "delivered"))
        assert (await seal_of(anna))[0] != before[0]

    async def is_wished(holder: Resident) -> bool:
        (count,) = await holder.node.database.read(
            lambda sql: sql.execute(
                "SELECT count(*) FROM held_letter WHERE reseal IS NOT NULL"
            ).fetchone()
        )
        return bool(count)

    play(tmp_path, scene)
