"""An identity that ended, or was handed on: its own node hears of it, says so, and stops."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from delivery.test_revoked import another_device, knows_ended, knows_revoked, peer_of, revokes
from delivery.test_road import is_filed
from delivery.test_rotated import THIEFS, told_of_rotation, where
from postroad.app.mail_doors import Sockets
from postroad.base import limits
from postroad.base.errors import PermanentFailure
from postroad.base.ids import Fingerprint
from postroad.base.tlv import encode
from postroad.peers.client import Client
from postroad.peers.exchange import Refused
from postroad.protocol import wire
from postroad.protocol.identity_records import sign_revoke
from postroad.sealing.keys import Identity
from postroad.store import people
from simulator.village import Resident, Village, play, until

YOURS = "Your identity was revoked"


async def status(of: Resident) -> str:
    answer = await of.node.desks(of.node.doors(Sockets()))["status"]({})
    return str(answer["identity_trouble"])


async def stops(of: Resident, contact: str) -> None:
    """It sends nothing any more, and says why."""
    with pytest.raises(PermanentFailure, match=r"was (revoked|handed on)"):
        await of.node.outbox.check_recipient(contact)
    asked = of.node.desks(of.node.doors(Sockets()))
    for what in (
        asked["invite"]({}),
        asked["accept"]({"link": "any"}),
        asked["introduce"]({"name": "bora", "to": "carl"}),
        asked["accept request"]({"id": "any"}),
        of.node.bundles.plan(None, invite=True),
    ):
        with pytest.raises(PermanentFailure, match=r"was (revoked|handed on)"):
            await what


async def takes_nothing_in(ended: Resident, bringer: Resident) -> None:
    offer, asking = wire.Deliver(b"m" * 32, 100_000, None, None), Client(bringer.node.links)
    with pytest.raises(Refused) as refused:
        await asking._call(where(ended), offer, wire.Take)
    assert refused.value.refusal == wire.Refusal.ENDED


def fingerprint_of(who: Resident) -> Fingerprint:
    return Identity(who.entropy).public.fingerprint


def test_whoever_knows_of_an_end_tells_the_owners_own_node_at_once(tmp_path: Path) -> None:
    """Bora has the printed sheet, and Anna's node is on; it would have asked the directory within
    a day."""

    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        assert await status(anna) == ""
        await bora.node.changes.publish(encode(sign_revoke(Identity(anna.entropy))))
        await until(lambda: is_filed(anna, YOURS), limits.MINUTE)
        assert await knows_ended(anna, anna)
        assert "was revoked" in await status(anna)
        await stops(anna, bora.address)

    play(tmp_path, scene)


def test_who_publishes_the_sheet_of_a_stranger_tells_them_too(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora, carl = await place.settle_in("anna", "bora", "carl")
        await place.meet(bora, anna)
        await place.meet(bora, carl)
        await asyncio.sleep(limits.HOUR)
        await bora.sleep()
        await carl.node.changes.publish(encode(sign_revoke(Identity(anna.entropy))))
        await until(lambda: is_filed(anna, YOURS), limits.MINUTE)

    play(tmp_path, scene)


def test_who_was_off_hears_of_their_end_when_they_come(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        await asyncio.sleep(limits.HOUR)
        await anna.sleep()
        await bora.node.changes.publish(encode(sign_revoke(Identity(anna.entropy))))
        await asyncio.sleep(limits.HOUR)
        await anna.wake()
        await until(lambda: is_filed(anna, YOURS), limits.HOUR)

    play(tmp_path, scene)


def test_a_lost_laptop_that_is_on_hears_that_it_was_revoked_and_takes_nothing_in(
    tmp_path: Path,
) -> None:
    """Its owner's other computer takes the letters; they must not end on the lost one."""

    async def scene(place: Village) -> None:
        anna, bora, carl = await place.settle_in("anna", "bora", "carl")
        await place.meet(bora, anna)
        await place.meet(carl, anna)
        lost = peer_of(anna)
        await asyncio.sleep(limits.HOUR)
        await anna.sleep()
        new = await another_device(place, anna)
        await place.meet(bora, new)
        await anna.wake()
        await revokes(new, lost)
        await until(lambda: is_filed(anna, "This device of yours was revoked"), limits.HOUR)
        assert "was revoked" in await status(anna)
        assert await status(new) == ""
        # Carl may not have heard of it yet: then the lost one itself shows him.
        old = await carl.node.database.read(lambda sql: people.contact(sql, fingerprint_of(anna)))
        assert old is not None
        await carl.write(old.address, subject="where to?")
        await until(lambda: knows_revoked(carl, anna, lost), limits.HOUR)
        await asyncio.sleep(limits.HOUR)
        assert not await anna.with_subject("where to?")

    play(tmp_path, scene)


def test_a_letter_for_an_identity_that_ended_is_not_filed_and_its_sender_learns_why(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        end = encode(sign_revoke(Identity(anna.entropy)))
        # Anna hears it first, from nobody whom Bora knows.
        await anna.node.changes._obeying.obey(end)
        await takes_nothing_in(anna, bora)
        await until(lambda: knows_ended(bora, anna), limits.HOUR)
        before = len(await anna.inbox())
        with pytest.raises(PermanentFailure, match="revoked by its owner"):
            await bora.write(anna.address)
        assert len(await anna.inbox()) == before

    play(tmp_path, scene)


def test_whose_identity_was_handed_on_sends_and_takes_nothing_in_as_it(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        thief = Resident(place, "anna", THIEFS)
        thief.folder = place.folder / "thief"
        place.residents.append(thief)
        await thief.wake()
        old, anna_is = anna.entropy, anna.address
        await told_of_rotation(thief, bora, old, THIEFS)
        assert await status(anna) == ""
        # The next letter of Anna's is refused, and she is shown why.
        await anna.write(bora.address, subject="mine")
        await until(lambda: is_filed(anna, "Your identity was handed on"), limits.HOUR)
        assert "handed on" in await status(anna)
        await stops(anna, bora.address)
        await takes_nothing_in(anna, bora)
        # Going on with a key of her own, she is somebody again.
        await anna.node.changes.rotate(b"\x44" * 32)
        assert anna.address != anna_is
        assert await status(anna) == ""

    play(tmp_path, scene)
