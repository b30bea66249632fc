"""A full disk in the simulator: what it takes depends on no octet of ciphertext."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fakes import NOW
from postroad.base.errors import DiskFull
from postroad.store import quarantine
from simulator.village import Resident, Village, play


def test_a_full_disk_takes_no_row_whatever_its_key(tmp_path: Path) -> None:
    """By SQLite's pages it took some, and which ones hung on where random keys had split them."""

    async def note(anna: Resident) -> None:
        name = os.urandom(32).hex()  # as mail ids are: of no seed
        await anna.node.database.run(lambda sql: quarantine.note(sql, "letter", name, "bad", NOW))

    async def noted(anna: Resident) -> int:
        return len(await anna.node.database.read(quarantine.noted))

    async def scene(place: Village) -> None:
        (anna,) = await place.settle_in("anna")
        await note(anna)
        await anna.fill_disk()
        for _ in range(20):
            with pytest.raises(DiskFull):
                await note(anna)
        assert await noted(anna) == 1
        await anna.node.database.run(lambda sql: sql.execute("UPDATE quarantine SET at = at + 1"))
        await anna.sleep()
        await anna.wake()
        with pytest.raises(DiskFull):
            await note(anna)
        await anna.make_room()
        await note(anna)
        assert await noted(anna) == 2

    play(tmp_path, scene)
