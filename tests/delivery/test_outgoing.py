"""Letters on their way that their owner has tried at once, or gives up."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from postroad.base import limits
from postroad.base.errors import PermanentFailure, TemporaryFailure
from postroad.delivery.outgoing import ALL, Outgoing
from postroad.doors.queue import QueueDesk
from postroad.peers.client import Client
from postroad.store import queue
from postroad.timeouts import timeout
from simulator.village import Resident, Village, play, until


def of(owner: Resident) -> Outgoing:
    return Outgoing(owner.node.database, owner.node.sender, owner.node.timekeeper)


async def last_of(owner: Resident) -> queue.Row:
    return (await owner.waiting())[-1]


async def is_last(owner: Resident, state: str) -> bool:
    return (await owner.states())[-1] == state


def test_a_letter_that_had_not_left_is_given_up_for_good(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        await anna.node.pauses.begin(None)
        await anna.write(bora.address)
        row = await last_of(anna)
        given_up = await of(anna).cancel(str(row.id))
        assert (given_up.has_left, given_up.holders) == (False, 0)
        await anna.node.pauses.end()
        await anna.write(bora.address, subject="the next one")
        await until(lambda: has(bora, "the next one"))
        assert not await bora.with_subject("hello")
        assert (await anna.states())[-2:] == ["cancelled", "delivered"]
        place.put_forward(limits.EXPIRY_SECONDS_DEFAULT + limits.DAY)
        await asyncio.sleep(limits.HOUR)
        assert not [one for one in await anna.inbox() if b"Delivery" in one]

    play(tmp_path, scene)


def test_a_letter_that_holders_keep_is_given_up_and_its_owner_hears_who_may_read_it(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        await place.with_holders(bora, "hana")
        (anna,) = await place.settle_in("anna")
        await place.meet(bora, anna)
        address = bora.address
        await bora.sleep()
        await anna.write(address)
        await until(lambda: is_last(anna, "held"))
        row = await last_of(anna)
        desk = QueueDesk(of(anna), anna.node.pauses).questions
        told = await desk["cancel parcel"]({"id": str(row.id)})
        assert (told["state"], told["holders"], told["has_left"]) == ("cancelled", 1, True)
        assert told["readable_until"] == row.parcel.expires_at
        # As it was told: the holder's copy is the recipient's, and nobody else's.
        await bora.wake()
        await until(lambda: has(bora, "hello"))
        await asyncio.sleep(limits.MINUTE)
        assert await is_last(anna, "cancelled")

    play(tmp_path, scene)


def test_a_round_that_is_under_way_is_broken_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        trying, ended = asyncio.Event(), asyncio.Event()

        async def hangs(*_: object, **__: object) -> bytes:
            trying.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            raise AssertionError

        with monkeypatch.context() as patched:
            patched.setattr(Client, "deliver", hangs)
            await anna.write(bora.address)
            await trying.wait()
            await of(anna).cancel(str((await last_of(anna)).id))
            async with timeout(1):
                await ended.wait()
        await anna.write(bora.address, subject="the next one")
        await until(lambda: has(bora, "the next one"))
        assert not await bora.with_subject("hello")

    play(tmp_path, scene)


@pytest.mark.parametrize("wanted", ["one", ALL])
def test_a_letter_is_tried_at_once_when_its_owner_says_so(tmp_path: Path, wanted: str) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        address = bora.address
        await bora.sleep()
        await anna.write(address)

        async def tried_often() -> bool:
            return (await last_of(anna)).parcel.tries > 3

        await until(tried_often, limits.HOUR)
        before = await last_of(anna)
        assert before.parcel.due_at > place.clock.now() + 60
        which = ALL if wanted == ALL else str(before.id)
        (row,) = await of(anna).retry(which)
        assert row.id == before.id

        async def tried_again() -> bool:
            return (await last_of(anna)).parcel.tries > before.parcel.tries

        await until(tried_again, 30)  # a dial takes its time
        await anna.node.pauses.begin(None)
        desk = QueueDesk(of(anna), anna.node.pauses).questions
        with pytest.raises(TemporaryFailure, match="postroad resume"):
            await desk["retry parcel"]({"id": which})

    play(tmp_path, scene)


def test_what_has_ended_or_never_was_is_said_in_words(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        await anna.write(bora.address)
        row = await last_of(anna)
        await until(lambda: has(bora, "hello"))
        await until(lambda: is_last(anna, "delivered"))
        for do in (of(anna).cancel, of(anna).retry):
            with pytest.raises(PermanentFailure, match="has arrived"):
                await do(str(row.id))
            for strange in ("", "x", "-1", "٣", "9" * 30, "999999"):
                with pytest.raises(PermanentFailure, match="postroad queue"):
                    await do(strange)
        assert await of(anna).retry(ALL) == []
        await anna.node.pauses.begin(None)
        await anna.write(bora.address)
        number = str((await last_of(anna)).id)
        await of(anna).cancel(number)
        with pytest.raises(PermanentFailure, match="was cancelled before"):
            await of(anna).cancel(number)

    play(tmp_path, scene)


async def has(owner: Resident, subject: str) -> bool:
    return bool(await owner.with_subject(subject))
