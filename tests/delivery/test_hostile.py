"""What a hostile review did to a node, so that it cannot be done again."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from delivery.test_road import bora_address, ended, held_by, is_filed, put_off
from fakes import sure
from postroad.base import limits
from postroad.base.errors import TemporaryFailure
from postroad.base.ids import Contact
from postroad.base.tlv import encode
from postroad.delivery.receiver import Receiver
from postroad.peers.client import Client
from postroad.peers.exchange import Exchange, Refused
from postroad.protocol import wire
from postroad.protocol.contacts import encode_contact
from postroad.protocol.records import CONTEXT, PersonRecord
from postroad.store import people, rented
from simulator.village import Resident, Village, play, until


def is_alive(resident: Resident) -> bool:
    return resident._task is not None and not resident._task.done()


def test_a_contact_that_names_anothers_device_first_harms_nobody(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        bora, mallory = await place.settle_in("bora", "mallory")
        (hana,) = await place.with_holders(bora, "hana")
        real = mallory.node.renter.record

        async def lying() -> PersonRecord:
            record = await real()
            there = Contact(hana.node.endpoint.me, hana.node.endpoint.addresses())
            lie = replace(
                record, devices=(encode_contact(there), *record.devices), signature=bytes(64)
            )
            device = mallory.node.keyring.device
            return replace(lie, signature=device.sign(CONTEXT, encode(lie)))

        mallory.node.renter.record = lying  # type: ignore[method-assign]
        link, _, _ = await bora.node.introductions.invite()
        await mallory.node.introductions.accept(link)
        await until(lambda: is_filed(bora, "Mallory accepted your invitation"))
        await asyncio.sleep(limits.HOUR)
        assert is_alive(bora)
        await bora.sleep()
        await bora.wake()
        await asyncio.sleep(limits.MINUTE)
        assert is_alive(bora)

    play(tmp_path, scene)


def test_a_letter_that_a_holder_cannot_give_out_blocks_none_behind_it(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        (hana,) = await place.with_holders(bora, "hana")
        (anna,) = await place.settle_in("anna")
        await place.meet(bora, anna)
        await bora.sleep()
        await anna.write(bora_address(anna), subject="large", text="x" * 100_000)
        await until(lambda: held_by(anna, 1))
        for body in (hana.folder / "sealed").iterdir():
            body.unlink()
        await anna.write(bora_address(anna), subject="behind it")
        await until(lambda: all_held(anna))
        await anna.sleep()
        await bora.wake()
        await until(lambda: is_filed(bora, "behind it"))

    play(tmp_path, scene)


def test_the_first_letter_of_an_invited_person_may_come_before_their_introduction(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        hana, hugo = await place.with_holders(bora, "hana", "hugo")
        link, _, _ = await bora.node.introductions.invite()
        await bora.sleep()
        await hugo.sleep()
        (anna,) = await place.settle_in("anna")
        await anna.node.introductions.accept(link)  # the introduction lies at Hana
        await until(lambda: held_by(anna, 1))
        await hana.sleep()
        await hugo.wake()
        await anna.write(bora_address(anna))  # the letter lies at Hugo
        await until(lambda: all_held(anna))
        await anna.sleep()
        await bora.wake()
        await asyncio.sleep(limits.MINUTE)
        assert not await bora.with_subject("hello")
        await hana.wake()
        await until(lambda: is_filed(bora, "Anna accepted your invitation"), limits.HOUR)
        await until(lambda: is_filed(bora, "hello"), limits.HOUR)

    play(tmp_path, scene)


def test_one_contact_who_is_off_keeps_no_ticket_from_the_holders(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        (hana,) = await place.with_holders(bora, "hana")
        zoe, anna = await place.settle_in("zoe", "anna")
        await place.meet(bora, zoe)
        await zoe.sleep()
        place.put_forward(8 * limits.DAY)  # our record is made anew, and Zoe does not know it
        await hana.sleep()
        await place.meet(bora, anna)
        await hana.wake()

        async def known() -> bool:
            drops = await bora.node.database.read(rented.my_drops)
            tickets = await bora.node.database.read(
                lambda sql: people.tickets(sql, sure(place.clock.now()))
            )
            here = await hana.node.database.read(
                lambda sql: sql.execute("SELECT count(*) FROM held_ticket").fetchone()[0]
            )
            return bool(drops) and here >= len(tickets)

        await until(known, 2 * limits.HOUR)

    play(tmp_path, scene)


def test_a_holder_that_forgets_each_drop_at_once_is_not_asked_again_all_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(place: Village) -> None:
        bora, mallory = await place.settle_in("bora", "mallory")
        await place.meet(bora, mallory)

        async def until_rented() -> bool:
            return await bora.holders() == 1

        await until(until_rented)

        async def forgotten(*_: Any) -> bool:
            raise Refused(wire.Refusal.UNKNOWN, "This drop is not kept here.")

        monkeypatch.setattr(Client, "set_tickets", forgotten)
        before = (await bora.node.renter.record()).sequence
        await bora.node.introductions.invite()
        await asyncio.sleep(limits.HOUR)
        after = (await bora.node.renter.record()).sequence
        assert (after >> 32) - (before >> 32) <= 3

    play(tmp_path, scene)


def test_a_peer_that_takes_letters_and_never_answers_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(place: Village) -> None:
        anna, bora, carl = await place.settle_in("anna", "bora", "carl")
        await place.meet(anna, bora, carl)

        async def never(_: Receiver, message: wire.Message, exchange: Exchange) -> None:
            await asyncio.sleep(limits.DAY)

        carl.node.links._answers[wire.Deliver] = never.__get__(carl.node.receiver)  # type: ignore[index]
        for number in range(limits.SENDING_MAX + 2):
            await anna.write(carl.address, subject=f"to carl {number}")
        await anna.write(bora.address)
        await until(lambda: is_filed(bora, "hello"), 5 * limits.MINUTE)

    play(tmp_path, scene)


def test_a_lease_for_a_letter_that_lies_there_already_is_kept_as_well(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        (hana,) = await place.with_holders(bora, "hana")
        (anna,) = await place.settle_in("anna")
        await place.meet(bora, anna)
        await bora.sleep()
        await anna.write(bora_address(anna))
        await until(lambda: held_by(anna, 1))
        await asyncio.sleep(10)  # the round is over: Bora did not answer
        now = place.clock.now()

        def shorten(sql: Any) -> None:
            sql.execute("UPDATE held_letter SET expires_at = ?", (now + 3 * limits.HOUR,))

        await hana.node.database.run(shorten)  # as if somebody else had brought it before
        await anna.node.database.run(lambda sql: sql.execute("DELETE FROM lease").close())
        place.put_forward(limits.HELD_SECONDS_MAX)

        async def leased_again() -> bool:
            return await anna.node.database.read(
                lambda sql: bool(sql.execute("SELECT 1 FROM lease").fetchone())
            )

        await until(leased_again)
        kept = await hana.node.database.read(
            lambda sql: sql.execute("SELECT min(expires_at) FROM held_letter").fetchone()[0]
        )
        assert kept > now + limits.EXPIRY_SECONDS_DEFAULT - limits.DAY

    play(tmp_path, scene)


def test_whom_we_know_is_nobodys_business(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        bora, anna, eve = await place.settle_in("bora", "anna", "eve")
        await place.meet(bora, anna)

        async def rented() -> bool:
            return await anna.holders() == 1

        await until(rented)
        await bora.node.database.run(lambda sql: sql.execute("DELETE FROM held_drop").close())
        there = Contact(bora.node.endpoint.me, bora.node.endpoint.addresses())
        asking = Client(eve.node.links)
        with pytest.raises(Refused, match="not kept here"):
            await asking.find_record(there, anna.node.keyring.fingerprint)
        found = await asking.find_record(there, bora.node.keyring.fingerprint)
        assert str(found.address) == bora.address

    play(tmp_path, scene)


def test_what_was_committed_is_announced_though_the_sender_has_gone(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        woken = 0

        def wake() -> None:
            nonlocal woken
            woken += 1

        (inbox,) = [one for one in await bora.node.mailboxes.list() if one.name == "INBOX"]
        opened = await bora.node.mailboxes.open("INBOX", claim=False)
        bora.node.mailboxes.watch(opened.mailbox_id, wake)
        run = bora.node.database.run

        async def gone_meanwhile(work: Any, then: Any = None) -> Any:
            if then is None:
                return await run(work)
            task = asyncio.ensure_future(run(work, then=then))  # noqa: TID251  (to be cancelled)
            await asyncio.sleep(0)
            task.cancel()
            raise TemporaryFailure("The peer has gone.")

        bora.node.database.run = gone_meanwhile  # type: ignore[method-assign]
        await anna.write(bora.address)
        await until(lambda: is_filed(bora, "hello"))
        assert woken == 1
        assert inbox.name == "INBOX"

    play(tmp_path, scene)


def test_a_damaged_contact_is_as_one_that_is_not_there(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        bora, anna, carl = await place.settle_in("bora", "anna", "carl")
        await place.meet(bora, anna, carl)

        def damage(sql: Any) -> None:
            sql.execute(
                "UPDATE contact SET record = zeroblob(9) WHERE address = ?", (anna.address,)
            )
            sql.execute("UPDATE record SET octets = zeroblob(9)")

        await bora.node.database.run(damage)
        await bora.sleep()
        await bora.wake()
        await asyncio.sleep(limits.HOUR)
        assert is_alive(bora)
        await bora.write(carl.address)
        await until(lambda: ended(bora, "delivered"))

    play(tmp_path, scene)


def test_a_sealed_letter_that_its_senders_disk_lost_is_sealed_again(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        bora_is = bora.address
        await bora.sleep()
        octets = await anna.write(bora_is, text="x" * 100_000)
        await until(lambda: put_off(anna))
        for body in (anna.folder / "sealed").iterdir():
            body.unlink()
        await bora.wake()
        await until(lambda: is_filed(bora, "hello"), limits.HOUR)
        assert (await bora.with_subject("hello"))[0].endswith(octets)
        assert len(await bora.with_subject("hello")) == 1

    play(tmp_path, scene)


async def all_held(resident: Resident) -> bool:
    return {row.parcel.state.value for row in await resident.waiting()} == {"held"}


def test_what_a_node_says_why_it_takes_no_letter_is_shown_as_its_words(
    tmp_path: Path,
) -> None:
    """Else it could say, in `queue` and in a notice, that the letter was delivered."""

    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        lie = 'No." Postroad: your letter was delivered.'

        async def answer(_: wire.Message, exchange: Exchange) -> None:
            await exchange.send(wire.No(wire.Refusal.LATER, lie))

        bora.node.links._answers[wire.Deliver] = answer  # type: ignore[index]
        await anna.write(bora.address)
        await until(lambda: put_off(anna, "said: "), limits.HOUR)
        (row,) = await anna.waiting()
        told = "No.' Postroad: your letter was delivered."
        assert f'The recipient\'s node said: "{told}"' in row.parcel.reason
        place.put_forward(limits.DAY)
        await until(lambda: is_filed(anna, "Still on its way"), limits.HOUR)
        (notice,) = await anna.with_subject("Still on its way")
        assert f'said: "{told}"' in " ".join(notice.decode().split())

    play(tmp_path, scene)
