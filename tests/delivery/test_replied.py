"""Whoever answers a stranger's letter from their mail program has said yes to it."""

from __future__ import annotations

from pathlib import Path

from delivery.test_requests import are_contacts, asked, in_folder
from delivery.test_road import all_ended, is_filed
from postroad.base import limits
from simulator.village import Village, play, until


def test_a_letter_to_whose_request_waits_accepts_it(tmp_path: Path) -> None:
    """They became a contact of the author's by it; the next letter of the author's was left lying
    where it was, for an introduction that never came."""

    async def scene(place: Village) -> None:
        anna, bora = await asked(place)
        await bora.write(anna.address, subject="an answer")
        await until(lambda: is_filed(anna, "an answer"), limits.HOUR)
        await until(lambda: are_contacts(anna, bora), limits.HOUR)
        assert await is_filed(bora, "hello")
        assert not await in_folder(bora)
        await anna.write(bora.address, subject="and back")
        await until(lambda: is_filed(bora, "and back"), limits.HOUR)
        await until(lambda: all_ended(anna, "delivered"), limits.HOUR)

    play(tmp_path, scene)
