"""The last good record of a contact is used until a newer one is found, however old it is."""

from pathlib import Path

from delivery.test_road import bora_address, held_by, is_filed
from postroad.base import limits
from simulator.village import Village, play, until


def test_a_letter_finds_whoever_was_away_for_longer_than_records_last(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        await place.with_holders(bora, "hana")
        (anna,) = await place.settle_in("anna")
        await place.meet(bora, anna)
        await bora.sleep()
        place.put_forward(limits.RECORD_SECONDS_MAX + 30 * limits.DAY)
        octets = await anna.write(bora_address(anna))
        await until(lambda: held_by(anna, 1))
        await bora.wake()
        await until(lambda: is_filed(bora, "hello"))
        (filed_octets,) = await bora.with_subject("hello")
        assert filed_octets.endswith(octets)

    play(tmp_path, scene)
