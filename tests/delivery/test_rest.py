"""Nodes that have nothing to do say little, and still hear of everything in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from postroad.base import limits
from postroad.base.ids import short
from postroad.delivery.receiver import Receiver
from postroad.store.database import Database, Sql
from simulator.village import Resident, Village, play, until

T = TypeVar("T")


def said(resident: Resident) -> int:
    counts = resident.node.links.counts
    return counts.sent + counts.heard


async def minutes_until_filed(resident: Resident, subject: str, at_most: int) -> int:
    for minute in range(at_most + 1):
        if await resident.with_subject(subject):
            return minute
        await asyncio.sleep(limits.MINUTE)
    raise AssertionError(f"{subject!r} was not filed within {at_most} minutes")


@pytest.mark.parametrize("holders", [3, 1])
def test_holders_that_reach_us_are_looked_at_every_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holders: int
) -> None:
    """Three people rent at Bora's; of them only her own holders see her come without a visit."""
    monkeypatch.setattr(limits, "HOLDERS_WANTED", holders)

    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        guests = await place.settle_in("hana", "hugo", "hedi")
        await place.meet(bora, *guests)
        await asyncio.sleep(2 * limits.HOUR)
        before = said(bora)
        await asyncio.sleep(4 * limits.HOUR)
        assert 0 < said(bora) - before <= 4 * 36  # every five minutes would be 4 x 72

    play(tmp_path, scene)


def test_what_came_while_the_network_was_parted_is_told_when_it_heals(tmp_path: Path) -> None:
    """The sender is gone by then, and the recipient's next look may be an hour away."""

    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        (hana,) = await place.with_holders(bora, "hana")
        (anna,) = await place.settle_in("anna")
        await place.meet(bora, anna)
        await asyncio.sleep(limits.HOUR)
        me = [one.node.endpoint.me for one in (anna, hana, bora)]
        place.world.part(me[:2], me[2:])
        await anna.write(bora.address)

        async def held() -> bool:
            return (await anna.states())[-1] == "held"

        await until(held)
        await anna.sleep()
        await asyncio.sleep(10 * limits.MINUTE)
        assert not await bora.with_subject("hello")
        place.world.heal()
        assert await minutes_until_filed(bora, "hello", 5) <= 5

    play(tmp_path, scene)


def test_a_look_that_takes_long_keeps_nobody_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A holder that dawdles: its drop was asked for twenty times a second, while it was looked
    into."""
    reads = 0
    read = Database.read

    async def slow(*_: object) -> None:
        await asyncio.sleep(limits.HOUR)

    async def counted(self: Database, work: Callable[[Sql], T]) -> T:
        nonlocal reads
        reads += 1
        return await read(self, work)

    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        await place.with_holders(bora, "hana")
        await asyncio.sleep(2 * limits.COLLECT_SECONDS)
        monkeypatch.setattr(Receiver, "_empty", slow)
        bora.node.receiver.met()
        await asyncio.sleep(1)
        bora.node.receiver.met()
        monkeypatch.setattr(Database, "read", counted)
        await asyncio.sleep(2 * limits.COLLECT_SECONDS)
        assert reads < 100

    play(tmp_path, scene)


def test_who_comes_again_and_again_is_visited_by_one(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        bora, mallory = await place.settle_in("bora", "mallory")
        await place.meet(bora, mallory)
        await asyncio.sleep(limits.COLLECT_SECONDS)
        me = mallory.node.endpoint.me
        for _ in range(100):
            bora.node.herald.peer_seen(me, came=True)
            await asyncio.sleep(0.01)
        names = [task.get_name() for task in asyncio.all_tasks()]
        assert names.count(f"visit {short(me)}") == 1

    play(tmp_path, scene)
