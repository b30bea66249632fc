"""A letter that is larger than its recipient takes: said in words, at the door or in a notice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

import weak_keys
from delivery.test_road import ended
from postroad.base import limits
from postroad.base.errors import PermanentFailure
from postroad.store import people
from simulator.village import Resident, Village, play, until

LARGE = "large\r\n" * (3 * limits.KIB)


async def takes_less(bora: Resident, anna: Resident, size_max: int) -> None:
    """Anna learns a newer record of Bora's, whose node takes nothing larger."""
    real = await bora.node.renter.record()
    less = replace(real, size_max=size_max, sequence=real.sequence + (1 << 32))
    record = weak_keys.signed(less, bora.node.keyring.device)
    now = anna.node.machine.clock.now()
    assert await anna.node.database.run(lambda sql: people.learn(sql, record, now))


def test_what_is_larger_than_a_contact_takes_is_refused_when_it_is_written(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora, carl = await place.settle_in("anna", "bora", "carl")
        await place.meet(anna, bora, carl)
        await takes_less(bora, anna, 10 * limits.KIB)
        with pytest.raises(PermanentFailure, match="bora takes letters of at most 10 KiB"):
            await anna.write(carl.address, bora.address, text=LARGE)
        await anna.write(carl.address, text=LARGE)
        await anna.write(bora.address, text="small enough")

    play(tmp_path, scene)


def test_what_became_too_large_before_it_was_sealed_comes_back_with_a_notice(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(anna, bora)
        await asyncio.sleep(limits.MINUTE)
        await anna.node.pauses.begin(None)
        await anna.write(bora.address, text=LARGE)
        await takes_less(bora, anna, 10 * limits.KIB)
        await anna.node.pauses.end()
        await until(lambda: ended(anna, "refused"))
        (notice,) = await anna.with_subject("Not delivered: hello")
        assert b"bora takes letters of at most 10 KiB" in b" ".join(notice.split())
        assert b"Status: 5.2.3" in notice

    play(tmp_path, scene)
