"""Introductions, and yeses to strangers, of people who become somebody else meanwhile."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from delivery.test_proposals import accept, is_in, proposed, state, three
from delivery.test_requests import asked
from delivery.test_road import ended, has_notice, is_filed, put_off
from delivery.test_rotated import NEW, THIEFS, knows
from postroad.base import limits
from postroad.base.errors import PermanentFailure
from postroad.delivery.rounds import Check, OnLease, Outcome
from postroad.store import keyring, people
from postroad.store.proposals import State
from simulator.village import Resident, Village, play, until


async def know_as_they_are(one: Resident, other: Resident) -> bool:
    return other.address in await one.contacts() and one.address in await other.contacts()


async def write_to_each_other(one: Resident, other: Resident) -> None:
    """Both ways, to the address that is in each one's contacts."""
    for author, reader in ((one, other), (other, one)):
        subject = f"from {author.name} as they are"
        await author.write(reader.address, subject=subject)
        await until(lambda r=reader, s=subject: is_filed(r, s), limits.HOUR)  # type: ignore[misc]


@pytest.mark.parametrize("who", ["boris", "both"])
@pytest.mark.parametrize("first", ["anna", "boris"])
def test_who_rotates_between_proposal_and_yes_is_met_and_known_as_who_they_are(
    tmp_path: Path, who: str, first: str
) -> None:
    async def scene(place: Village) -> None:
        _, anna, boris = await proposed(place)
        await boris.node.changes.rotate(NEW)
        if who == "both":
            await anna.node.changes.rotate(THIEFS)
        for one in (anna, boris) if first == "anna" else (boris, anna):
            await accept(one)
        await until(lambda: know_as_they_are(anna, boris), limits.HOUR)
        assert await state(anna) is await state(boris) is State.MET
        (told,) = await anna.with_subject("boris has a new key")
        assert boris.address.encode() in b"".join(told.split())
        await write_to_each_other(anna, boris)
        for one in (anna, boris):
            assert not await has_notice(one, "Not delivered")

    play(tmp_path, scene)


def test_a_proposal_that_comes_after_a_rotation_is_for_who_they_were_and_are(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        ivan, anna, boris = await three(place)
        await boris.sleep()
        await ivan.node.proposals.introduce("anna", "boris")
        await until(lambda: is_in(anna, State.OPEN))
        await ivan.sleep()
        await boris.wake()
        await boris.node.changes.rotate(NEW)
        await ivan.wake()
        await until(lambda: is_in(boris, State.OPEN), limits.HOUR)
        await accept(boris)
        await accept(anna)
        await until(lambda: know_as_they_are(anna, boris), limits.HOUR)

    play(tmp_path, scene)


async def nobody_answers(_: object, __: object, check: Check, on_lease: OnLease) -> Outcome:
    """In the place of a round: the letter waits while other words go round."""
    return Outcome(check, on_lease, reason="Nobody answers.")


def test_a_proposal_of_an_introducer_who_rotated_meanwhile_is_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anna knows the new key when the letter of the old one comes."""

    async def scene(place: Village) -> None:
        ivan, anna, boris = await three(place)
        await anna.sleep()
        await ivan.node.proposals.introduce("anna", "boris")
        await until(lambda: is_in(boris, State.OPEN))
        await until(lambda: tried(ivan))
        await ivan.node.changes.rotate(NEW)
        with monkeypatch.context() as patched:
            patched.setattr(ivan.node.sender, "_rounds", SimpleNamespace(attempt=nobody_answers))
            await anna.wake()
            await until(lambda: knows(anna, NEW), limits.HOUR)
        await until(lambda: is_in(anna, State.OPEN), limits.HOUR)
        ((_, introducer, _),) = await anna.node.proposals.all()
        assert introducer == "ivan"
        (told,) = await anna.with_subject("ivan introduces Boris")
        assert ivan.address.encode() in b"".join(told.split())
        await accept(anna)
        await accept(boris)
        await until(lambda: know_as_they_are(anna, boris), limits.HOUR)
        assert not await ivan.with_subject("Not delivered")

    play(tmp_path, scene)


async def tried(who: Resident) -> bool:
    return all(row.sealed is not None and row.parcel.tries > 0 for row in await who.waiting())


def test_a_yes_that_comes_before_the_word_of_an_introducer_who_rotated_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Boris knows Ivan's new key, and has not heard of the introduction yet."""

    async def scene(place: Village) -> None:
        ivan, anna, boris = await three(place)
        await boris.sleep()
        await ivan.node.proposals.introduce("anna", "boris")
        await until(lambda: is_in(anna, State.OPEN))
        await until(lambda: tried(ivan))
        await ivan.node.changes.rotate(NEW)

        with monkeypatch.context() as patched:
            patched.setattr(ivan.node.sender, "_rounds", SimpleNamespace(attempt=nobody_answers))
            await boris.wake()
            await until(lambda: knows(boris, NEW), limits.HOUR)
            await accept(anna)
            told = "has not heard of this introduction yet"
            await until(lambda: put_off(anna, told), limits.HOUR)
        await until(lambda: is_in(boris, State.OPEN), limits.HOUR)
        await accept(boris)
        await until(lambda: know_as_they_are(anna, boris), limits.HOUR)

    play(tmp_path, scene)


def test_a_word_under_a_key_that_was_handed_on_counts_from_their_own_device_only(
    tmp_path: Path,
) -> None:
    """Whoever stole Ivan's old words cannot introduce anybody in his name."""

    async def scene(place: Village) -> None:
        ivan, anna, _ = await three(place)
        thief = Resident(place, "ivan", ivan.entropy)
        thief.folder = place.folder / "thief"
        place.residents.append(thief)
        await thief.wake()
        (mallory,) = await place.settle_in("mallory")
        await place.meet(thief, mallory)
        await ivan.node.changes.rotate(NEW)
        await until(lambda: knows(anna, NEW), limits.HOUR)
        await place_in(thief, anna)
        await thief.node.proposals.introduce("anna", "mallory")
        await until(lambda: has_notice(thief, "signed with the old one"), limits.HOUR)
        assert not await anna.node.proposals.all()

    play(tmp_path, scene)


async def place_in(who: Resident, other: Resident) -> None:
    """As if they were contacts on this side."""
    record, now = await other.node.renter.record(), who.clock.now()
    await who.node.database.run(
        lambda sql: people.add_contact(sql, record, now, my_ticket=None, their_ticket=None)
    )


def test_who_was_proposed_as_somebody_forgotten_reads_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring, "FORMER_MAX", 1)

    async def scene(place: Village) -> None:
        _, _, boris = await proposed(place)
        for words in (NEW, THIEFS):
            await boris.node.changes.rotate(words)
        with pytest.raises(PermanentFailure, match="Ask for it to be proposed again"):
            await accept(boris)
        assert await is_in(boris, State.OPEN)

    play(tmp_path, scene)


def test_proposed_again_after_a_yes_nobody_is_told_of_an_id_that_is_none(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        ivan, anna, boris = await proposed(place)
        await accept(anna)
        await ivan.node.proposals.introduce("anna", "boris")

        async def told_twice() -> bool:
            return len(await anna.with_subject("ivan introduces Boris")) == 2

        await until(told_twice)
        told = (await anna.with_subject("ivan introduces Boris"))[-1]
        ((row, _, _),) = await anna.node.proposals.all()
        assert f"proposals accept {row.id}".encode() in told
        assert row.state is State.ACCEPTED
        await accept(boris)
        await until(lambda: know_as_they_are(anna, boris), limits.HOUR)

    play(tmp_path, scene)


@pytest.mark.parametrize("who", ["writer", "reader", "both"])
def test_a_request_accepted_after_a_rotation_makes_contacts_of_who_they_are(
    tmp_path: Path, who: str
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await asked(place)
        if who != "writer":
            await bora.node.changes.rotate(NEW)
        if who != "reader":
            await anna.node.changes.rotate(THIEFS)
        await bora.node.requests.accept("anna")
        await until(lambda: know_as_they_are(anna, bora), limits.HOUR)
        await until(lambda: ended(anna, "delivered"), limits.HOUR)
        await write_to_each_other(anna, bora)
        assert not await has_notice(bora, "Not delivered")

    play(tmp_path, scene)
