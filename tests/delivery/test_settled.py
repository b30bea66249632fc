"""A stranger's letter that waits in Requests ends, whatever makes its sender a contact, and with it
each of its parcels."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from delivery.test_proposals import accept, is_in, noted
from delivery.test_requests import are_contacts, asked, has_request, in_folder, neighbours
from delivery.test_road import ended, is_filed
from delivery.test_rotated import NEW, knows
from postroad.base import limits
from postroad.store import queue
from postroad.store.database import Sql
from postroad.store.proposals import State
from simulator.village import Resident, Village, play, until

Meeting = Callable[[Village, Resident, Resident], Awaitable[None]]


async def by_an_invitation_of_the_reader(__: Village, anna: Resident, bora: Resident) -> None:
    link, _, _ = await bora.node.introductions.invite()
    await anna.node.introductions.accept(link)


async def by_an_invitation_of_the_writer(__: Village, anna: Resident, bora: Resident) -> None:
    link, _, _ = await anna.node.introductions.invite()
    await bora.node.introductions.accept(link)


async def by_a_proposal(place: Village, anna: Resident, bora: Resident) -> None:
    (hana,) = (one for one in place.residents if one.name == "hana")
    await hana.node.proposals.introduce("anna", "bora")
    for who in (anna, bora):
        await until(lambda who=who: is_in(who, State.OPEN))  # type: ignore[misc]
        await accept(who)


@pytest.mark.parametrize(
    "meet", [by_an_invitation_of_the_reader, by_an_invitation_of_the_writer, by_a_proposal]
)
def test_a_request_of_somebody_who_became_a_contact_otherwise_is_accepted(
    tmp_path: Path, meet: Meeting
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await neighbours(place, "anna", "bora")
        await anna.write(bora.address, text="May I write to you?")
        await until(lambda: ended(anna, "requested"))
        await meet(place, anna, bora)
        await until(lambda: are_contacts(anna, bora), limits.HOUR)
        assert not await in_folder(bora)
        assert not await bora.node.requests.waiting()
        (shown,) = await bora.with_subject("hello")
        assert b"May I write to you?" in shown
        assert await noted(bora, "request accepted")

        async def is_answered() -> bool:
            return "requested" not in await anna.states()

        await until(is_answered, limits.HOUR)
        assert "refused" not in await anna.states()

    play(tmp_path, scene)


def test_with_one_letter_of_a_stranger_the_others_are_accepted_too(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await neighbours(place, "anna", "bora")
        for text in ("the first", "the second"):
            await anna.write(bora.address, text=text)
            await until(lambda text=text: has_request(bora, text))  # type: ignore[misc]
        await bora.node.requests.accept((await bora.node.requests.waiting())[1].id.hex())
        await until(lambda: are_contacts(anna, bora), limits.HOUR)
        await until(lambda: all_are(anna, "delivered"), limits.HOUR)
        assert len(await bora.with_subject("hello")) == 2
        assert not await in_folder(bora)

    play(tmp_path, scene)


def test_a_letter_of_the_next_identity_that_came_before_the_rotation_is_the_contact_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)

        async def nobody_is_told(*_: object) -> bool:
            return False

        with monkeypatch.context() as patched:
            patched.setattr(anna.node.changes, "_tell", nobody_is_told)
            await anna.node.changes.rotate(NEW)
            await anna.write(bora.address)
            await until(lambda: has_request(bora), limits.HOUR)
            assert not await knows(bora, NEW)
        await until(lambda: knows(bora, NEW), limits.DAY)
        assert await is_filed(bora, "hello")
        assert not await in_folder(bora)
        await until(lambda: ended(anna, "delivered"), limits.HOUR)

    play(tmp_path, scene)


async def all_are(who: Resident, state: str) -> bool:
    return set(await who.states()) == {state}


def with_tag(address: str) -> str:
    name, _, rest = address.partition(".")
    return f"{name}+club.{rest}"


@pytest.mark.parametrize("is_accepted", [True, False])
def test_a_letter_to_two_addresses_of_one_person_ends_for_both(
    tmp_path: Path, is_accepted: bool
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await neighbours(place, "anna", "bora")
        before = len(await anna.states())
        await anna.write(bora.address, with_tag(bora.address))
        await until(lambda: last_are(anna, before, "requested"), limits.HOUR)
        assert len(await in_folder(bora)) == 1
        if is_accepted:
            await bora.node.requests.accept("anna")
        else:
            await bora.node.requests.refuse("anna")
        end = "delivered" if is_accepted else "refused"
        await until(lambda: last_are(anna, before, end), limits.HOUR)

    play(tmp_path, scene)


async def last_are(who: Resident, after: int, state: str) -> bool:
    return (await who.states())[after:] == [state, state]


def test_a_letter_that_was_sealed_anew_after_it_lay_in_requests_ends_with_the_answer(
    tmp_path: Path,
) -> None:
    """As after a restored backup of the sender's, or when the first receipt was lost."""

    async def scene(place: Village) -> None:
        anna, bora = await asked(place)

        def again(sql: Sql) -> None:
            (parcel_id,) = sql.execute("SELECT max(id) FROM parcel").fetchone()
            queue.unhold(sql, parcel_id)
            sql.execute(
                "UPDATE parcel SET state = 'waiting', ended_at = NULL, due_at = 0 WHERE id = ?",
                (parcel_id,),
            )

        await anna.node.database.run(again)
        anna.node.sender.wake()
        await until(lambda: ended(anna, "requested"))
        await bora.node.requests.accept("anna")
        await until(lambda: ended(anna, "delivered"), limits.HOUR)
        assert len(await bora.with_subject("hello")) == 1

    play(tmp_path, scene)
