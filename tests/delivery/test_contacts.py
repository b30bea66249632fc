"""What an owner decides about a contact, at real nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from delivery.test_road import ended, has_notice, is_filed, put_off
from postroad.base.errors import PermanentFailure
from postroad.protocol.safety_code import Comparison
from simulator.village import Resident, Village, play, until


def test_a_contact_is_called_as_the_owner_wants_and_never_like_another(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora, carl = await place.settle_in("anna", "bora", "carl")
        await place.meet(anna, bora, carl)
        book = anna.node.contact_book
        before, person = await book.rename("bora", " Bora  Berg ")
        assert (before, person.name, person.address) == ("bora", "Bora Berg", bora.address)
        assert (await book.show("bora berg")).person.address == bora.address
        for name in ("CarI", "carl", "Саrl", carl.address, "Bora\n", ""):
            with pytest.raises(PermanentFailure):
                await book.rename("bora berg", name)
        with pytest.raises(PermanentFailure, match="looks like your contact 'Bora Berg'"):
            await book.rename("carl", "bora")  # as the other's address begins
        await bora.write(anna.address)  # what it does to letters: nothing
        await until(lambda: is_filed(anna, "hello"))

    play(tmp_path, scene)


def test_two_of_one_name_are_called_differently_and_the_second_is_not_verified(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        other = Resident(place, "bora", b"another person's words, and more")
        other.folder = place.folder / "other"
        place.residents.append(other)
        await other.wake()
        await place.meet(anna, bora)
        await anna.node.contact_book.verify("bora", None, matches=True)
        await place.meet(anna, other)
        first, second = await anna.node.contact_book.all()
        assert (first.name, first.verified) == ("bora", True)
        assert (second.name, second.verified) == ("bora-2", False)
        assert second.address == other.address

    play(tmp_path, scene)


def test_both_see_one_safety_number_and_compare_it_by_machine(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora, carl = await place.settle_in("anna", "bora", "carl")
        await place.meet(anna, bora, carl)
        await place.meet(bora, carl)
        at_anna = await anna.node.contact_book.verify("bora", None, matches=False)
        at_bora = await bora.node.contact_book.verify("anna", None, matches=False)
        assert at_anna.number == at_bora.number
        assert not at_anna.person.verified
        compared = await anna.node.contact_book.verify("bora", at_bora.code, matches=False)
        assert (compared.comparison, compared.person.verified) == (Comparison.MATCHES, False)
        own = await anna.node.contact_book.verify("bora", at_anna.code, matches=True)
        assert (own.comparison, own.person.verified) == (Comparison.OWN, False)
        of_carl = await carl.node.contact_book.verify("anna", None, matches=False)
        wrong = await anna.node.contact_book.verify("bora", of_carl.code, matches=True)
        assert (wrong.comparison, wrong.person.verified) == (Comparison.SOMEBODY_ELSES, False)
        right = await anna.node.contact_book.verify("bora", at_bora.code, matches=True)
        assert right.person.verified
        assert (await anna.node.contact_book.show("bora")).person.verified
        assert not (await anna.node.contact_book.show("carl")).person.verified
        assert not (await anna.node.contact_book.forget_verification("bora")).verified

    play(tmp_path, scene)


def test_a_verification_outlives_what_changes_in_a_record_and_a_restart(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(anna, bora)
        await anna.node.contact_book.verify("bora", None, matches=True)
        sequence = (await anna.node.contact_book.show("bora")).person.record.sequence
        await bora.sleep()
        bora.move()
        await bora.wake()

        async def learnt() -> bool:
            return (await anna.node.contact_book.show("bora")).person.record.sequence > sequence

        await until(learnt)
        await anna.sleep()
        await anna.wake()
        assert (await anna.node.contact_book.show("bora")).person.verified

    play(tmp_path, scene)


def test_who_is_blocked_is_told_so_in_a_signed_refusal_and_unblocking_restores(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        await bora.node.contact_book.block("anna")
        await anna.write(bora.address)
        await until(lambda: ended(anna, "refused"))
        assert await has_notice(anna, "5.7.1")
        assert await has_notice(anna, "does not want letters from you")
        assert not await bora.with_subject("hello")
        with pytest.raises(PermanentFailure, match="blocked anna"):
            await bora.write(anna.address)
        await bora.node.contact_book.unblock("anna")
        with pytest.raises(PermanentFailure, match="not blocked"):
            await bora.node.contact_book.unblock("anna")
        await anna.write(bora.address, subject="again")
        await until(lambda: is_filed(bora, "again"))
        await bora.write(anna.address, subject="and back")
        await until(lambda: is_filed(anna, "and back"))

    play(tmp_path, scene)


def test_a_letter_on_its_way_to_somebody_blocked_waits_in_words_and_goes_when_they_are_not(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        bora_is = bora.address
        await bora.sleep()
        await anna.write(bora_is)
        await until(lambda: put_off(anna))
        assert (await anna.node.contact_book.block("bora")).waiting == 1
        await bora.wake()
        await until(lambda: put_off(anna, "You have blocked bora"))
        assert not await bora.with_subject("hello")
        assert (await anna.node.contact_book.unblock("bora")).waiting == 1
        await until(lambda: is_filed(bora, "hello"))

    play(tmp_path, scene)
