"""A node that its owner has paused: off the network, and nothing is lost by it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from postroad.base import limits
from postroad.base.ids import Instant
from postroad.store import queue
from postroad.store.database import Sql
from simulator.network import SimulatedEndpoint
from simulator.village import Resident, Village, play, until

T = TypeVar("T")


def test_a_letter_written_in_a_pause_goes_when_it_ends(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        await anna.node.pauses.begin(None)
        await until(lambda: _is_off_the_network(anna))
        await anna.write(bora.address)
        place.put_forward(limits.HOUR)
        assert await anna.states() == ["delivered", "waiting"]
        assert not await bora.with_subject("hello")

        await anna.node.pauses.end()
        await until(lambda: _has(bora, "hello"), limits.RETRY_SECONDS_FIRST)

    play(tmp_path, scene)


def test_a_paused_node_lets_nobody_in_and_its_letters_wait_at_holders(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        await place.with_holders(bora, "hana")
        (anna,) = await place.settle_in("anna")
        await place.meet(bora, anna)
        await bora.node.pauses.begin(None)
        await until(lambda: _is_off_the_network(bora))
        address = str(bora.node.keyring.address)
        await anna.write(address)

        async def held() -> bool:
            return (await anna.states())[-1] == "held"

        await until(held)
        assert not await bora.with_subject("hello")
        await bora.node.pauses.end()
        await until(lambda: _has(bora, "hello"), limits.RETRY_SECONDS_FIRST)

    play(tmp_path, scene)


def test_a_pause_outlasts_a_restart_and_ends_by_itself(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        await anna.node.pauses.begin(Instant(place.clock.now() + 60))
        await anna.sleep()
        await anna.wake()
        assert not anna.node.endpoint.addresses()
        await anna.write(bora.address)
        await until(lambda: _has(bora, "hello"), 65)

    play(tmp_path, scene)


def test_the_owner_hears_in_a_pause_of_what_expired(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        bora_is = bora.address
        await anna.node.pauses.begin(None)
        await anna.write(bora_is)
        place.put_forward(limits.EXPIRY_SECONDS_DEFAULT + limits.HOUR)
        await until(
            lambda: _has(anna, "Delivery not confirmed: hello"), limits.HOUR + limits.MINUTE
        )

    play(tmp_path, scene)


def test_a_node_can_be_paused_again_and_again(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        for number in range(3):
            await anna.node.pauses.begin(None)
            await until(lambda: _is_off_the_network(anna))
            await anna.node.pauses.end()
            await bora.write(str(anna.node.keyring.address), subject=f"no {number}")
            await until(lambda number=number: _has(anna, f"no {number}"))  # type: ignore[misc]

    play(tmp_path, scene)


@pytest.mark.parametrize("turns", [0, 1, 3, 8])
def test_who_resumes_at_once_is_on_the_network(tmp_path: Path, turns: int) -> None:
    """However far the leaving had come: it once stayed away for good, and said that it did not."""

    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        await anna.node.pauses.begin(None)
        for _ in range(turns):
            await asyncio.sleep(0)
        await anna.node.pauses.end()
        await anna.write(bora.address)
        await until(lambda: _has(bora, "hello"))

    play(tmp_path, scene)


def test_who_resumes_while_the_links_are_being_closed_is_on_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = SimulatedEndpoint.close

    async def slow(self: SimulatedEndpoint) -> None:
        await asyncio.sleep(0.5)
        await close(self)

    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        monkeypatch.setattr(SimulatedEndpoint, "close", slow)
        await anna.node.pauses.begin(None)
        await asyncio.sleep(0.2)
        await anna.node.pauses.end()
        await anna.write(bora.address)
        await until(lambda: _has(bora, "hello"))

    play(tmp_path, scene)


def test_a_pause_that_is_over_does_not_come_back_with_a_wrong_clock(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        await anna.node.pauses.begin(Instant(anna.clock.now() + limits.HOUR))
        await asyncio.sleep(2 * limits.HOUR)
        anna.clock.wrong_by = -5.0 * limits.HOUR
        assert anna.node.pauses.pause is None
        await anna.sleep()
        await anna.wake()
        await anna.write(bora.address)
        await until(lambda: _has(bora, "hello"))

    play(tmp_path, scene)


def test_a_disk_that_fails_at_the_end_of_a_pause_does_not_end_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wake_all = queue.wake_all
    failed: list[Instant] = []

    def fails_once(sql: Sql, now: Instant) -> None:
        if not failed:
            failed.append(now)
            raise sqlite3.OperationalError("disk I/O error")
        wake_all(sql, now)

    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        await anna.node.pauses.begin(None)
        await until(lambda: _is_off_the_network(anna))
        await anna.write(bora.address)
        monkeypatch.setattr(queue, "wake_all", fails_once)
        await anna.node.pauses.end()
        await until(lambda: _has(bora, "hello"))
        assert failed

    play(tmp_path, scene)


def test_a_pause_begun_as_another_runs_out_holds(tmp_path: Path) -> None:
    """The end of the old one was written over the new one, which its owner had been told of."""

    async def scene(place: Village) -> None:
        (anna,) = await place.settle_in("anna")
        assert anna.disk is not None
        run = anna.disk.run

        async def slow(work: Callable[[], T]) -> T:
            await asyncio.sleep(0.05)
            return await run(work)

        await anna.node.pauses.begin(Instant(anna.clock.now() + 60))
        anna.disk.run = slow  # type: ignore[method-assign]
        await asyncio.sleep(59.98)
        await anna.node.pauses.begin(None)
        await asyncio.sleep(limits.MINUTE)
        assert anna.node.pauses.pause is not None
        assert not anna.node.endpoint.addresses()

    play(tmp_path, scene)


async def _has(resident: Resident, subject: str) -> bool:
    return bool(await resident.with_subject(subject))


async def _is_off_the_network(resident: Resident) -> bool:
    return not resident.node.endpoint.addresses()


def test_a_node_that_lost_its_endpoint_gets_letters_again(tmp_path: Path) -> None:
    """It would look as if it ran, and be deaf. Its network is a group of tasks, one of which
    fails."""

    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        for subject in ("first", "second"):
            lost = bora.node.endpoint._endpoint
            assert lost is not None
            await lost.close()
            await asyncio.sleep(limits.MINUTE)
            await anna.write(bora.address, subject=subject)
            await until(partial(_has, bora, subject), limits.HOUR)

    play(tmp_path, scene)
