"""What an owner decides about a contact, at real nodes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from delivery.test_road import ended, has_notice, held_by, is_filed, put_off
from postroad.base import limits
from postroad.base.errors import PermanentFailure
from postroad.base.ids import PeerId
from postroad.protocol.safety_code import Comparison
from postroad.store import audit, held, rented
from postroad.store.database import Sql
from postroad.store.invitations import State
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
        await bora.node.contact_book.block("anna")  # nothing new, and nothing noted
        entries = await bora.node.database.read(lambda sql: audit.rows(sql)[0])
        assert sum(b"contact blocked" in row.line for row in entries) == 1
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


def test_a_removed_contact_is_a_stranger_and_no_letter_is_lost_over_it(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        link, _, _ = await bora.node.introductions.invite()
        await anna.node.introductions.accept(link)
        await until(lambda: is_filed(anna, "You and Bora"))
        await anna.write(bora.address, subject="before")
        await until(lambda: is_filed(bora, "before"))
        anna_is = anna.address
        await anna.sleep()
        await bora.write(anna_is, subject="on its way")
        await until(lambda: put_off(bora))
        with pytest.raises(PermanentFailure, match="1 letter of yours to anna did not arrive"):
            await bora.node.contact_book.remove("anna", cancel_letters=False)
        assert await bora.contacts() == {anna_is}
        await bora.node.contact_book.remove("anna", cancel_letters=True)
        assert (await bora.states())[-1] == "cancelled"
        assert not await bora.contacts()
        assert await is_filed(bora, "before")
        await anna.wake()
        await anna.write(bora.address, subject="after")
        await until(lambda: ended(anna, "requested"))
        assert not await bora.with_subject("after")  # it lies in Requests
        # The invitation that made them a contact does not do so again; a new one does.
        await anna.node.contact_book.remove("bora", cancel_letters=True)
        await anna.node.introductions.accept(link)
        await until(lambda: has_notice(anna, "This invitation is over"))
        assert not await bora.contacts()
        await place.meet(bora, anna)
        await anna.write(bora.address, subject="at last")
        await until(lambda: is_filed(bora, "at last"))

    play(tmp_path, scene)


def test_a_receipt_that_a_removed_contact_did_not_get_yet_waits_for_them(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        await place.with_holders(bora, "hana")
        (anna,) = await place.settle_in("anna")
        await place.meet(bora, anna)
        bora_is = bora.address
        await bora.sleep()
        await anna.write(bora_is)
        await until(lambda: held_by(anna, 1))
        await anna.sleep()
        await bora.wake()
        await until(lambda: is_filed(bora, "hello"))
        await bora.node.contact_book.remove("anna", cancel_letters=False)
        await anna.wake()
        await until(lambda: ended(anna, "delivered"))  # as it is: it was filed before

    play(tmp_path, scene)


def test_an_owner_who_blocks_or_removes_a_holder_has_another_one_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HOLDERS_WANTED", 2)

    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        hana, hugo = await place.with_holders(bora, "hana", "hugo")
        anna, hedi = await place.settle_in("anna", "hedi")
        await place.meet(bora, anna, hedi)
        bora_is = bora.address
        await until(lambda: knows_newest(anna, bora))
        await bora.sleep()
        await anna.write(bora_is, subject="at both")
        await until(lambda: held_by(anna, 2))
        await anna.sleep()
        await bora.wake()
        assert (await bora.node.contact_book.block("hana")).holds_for_us
        await bora.node.contact_book.remove("hugo", cancel_letters=True)
        await until(lambda: is_filed(bora, "at both"))
        await until(lambda: holders_are(bora, {hedi.peer}), 2 * limits.HOUR)
        await anna.wake()
        await until(lambda: holders_are(bora, {hedi.peer, anna.peer}), 2 * limits.HOUR)
        await until(lambda: knows_newest(anna, bora), limits.HOUR)
        await bora.sleep()
        await anna.write(bora_is, subject="at another")
        await until(lambda: held_by(anna, 1))
        await bora.wake()
        await until(lambda: is_filed(bora, "at another"))
        assert not await lies_at(hana)
        assert not await lies_at(hugo)

    play(tmp_path, scene)


def test_without_anybody_else_a_blocked_holder_keeps_what_it_has_until_there_is_one(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        (hana,) = await place.with_holders(bora, "hana")
        await bora.node.contact_book.block("hana")
        await asyncio.sleep(2 * limits.HOUR)
        assert await holders_are(bora, {hana.peer})
        (hugo,) = await place.settle_in("hugo")
        await place.meet(bora, hugo)
        await until(lambda: holders_are(bora, {hugo.peer}), 2 * limits.HOUR)
        await bora.node.contact_book.unblock("hana")
        await until(lambda: holders_are(bora, {hana.peer, hugo.peer}), 2 * limits.DAY)

    play(tmp_path, scene)


@pytest.mark.parametrize("way", ["block", "remove"])
def test_a_renter_who_is_blocked_or_removed_gets_what_lies_there_and_finds_another_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(limits, "HOLDERS_WANTED", 1)

    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        (hana,) = await place.with_holders(bora, "hana")
        anna, hedi = await place.settle_in("anna", "hedi")
        await place.meet(bora, anna, hedi)
        bora_is = bora.address
        await bora.sleep()
        await anna.write(bora_is, subject="at hana")
        await until(lambda: held_by(anna, 1))
        await anna.destroy()
        if way == "block":
            assert (await hana.node.contact_book.block("bora")).we_hold_for_them
        else:
            await hana.node.contact_book.remove("bora", cancel_letters=True)
        await bora.wake()
        await until(lambda: is_filed(bora, "at hana"))
        await until(lambda: holders_are(bora, {hedi.peer}), 2 * limits.HOUR)

    play(tmp_path, scene)


@pytest.mark.parametrize(("is_open", "how"), [(False, "5.7.1"), (True, "accept it first")])
def test_an_invitation_that_was_used_taken_back_or_is_over_says_so_to_who_comes_later(
    tmp_path: Path, is_open: bool, how: str
) -> None:
    async def scene(place: Village) -> None:
        bora, anna, carl, dora = await place.settle_in("bora", "anna", "carl", "dora")
        await bora.sleep()
        bora.takes_requests = is_open
        await bora.wake()
        used, _, _ = await bora.node.introductions.invite(name="Dear Anna")
        await asyncio.sleep(1)
        back, _, _ = await bora.node.introductions.invite(seconds=limits.DAY)
        await anna.node.introductions.accept(used)
        await until(lambda: is_filed(anna, "You and Bora"))
        assert (await bora.node.contact_book.show("dear anna")).person.address == anna.address
        (_, state, by), (row, still, _) = await bora.node.contact_book.invitations()
        assert (state, by, still) == (State.USED, "Dear Anna", State.OPEN)
        await carl.node.introductions.accept(used)
        await until(lambda: has_notice(carl, "Somebody else has used this invitation"))
        assert await has_notice(carl, "Ask") is not is_open  # in Requests it needs no new one
        assert await has_notice(carl, how)
        assert (await bora.node.contact_book.withdraw(row.id))[1] is State.WITHDRAWN
        await dora.node.introductions.accept(back)
        await until(lambda: has_notice(dora, "This invitation is over"))
        assert await bora.contacts() == {anna.address}
        again, _, _ = await bora.node.introductions.invite()
        await dora.node.introductions.accept(again)  # which mends it
        await until(lambda: is_filed(dora, "You and Bora"))

    play(tmp_path, scene)


def test_an_invitation_has_a_time_and_a_name_that_can_be(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        bora, anna = await place.settle_in("bora", "anna")
        await place.meet(bora, anna)
        invite = bora.node.introductions.invite
        for seconds in (0, -1, limits.INVITATION_SECONDS_MAX + 1):
            with pytest.raises(PermanentFailure, match="between 10 minutes and 30 days"):
                await invite(seconds=seconds)
        for name in ("anna", "=cmd", "a\nb", anna.address):
            with pytest.raises(PermanentFailure):
                await invite(name=name)

    play(tmp_path, scene)


async def knows_newest(who: Resident, of: Resident) -> bool:
    """Whether they have the record of the other as it is now."""
    newest = await of.node.renter.record()
    return (await who.node.contact_book.show(of.name)).person.record.sequence == newest.sequence


async def holders_are(owner: Resident, holders: set[PeerId | None]) -> bool:
    drops = await owner.node.database.read(rented.my_drops)
    return {drop.holder for drop in drops if drop.is_ours} == holders


async def lies_at(holder: Resident) -> int:
    def count(sql: Sql) -> int:
        return len(held.drops_with_letters(sql))

    return await holder.node.database.read(count)
