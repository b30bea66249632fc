"""A damaged row about holders stops neither the node nor its letters (promise M13)."""

from __future__ import annotations

from pathlib import Path

import pytest

from delivery.test_road import is_filed
from postroad.base import limits
from simulator.village import Village, play, until


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE holding SET said = x'00'",
        "UPDATE holding SET told = x'00'",
        "UPDATE my_drop SET place = x'00', voucher = x'00'",
    ],
)
def test_a_damaged_row_about_a_holder_stops_neither_the_node_nor_its_letters(
    tmp_path: Path, damage: str
) -> None:
    async def scene(place: Village) -> None:
        bora, anna = await place.settle_in("bora", "anna")
        await place.with_holders(bora, "hana")
        await place.meet(bora, anna)

        async def told() -> bool:
            rows = await bora.node.database.read(
                lambda sql: sql.execute("SELECT said, told FROM holding").fetchall()
            )
            return bool(rows) and all(None not in row for row in rows)

        await until(told)
        await bora.node.database.run(lambda sql: sql.execute(damage).rowcount)
        assert await bora.node.renter.settle()
        bora_is = bora.address
        await bora.sleep()
        await bora.wake()
        assert not place.faults
        await anna.write(bora_is)
        await until(lambda: is_filed(bora, "hello"), limits.COLLECT_SECONDS)
        assert await bora.holders() >= 1

    play(tmp_path, scene)
