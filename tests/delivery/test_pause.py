"""A node that its owner has paused: off the road, and nothing is lost by it."""

from __future__ import annotations

from pathlib import Path

from postroad.base import limits
from postroad.base.ids import Instant
from simulator.village import Resident, Village, play, until


def test_a_letter_written_in_a_pause_goes_when_it_ends(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        await anna.node.pauses.begin(None)
        await until(lambda: _is_off_the_road(anna))
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
        await until(lambda: _is_off_the_road(bora))
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
            await until(lambda: _is_off_the_road(anna))
            await anna.node.pauses.end()
            await bora.write(str(anna.node.keyring.address), subject=f"no {number}")
            await until(lambda number=number: _has(anna, f"no {number}"))  # type: ignore[misc]

    play(tmp_path, scene)


async def _has(resident: Resident, subject: str) -> bool:
    return bool(await resident.with_subject(subject))


async def _is_off_the_road(resident: Resident) -> bool:
    return not resident.node.endpoint.addresses()
