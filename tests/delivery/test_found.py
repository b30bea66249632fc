"""What the simulator found, so that it stays mended: each with the story that brought it out."""

from pathlib import Path

from delivery.test_road import ended, has_notice, put_off
from postroad.base import limits
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
