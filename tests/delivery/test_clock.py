"""Wrong clocks: they delay letters, and destroy nothing (promise M12)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from fakes import sure
from postroad.base import limits
from postroad.store import filed, held, people
from postroad.store.database import Sql
from simulator.village import Resident, Village, play, until

YEAR = 365.0 * limits.DAY


def set_clock(resident: Resident, seconds: float) -> None:
    """Somebody sets it that much ahead of right; the kernel tells, and the node looks."""
    resident.clock.wrong_by = seconds
    resident.node.timekeeper.judgement()


def confirmed(resident: Resident) -> bool:
    return resident.node.timekeeper.confirmed


async def is_confirmed(*residents: Resident) -> bool:
    return all(map(confirmed, residents))


async def lying(holder: Resident) -> int:
    return await holder.node.database.read(held.lying)


async def filed_by(resident: Resident, subject: str = "hello") -> bool:
    return bool(await resident.with_subject(subject))


def held_by(sender: Resident, holders: int) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        def leases(sql: Sql) -> int:
            (count,) = sql.execute("SELECT count(*) FROM lease").fetchone()
            return int(count)

        return await sender.node.database.read(leases) >= holders

    return holds


async def tidied(resident: Resident) -> None:
    """Its hourly round has come, whatever it did."""
    await asyncio.sleep(1.1 * limits.HOUR)


def test_three_contacts_confirm_a_clock_and_two_do_not(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        (anna,) = await place.settle_in("anna")
        await place.with_holders(anna, "bora", "carl")
        await asyncio.sleep(limits.HOUR)
        assert not confirmed(anna)
        await place.with_holders(anna, "dora")
        await until(lambda: is_confirmed(anna))

    play(tmp_path, scene)


def test_two_contacts_who_lie_neither_confirm_a_wrong_clock_nor_doubt_a_right_one(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        (anna,) = await place.settle_in("anna")
        liars = await place.with_holders(anna, "bora", "carl")
        for liar in (anna, *liars):
            set_clock(liar, -YEAR)
        await anna.sleep()
        await anna.wake()
        await asyncio.sleep(limits.HOUR)
        assert not confirmed(anna)
        assert anna.node.timekeeper.judgement().agreeing == 2
        set_clock(anna, 0.0)
        honest = await place.with_holders(anna, "dora", "emil", "finn")
        await until(lambda: is_confirmed(anna))
        assert anna.node.timekeeper.judgement().disagreeing == 2
        for one in honest:
            await one.sleep()
        await asyncio.sleep(limits.HOUR)
        assert confirmed(anna)

    play(tmp_path, scene)


@pytest.mark.parametrize("wrong_by", [YEAR, -YEAR])
def test_a_sender_whose_clock_is_set_a_year_off_returns_nothing_and_delivers_later(
    tmp_path: Path, wrong_by: float
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        place.put_forward(limits.DAY)
        await until(lambda: is_confirmed(anna))
        bora_is = bora.address
        await bora.sleep()
        await anna.write(bora_is)
        await asyncio.sleep(limits.MINUTE)
        set_clock(anna, wrong_by)
        assert not confirmed(anna)
        await asyncio.sleep(3 * limits.HOUR)
        assert await anna.states() == ["delivered", "waiting"]
        set_clock(anna, 0.0)
        await bora.wake()
        await until(lambda: filed_by(bora))
        assert not await anna.with_subject("Undeliverable")

    play(tmp_path, scene)


def test_a_letter_that_was_written_while_the_clock_was_ahead_arrives_when_it_is_right(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        set_clock(anna, YEAR)
        await anna.write(bora.address)
        await asyncio.sleep(limits.HOUR)
        assert not await filed_by(bora)
        set_clock(anna, 0.0)
        await asyncio.sleep(limits.HOUR)
        assert not await filed_by(bora), "nobody knows yet which of the two dates is right"
        place.put_forward(limits.DAY)
        await until(lambda: filed_by(bora), 2.0 * limits.HOUR)
        assert len(await bora.with_subject("hello")) == 1
        (expires,) = await anna.node.database.read(
            lambda sql: sql.execute("SELECT max(expires_at) FROM letter").fetchone()
        )
        assert expires <= place.clock.now() + limits.EXPIRY_SECONDS_DEFAULT

    play(tmp_path, scene)


def test_a_person_with_one_contact_hears_of_an_expiry_after_a_day_of_running(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        anna.expiry_seconds = 2 * limits.HOUR
        await anna.sleep()
        await anna.wake()
        bora_is = bora.address
        await bora.sleep()
        await anna.write(bora_is)
        await asyncio.sleep(20 * limits.HOUR)
        assert (await anna.states())[-1] == "waiting"
        await asyncio.sleep(6 * limits.HOUR)
        assert (await anna.states())[-1] == "expired"

    play(tmp_path, scene)


def test_an_expired_letter_waits_for_a_confirmed_clock_to_be_refused(tmp_path: Path) -> None:
    """Neither filed (M3) nor refused (M12) before: it stays where it lies."""

    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        (hana,) = await place.with_holders(bora, "hana")
        await place.meet(anna, hana)
        bora_is = bora.address
        await bora.sleep()
        await anna.write(bora_is)
        await until(held_by(anna, 1))
        bora.clock.wrong_by = 60.0 * limits.DAY  # as after a flat battery
        await bora.wake()
        await asyncio.sleep(limits.HOUR)
        assert not await filed_by(bora)
        assert (await anna.states())[-1] == "held"
        assert await lying(hana) == 1
        set_clock(bora, 0.0)
        await until(lambda: filed_by(bora))

    play(tmp_path, scene)


def test_a_holder_with_a_wrong_clock_evicts_nothing_and_says_try_later(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        (hana,) = await place.with_holders(bora, "hana")
        await asyncio.sleep(limits.MINUTE)  # anna hears where bora has a drop now
        bora_is = bora.address
        await bora.sleep()
        await anna.write(bora_is, subject="one")
        await until(held_by(anna, 1))
        set_clock(hana, YEAR)
        await tidied(hana)
        assert await lying(hana) == 1
        await anna.write(bora_is, subject="two")
        await asyncio.sleep(limits.MINUTE)
        states = [row.parcel for row in await anna.waiting()]
        assert [one.state.value for one in states] == ["held", "waiting"]
        assert "clock may be wrong" in states[1].reason
        set_clock(hana, 0.0)
        await until(held_by(anna, 2), limits.HOUR)
        await anna.sleep()
        await bora.wake()
        await until(lambda: filed_by(bora, "one"))
        await until(lambda: filed_by(bora, "two"))

    play(tmp_path, scene)


def test_a_month_of_suspend_is_no_leap_and_what_expired_meanwhile_is_told(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        place.put_forward(limits.DAY)
        await until(lambda: is_confirmed(anna))
        bora_is = bora.address
        await bora.sleep()
        await anna.write(bora_is)
        await asyncio.sleep(limits.MINUTE)
        place.put_forward(31 * limits.DAY)
        assert confirmed(anna)
        await until(lambda: anna_is_told(anna))

    async def anna_is_told(anna: Resident) -> bool:
        return (await anna.states())[-1] == "expired"

    play(tmp_path, scene)


def test_nothing_is_forgotten_by_a_clock_that_is_not_confirmed(tmp_path: Path) -> None:
    """All that housekeeping forgets by time, with a clock that is ten years ahead."""

    def counts(sql: Sql) -> dict[str, int]:
        tables = "filed", "receipt_due", "parcel", "invitation", "my_drop", "held_letter"
        return {
            one: sql.execute(f"SELECT count(*) FROM {one}").fetchone()[0]
            for one in (*tables, "held_drop", "node_hour", "directory_record", "value")
        }

    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        (hana,) = await place.with_holders(bora, "hana")
        await bora.write(hana.address)
        await anna.write(bora.address)
        await until(lambda: filed_by(bora))
        await tidied(anna)
        before = [await one.node.database.read(counts) for one in place.residents]
        for one in place.residents:
            set_clock(one, 10 * YEAR)
        await tidied(anna)
        after = [await one.node.database.read(counts) for one in place.residents]
        for few, more in zip(before, after, strict=True):
            assert {name: more[name] for name in few if more[name] < few[name]} == {}
        invitations = [await one.node.database.read(tickets) for one in place.residents]
        assert any(invitations)

    def tickets(sql: Sql) -> int:
        return len(people.tickets(sql, None))

    play(tmp_path, scene)


def test_a_letter_that_may_be_forgotten_is_not_filed_again_by_a_clock_that_went_back(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        await anna.write(bora.address)
        await until(lambda: filed_by(bora))
        (expires,) = await bora.node.database.read(
            lambda sql: sql.execute("SELECT max(expires_at) FROM filed").fetchone()
        )
        assert not await bora.node.database.read(lambda sql: filed.is_forgotten(sql, expires))
        over = sure(expires + filed.REMEMBER_SECONDS + 1)
        await bora.node.database.run(lambda sql: filed.forget_old(sql, over))
        mail_id = await anna.node.database.read(
            lambda sql: sql.execute("SELECT max(mail_id) FROM parcel WHERE id = 2").fetchone()[0]
        )
        # Somebody kept a copy, and bora's clock says what it said a month before.
        await bora.node.database.run(lambda sql: _forget_receipts(sql))
        await anna.node.database.run(lambda sql: _as_never_sent(sql))
        anna.node.sender.wake()
        await until(lambda: refused(anna))
        assert mail_id
        assert len(await bora.with_subject("hello")) == 1

    async def refused(anna: Resident) -> bool:
        return (await anna.states())[-1] == "refused"

    play(tmp_path, scene)


def _forget_receipts(sql: Sql) -> None:
    sql.execute("DELETE FROM receipt_due")


def _as_never_sent(sql: Sql) -> None:
    sql.execute(
        """UPDATE parcel SET state = 'waiting', ended_at = NULL, receipt = NULL, due_at = 0
           WHERE id = (SELECT max(id) FROM parcel)"""
    )
