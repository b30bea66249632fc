"""The timekeeper: who counts as a voice, what it remembers, and whom it wakes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fakes import NOW, FakeClock, peer, someone, with_database
from postroad.base import limits
from postroad.base.ids import Contact, HostPort, PeerId
from postroad.machine.disk import FolderDisk
from postroad.peers.timekeeper import Timekeeper
from postroad.protocol.clock import Because
from postroad.store import helpers, people
from postroad.store.clock_memory import NAME, ClockMemory
from postroad.store.database import Database, Sql

PEOPLE = [someone(name) for name in ("anna", "bora", "carl", "dora")]
BOX = Contact(peer(7), (HostPort("192.0.2.9", 1),))
BOX_TOO = Contact(peer(8), (HostPort("192.0.2.8", 1),))


def befriend(sql: Sql) -> None:
    for person in PEOPLE:
        also = (peer(99),) if person.name == "anna" else ()  # a second device of hers
        people.add_contact(sql, person.record(also=also), NOW, my_ticket=None, their_ticket=None)
    people.block(sql, PEOPLE[3].fingerprint)
    for box in (BOX, BOX_TOO):
        helpers.keep(sql, box, "box", 0, NOW)


def heard_from(folder: Path, *peers: PeerId) -> tuple[bool, int]:
    """Whether a clock is confirmed when these tell the same time; and how many voices they are."""
    found = []

    async def work(database: Database, _: FolderDisk) -> None:
        await database.run(befriend)
        clock = Timekeeper(FakeClock(), ClockMemory(database))
        await clock.begin()
        for one in peers:
            await clock.heard(one, int(NOW))
        found.append((clock.confirmed, clock.judgement().agreeing))

    with_database(folder, work)
    return found[0]


ANNA, BORA, CARL, DORA = (person.device.peer for person in PEOPLE)


@pytest.mark.parametrize(
    ("peers", "voices"),
    [
        ((ANNA, BORA, CARL), 3),
        ((ANNA, BORA, BOX.peer), 3),
        ((ANNA, peer(99), BORA), 2),  # two devices of one person
        ((ANNA, BOX.peer, BOX_TOO.peer), 2),  # helpers are one voice
        ((ANNA, BORA, DORA), 2),  # she is blocked
        ((ANNA, BORA, peer(50), peer(51), peer(52)), 2),  # strangers
        ((ANNA, ANNA, ANNA), 1),
    ],
)
def test_three_people_whom_the_owner_knows_confirm_it(
    tmp_path: Path, peers: tuple[PeerId, ...], voices: int
) -> None:
    assert heard_from(tmp_path, *peers) == (voices >= 3, voices)


def test_a_day_is_remembered_over_a_restart_and_a_damaged_row_is_as_none(tmp_path: Path) -> None:
    async def work(database: Database, _: FolderDisk) -> None:
        clock = FakeClock()
        keeper = Timekeeper(clock, ClockMemory(database))
        await keeper.begin()
        clock.advance(limits.CLOCK_UPTIME_SECONDS)
        assert keeper.judgement().because is Because.UPTIME
        await keeper.keep()
        again = Timekeeper(clock, ClockMemory(database))
        assert again.sure_now() is None
        await again.begin()
        assert again.sure_now() is not None
        await database.run(
            lambda sql: (
                sql.execute("UPDATE value SET octets = x'00' WHERE name = ?", (NAME,)).rowcount
            )
        )
        third = Timekeeper(clock, ClockMemory(database))
        await third.begin()
        assert not third.confirmed

    with_database(tmp_path, work)


def test_what_a_contradicted_clock_ran_for_is_not_remembered(tmp_path: Path) -> None:
    async def work(database: Database, _: FolderDisk) -> None:
        await database.run(befriend)
        clock = FakeClock()
        keeper = Timekeeper(clock, ClockMemory(database))
        await keeper.begin()
        clock.advance(limits.CLOCK_UPTIME_SECONDS)
        for one in (ANNA, BORA, CARL):
            await keeper.heard(one, int(NOW) - 10 * limits.DAY)
        assert keeper.judgement().because is Because.CONTRADICTED
        await keeper.keep()
        again = Timekeeper(clock, ClockMemory(database))
        await again.begin()
        assert not again.confirmed

    with_database(tmp_path, work)


def test_whoever_waits_hears_of_a_leap_and_of_the_clock_being_confirmed(tmp_path: Path) -> None:
    async def work(database: Database, _: FolderDisk) -> None:
        await database.run(befriend)
        clock = FakeClock()
        keeper = Timekeeper(clock, ClockMemory(database))
        for one in (ANNA, BORA, CARL):
            await keeper.heard(one, int(clock.now()))
        assert await keeper.changed() is True
        clock.step(365 * limits.DAY)
        assert keeper.sure_now() is None
        assert await keeper.changed() is False
        clock.step(-365 * limits.DAY)
        assert keeper.sure_now() == clock.now()
        assert await keeper.changed() is True
        waits = asyncio.create_task(keeper.changed())
        await asyncio.sleep(0)
        assert not waits.done()
        waits.cancel()

    with_database(tmp_path, work)


def test_a_peer_is_asked_for_its_time_only_while_that_helps(tmp_path: Path) -> None:
    async def work(database: Database, _: FolderDisk) -> None:
        await database.run(befriend)
        keeper = Timekeeper(FakeClock(), ClockMemory(database))
        assert keeper.wants_voice(ANNA)
        for one in (ANNA, BORA):
            await keeper.heard(one, int(NOW))
        assert not keeper.wants_voice(ANNA)
        assert keeper.wants_voice(CARL)
        await keeper.heard(CARL, int(NOW))
        assert not keeper.wants_voice(BOX.peer)

    with_database(tmp_path, work)
