"""A letter's whole way, with everything real but the network and the clock."""

import asyncio
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fakes import sure
from postroad.base import limits
from postroad.base.errors import DiskFull, PermanentFailure, TemporaryFailure
from postroad.base.ids import Contact, DropId
from postroad.message.envelope import Notify
from postroad.peers.client import Client
from postroad.peers.exchange import Refused
from postroad.protocol import wire
from postroad.sealing.receipt import RECEIPT_BYTES
from postroad.store import filed, quarantine
from simulator.village import Resident, Village, play, until


def test_a_letter_between_two_who_are_awake_is_filed_byte_for_byte(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        octets = await anna.write(bora.address)
        await until(lambda: is_filed(bora, "hello"))
        (filed_octets,) = await bora.with_subject("hello")
        assert filed_octets.endswith(octets)
        assert filed_octets.startswith(b"Return-Path: <" + anna.address.encode())
        await until(lambda: ended(anna, "delivered"))

    play(tmp_path, scene)


def test_a_letter_waits_at_holders_and_outlives_its_sender(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        hana, _, _ = await place.with_holders(bora, "hana", "hugo", "hedi")
        (anna,) = await place.settle_in("anna")
        await place.meet(bora, anna)
        await bora.sleep()
        octets = await anna.write(bora_address(anna))
        await until(lambda: held_by(anna, 3))
        await anna.destroy()
        await hana.destroy()
        await bora.wake()
        await until(lambda: is_filed(bora, "hello"))
        (filed_octets,) = await bora.with_subject("hello")
        assert filed_octets.endswith(octets)

    play(tmp_path, scene)


async def waits_at_a_holder(place: Village) -> tuple[Resident, Resident, Resident]:
    """Anna's letter to Bora, who is away, lies with Hana alone; its next try is much later."""
    (bora,) = await place.settle_in("bora")
    (hana,) = await place.with_holders(bora, "hana")
    (anna,) = await place.settle_in("anna")
    await place.with_holders(anna, "hedi")
    await place.meet(bora, anna)
    await asyncio.sleep(2 * limits.HOUR)  # all has been told that is new
    await bora.sleep()
    await anna.write(bora_address(anna))
    await until(lambda: is_put_off(anna, limits.HOUR / 2), 5 * limits.HOUR)
    return anna, bora, hana


def test_a_sender_who_comes_back_tries_at_once_although_holders_keep_the_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its next try was planned for much later; the recipient may be on for these minutes only."""
    monkeypatch.setattr(limits, "HOLDERS_WANTED", 1)  # neither holds for the other

    async def scene(place: Village) -> None:
        anna, bora, hana = await waits_at_a_holder(place)
        assert (await anna.states())[-1] == "held"
        await anna.sleep()
        await hana.sleep()
        await bora.wake()
        await asyncio.sleep(5 * limits.MINUTE)
        await anna.wake()
        await until(lambda: is_filed(bora, "hello"), limits.MINUTE)

    play(tmp_path, scene)


def test_a_recipient_who_comes_on_shows_themselves_to_senders_whose_holders_are_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HOLDERS_WANTED", 1)  # neither holds for the other

    async def scene(place: Village) -> None:
        _, bora, hana = await waits_at_a_holder(place)
        await hana.sleep()
        await bora.wake()
        await until(lambda: is_filed(bora, "hello"), limits.MINUTE)

    play(tmp_path, scene)


def test_a_sender_who_was_off_learns_from_holders_that_it_was_filed(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        await place.with_holders(bora, "hana", "hugo", "hedi")
        (anna,) = await place.settle_in("anna")
        await place.meet(bora, anna)
        await bora.sleep()
        await anna.write(bora_address(anna))
        await until(lambda: held_by(anna, 3))
        await anna.sleep()
        await bora.wake()
        await until(lambda: is_filed(bora, "hello"))
        await until(lambda: nothing_lies_at(place, "hana", "hugo", "hedi"))
        await bora.sleep()
        place.put_forward(limits.HELD_SECONDS_MAX)
        await anna.wake()
        await until(lambda: ended(anna, "delivered"))

    play(tmp_path, scene)


def test_an_invitation_is_accepted_while_the_inviter_sleeps(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        await place.with_holders(bora, "hana")
        link, told, holders = await bora.node.introductions.invite()
        assert (told, holders) == (1, 1)
        bora_is = bora.address
        await bora.sleep()
        (anna,) = await place.settle_in("anna")
        await anna.node.introductions.accept(link)
        assert await anna.contacts() == {bora_is}
        octets = await anna.write(bora_is)
        await until(lambda: held_by(anna, 1))
        await bora.wake()
        await until(lambda: is_filed(bora, "hello"))
        assert anna.address in await bora.contacts()
        assert (await bora.with_subject("hello"))[0].endswith(octets)
        await until(lambda: is_filed(anna, "You and Bora can write to each other now"))

    play(tmp_path, scene)


def test_an_invitation_makes_one_contact_and_no_second(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        bora, anna, mallory = await place.settle_in("bora", "anna", "mallory")
        link, _, _ = await bora.node.introductions.invite()
        await anna.node.introductions.accept(link)
        await until(lambda: is_filed(bora, "Anna accepted your invitation"))
        await mallory.node.introductions.accept(link)
        await until(lambda: ended(mallory, "requested"))
        assert await bora.contacts() == {anna.address}
        assert not await bora.with_subject("Mallory accepted your invitation")

    play(tmp_path, scene)


def test_one_s_own_or_an_expired_invitation_is_refused_in_words(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        bora, anna = await place.settle_in("bora", "anna")
        link, _, _ = await bora.node.introductions.invite()
        with pytest.raises(PermanentFailure, match="your own invitation"):
            await bora.node.introductions.accept(link)
        place.put_forward(limits.INVITATION_SECONDS_DEFAULT + 1)
        with pytest.raises(PermanentFailure, match="expired"):
            await anna.node.introductions.accept(link)

    play(tmp_path, scene)


def test_an_invitation_accepted_again_does_nothing_more(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        bora, anna = await place.settle_in("bora", "anna")
        link, _, _ = await bora.node.introductions.invite()
        address, is_new = await anna.node.introductions.accept(link)
        assert (str(address), is_new) == (bora.address, True)
        await until(lambda: is_filed(anna, "You and Bora can write to each other now"))
        assert await anna.node.introductions.accept(link) == (address, False)
        assert len(await anna.states()) == 1

    play(tmp_path, scene)


def test_an_invitation_from_nobody_reachable_says_what_to_do(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        bora, anna = await place.settle_in("bora", "anna")
        link, _, _ = await bora.node.introductions.invite()
        await bora.sleep()
        with pytest.raises(TemporaryFailure, match="try again when one of them is on"):
            await anna.node.introductions.accept(link)
        assert not await anna.contacts()

    play(tmp_path, scene)


def test_a_letter_to_oneself_is_filed(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        (anna,) = await place.settle_in("anna")
        octets = await anna.write(anna.address)
        await until(lambda: is_filed(anna, "hello"))
        assert (await anna.with_subject("hello"))[0].endswith(octets)
        await until(lambda: ended(anna, "delivered"))

    play(tmp_path, scene)


def test_two_parcels_of_one_letter_to_the_same_person_are_filed_once(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        tagged = bora.address.replace("bora.", "bora+shop.")
        await anna.write(bora.address, tagged)
        await until(lambda: all_ended(anna, "delivered"))
        assert len(await bora.with_subject("hello")) == 1

    play(tmp_path, scene)


def test_an_unconfirmed_letter_is_returned_and_a_late_receipt_corrects_that(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        await place.with_holders(bora, "hana")
        (anna,) = await place.settle_in("anna")
        await place.meet(bora, anna)
        bora_is = bora.address
        # Bora's node files it, but its receipt reaches nobody for a month.
        await bora.sleep()
        await anna.write(bora_is)
        await until(lambda: held_by(anna, 1))
        await anna.sleep()
        await bora.wake()
        await until(lambda: is_filed(bora, "hello"))
        await bora.sleep()
        await place.residents[1].sleep()
        place.put_forward(limits.EXPIRY_SECONDS_DEFAULT + limits.HOUR)
        await anna.wake()
        await until(lambda: has_notice(anna, "4.4.7"))
        assert (await anna.states())[-1] == "expired"
        await bora.wake()
        await until(lambda: ended(anna, "delivered"))
        notices = [one for one in await anna.inbox() if b"report-type=" in one.lower()]
        assert len(notices) == 2

    play(tmp_path, scene)


def test_a_late_letter_is_told_once_and_a_later_success_too_when_asked(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        bora_is = bora.address
        await bora.sleep()
        await anna.write(bora_is, notify=Notify.DELAY | Notify.SUCCESS)
        await until(lambda: put_off(anna))
        place.put_forward(limits.DELAYED_NOTICE_SECONDS + 1)
        await until(lambda: has_notice(anna, "Action: delayed"))
        place.put_forward(limits.DAY)
        await bora.wake()
        await until(lambda: has_notice(anna, "Action: delivered"))
        delayed = [one for one in await anna.inbox() if b"Action: delayed" in one]
        assert len(delayed) == 1

    play(tmp_path, scene)


def test_who_is_blocked_gets_a_signed_refusal(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)

        def block(sql: Any) -> None:
            sql.execute("UPDATE contact SET blocked = 1")

        await bora.node.database.run(block)
        await anna.write(bora.address)
        await until(lambda: ended(anna, "refused"))
        assert await has_notice(anna, "5.7.1")
        assert not await bora.with_subject("hello")

    play(tmp_path, scene)


def test_who_asks_for_no_notice_gets_none(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        bora_is = bora.address
        await bora.destroy()
        await anna.write(bora_is, notify=Notify.NEVER)
        await until(lambda: put_off(anna))
        place.put_forward(limits.EXPIRY_SECONDS_DEFAULT + limits.HOUR)
        await until(lambda: ended(anna, "expired"))
        assert not [one for one in await anna.inbox() if b"report-type=" in one.lower()]

    play(tmp_path, scene)


def test_a_node_that_forgot_nothing_files_nothing_twice_when_a_letter_comes_again(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        bora_is = bora.address
        await anna.write(bora_is)
        await until(lambda: ended(anna, "delivered"))
        # Anna's node forgets what it heard, as after a restored backup.
        await anna.node.database.run(
            lambda sql: sql.execute(
                """UPDATE parcel SET state = 'waiting', ended_at = NULL, due_at = 0
                   WHERE recipient = ?""",
                (bora_is,),
            )
        )
        anna.node.sender.wake()
        await until(lambda: ended(anna, "delivered"))
        assert len(await bora.with_subject("hello")) == 1

    play(tmp_path, scene)


def test_a_holder_that_lies_does_not_keep_the_letter_from_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        hana, _, _ = await place.with_holders(bora, "hana", "hugo", "hedi")
        (anna,) = await place.settle_in("anna")
        await place.meet(bora, anna)
        await bora.sleep()

        async def lie(deposit: wire.Deposit) -> wire.Tombstone:
            return wire.Tombstone(deposit.mail_id, bytes(RECEIPT_BYTES))

        holder = hana.node.links._answers[wire.Deposit].__self__  # type: ignore[attr-defined]
        monkeypatch.setattr(holder._shelves, "offer", lie)
        await anna.write(bora_address(anna))
        await until(lambda: held_by(anna, 2))
        assert (await anna.states())[-1] == "held"

    play(tmp_path, scene)


def test_a_recipient_without_disk_space_says_later_and_loses_nothing(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        bora_is = bora.address
        await bora.sleep()
        bora.reserve_bytes = shutil.disk_usage(tmp_path).total * 2  # more than there can be
        await bora.wake()
        await anna.write(bora_is)
        await until(lambda: put_off(anna, "almost full"))
        with pytest.raises(DiskFull):
            await bora.write(anna.address)
        assert not await bora.with_subject("hello")
        await bora.sleep()
        bora.reserve_bytes = 0
        await bora.wake()
        anna.node.sender.wake()
        place.put_forward(limits.RETRY_SECONDS_MAX)
        await until(lambda: is_filed(bora, "hello"))

    play(tmp_path, scene)


def test_a_mistyped_recipient_is_asked_whether_they_meant_a_contact(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        right = bora.address
        wrong = right[:7] + ("x" if right[7] != "x" else "y") + right[8:]
        with pytest.raises(PermanentFailure, match=f"Did you mean Bora <{re.escape(right)}>"):
            await anna.node.outbox.check_recipient(wrong)
        with pytest.raises(PermanentFailure, match=r"end in @postroad\.alt only"):
            await anna.node.outbox.check_recipient("bora@example.org")
        assert await anna.node.outbox.check_recipient(right.upper()) == right

    play(tmp_path, scene)


def test_memory_of_filed_letters_outlives_their_expiry_but_not_for_ever(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        await anna.write(bora.address)
        await until(lambda: is_filed(bora, "hello"))

        async def remembered(days: float) -> int:
            now = sure(place.clock.now() + days * limits.DAY)

            def work(sql: Any) -> int:
                filed.forget_old(sql, now)
                (count,) = sql.execute("SELECT count(*) FROM filed").fetchone()
                return int(count)

            return await bora.node.database.run(work)

        assert await remembered(59) == 2  # the letter and Anna's introduction
        assert await remembered(61) == 0

    play(tmp_path, scene)


def test_a_parcel_whose_row_is_damaged_is_shown_and_holds_up_no_other(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        bora_is = bora.address
        await bora.sleep()
        await anna.write(bora_is, subject="one")
        await anna.write(bora_is, subject="two")
        await until(lambda: put_off(anna))
        await anna.node.database.run(
            lambda sql: sql.execute("UPDATE letter SET visible = '[' WHERE id = 2")
        )
        await bora.wake()
        place.put_forward(limits.RETRY_SECONDS_MAX)
        await until(lambda: is_filed(bora, "two"))
        (shown,) = await anna.node.database.read(quarantine.noted)
        assert (shown.kind, shown.reason) == ("parcel", "Its row in the queue is damaged.")

    play(tmp_path, scene)


def test_a_waiting_letter_whose_octets_are_damaged_is_shown(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)

        def damage(sql: Any) -> None:
            sql.execute(
                """UPDATE content SET octets = zeroblob(size)
                   WHERE id = (SELECT max(id) FROM content)"""
            )

        anna.node.sender.wake = lambda: None  # type: ignore[method-assign]  # not before we are done
        await anna.write(bora.address)
        await anna.node.database.run(damage)
        del anna.node.sender.wake
        anna.node.sender.wake()
        await until(lambda: is_set_aside(anna))
        (shown,) = await anna.node.database.read(quarantine.noted)
        assert shown.kind == "letter to send"
        assert "not what was stored" in shown.reason
        place.put_forward(limits.EXPIRY_SECONDS_DEFAULT + limits.HOUR)
        await until(lambda: has_notice(anna, "4.4.7"))
        assert (await anna.states())[-1] == "expired"

    play(tmp_path, scene)


async def is_set_aside(resident: Any) -> bool:
    return bool(await resident.node.database.read(quarantine.noted))


def test_a_node_that_runs_for_a_hundred_days_renews_what_it_signs_with(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        for _ in range(10):
            place.put_forward(10 * limits.DAY)
            await asyncio.sleep(limits.HOUR)  # of the nodes' own time
        await anna.write(bora.address)
        await until(lambda: is_filed(bora, "hello"))
        await until(lambda: ended(anna, "delivered"))

    play(tmp_path, scene)


def test_a_clock_that_leaps_a_hundred_days_stops_no_node_for_good(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        place.put_forward(100 * limits.DAY)
        await anna.write(bora.address)
        await until(lambda: is_filed(bora, "hello"))
        await anna.sleep()
        await anna.wake()
        await anna.write(bora.address, subject="again")
        await until(lambda: is_filed(bora, "again"))

    play(tmp_path, scene)


def test_who_comes_back_with_the_24_words_is_written_to_again(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        for _ in range(3):
            await bora.node.renter.record()
            place.put_forward(8 * limits.DAY)
        address, words = bora.address, bora.entropy
        await bora.destroy()
        place.put_forward(limits.HOUR)
        restored = Resident(place, "bora", entropy=words)
        place.residents.append(restored)
        await restored.wake()
        assert restored.address == address
        link, _, _ = await restored.node.introductions.invite()
        await anna.node.introductions.accept(link)
        await until(lambda: is_filed(restored, "Anna accepted your invitation"))
        await anna.write(address)
        await until(lambda: is_filed(restored, "hello"))

    play(tmp_path, scene)


def test_news_from_strangers_neither_makes_us_look_nor_keeps_us_from_it(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        bora, mallory = await place.settle_in("bora", "mallory")
        await place.with_holders(bora, "hana")
        looks = 0
        look = bora.node.receiver._look_into

        async def counted(*arguments: Any) -> None:
            nonlocal looks
            looks += 1
            await look(*arguments)

        bora.node.receiver._look_into = counted  # type: ignore[method-assign,assignment]
        there = Contact(bora.node.endpoint.me, bora.node.endpoint.addresses())
        for _ in range(40):
            with pytest.raises(Refused, match="no drop of mine"):
                await Client(mallory.node.links).tell_news(there, DropId(bytes(16)))
            await asyncio.sleep(90)
        # Hana has come to us, so she could tell us: in an hour we look a few times, not 40.
        assert 1 <= looks <= 12

    play(tmp_path, scene)


# What the scenes wait for


def bora_address(anna: Any) -> str:
    """Bora's address, as Anna knows it."""
    return next(one for one in anna_contacts(anna) if one.startswith("bora."))


def anna_contacts(anna: Any) -> list[str]:
    with closing(sqlite3.connect(f"file:{anna.folder}/postroad.sqlite?mode=ro", uri=True)) as sql:
        return [address for (address,) in sql.execute("SELECT address FROM contact")]


async def is_filed(resident: Any, subject: str) -> bool:
    return bool(await resident.with_subject(subject))


async def ended(resident: Any, state: str) -> bool:
    """The newest parcel of the resident stands so."""
    return bool((await resident.states())[-1] == state)


async def all_ended(resident: Any, state: str) -> bool:
    return set(await resident.states()) == {state}


async def held_by(resident: Any, holders: int) -> bool:
    waiting = await resident.waiting()
    words = "one" if holders == 1 else str(holders)
    told = f"It waits at {words} of the recipient's holders."
    return bool(waiting) and waiting[-1].parcel.reason == told


async def is_put_off(resident: Any, seconds: float) -> bool:
    """Whether the next try of the letter that waits is further away."""
    await asyncio.sleep(limits.MINUTE)
    (row,) = await resident.waiting()
    return bool(row.parcel.due_at > resident.clock.now() + seconds)


async def put_off(resident: Any, words: str = "") -> bool:
    waiting = await resident.waiting()
    return bool(waiting and waiting[-1].parcel.reason and words in waiting[-1].parcel.reason)


async def has_notice(resident: Any, words: str) -> bool:
    return any(words.encode() in octets for octets in await resident.inbox())


async def nothing_lies_at(place: Village, *names: str) -> bool:
    for resident in place.residents:
        if resident.name in names:
            left = await resident.node.database.run(
                lambda sql: sql.execute(
                    "SELECT count(*) FROM held_letter WHERE tombstone IS NULL"
                ).fetchone()[0]
            )
            if left:
                return False
    return True
