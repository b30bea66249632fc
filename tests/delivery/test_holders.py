"""Holders: vouched for, passing letters on, replaced; and what the hostile ones cannot do."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from delivery.test_road import ended, held_by, is_filed
from postroad.base import limits
from postroad.base.ids import Contact, DropId, Instant, MailId
from postroad.base.tlv import encode
from postroad.delivery import holders as renting
from postroad.doors.statistics import _hours
from postroad.peers.client import Client
from postroad.peers.exchange import Refused
from postroad.protocol import wire, wire_holders
from postroad.protocol.holding import HoldFor, choose
from postroad.protocol.records import read_person
from postroad.sealing.keys import SigningKey
from postroad.sealing.receipt import RECEIPT_BYTES
from postroad.store import held, hours, people, queue, rented
from postroad.store.database import Sql
from postroad.timeouts import timeout
from simulator.village import Resident, Village, play, until

RECEIPT = b"r" * RECEIPT_BYTES


def at(resident: Resident) -> Contact:
    return Contact(resident.node.endpoint.me, resident.node.endpoint.addresses())


async def lying(resident: Resident) -> int:
    """How many letters of others wait at this holder."""

    def work(sql: Sql) -> int:
        found = sql.execute("SELECT count(*) FROM held_letter WHERE tombstone IS NULL")
        return int(found.fetchone()[0])

    return await resident.node.database.read(work)


async def graves(resident: Resident) -> int:
    def work(sql: Sql) -> int:
        found = sql.execute("SELECT count(*) FROM held_letter WHERE tombstone IS NOT NULL")
        return int(found.fetchone()[0])

    return await resident.node.database.read(work)


def count(of: Callable[[Resident], Awaitable[int]], resident: Resident, wanted: int) -> Any:
    async def holds() -> bool:
        return await of(resident) == wanted

    return holds


async def drop_at(owner: Resident, holder: Resident) -> rented.MyDrop:
    drops = await owner.node.database.read(rented.my_drops)
    return next(one for one in drops if one.holder == holder.peer)


async def with_siblings(
    place: Village, *names: str
) -> tuple[Resident, list[Resident], Resident, str]:
    """Bora with holders who know of each other, and Anna who can write to her; Bora is asleep."""
    (bora,) = await place.settle_in("bora")
    holders = await place.with_holders(bora, *names)
    (anna,) = await place.settle_in("anna")
    await place.meet(bora, anna)
    await until(lambda: all_know(bora, [*holders, anna]))
    bora_is = bora.address
    await bora.sleep()
    return bora, holders, anna, bora_is


async def all_know(owner: Resident, others: list[Resident]) -> bool:
    """Whether they all have the owner's newest record."""
    newest = await owner.node.renter.record()
    fingerprint = owner.node.keyring.fingerprint
    for one in others:
        person = await one.node.database.read(lambda sql: people.contact(sql, fingerprint))
        if person is None or person.record.sequence != newest.sequence:
            return False
    return True


# Passing letters on


def test_a_letter_is_handed_on_by_holders_who_never_all_meet(tmp_path: Path) -> None:
    """Anna meets Hana only, Hana meets Hugo, Hugo meets Hedi, and Hedi is on when Bora is."""

    async def scene(place: Village) -> None:
        bora, (hana, hugo, hedi), anna, bora_is = await with_siblings(place, "hana", "hugo", "hedi")
        await hugo.sleep()
        await hedi.sleep()
        octets = await anna.write(bora_is)
        await until(lambda: held_by(anna, 1))
        await anna.sleep()
        await hugo.wake()
        await until(count(lying, hugo, 1))
        await hana.sleep()
        await hedi.wake()
        await until(count(lying, hedi, 1))
        await hugo.sleep()
        await bora.wake()
        await until(lambda: is_filed(bora, "hello"), limits.COLLECT_SECONDS)
        (filed,) = await bora.with_subject("hello")
        assert filed.endswith(octets)

    play(tmp_path, scene)


def test_the_receipt_comes_back_by_the_same_way(tmp_path: Path) -> None:
    """Bora meets Hugo only, and Anna meets Hana only: without it she would read "not confirmed"."""

    async def scene(place: Village) -> None:
        bora, (hana, hugo), anna, bora_is = await with_siblings(place, "hana", "hugo")
        await hugo.sleep()
        await anna.write(bora_is)
        await until(lambda: held_by(anna, 1))
        await anna.sleep()
        await hugo.wake()
        await until(count(lying, hugo, 1))
        await hana.sleep()
        await bora.wake()
        await until(lambda: is_filed(bora, "hello"), limits.COLLECT_SECONDS)
        await until(count(graves, hugo, 1))
        await bora.sleep()
        await hana.wake()
        await until(count(graves, hana, 1))
        assert await lying(hana) == 0
        await hugo.sleep()
        place.put_forward(limits.HELD_SECONDS_MAX)
        await anna.wake()
        await until(lambda: ended(anna, "delivered"), 2 * limits.HOUR)
        await bora.wake()
        await asyncio.sleep(2 * limits.COLLECT_SECONDS)
        assert len(await bora.with_subject("hello")) == 1

    play(tmp_path, scene)


def test_a_letter_that_its_owner_has_is_not_brought_back(tmp_path: Path) -> None:
    """Hugo slept while Bora fetched it from Hana: he takes what Hana says, and no letter."""

    async def scene(place: Village) -> None:
        bora, (hana, hugo), anna, bora_is = await with_siblings(place, "hana", "hugo")
        await anna.write(bora_is)
        await until(lambda: held_by(anna, 2))
        await anna.sleep()
        await hugo.sleep()
        await bora.wake()
        await until(count(graves, hana, 1))
        await bora.sleep()
        await hugo.wake()
        await until(count(graves, hugo, 1))
        await hana.sleep()
        await hana.wake()
        await asyncio.sleep(limits.MINUTE)
        assert (await lying(hana), await lying(hugo)) == (0, 0)

    play(tmp_path, scene)


def test_a_letter_that_lies_for_long_is_passed_on_to_whom_its_sender_did_not_reach(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        _, (hana, hugo), anna, bora_is = await with_siblings(place, "hana", "hugo")
        me = [one.node.endpoint.me for one in (anna, hana, hugo)]
        place.world.part(me[:2], me[2:])
        await anna.write(bora_is)
        await until(lambda: held_by(anna, 1))
        await anna.sleep()
        place.world.heal()
        assert await lying(hugo) == 0
        await until(count(lying, hugo, 1), 2 * limits.SIBLINGS_SECONDS)

    play(tmp_path, scene)


def test_a_holder_that_started_without_a_network_asks_when_there_is_one(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        _, (hana, hugo), anna, bora_is = await with_siblings(place, "hana", "hugo")
        await hugo.sleep()
        await anna.write(bora_is)
        await until(lambda: held_by(anna, 1))
        await anna.sleep()
        await asyncio.sleep(limits.HOUR)  # Hana has told whom she could
        assert hugo.peer is not None
        place.world.part([hugo.peer])
        await hugo.wake()
        await asyncio.sleep(5 * limits.MINUTE)
        assert await lying(hugo) == 0
        place.world.heal()
        await until(count(lying, hugo, 1), limits.HOUR)
        assert await lying(hana) == 1

    play(tmp_path, scene)


def test_holders_with_nothing_to_pass_on_ask_nothing_of_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, sync = 0, Client.sync

    async def counted(*arguments: Any) -> tuple[wire_holders.Kept, ...]:
        nonlocal asked
        asked += 1
        return await sync(*arguments)

    async def scene(place: Village) -> None:
        nonlocal asked
        _, (hana, hugo), anna, bora_is = await with_siblings(place, "hana", "hugo")
        await asyncio.sleep(limits.HOUR)
        monkeypatch.setattr(Client, "sync", counted)
        await asyncio.sleep(6 * limits.HOUR)
        assert asked == 0
        await anna.write(bora_is)
        await until(lambda: held_by(anna, 2))
        await asyncio.sleep(6 * limits.HOUR)
        assert 1 <= asked <= 12, "Anna holds, too: each asks two, and may be asked back"
        assert await lying(hana) == await lying(hugo) == 1

    play(tmp_path, scene)


# What a lying sibling cannot do


def kept(mail_id: bytes, size: int, now: float, *, buried: bool = False) -> wire_holders.Kept:
    return wire_holders.Kept(mail_id, size, 10**6, int(now) + limits.DAY, int(buried), None)


def test_a_lying_holder_cannot_make_another_drop_a_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mallory lists Hana's letter as buried, and signs in Bora's place."""

    async def scene(place: Village) -> None:
        bora, (hana, mallory), anna, bora_is = await with_siblings(place, "hana", "mallory")
        await mallory.sleep()
        await anna.write(bora_is)
        await until(lambda: held_by(anna, 1))
        await anna.sleep()
        (row,) = await hana.node.database.read(
            lambda sql: sql.execute("SELECT mail_id, size FROM held_letter").fetchall()
        )
        await mallory.wake()
        ledger, asked = mallory.node.siblings._ledger, asyncio.Event()

        async def changes(*_: Any) -> tuple[wire_holders.Kept, ...]:
            return (kept(row[0], row[1], place.clock.now(), buried=True),)

        async def passed_on(*_: Any) -> wire_holders.Burial:
            asked.set()
            signed = wire_holders.sign_burial(MailId(row[0]), RECEIPT, mallory.node.keyring.device)
            return wire_holders.Burial(row[0], RECEIPT, signed)

        monkeypatch.setattr(ledger, "changes", changes)
        monkeypatch.setattr(ledger, "passed_on", passed_on)
        async with timeout(limits.HOUR):
            await asked.wait()
        await asyncio.sleep(limits.MINUTE)
        assert (await lying(hana), await graves(hana)) == (1, 0)
        await mallory.sleep()
        await bora.wake()
        await until(lambda: is_filed(bora, "hello"))

    play(tmp_path, scene)


def test_who_holds_not_for_the_owner_is_told_nothing_of_what_lies_there(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        bora, (hana, hugo), anna, bora_is = await with_siblings(place, "hana", "hugo")
        await anna.write(bora_is)
        await until(lambda: held_by(anna, 2))
        await bora.wake()
        mine, its = (await drop_at(bora, hana)).drop, (await drop_at(bora, hugo)).drop
        (eve,) = await place.settle_in("eve")
        await eve.node.links.wait_until_served()
        asking = Client(eve.node.links)
        for named in (its, mine, DropId(bytes(16))):
            with pytest.raises(Refused, match="do not hold"):
                await asking.sync(at(hana), mine, named, 0)
            with pytest.raises(Refused, match="not for you"):
                async with asking.draw(at(hana), mine, named, MailId(bytes(32))):
                    pass

    play(tmp_path, scene)


def test_a_lying_holder_fills_no_more_than_its_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mallory passes on rubbish under Anna's ticket; Anna's own letters still find room."""
    monkeypatch.setattr(limits, "HOLDERS_WANTED", 2)
    monkeypatch.setattr(limits, "DROP_LETTERS_MAX", 20)
    monkeypatch.setattr(limits, "SIBLING_LETTERS_MAX", 5)

    async def scene(place: Village) -> None:
        bora, (hana, mallory), anna, bora_is = await with_siblings(place, "hana", "mallory")
        rubbish = {hashlib.sha256(b"%d" % n).digest(): b"%d" % n for n in range(10, 40)}
        real = mallory.node.siblings._ledger
        bora_s = (await anna.node.database.read(people.contacts))[0].fingerprint
        bora_drop, ticket = await mallory.node.database.read(
            lambda sql: sql.execute(
                """SELECT drop_id, hash FROM held_ticket JOIN held_drop USING (drop_id)
                   WHERE fingerprint = ? ORDER BY hash LIMIT 1""",
                (bora_s,),
            ).fetchone()
        )

        async def changes(drop: DropId, *_: Any) -> tuple[wire_holders.Kept, ...]:
            now = place.clock.now()
            told = tuple(replace(kept(one, 2, now), ticket_hash=ticket) for one in rubbish)
            return told if drop == bora_drop else ()

        async def passed_on(_: Any, asker: Any, its: Any, mail_id: MailId) -> int:
            return 2

        async def read(mail_id: MailId, size: int) -> Any:
            yield rubbish[mail_id]

        monkeypatch.setattr(real, "changes", changes)
        monkeypatch.setattr(real, "passed_on", passed_on)
        holder = mallory.node.links._answers[wire_holders.Sync].__self__  # type: ignore[attr-defined]
        monkeypatch.setattr(holder._shelves, "read", read)
        await hana.sleep()
        await hana.wake()
        await until(count(lying, hana, 5))
        await asyncio.sleep(limits.MINUTE)
        assert await lying(hana) == 5
        for number in range(10):
            await anna.write(bora_is, subject=f"letter {number}")
        await until(count(lying, hana, 15))
        await mallory.sleep()
        await bora.wake()
        for number in range(10):
            await until(lambda number=number: is_filed(bora, f"letter {number}"))  # type: ignore[misc]

    play(tmp_path, scene)


# Vouched


async def through(place: Village) -> tuple[Resident, Resident, Resident]:
    """Wim holds for Vera's contacts; Vera is a contact of Bora's; Bora rents at both."""
    bora, vera, wim = await place.settle_in("bora", "vera", "wim")
    await place.meet(vera, wim)
    await place.meet(bora, vera)

    async def two() -> bool:
        return await bora.holders() == 2

    await until(two, 3 * limits.HOUR)
    return bora, vera, wim


def test_a_contacts_contact_holds_where_the_contact_vouches(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        bora, vera, wim = await through(place)
        assert wim.address not in await bora.contacts()
        (anna,) = await place.settle_in("anna")
        await place.meet(bora, anna)
        bora_is = bora.address
        await asyncio.sleep(limits.MINUTE)
        await bora.sleep()
        await vera.sleep()
        octets = await anna.write(bora_is)
        await until(count(lying, wim, 1))
        await anna.sleep()
        await bora.wake()
        await until(lambda: is_filed(bora, "hello"))
        assert (await bora.with_subject("hello"))[0].endswith(octets)
        await until(count(graves, wim, 1))

    play(tmp_path, scene)


@pytest.mark.parametrize("who", ["vera", "wim"])
def test_nobody_is_named_or_names_who_did_not_agree(tmp_path: Path, who: str) -> None:
    async def scene(place: Village) -> None:
        bora, vera = await place.settle_in("bora", "vera")
        wim = Resident(place, "wim")
        place.residents.append(wim)
        {"vera": vera, "wim": wim}[who].hold_for = HoldFor.CONTACTS
        await vera.sleep()
        await vera.wake()
        await wim.wake()
        await place.meet(vera, wim)
        await place.meet(bora, vera)
        await asyncio.sleep(limits.HOUR)
        assert await bora.holders() == 1
        if who == "wim":
            assert await Client(bora.node.links).find_holders(at(vera)) == ()
        else:
            with pytest.raises(Refused, match="introduces nobody"):
                await Client(bora.node.links).find_holders(at(vera))

    play(tmp_path, scene)


def test_strangers_are_told_nobody(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        _, vera, _ = await through(place)
        (eve,) = await place.settle_in("eve")
        await eve.node.links.wait_until_served()
        with pytest.raises(Refused, match="introduces nobody"):
            await Client(eve.node.links).find_holders(at(vera))
        with pytest.raises(Refused, match="not contacts"):
            await Client(eve.node.links).tell_holding(at(vera), wire_holders.Holding(0, None))

    play(tmp_path, scene)


def test_a_voucher_is_good_for_one_renter_at_one_holder_for_its_time(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        bora, vera, wim = await through(place)
        (mallory,) = await place.settle_in("mallory")
        await place.meet(mallory, bora)
        now, device = place.clock.now(), vera.node.keyring.device
        me, him = mallory.node.keyring.fingerprint, wim.node.endpoint.me
        record = encode(await mallory.node.renter.record())
        until_ = Instant(now + limits.VOUCHER_SECONDS)
        good = wire_holders.vouch(me, him, until_, device)
        of_bora = wire_holders.vouch(bora.node.keyring.fingerprint, him, until_, device)
        own = wire_holders.vouch(me, him, until_, mallory.node.keyring.device)
        bad = [
            replace(good, signature=bytes(64)),
            replace(good, signature=own.signature),
            replace(of_bora, renter=me),
            of_bora,
            own,
            wire_holders.vouch(me, bora.node.endpoint.me, until_, device),
            wire_holders.vouch(me, him, Instant(now - 1), device),
            wire_holders.vouch(me, him, Instant(until_ + limits.DAY * 2), device),
            None,
        ]
        asking = Client(mallory.node.links)
        for voucher in bad:
            with pytest.raises(Refused):
                await asking.rent(
                    at(wim), DropId(b"m" * 16), SigningKey(b"k" * 32), record, voucher
                )
        await asking.rent(at(wim), DropId(b"m" * 16), SigningKey(b"k" * 32), record, good)

    play(tmp_path, scene)


def test_the_vouched_have_less_room_and_there_are_only_so_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "VOUCHED_RENTERS_PER_CONTACT_MAX", 1)
    monkeypatch.setattr(limits, "VOUCHED_DROP_LETTERS_MAX", 10)

    async def scene(place: Village) -> None:
        bora, vera, wim = await through(place)
        (carl,) = await place.settle_in("carl")
        await place.meet(carl, vera)
        await asyncio.sleep(limits.MINUTE)
        drops = await carl.node.database.read(rented.my_drops)
        refusals = [one.refusal for one in drops if one.holder == wim.node.endpoint.me]
        assert refusals
        assert "quota is full" in refusals[0]
        (anna,) = await place.settle_in("anna")
        await place.meet(bora, anna)
        await asyncio.sleep(limits.MINUTE)
        bora_is = bora.address
        await bora.sleep()
        await vera.sleep()
        for number in range(8):
            await anna.write(bora_is, subject=f"letter {number}")

        async def said() -> bool:
            return any("no room for more" in one.parcel.reason for one in await anna.waiting())

        await until(said)
        assert 0 < await lying(wim) < 8

    play(tmp_path, scene)


def test_a_voucher_that_ends_is_renewed_and_without_one_there_is_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "VOUCHERS_ASKED_SECONDS", limits.HOUR)

    async def scene(place: Village) -> None:
        bora, vera, wim = await through(place)
        await asyncio.sleep(limits.HOUR)
        for _ in range(2):
            place.put_forward(0.8 * limits.VOUCHER_SECONDS)
            await asyncio.sleep(3 * limits.HOUR)
        drop = (await drop_at(bora, wim)).drop

        def vouched_until(sql: Sql) -> float:
            found = held.drop(sql, drop)
            assert found is not None
            return found.vouched_until or 0.0

        assert await wim.node.database.read(vouched_until) > place.clock.now()
        await vera.sleep()
        await bora.sleep()
        place.put_forward(1.1 * limits.VOUCHER_SECONDS)
        deposit = wire.Deposit(drop, bytes(32), 2, int(place.clock.now()) + limits.DAY, None, None)
        shelves = wim.node.links._answers[wire.Deposit].__self__._shelves  # type: ignore[attr-defined]
        answer = await shelves.offer(deposit)
        assert isinstance(answer, wire.No)
        assert answer.refusal == wire.Refusal.FORBIDDEN

    play(tmp_path, scene)


# Five for the large ones


def test_a_large_letter_goes_to_five_holders_and_a_small_one_to_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("hana", "hugo", "hedi", "hilda", "hans", "helga", "heinz")
    monkeypatch.setattr(limits, "HOLDERS_WANTED", len(names))

    async def scene(place: Village) -> None:
        _, holders, anna, bora_is = await with_siblings(place, *names)
        record = (await anna.node.database.read(people.contacts))[0].record
        first = [drop.contact.peer for drop in record.drops]
        await anna.write(bora_is, subject="small")
        await until(lambda: held_by(anna, 7))
        by_peer = {one.node.endpoint.me: one for one in holders}
        await by_peer[first[1]].sleep()
        await anna.write(bora_is, subject="large", text="x" * 900 + "\r\n" + "y" * 1_200_000)
        await until(lambda: held_by(anna, 5), 5 * limits.MINUTE)
        await asyncio.sleep(limits.MINUTE)
        rows = await anna.waiting()
        leases = await anna.node.database.read(
            lambda sql: [one.holder for one in queue.leases(sql, rows[-1].id)]
        )
        assert sorted(leases) == sorted([first[0], *first[2:6]]), "the sixth for the one who is off"
        await anna.sleep()
        others = [one for one in holders if one.is_on and one.node.endpoint.me not in leases]
        await asyncio.sleep(2 * limits.SIBLINGS_SECONDS)
        assert [await lying(one) for one in others] == [1] * len(others), "only the small one"

    play(tmp_path, scene)


# Replacement


def test_a_silent_holder_is_replaced_and_senders_bring_their_letters_to_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HOLDERS_WANTED", 2)
    monkeypatch.setattr(limits, "SILENT_SECONDS_MAX", 6 * limits.HOUR)

    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        hana, hugo = await place.with_holders(bora, "hana", "hugo")
        (anna,) = await place.settle_in("anna")
        await place.meet(bora, anna)
        anna.hold_for = HoldFor.OFF
        await anna.sleep()
        await anna.wake()
        await asyncio.sleep(limits.MINUTE)
        bora_is = bora.address
        await bora.sleep()
        await hugo.sleep()
        await anna.write(bora_is)
        await until(lambda: held_by(anna, 1))
        await anna.sleep()
        await hana.sleep()  # with the letter
        await hugo.wake()
        (heidi,) = await place.settle_in("heidi")
        await bora.wake()
        await place.meet(bora, heidi)
        await asyncio.sleep(10 * limits.HOUR)
        assert (await drop_at(bora, hana)).left_at is not None
        assert (await drop_at(bora, heidi)).is_ours
        record = await bora.node.renter.record()
        assert {drop.contact.peer for drop in record.drops} == {
            heidi.node.endpoint.me,
            hugo.node.endpoint.me,
        }
        await anna.wake()  # hears of the newer record, and brings it to the new ones
        await until(lambda: is_filed(bora, "hello"), limits.HOUR)
        await anna.sleep()
        await hana.wake()  # the old drop is still looked into
        await until(count(graves, hana, 1), 2 * limits.HOUR)

    play(tmp_path, scene)


def test_senders_offer_what_is_held_to_the_new_holders_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HOLDERS_WANTED", 1)

    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        (hana,) = await place.with_holders(bora, "hana")
        (anna,) = await place.settle_in("anna")
        await place.meet(bora, anna)
        bora_is = bora.address
        await bora.sleep()
        await anna.write(bora_is)
        await until(lambda: held_by(anna, 1))
        await anna.sleep()
        hana_is = hana.node.endpoint.me
        await hana.sleep()
        (hugo,) = await place.settle_in("hugo")
        await bora.wake()
        await place.meet(bora, hugo)
        await bora.node.database.run(
            lambda sql: rented.leave(
                sql,
                next(d.drop for d in rented.my_drops(sql) if d.holder == hana_is),
                place.clock.now(),
            )
        )
        bora.node.renter.wake()

        async def at_hugo() -> bool:
            return {d.contact.peer for d in (await bora.node.renter.record()).drops} == {
                hugo.node.endpoint.me
            }

        await until(at_hugo)
        # Anna hears the record, but her letters cannot reach Bora herself.
        record = encode(await bora.node.renter.record())
        fingerprint = bora.node.keyring.fingerprint
        await asyncio.sleep(limits.MINUTE)
        await bora.sleep()
        await anna.wake()

        def learn(sql: Sql) -> None:
            people.learn(sql, read_person(record, fingerprint), place.clock.now())

        await anna.node.database.run(learn)
        place.put_forward(limits.HELD_SECONDS_MAX)
        await until(count(lying, hugo, 1), 2 * limits.HOUR)

    play(tmp_path, scene)


def test_a_holder_who_lost_our_drop_is_found_out_by_the_next_look(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        (hana,) = await place.with_holders(bora, "hana")
        await hana.node.database.run(lambda sql: sql.execute("DELETE FROM held_drop").close())

        async def none() -> bool:
            return await bora.holders() == 0

        await until(none, 2 * limits.HOUR)

    play(tmp_path, scene)


def test_a_holder_that_holds_no_more_says_so_and_is_replaced(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        bora, vera, wim = await through(place)
        wim.hold_for = HoldFor.OFF
        await wim.sleep()
        await wim.wake()

        async def one_left() -> bool:
            return await bora.holders() == 1

        await until(one_left, 2 * limits.MINUTE)
        assert (await drop_at(bora, wim)).left_at is not None
        vera.hold_for = HoldFor.OFF
        await vera.sleep()
        await vera.wake()

        async def none_left() -> bool:
            return await bora.holders() == 0

        await until(none_left, 2 * limits.MINUTE)
        vera.hold_for = HoldFor.CONTACTS
        await vera.sleep()
        await vera.wake()
        await until(one_left, 2 * limits.MINUTE)

    play(tmp_path, scene)


# Hours


def test_hours_are_learnt_from_what_happens_anyway(tmp_path: Path) -> None:
    """Bora and Hugo are always on, Hana from 8 to 16 UTC; after some days that is known."""

    async def scene(place: Village) -> None:
        bora, hana, hugo = await place.settle_in("bora", "hana", "hugo")
        await place.meet(bora, hana, hugo)
        hour = place.clock.now() % limits.DAY / limits.HOUR
        await hana.sleep()
        await asyncio.sleep((24 - hour) % 24 * limits.HOUR)
        for _ in range(3):
            await asyncio.sleep(8 * limits.HOUR)
            await hana.wake()
            await asyncio.sleep(8 * limits.HOUR)
            await hana.sleep()
            await asyncio.sleep(8 * limits.HOUR)
        known = await bora.node.database.read(lambda sql: hours.known(sql, place.clock.now()))
        assert hana.peer is not None
        of_hana = known[hana.peer].chances()
        assert min(of_hana[9:15]) > 0.6
        assert max(*of_hana[:7], *of_hana[18:]) < 0.3
        assert min(known[bora.node.endpoint.me].chances()) > 0.6
        told = await bora.node.database.read(lambda sql: _hours(sql, place.clock.now()))
        (of_hana_told,) = [one for one in told if one["name"] == "hana"]
        assert min(of_hana_told["seen"][9:15]) > max(of_hana_told["missed"][9:15])
        assert not any(of_hana_told["seen"][:7])
        assert all(of_hana_told["missed"][:7])
        await hana.wake()
        mine = await hana.node.database.read(lambda sql: hours.known(sql, place.clock.now()))
        own = mine[hana.node.endpoint.me].chances()
        assert min(own[9:15]) > 0.6
        assert max(*own[:7], *own[18:23]) < 0.3

    play(tmp_path, scene)


# What a holder learns (C2)


def test_a_holder_keeps_nothing_that_tells_author_subject_or_true_size(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        _, (hana, hugo), anna, bora_is = await with_siblings(place, "hana", "hugo")
        await hugo.sleep()
        octets = await anna.write(bora_is, subject="a secret", text="Of nobody's business.")
        await until(lambda: held_by(anna, 1))
        secrets = [octets, b"secret", b"business", anna.node.keyring.fingerprint.encode()]
        secrets += [anna.node.endpoint.me, anna.node.keyring.device.public]
        await anna.sleep()
        await hugo.wake()
        await until(count(lying, hugo, 1))
        for holder in (hana, hugo):
            kept_there = await holder.node.database.read(everything_held_for_bora)
            assert len(kept_there) > len(octets)
            assert [one for one in secrets if one in kept_there] == []
            (size,) = await holder.node.database.read(
                lambda sql: sql.execute("SELECT size FROM held_letter").fetchone()
            )
            assert size > len(octets)

    def everything_held_for_bora(sql: Sql) -> bytes:
        rows = [
            row
            for table in ("held_letter", "held_ticket", "sealed")
            for row in sql.execute(f"SELECT * FROM {table}")
        ]
        return b" ".join(
            value if isinstance(value, bytes) else str(value).encode()
            for row in rows
            for value in row
        )

    play(tmp_path, scene)


# Without end


def test_a_holder_that_lists_without_end_what_it_has_not_is_soon_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each listed letter is drawn, and is another one: that would be up to 32 MiB each."""
    drawn = 0

    async def scene(place: Village) -> None:
        _, (hana, mallory), _, _ = await with_siblings(place, "hana", "mallory")
        listed = [hashlib.sha256(b"%d" % n).digest() for n in range(limits.SYNC_LISTING_MAX)]
        mine = mallory.node.siblings._ledger

        async def changes(*_: Any) -> tuple[wire_holders.Kept, ...]:
            return tuple(kept(one, 2, place.clock.now()) for one in listed)

        async def passed_on(*_: Any) -> int:
            nonlocal drawn
            drawn += 1
            return 2

        async def read(mail_id: MailId, size: int) -> Any:
            yield b"no"

        monkeypatch.setattr(mine, "changes", changes)
        monkeypatch.setattr(mine, "passed_on", passed_on)
        holder = mallory.node.links._answers[wire_holders.Sync].__self__  # type: ignore[attr-defined]
        monkeypatch.setattr(holder._shelves, "read", read)
        await hana.sleep()
        await hana.wake()

        async def some() -> bool:
            return drawn > 0

        await until(some)
        await asyncio.sleep(0.9 * limits.HOUR)
        assert await lying(hana) == 0

    play(tmp_path, scene)
    assert 0 < drawn <= 4 * 9, "Hana asks, and Anna, who holds as well; each sees 300 listed"


def test_only_so_many_who_could_hold_are_compared_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever knows a thousand people, and theirs, is not held up; all are asked in the end."""
    compared: list[int] = []

    def counted(candidates: Any, *arguments: Any, **named: Any) -> Any:
        if "kept" in named:  # else they are put in order
            compared.append(len(candidates))
        return choose(candidates, *arguments, **named)

    monkeypatch.setattr(renting, "CANDIDATES_MAX", 1)
    monkeypatch.setattr(renting, "choose", counted)

    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        await place.with_holders(bora, "hana", "hugo", "hedi")
        assert await bora.holders() == 3

    play(tmp_path, scene)
    assert max(compared) == 1
