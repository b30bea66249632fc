"""What became of letters between real nodes, in numbers; and that counting stops no letter."""

from __future__ import annotations

from pathlib import Path

import pytest

from delivery.test_road import bora_address, ended, held_by, is_filed
from postroad.base import limits
from postroad.base.ids import Instant
from postroad.protocol.statistics import Statistics, count
from postroad.store import statistics
from simulator.village import Resident, Village, play, until


async def counted(person: Resident) -> Statistics:
    node = person.node
    now = node.timekeeper.now()
    since = Instant(now - 90 * limits.DAY)
    mine = node.keyring.fingerprints
    return count(await statistics.journeys(node.database, since, mine), since, now)


def test_a_letter_that_was_brought_is_counted_with_its_time(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        before = (await counted(anna)).total.accepted
        assert before == 0  # an introduction is no letter of the owner's
        await anna.write(bora.address)
        await anna.write(anna.address)
        await until(lambda: is_filed(bora, "hello"))
        await until(lambda: ended(anna, "delivered"))
        found = await counted(anna)
        assert (found.total.accepted, found.total.delivered, found.total.failed) == (1, 1, 0)
        assert found.total.to_receipt is not None
        assert 0 <= found.total.to_receipt.median < 5
        ((to, by_contact),) = found.by_contact
        assert to == bora.node.keyring.fingerprint
        assert by_contact == found.total
        assert found.outages.holders == 0

    play(tmp_path, scene)


def test_a_holder_that_is_destroyed_is_an_outage_that_the_letter_survives(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        hana, _, _ = await place.with_holders(bora, "hana", "hugo", "hedi")
        (anna,) = await place.settle_in("anna")
        await place.meet(bora, anna)
        await hana.destroy()
        await bora.sleep()
        await anna.write(bora_address(anna))
        await until(lambda: held_by(anna, 2))
        await until(lambda: noted(anna))
        under_way = await counted(anna)
        assert (under_way.total.held, under_way.total.under_way) == (1, 1)
        assert (under_way.outages.letters, under_way.outages.survived) == (1, 0)
        await bora.wake()
        await until(lambda: is_filed(bora, "hello"))
        await until(lambda: ended(anna, "delivered"))
        found = (await counted(anna)).outages
        assert (found.holders, found.letters, found.survived, found.lost) == (1, 1, 1, 0)
        assert found.slowest is not None
        assert found.slowest < limits.MINUTE

    async def noted(anna: Resident) -> bool:
        return bool((await counted(anna)).outages.holders)

    play(tmp_path, scene)


def test_a_letter_that_takes_more_than_a_day_is_late_and_one_that_expires_failed(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        await bora.sleep()
        await anna.write(bora_address(anna))

        async def late() -> bool:
            return bool((await counted(anna)).total.late)

        async def failed() -> bool:
            return bool((await counted(anna)).total.failed)

        place.put_forward(limits.DAY + limits.HOUR)
        await until(late)
        total = (await counted(anna)).total
        assert (total.late, total.failed, total.under_way) == (1, 0, 1)
        place.put_forward(limits.EXPIRY_SECONDS_DEFAULT)
        await until(failed)
        total = (await counted(anna)).total
        assert (total.late, total.failed, total.under_way) == (1, 1, 0)

    play(tmp_path, scene)


@pytest.mark.parametrize("damage", ["DROP TABLE statistics", "UPDATE parcel SET failed_by = x'01'"])
def test_damage_to_the_statistics_stops_no_letter(tmp_path: Path, damage: str) -> None:
    """Promise M13: what is counted is never in a letter's way."""

    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        await place.with_holders(bora, "hana", "hugo")
        (anna,) = await place.settle_in("anna")
        await place.meet(bora, anna)
        await anna.node.database.run(lambda sql: sql.execute(damage).rowcount)
        await bora.sleep()
        await anna.write(bora_address(anna))
        await until(lambda: held_by(anna, 2))
        await bora.wake()
        await until(lambda: is_filed(bora, "hello"))
        await until(lambda: ended(anna, "delivered"))
        assert not place.faults

    play(tmp_path, scene)
