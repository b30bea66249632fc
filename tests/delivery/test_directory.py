"""People whose last good record leads nowhere are found in the directory."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from delivery.test_road import ended, is_filed
from fakes import FakeEntropy
from postroad.app.compose import Settings
from postroad.app.helper import HelperConfig, build_helper
from postroad.app.supervision import keep_running
from postroad.base import limits
from postroad.base.seams import Machine
from postroad.machine.listeners import SystemListeners
from postroad.machine.peer_uid import KernelPeerUid
from postroad.peers.client import Client
from postroad.peers.exchange import Refused
from postroad.protocol.directory import record_key
from postroad.protocol.records import PERSON
from postroad.store import people
from simulator import village as village_module
from simulator.disk import SimulatedDisk
from simulator.village import Resident, Village, play, until


async def is_joined(resident: Resident) -> bool:
    return resident.node.directory.has_joined


def a_box(place: Village, folder: Path) -> tuple[SimulatedDisk, Machine]:
    """A machine for a helper, and its disk, which is to be closed."""
    disk = SimulatedDisk(folder, lambda _: None, reserve_bytes=0)
    entropy, network = FakeEntropy("helper"), place.world.network()
    return disk, Machine(place.clock, entropy, disk, network, SystemListeners(), KernelPeerUid())


async def keeps(resident: Resident, count: int) -> bool:
    """Whether its directory keeps so many records."""
    return len(resident.node.directory.storage) >= count


def test_a_recipient_who_found_holders_while_we_were_off_is_reached_through_them(
    tmp_path: Path,
) -> None:
    """Bora sleeps. Anna's last record of her names no holder, and Carl does not know that Anna
    looks for one."""

    async def scene(place: Village) -> None:
        anna, bora, carl = await place.settle_in("anna", "bora", "carl")
        await place.meet(bora, anna)
        await place.meet(carl, anna)
        bora_is, fingerprint = bora.address, bora.node.keyring.fingerprint
        await until(lambda: keeps(carl, 2))
        await anna.sleep()
        await place.meet(carl, bora)

        async def has_found_a_holder() -> bool:
            return await bora.holders() >= 2  # Anna's node, and Carl's

        await until(has_found_a_holder)
        await until(lambda: keeps(carl, 3))
        await asyncio.sleep(limits.MINUTE)
        await bora.sleep()
        await anna.wake()
        await until(lambda: is_joined(anna))
        before = await anna.node.database.read(lambda sql: people.contact(sql, fingerprint))
        await anna.write(bora_is)
        await until(lambda: ended(anna, "held"), 2 * limits.MINUTE)
        after = await anna.node.database.read(lambda sql: people.contact(sql, fingerprint))
        assert before is not None
        assert after is not None
        assert after.record.sequence > before.record.sequence
        await anna.sleep()
        await bora.wake()
        await until(lambda: is_filed(bora, "hello"))

    play(tmp_path, scene)


def test_an_invitation_finds_its_inviter_who_has_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HOLDERS_WANTED", 0)  # nobody but the inviter is in the invitation

    async def scene(place: Village) -> None:
        bora, carl, dora = await place.settle_in("bora", "carl", "dora")
        await place.meet(carl, bora)
        await place.meet(carl, dora)
        link, _, _ = await bora.node.introductions.invite()
        await bora.sleep()
        bora._network = place.world.network()
        await bora.wake()
        await until(lambda: is_joined(bora))
        await until(lambda: is_joined(dora))
        await asyncio.sleep(limits.MINUTE)
        address, is_new = await dora.node.introductions.accept(link)
        assert (str(address), is_new) == (bora.address, True)

    play(tmp_path, scene)


def test_somebody_who_is_not_found_is_not_looked_for_all_the_time(tmp_path: Path) -> None:
    looks = 0

    async def scene(place: Village) -> None:
        nonlocal looks
        anna, bora, carl = await place.settle_in("anna", "bora", "carl")
        await place.meet(bora, anna)
        await place.meet(carl, anna)
        bora_is, wanted = bora.address, record_key(PERSON, bora.node.keyring.fingerprint)
        await bora.sleep()
        await until(lambda: is_joined(anna))
        get = anna.node.directory.get

        async def counted(key: bytes, above: int = -1) -> bytes | None:
            nonlocal looks
            looks += key == wanted
            return await get(key, above)

        anna.node.directory.get = counted  # type: ignore[method-assign]
        await anna.write(bora_is)
        await asyncio.sleep(2 * limits.HOUR)
        assert 3 <= looks <= 8  # it was tried some thirty times

    play(tmp_path, scene)


def test_who_was_looked_for_too_early_is_found_soon_after(tmp_path: Path) -> None:
    """Bora's record was not out yet when Anna first looked."""

    async def scene(place: Village) -> None:
        anna, bora, carl = await place.settle_in("anna", "bora", "carl")
        await place.meet(bora, anna)
        await place.meet(carl, anna)
        await place.meet(carl, bora)
        await until(lambda: is_joined(anna))
        fingerprint, directory = bora.node.keyring.fingerprint, anna.node.directory
        known = await anna.node.database.read(lambda sql: people.contact(sql, fingerprint))
        assert known is not None
        assert await directory.find_newer(fingerprint, known.record.sequence) is None
        await bora.sleep()
        bora._network = place.world.network()  # another device key: a new record
        await bora.wake()

        for _ in range(3):
            await asyncio.sleep(20)
            if await directory.find_newer(fingerprint, known.record.sequence) is not None:
                return
        pytest.fail("not found")

    play(tmp_path, scene)


def test_a_paused_node_is_no_node_of_the_directory(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        await until(lambda: is_joined(anna))
        await anna.node.pauses.begin(None)

        async def is_off() -> bool:
            return not anna.node.endpoint.is_open

        await until(is_off)
        assert not anna.node.directory.is_joined
        assert await anna.node.directory.find(bora.node.keyring.fingerprint) is None
        await anna.node.pauses.end()
        await until(lambda: is_joined(anna))
        assert await anna.node.directory.find(bora.node.keyring.fingerprint) is not None

    play(tmp_path, scene)


def test_a_fault_in_looking_somebody_up_does_not_end_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What strangers answer is taken apart there: one letter's search is not worth all others."""
    looked: list[int] = []

    async def fails(*_: object) -> None:
        looked.append(1)
        raise RuntimeError("planted")

    async def has_looked() -> bool:
        return bool(looked)

    async def scene(place: Village) -> None:
        bora, anna = await place.settle_in("bora", "anna")
        await place.meet(bora, anna)
        bora_is = bora.address
        await bora.sleep()
        monkeypatch.setattr(anna.node.sender._newer, "_find_newer", fails)
        await anna.write(bora_is)
        await until(has_looked)
        await asyncio.sleep(1)
        assert not place.faults
        await bora.wake()
        await until(lambda: is_filed(bora, "hello"))

    play(tmp_path, scene)


def test_a_helper_keeps_what_its_people_publish(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        (anna,) = await place.settle_in("anna")
        folder = tmp_path / "helper"
        disk, machine = a_box(place, folder)
        config = HelperConfig(folder, folder, "box", dial_private=True)
        async with build_helper(config, machine) as box:
            services = [
                asyncio.create_task(work) for work in (box.links.serve(), box.directory.run())
            ]
            await asyncio.sleep(1)
            anna.node.directory.met(box.where_i_am())
            await until(lambda: is_joined(anna))
            await asyncio.sleep(limits.MINUTE)
            assert await box.directory.find(anna.node.keyring.fingerprint) is not None
            assert len(box.directory.storage) == 1
            for service in services:
                service.cancel()
            await asyncio.gather(*services, return_exceptions=True)
        disk.close()

    play(tmp_path, scene)


def test_a_helper_that_lost_its_endpoint_opens_it_anew(tmp_path: Path) -> None:
    """It would look as if it ran, and be deaf."""

    async def scene(place: Village) -> None:
        (anna,) = await place.settle_in("anna")
        folder = tmp_path / "helper"
        disk, machine = a_box(place, folder)
        async with build_helper(HelperConfig(folder, folder, "box"), machine) as box:
            serving = asyncio.create_task(keep_running("links", box.serve_links))
            asking, here = Client(anna.node.links), box.where_i_am()
            for _ in range(2):
                await asyncio.sleep(limits.MINUTE)
                with pytest.raises(Refused):
                    await asking.find_record(here, anna.node.keyring.fingerprint)
                assert box.endpoint._endpoint is not None
                await box.endpoint._endpoint.close()
            serving.cancel()
            await asyncio.wait({serving})
        disk.close()

    play(tmp_path, scene)


def test_a_record_is_kept_across_a_restart_and_a_new_one_takes_its_place(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        await until(lambda: keeps(anna, 2))
        fingerprint = bora.node.keyring.fingerprint
        before = await anna.node.directory.find(fingerprint)
        await anna.sleep()
        await anna.wake()
        await until(lambda: keeps(anna, 2))
        await bora.sleep()
        bora._network = place.world.network()
        await bora.wake()
        await until(lambda: is_joined(bora))
        await asyncio.sleep(2 * limits.MINUTE)
        after = await anna.node.directory.find(fingerprint)
        assert before is not None
        assert after is not None
        assert after.sequence > before.sequence

    play(tmp_path, scene)


def test_a_node_that_takes_no_part_neither_asks_nor_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outside(*of: Any, **more: Any) -> Settings:
        return replace(Settings(*of, **more), directory=False)

    async def scene(place: Village) -> None:
        (anna,) = await place.settle_in("anna")
        monkeypatch.setattr(village_module, "Settings", outside)
        (bora,) = await place.settle_in("bora")
        await place.meet(anna, bora)
        await asyncio.sleep(limits.HOUR)
        assert not bora.node.directory.is_joined
        assert not anna.node.directory.is_joined
        assert await bora.node.directory.find(anna.node.keyring.fingerprint) is None
        kept = await bora.node.database.read(
            lambda sql: sql.execute("SELECT count(*) FROM directory_record").fetchone()
        )
        assert kept == (0,)

    play(tmp_path, scene)
