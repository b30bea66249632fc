"""An identity becomes another one: contacts go on, and see it; what hostile hands make of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from delivery.test_revoked import knows_ended, peer_of
from delivery.test_road import all_ended, ended, held_by, is_filed
from postroad.base import limits
from postroad.base.errors import PermanentFailure
from postroad.base.ids import Contact, Fingerprint
from postroad.base.tlv import encode
from postroad.peers.client import Client
from postroad.peers.exchange import Refused
from postroad.protocol.identity_records import sign_revoke, sign_rotate
from postroad.sealing.keys import Identity
from postroad.store import people, rented, rotations, standing
from simulator.village import Resident, Village, play, until

NEW = b"\x11" * 32
THIEFS = b"\x22" * 32


def fingerprint_of(entropy: bytes) -> Fingerprint:
    return Identity(entropy).public.fingerprint


async def knows(resident: Resident, entropy: bytes) -> bool:
    """Whether the identity of these words is a contact."""
    found = await resident.node.database.read(
        lambda sql: people.contact(sql, fingerprint_of(entropy))
    )
    return found is not None


def where(resident: Resident) -> Contact:
    return Contact(peer_of(resident), resident.node.endpoint.addresses())


async def told_of_rotation(
    teller: Resident, to: Resident, old: bytes, new: bytes, *, sequence: int = 1
) -> None:
    """Somebody tells a rotation that both identities signed, with the teller's own record."""
    expires = to.node.machine.clock.now() + limits.DAY
    record = sign_rotate(Identity(old), Identity(new), sequence << 32, expires)
    person = None
    if teller.node.keyring.fingerprint == fingerprint_of(new):
        person = encode(await teller.node.renter.record())
    await Client(teller.node.links).tell_change(where(to), encode(record), person)


def test_contacts_go_on_with_the_new_key_and_see_that_it_is_new(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        old, was, bora_is = anna.entropy, anna.address, bora.address
        await bora.node.database.run(
            lambda sql: standing.verify(sql, fingerprint_of(old), place.clock.now())
        )
        await bora.sleep()
        await anna.write(bora_is, subject="written as the old one")
        await anna.node.changes.rotate(NEW)
        assert anna.address != was
        await bora.wake()
        await until(lambda: knows(bora, NEW), limits.MINUTE)
        (notice,) = await bora.with_subject("anna has a new key")
        said = b" ".join(notice.split())
        assert was.encode() in said
        assert anna.address.encode() in said
        assert b"not verified any more" in said
        (person,) = await bora.node.database.read(people.contacts)
        assert (person.address, person.name, person.verified) == (anna.address, "anna", False)
        # What was on its way goes on, in both directions; so do letters to the old address.
        await until(lambda: is_filed(bora, "written as the old one"))
        await bora.write(was, subject="to the old address")
        await bora.write(anna.address, subject="to the new address")
        await anna.write(bora.address, subject="as the new one")
        for reader, subject in (
            (anna, "to the old address"),
            (anna, "to the new address"),
            (bora, "as the new one"),
        ):
            await until(lambda reader=reader, subject=subject: is_filed(reader, subject))  # type: ignore[misc]
        await until(lambda: all_ended(anna, "delivered"))
        await until(lambda: all_ended(bora, "delivered"))
        # All of it is on the disk.
        await anna.sleep()
        await anna.wake()
        assert anna.node.keyring.fingerprint == fingerprint_of(NEW)
        await bora.write(was, subject="after a restart")
        await until(lambda: is_filed(anna, "after a restart"))
        assert len(await bora.with_subject("anna has a new key")) == 1

    play(tmp_path, scene)


def test_who_was_away_finds_the_new_key_in_the_directory_within_a_day(tmp_path: Path) -> None:
    """Twice: the second key is found by way of the first, of which no record is left."""

    async def scene(place: Village) -> None:
        anna, bora, carl = await place.settle_in("anna", "bora", "carl")
        await place.meet(bora, anna)
        await place.meet(bora, carl)
        await place.meet(carl, anna)
        await asyncio.sleep(limits.HOUR)
        await bora.sleep()
        bora.move()
        await anna.node.changes.rotate(THIEFS)
        await anna.node.changes.rotate(NEW)
        await asyncio.sleep(limits.HOUR)
        await anna.sleep()
        await bora.wake()
        await until(lambda: knows(bora, NEW), limits.DAY)
        assert len(await bora.with_subject("anna has a new key")) == 1

    play(tmp_path, scene)


def test_letters_held_through_a_rotation_are_filed_and_receipted(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        (anna,) = await place.settle_in("anna")
        (hana,) = await place.with_holders(anna, "hana")
        (bora,) = await place.settle_in("bora")
        await place.meet(bora, anna)
        was = anna.address
        await asyncio.sleep(limits.HOUR)
        await anna.sleep()
        await bora.write(was, subject="held")
        await until(lambda: held_by(bora, 1))
        await bora.sleep()
        await anna.wake()
        await anna.node.changes.rotate(NEW)
        await until(lambda: is_filed(anna, "held"), limits.HOUR)
        await until(lambda: knows(hana, NEW), limits.HOUR)
        # Hana still holds for her, under the new name.
        await asyncio.sleep(limits.HOUR)
        assert await anna.holders() >= 1
        await bora.wake()
        await until(lambda: ended(bora, "delivered"), limits.HOUR)

    play(tmp_path, scene)


def test_a_second_heir_is_told_of_and_not_followed(tmp_path: Path) -> None:
    """A thief of the old words hands the identity to himself, after its owner did to herself."""

    async def scene(place: Village) -> None:
        anna, bora, thief = await place.settle_in("anna", "bora", "thief")
        await place.meet(bora, anna)
        old = anna.entropy
        await anna.node.changes.rotate(NEW)
        await until(lambda: knows(bora, NEW), limits.MINUTE)
        for sequence in (1 << 20, 1 << 21):
            await told_of_rotation(thief, bora, old, THIEFS, sequence=sequence)
        await until(lambda: is_filed(bora, "Two different keys claim to be anna"))
        assert len(await bora.with_subject("Two different keys claim to be anna")) == 1
        assert await knows(bora, NEW)
        assert not await knows(bora, THIEFS)

    play(tmp_path, scene)


def test_a_thief_who_was_first_is_stopped_by_the_printed_sheet(tmp_path: Path) -> None:
    """Nobody can tell the thief's rotation from the owner's; the end of the old key ends both,
    unless somebody compared the new key's safety number."""

    async def scene(place: Village) -> None:
        anna, bora, carl = await place.settle_in("anna", "bora", "carl")
        thief = Resident(place, "anna", THIEFS)
        thief.folder = place.folder / "thief"
        place.residents.append(thief)
        await thief.wake()
        await place.meet(bora, anna)
        await place.meet(carl, anna)
        old = anna.entropy
        for victim in (bora, carl):
            await until(lambda victim=victim: rents(victim))  # type: ignore[misc]
            await told_of_rotation(thief, victim, old, THIEFS)
            await until(lambda victim=victim: knows(victim, THIEFS))  # type: ignore[misc]
        await carl.node.database.run(
            lambda sql: standing.verify(sql, fingerprint_of(THIEFS), place.clock.now())
        )
        end = encode(sign_revoke(Identity(old)))
        for victim in (bora, carl):
            await Client(anna.node.links).tell_change(where(victim), end, None)
        (notice,) = await bora.with_subject("The key that anna had before was revoked")
        assert b"contacts unblock" in notice
        assert not await carl.with_subject("The key that anna had before was revoked")
        (blocked,) = await bora.node.database.read(people.contacts)
        (verified,) = await carl.node.database.read(people.contacts)
        assert (blocked.blocked, verified.blocked) == (True, False)
        for victim, is_unwanted in ((bora, True), (carl, False)):  # as after any block
            drops = await victim.node.database.read(rented.my_drops)
            theirs = [one for one in drops if one.fingerprint == fingerprint_of(THIEFS)]
            assert {one.unwanted for one in theirs} == {is_unwanted}
        with pytest.raises(PermanentFailure, match="blocked"):
            await bora.node.outbox.check_recipient(str(blocked.address))

    play(tmp_path, scene)


async def rents(who: Resident) -> bool:
    return await who.holders() >= 1


def test_what_was_revoked_names_no_heir(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora, thief = await place.settle_in("anna", "bora", "thief")
        await place.meet(bora, anna)
        end = encode(sign_revoke(Identity(anna.entropy)))
        await Client(thief.node.links).tell_change(where(bora), end, None)
        assert await knows_ended(bora, anna)
        await told_of_rotation(thief, bora, anna.entropy, THIEFS)
        await told_of_rotation(thief, bora, anna.entropy, thief.entropy)
        assert not await knows(bora, thief.entropy)

    play(tmp_path, scene)


def test_a_letter_signed_with_the_old_key_on_another_computer_is_refused(tmp_path: Path) -> None:
    """Who stole the old words certifies a device with them; Anna's own device signed before."""

    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        thief = Resident(place, "anna", anna.entropy)
        thief.folder = place.folder / "thief"
        place.residents.append(thief)
        await thief.wake()
        await anna.node.changes.rotate(NEW)
        await until(lambda: knows(bora, NEW), limits.MINUTE)
        record = await bora.node.renter.record()
        await thief.node.database.run(
            lambda sql: people.add_contact(
                sql, record, place.clock.now(), my_ticket=None, their_ticket=None
            )
        )
        await thief.write(bora.address, subject="believe me")
        await until(lambda: ended(thief, "refused"), limits.HOUR)
        assert not await bora.with_subject("believe me")

    play(tmp_path, scene)


def test_whoever_stole_the_old_words_does_not_write_as_their_owner_to_herself(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        thief = Resident(place, "anna", anna.entropy)
        thief.folder = place.folder / "thief"
        place.residents.append(thief)
        await anna.write(anna.address, subject="a note of before")
        await anna.node.changes.rotate(NEW)
        await until(lambda: is_filed(anna, "a note of before"))
        record = await anna.node.renter.record()
        await thief.wake()
        await thief.node.database.run(
            lambda sql: people.add_contact(
                sql, record, place.clock.now(), my_ticket=None, their_ticket=None
            )
        )
        await thief.write(anna.address, subject="it is me")
        await until(lambda: ended(thief, "refused"), limits.HOUR)
        assert not await anna.with_subject("it is me")

    play(tmp_path, scene)


def test_nobody_leads_back_or_to_somebody_who_did_not_sign(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora, mallory = await place.settle_in("anna", "bora", "mallory")
        await place.meet(bora, anna)
        old = anna.entropy
        await anna.node.changes.rotate(NEW)
        await until(lambda: knows(bora, NEW), limits.MINUTE)
        await told_of_rotation(mallory, bora, NEW, old)
        assert await knows(bora, NEW)
        expires = place.clock.now() + limits.DAY
        half = bytearray(encode(sign_rotate(Identity(NEW), Identity(THIEFS), 1 << 32, expires)))
        half[-1] ^= 1  # the heir's signature
        with pytest.raises(Refused):
            await Client(mallory.node.links).tell_change(where(bora), bytes(half), None)
        heir = await bora.node.database.read(lambda sql: rotations.heir(sql, fingerprint_of(old)))
        assert heir == fingerprint_of(NEW)

    play(tmp_path, scene)


def test_an_owner_hears_that_somebody_handed_their_identity_on(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        await told_of_rotation(bora, anna, anna.entropy, THIEFS)
        await until(lambda: is_filed(anna, "Your identity was handed on to another one"))

    play(tmp_path, scene)


def test_two_who_met_anew_before_the_rotation_was_known_are_one_contact(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        old = anna.entropy
        await bora.sleep()
        await anna.node.changes.rotate(NEW)
        record = await anna.node.renter.record()
        await anna.sleep()
        await bora.wake()
        await bora.node.database.run(
            lambda sql: people.add_contact(
                sql, record, place.clock.now(), my_ticket=None, their_ticket=None
            )
        )
        await anna.wake()
        await until(lambda: one_contact(bora), limits.HOUR)
        (person,) = await bora.node.database.read(people.contacts)
        assert person.fingerprint == fingerprint_of(NEW)
        assert person.my_ticket is not None
        assert await bora.node.database.read(
            lambda sql: rotations.heir(sql, fingerprint_of(old))
        ) == fingerprint_of(NEW)

    async def one_contact(bora: Resident) -> bool:
        return len(await bora.node.database.read(people.contacts)) == 1

    play(tmp_path, scene)


@pytest.mark.parametrize("steps", range(0, 40, 3))
def test_a_crash_anywhere_leaves_the_old_identity_or_the_new_one_whole(
    tmp_path: Path, steps: int
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        old = anna.entropy
        await asyncio.sleep(limits.HOUR)
        anna.steps_to_live = steps
        try:
            await anna.node.changes.rotate(NEW)
            await asyncio.sleep(limits.MINUTE)
        except Exception:
            pass
        if anna.is_on:
            anna.crash()
        await anna.wake()
        mine = anna.node.keyring.fingerprint
        assert mine in (fingerprint_of(old), fingerprint_of(NEW))
        if mine == fingerprint_of(NEW):
            await until(lambda: knows(bora, NEW), limits.DAY)
        else:
            assert await knows(bora, old)
        await bora.write(str(anna.node.keyring.addresses[-1]), subject="all is well")
        await until(lambda: is_filed(anna, "all is well"), limits.HOUR)

    play(tmp_path, scene)


def test_an_invitation_and_an_address_of_before_lead_nowhere(tmp_path: Path) -> None:
    """Who stole the old words invites people, and publishes a record under the old fingerprint."""

    async def scene(place: Village) -> None:
        anna, bora, carl = await place.settle_in("anna", "bora", "carl")
        await place.meet(carl, anna)
        await place.meet(carl, bora)
        link, _, _ = await anna.node.introductions.invite()
        was = anna.address
        await anna.node.changes.rotate(NEW)
        await asyncio.sleep(limits.HOUR)
        with pytest.raises(PermanentFailure, match="has another key now"):
            await bora.node.introductions.accept(link)
        with pytest.raises(PermanentFailure, match="has another key now"):
            await bora.node.outbox.check_recipient(was)

    play(tmp_path, scene)


def test_who_rotates_without_end_fills_nobodys_inbox(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        for turn in range(6):
            await anna.node.changes.rotate(bytes([0x40 + turn]) * 32)
            await asyncio.sleep(10 * limits.MINUTE)
        told = len(await bora.with_subject("anna has a new key"))
        assert 1 <= told <= 3
        last = bytes([0x45]) * 32
        await until(lambda: knows(bora, last), 2 * limits.DAY)

    play(tmp_path, scene)
