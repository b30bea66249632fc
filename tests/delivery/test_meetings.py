"""Where requests, rotations, proposals and the policy meet: what one of them decided holds for the
others."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from delivery.test_circle import again
from delivery.test_proposals import accept, have_met, is_in, proposed, three
from delivery.test_requests import are_contacts, asked, has_request, in_folder, move, neighbours
from delivery.test_road import all_ended, ended, is_filed, put_off
from delivery.test_rotated import NEW, fingerprint_of, knows
from postroad.app.compose import Settings
from postroad.base import limits
from postroad.base.errors import PermanentFailure
from postroad.base.ids import Fingerprint
from postroad.store import circle, people, proposals, rented
from postroad.store.database import Sql
from postroad.store.proposals import State
from postroad.store.requests import FOLDER
from simulator import village as village_module
from simulator.village import Resident, Village, play, until


def test_a_request_that_the_policy_forbids_by_now_keeps_no_other_from_its_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed: dict[str, Any] = {"circle": None}
    monkeypatch.setattr(
        village_module, "Settings", lambda *of, **more: replace(Settings(*of, **more), **allowed)
    )

    async def scene(place: Village) -> None:
        hana, mallory, anna, bora = await place.settle_in("hana", "mallory", "anna", "bora")
        await place.meet(hana, mallory, anna, bora)
        await asyncio.sleep(limits.HOUR)
        await mallory.write(bora.address, subject="from mallory")
        await until(lambda: has_request(bora, "from mallory"), limits.HOUR)
        await anna.write(bora.address, subject="from anna")
        await until(lambda: has_request(bora, "from anna"), limits.HOUR)
        allowed["circle"] = frozenset({anna.node.keyring.fingerprint})
        await again(bora)
        allowed["circle"] = None
        with pytest.raises(PermanentFailure, match="may not be a contact"):
            await bora.node.requests.accept("mallory")
        await move(bora, FOLDER, "INBOX")
        await until(lambda: are_contacts(anna, bora), limits.HOUR)
        assert mallory.address not in await bora.contacts()

    play(tmp_path, scene)


@pytest.mark.parametrize("is_accepted", [True, False])
def test_who_rotated_meanwhile_answers_a_request_as_whom_it_was_sent_to(
    tmp_path: Path, is_accepted: bool
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await asked(place)
        await bora.node.changes.rotate(NEW)
        if is_accepted:
            await bora.node.requests.accept("anna")
        else:
            await bora.node.requests.refuse("anna")
        await until(lambda: ended(anna, "delivered" if is_accepted else "refused"), limits.HOUR)

    play(tmp_path, scene)


def test_an_old_request_of_a_contact_who_rotated_brings_their_old_key_back_to_nobody(
    tmp_path: Path,
) -> None:
    """It was thrown away, and comes out of Trash when she is somebody else."""

    async def scene(place: Village) -> None:
        anna, bora = await neighbours(place, "anna", "bora")
        await anna.write(bora.address, subject="one", text="It is number one.")
        await until(lambda: has_request(bora, "number one"))
        await move(bora, FOLDER, "Trash")
        await anna.write(bora.address, subject="two", text="It is number two.")
        await until(lambda: has_request(bora, "number two"))
        old = anna.entropy
        await bora.node.requests.accept("anna")
        await until(lambda: are_contacts(anna, bora), limits.HOUR)
        await anna.node.changes.rotate(NEW)
        await until(lambda: knows(bora, NEW), limits.HOUR)
        await move(bora, "Trash", "INBOX")
        await until(lambda: all_ended(anna, "delivered"), limits.HOUR)
        assert not await knows(bora, old)
        assert not await in_folder(bora)

    play(tmp_path, scene)


def test_who_was_introduced_rotated_and_was_removed_is_no_contact_by_the_old_introduction(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        _, anna, boris = await introduced(place)
        old = boris.node.keyring.fingerprint
        await boris.node.changes.rotate(NEW)
        await until(lambda: knows(anna, NEW), limits.HOUR)
        await anna.node.contact_book.remove("boris", cancel_letters=True)
        assert await is_in(anna, State.DECLINED)
        rows = await anna.node.database.read(lambda sql: proposals.of(sql, old))
        assert {row.state for row in rows} == {State.DECLINED}

    play(tmp_path, scene)


async def introduced(place: Village) -> tuple[Resident, Resident, Resident]:
    """Anna and Boris are contacts by Ivan's proposal."""
    ivan, anna, boris = await proposed(place)
    for who in (anna, boris):
        await accept(who)
    await until(lambda: have_met(anna, boris), limits.HOUR)
    return ivan, anna, boris


def test_what_somebody_proposed_before_they_rotated_is_declined_when_they_are_blocked(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        ivan, anna, _ = await three(place)
        await ivan.node.proposals.introduce("anna", "boris")
        await until(lambda: is_in(anna, State.OPEN))
        await ivan.node.changes.rotate(NEW)
        await until(lambda: knows(anna, NEW), limits.HOUR)
        await anna.node.contact_book.block("ivan")
        assert await is_in(anna, State.DECLINED)

    play(tmp_path, scene)


def test_a_rotation_leads_nobody_past_the_policy(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        now: set[Fingerprint] = {anna.node.keyring.fingerprint}
        await bora.node.database.run(lambda sql: circle.keep_to(sql, now))
        await anna.node.changes.rotate(NEW)
        await until(lambda: knows(bora, NEW), limits.HOUR)
        person = await bora.node.database.read(lambda sql: people.contact(sql, fingerprint_of(NEW)))
        assert person is not None
        assert person.outside
        drops = await bora.node.database.read(rented.my_drops)
        assert [one.unwanted for one in drops] == [True]
        assert person.blocked

    play(tmp_path, scene)


def test_a_letter_of_before_a_rotation_is_shown_as_a_contact_s(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        await bora.sleep()
        (address,) = await anna.contacts()
        await anna.write(address, subject="of before")
        await anna.node.changes.rotate(NEW)
        await bora.wake()
        await until(lambda: knows(bora, NEW), limits.HOUR)
        await until(lambda: is_filed(bora, "of before"), limits.HOUR)
        (shown,) = await bora.with_subject("of before")
        head = shown.partition(b"\r\n\r\n")[0]
        assert b"sender=contact" in head
        assert b"sender=stranger" not in head

    play(tmp_path, scene)


def test_two_who_take_no_letters_of_strangers_are_introduced_all_the_same(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        (ivan,) = await place.settle_in("ivan")
        closed = [Resident(place, name) for name in ("anna", "boris")]
        place.residents += closed
        for one in closed:
            one.takes_requests = False
            await one.wake()
        await place.meet(ivan, *closed)
        anna, boris = closed
        await ivan.node.proposals.introduce("anna", "boris")
        for who in closed:
            await until(lambda who=who: is_in(who, State.OPEN))  # type: ignore[misc]
        for who in closed:
            await accept(who)
        await until(lambda: have_met(anna, boris), limits.HOUR)
        await until(lambda: all_ended(anna, "delivered"), limits.HOUR)

    play(tmp_path, scene)


def test_a_letter_that_overtakes_the_yes_to_an_introduction_waits_for_it(tmp_path: Path) -> None:
    """Boris's introduction lies where Anna has not looked; she takes no letters of strangers."""

    async def scene(place: Village) -> None:
        ivan, anna, boris = await three(place)
        await anna.sleep()
        anna.takes_requests = False
        await anna.wake()
        await ivan.node.proposals.introduce("anna", "boris")
        for who in (anna, boris):
            await until(lambda who=who: is_in(who, State.OPEN))  # type: ignore[misc]
        await accept(anna)
        hers = await anna.node.renter.record()
        await boris.node.database.run(
            lambda sql: people.add_contact(
                sql, hers, place.clock.now(), my_ticket=None, their_ticket=None
            )
        )
        await boris.write(anna.address, subject="too early")
        await until(lambda: put_off(boris, "does not know the sender yet"), limits.HOUR)
        await accept(boris)
        await until(lambda: is_filed(anna, "too early"), limits.DAY)

    play(tmp_path, scene)


def test_a_yes_after_the_letter_has_expired_is_heard(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await neighbours(place, "anna", "bora")
        anna.expiry_seconds = limits.HOUR
        await anna.sleep()
        await anna.wake()
        await anna.write(bora.address)
        await until(lambda: ended(anna, "requested"))
        place.put_forward(9 * limits.DAY)
        await asyncio.sleep(3 * limits.HOUR)  # what is forgotten by time, is
        await bora.node.requests.accept("anna")
        await until(lambda: are_contacts(anna, bora), limits.HOUR)
        await until(lambda: ended(anna, "delivered"), limits.HOUR)

    play(tmp_path, scene)


def test_whoever_was_removed_and_is_a_contact_again_holds_again(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        (anna,) = await place.settle_in("anna")
        (hana,) = await place.with_holders(anna, "hana")
        await asyncio.sleep(limits.HOUR)
        await anna.node.contact_book.remove("hana", cancel_letters=True)
        await hana.node.contact_book.remove("anna", cancel_letters=True)
        await asyncio.sleep(limits.HOUR)
        link, _, _ = await anna.node.introductions.invite()
        await hana.node.introductions.accept(link)

        async def wanted() -> bool:
            drops = await anna.node.database.read(rented.my_drops)
            return any(one.is_ours and not one.unwanted for one in drops)

        await until(wanted, 3 * limits.DAY)

    play(tmp_path, scene)


def test_letters_that_wait_for_an_introduction_are_not_fetched_again_and_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Anybody may leave a hundred in a drop while an invitation is open."""

    async def scene(place: Village) -> None:
        anna, bora = await neighbours(place, "anna", "bora")
        await place.with_holders(bora, "hugo")
        await asyncio.sleep(limits.HOUR)
        record = await bora.node.renter.record()
        await bora.node.introductions.invite()
        await bora.sleep()
        await anna.node.database.run(
            lambda sql: people.add_contact(
                sql, record, place.clock.now(), my_ticket=None, their_ticket=None
            )
        )
        await anna.write(str(record.address), subject="not met")
        await until(lambda: ended_or_held(anna), limits.HOUR)
        await asyncio.sleep(limits.HOUR)
        await anna.sleep()
        caplog.set_level("INFO")
        await bora.wake()
        await asyncio.sleep(2 * limits.HOUR)
        fetched = [one for one in caplog.messages if "does not know the sender yet" in one]
        assert 1 <= len(fetched) <= 4
        assert not await bora.with_subject("not met")

    async def ended_or_held(who: Resident) -> bool:
        return (await who.states())[-1] == "held"

    play(tmp_path, scene)


def test_a_request_of_before_a_rotation_is_the_contact_s_letter(tmp_path: Path) -> None:
    """Anna wrote as a stranger; when it comes, she is a contact, and somebody else."""

    async def scene(place: Village) -> None:
        anna, bora = await neighbours(place, "anna", "bora")
        was, old = anna.address, anna.node.keyring.fingerprint
        bora_is = bora.address
        await anna.node.outbox.check_recipient(bora_is)
        await bora.sleep()
        await anna.write(bora_is, subject="as a stranger")
        await until(lambda: has_tried(anna), limits.HOUR)
        await anna.node.changes.rotate(NEW)
        hers, she = await anna.node.renter.record(), anna.node.keyring.fingerprint
        await anna.sleep()
        await bora.wake()

        def know_her(sql: Sql) -> None:
            at = place.clock.now()
            people.add_contact(sql, hers, at, my_ticket=None, their_ticket=None)
            sql.execute("INSERT INTO former VALUES (?, ?, ?, ?)", (old, was, she, at))

        await bora.node.database.run(know_her)
        await anna.wake()
        await until(lambda: is_filed(bora, "as a stranger"), limits.DAY)
        await until(lambda: ended(anna, "delivered"), limits.HOUR)

    async def has_tried(who: Resident) -> bool:
        (row,) = await who.waiting()
        return row.sealed is not None and row.parcel.tries > 0

    play(tmp_path, scene)
