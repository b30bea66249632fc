"""What simulator and crash tests brought to light, each with its story, so that it stays mended."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from delivery.test_road import ended, has_notice, is_filed, put_off
from postroad.base import limits
from postroad.delivery.herald import Sighting
from postroad.delivery.rounds import Outcome, Rounds
from postroad.message.envelope import Recipient, Submission
from simulator.village import Village, play, until


def test_a_full_disk_does_not_keep_a_node_busy_with_a_letter_that_expired(tmp_path: Path) -> None:
    """The notice could not be filed, the letter was put off to its end, which was over: the node
    tried again at once, for ever. The loop of the simulator ends such a history by itself."""

    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        bora_is = bora.address
        await bora.sleep()
        octets = f"From: {anna.address}\r\nTo: {bora_is}\r\n\r\n{'x' * 60_000}\r\n".encode()
        whole_back = Submission((Recipient(bora_is),), octets, return_full=True)
        await anna.node.outbox.accept(whole_back)
        await until(lambda: put_off(anna))
        await anna.fill_disk()
        place.put_forward(limits.EXPIRY_SECONDS_DEFAULT + limits.HOUR)
        await until(lambda: put_off(anna, "disk is full"))
        await anna.make_room()
        await until(lambda: ended(anna, "expired"), limits.HOUR)
        assert await has_notice(anna, "Delivery not confirmed")

    play(tmp_path, scene)


def test_who_comes_while_they_are_being_tried_is_tried_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read in the code after the crash tests: the end of the round forgot that they had come, and
    without holders the letter waited for up to four minutes more."""
    attempt, began, go_on = Rounds.attempt, asyncio.Event(), asyncio.Event()

    async def slow(*arguments: Any) -> Outcome:
        outcome = await attempt(*arguments)
        if not began.is_set():
            began.set()
            await go_on.wait()
        return outcome

    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        bora_is = bora.address
        await bora.sleep()
        await anna.write(bora_is)
        await until(lambda: put_off(anna))
        await asyncio.sleep(limits.HOUR)  # it is tried every four minutes by now
        monkeypatch.setattr(Rounds, "attempt", slow)
        await began.wait()
        await bora.wake()
        await bora.node.renter.settle()
        assert bora.peer is not None
        fingerprint = bora.node.keyring.fingerprint
        came = Sighting(bora.peer, fingerprint, place.clock.now(), came=True)
        await anna.node.sender.peer_seen(came)
        go_on.set()
        await until(lambda: is_filed(bora, "hello"), 10)

    play(tmp_path, scene)


def test_who_lost_their_own_copy_still_hears_from_holders_that_it_was_filed(
    tmp_path: Path,
) -> None:
    """With a damaged copy nobody was asked at all, though the receipt lay at a holder."""

    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        await place.with_holders(bora, "hana")
        (anna,) = await place.settle_in("anna")
        await place.meet(bora, anna)
        bora_is = bora.address
        await bora.sleep()
        await anna.write(bora_is)
        await until(lambda: ended(anna, "held"))
        await anna.node.database.run(
            lambda sql: sql.execute("UPDATE sealed SET octets = zeroblob(size)").rowcount
        )
        await anna.sleep()
        await bora.wake()
        await until(lambda: is_filed(bora, "hello"))
        await asyncio.sleep(limits.MINUTE)
        await bora.sleep()
        await anna.wake()
        await until(lambda: ended(anna, "delivered"), 2 * limits.HOUR)

    play(tmp_path, scene)
