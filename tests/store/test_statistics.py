"""Journeys of letters: in the queue while it remembers them, in a table of their own afterwards."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fakes import NOW, FakeClock, opened_store, someone, sure, with_database
from postroad.base import limits
from postroad.base.ids import Instant, Nonce, PeerId
from postroad.machine.disk import FolderDisk
from postroad.message.envelope import NOTIFY_DEFAULT, Recipient
from postroad.protocol.delivery import State
from postroad.protocol.statistics import Journey
from postroad.sealing.letter import Kind
from postroad.store import housekeeping, queue, statistics
from postroad.store.contents import Contents
from postroad.store.database import FILE_NAME, Database, Sql
from postroad.store.sealed import SealedStore

ANNA, BEN = someone("anna"), someone("ben")
HANA, HUGO = PeerId(b"hana" * 8), PeerId(b"hugo" * 8)
LONG_AGO = NOW - 60 * limits.DAY


def put(
    sql: Sql, contents: Contents, number: int, at: float = NOW, kind: Kind = Kind.PERSON
) -> int:
    """A letter to Ben; its parcel."""
    letter = queue.NewLetter(
        Nonce(number.to_bytes(16, "big")), kind, b"x", Instant(at), Instant(at + 9), ()
    )
    recipient = Recipient(str(BEN.address), NOTIFY_DEFAULT, None)
    made = queue.put(sql, contents, letter, [queue.NewParcel(recipient, BEN.fingerprint, False)])
    (found,) = sql.execute("SELECT id FROM parcel WHERE letter_id = ?", (made,)).fetchone()
    return int(found)


def move(sql: Sql, parcel: int, state: State, at: float) -> None:
    moved = replace(queue.get(sql, parcel).parcel, state=state)
    queue.record(sql, parcel, moved, Instant(at))


async def found(database: Database, since: float = 0.0) -> list[Journey]:
    return await statistics.journeys(database, Instant(since), [ANNA.fingerprint])


Scene = Callable[[Database, Contents, SealedStore], Awaitable[None]]


def play(folder: Path, scene: Scene) -> None:
    async def work(database: Database, disk: FolderDisk) -> None:
        await scene(database, Contents(disk), SealedStore(disk))

    with_database(folder, work)


def test_the_first_lease_and_the_first_receipt_are_the_moments_that_count(tmp_path: Path) -> None:
    async def scene(database: Database, contents: Contents, _: SealedStore) -> None:
        def work(sql: Sql) -> None:
            parcel = put(sql, contents, 1)
            move(sql, parcel, State.HELD, NOW + 2)
            queue.holders_failed(sql, parcel, [HUGO, HANA])
            move(sql, parcel, State.HELD, NOW + 7)
            queue.holders_failed(sql, parcel, [HANA])
            queue.holders_failed(sql, parcel, [])
            move(sql, parcel, State.REQUESTED, NOW + 9)
            queue.keep_receipt(sql, parcel, b"requested", Instant(NOW + 9))
            move(sql, parcel, State.DELIVERED, NOW + 99)
            queue.keep_receipt(sql, parcel, b"filed", Instant(NOW + 99))

        await database.run(work)
        names = (HANA[:8], HUGO[:8])
        moments = Instant(NOW + 2), Instant(NOW + 9)
        expected = Journey(NOW, BEN.fingerprint, State.DELIVERED, *moments, False, names)
        assert await found(database) == [expected]
        assert await found(database, NOW + 1) == []

    play(tmp_path, scene)


def test_what_the_node_writes_and_what_one_writes_to_oneself_are_no_letters(tmp_path: Path) -> None:
    async def scene(database: Database, contents: Contents, _: SealedStore) -> None:
        await database.run(lambda sql: put(sql, contents, 1, kind=Kind.INTRODUCTION))
        await database.run(lambda sql: put(sql, contents, 2, kind=Kind.PROPOSAL))
        await database.run(lambda sql: put(sql, contents, 3))
        assert len(await found(database)) == 1
        assert await statistics.journeys(database, Instant(0), [BEN.fingerprint]) == []

    play(tmp_path, scene)


def many(sql: Sql, contents: Contents, count: int, at: float, ended: float) -> None:
    for number in range(count):
        parcel = put(sql, contents, number + 1, at + number)
        move(sql, parcel, State.DELIVERED, ended)


def test_what_the_queue_forgets_is_remembered_once_and_for_90_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STATISTICS_SLICE", 2)

    async def scene(database: Database, contents: Contents, sealed: SealedStore) -> None:
        clock = FakeClock(NOW)
        await database.run(lambda sql: many(sql, contents, 5, LONG_AGO, LONG_AGO + 9))
        await database.run(lambda sql: put(sql, contents, 99))
        before = await found(database)
        assert len(before) == 6
        clock.confirmed = False
        await housekeeping.tidy(database, contents, sealed, clock)
        assert await database.read(parcels) == 6  # nothing goes by a clock that is not confirmed
        clock.confirmed = True
        for _ in range(2):
            await housekeeping.tidy(database, contents, sealed, clock)
            assert await database.read(parcels) == 1
            assert await found(database) == before
        clock.advance(30 * limits.DAY + 2.5)
        await housekeeping.tidy(database, contents, sealed, clock)
        assert len(await found(database)) == 2 + 1
        clock.advance(99 * limits.DAY)
        await housekeeping.tidy(database, contents, sealed, clock)
        assert [one.accepted_at for one in await found(database)] == [NOW]  # still in the queue

    play(tmp_path, scene)


def parcels(sql: Sql) -> int:
    return int(sql.execute("SELECT count(*) FROM parcel").fetchone()[0])


def test_the_oldest_of_too_many_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STATISTICS_ROWS_MAX", 3)

    async def scene(database: Database, contents: Contents, sealed: SealedStore) -> None:
        await database.run(lambda sql: many(sql, contents, 5, LONG_AGO, LONG_AGO + 9))
        await housekeeping.tidy(database, contents, sealed, FakeClock(NOW))
        assert [one.accepted_at - LONG_AGO for one in await found(database)] == [2, 3, 4]

    play(tmp_path, scene)


def test_what_moves_while_it_is_read_is_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STATISTICS_SLICE", 1)

    async def scene(database: Database, contents: Contents, sealed: SealedStore) -> None:
        await database.run(lambda sql: many(sql, contents, 9, LONG_AGO, LONG_AGO + 9))
        reading = asyncio.create_task(found(database))
        while parcels_read(database) < 3:
            await asyncio.sleep(0)
        await housekeeping.tidy(database, contents, sealed, FakeClock(NOW))
        assert len(await reading) == 9

    reads: list[int] = []

    def parcels_read(_: Database) -> int:
        return len(reads)

    look = statistics._forgotten

    def counted(sql: Sql, since: Instant, after: int) -> list[statistics.Row]:
        reads.append(after)
        return look(sql, since, after)

    def remembered(sql: Sql, since: Instant, after: int) -> list[statistics.Row]:
        reads.append(after)
        return again(sql, since, after)

    again = statistics._remembered
    monkeypatch.setattr(statistics, "_forgotten", counted)
    monkeypatch.setattr(statistics, "_remembered", remembered)
    play(tmp_path, scene)


DAMAGE = ["state = 'what is new'", "accepted_at = 1e308", "failed_by = x'0102'", "held_at = NULL"]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_row_costs_that_row(tmp_path: Path, damage: str) -> None:
    async def scene(database: Database, contents: Contents, sealed: SealedStore) -> None:
        await database.run(lambda sql: many(sql, contents, 3, LONG_AGO, LONG_AGO + 9))
        await housekeeping.tidy(database, contents, sealed, FakeClock(NOW))
        await database.run(lambda sql: sql.execute(f"UPDATE statistics SET {damage} WHERE id = 2"))
        assert len(await found(database)) >= 2
        await housekeeping.tidy(database, contents, sealed, FakeClock(NOW))

    play(tmp_path, scene)


def test_a_page_that_cannot_be_read_costs_the_table_and_keeps_nothing_else(tmp_path: Path) -> None:
    with opened_store(tmp_path) as store:
        many(store.sql, store.contents, 400, LONG_AGO, LONG_AGO + 9)
        statistics.keep(store.sql, sure(NOW))
        queue.prune(store.sql, sure(NOW))
        many(store.sql, store.contents, 3, LONG_AGO + 99, LONG_AGO + 999)
        root = store.sql.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'statistics'"
        ).fetchone()[0]
        store.sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path = tmp_path / FILE_NAME
    octets = bytearray(path.read_bytes())
    octets[(root - 1) * 4096 : root * 4096] = b"\xff" * 4096
    path.write_bytes(octets)

    async def scene(database: Database, contents: Contents, sealed: SealedStore) -> None:
        with pytest.raises(Exception, match="malformed"):
            await found(database)
        parcel = await database.run(lambda sql: put(sql, contents, 5000))
        await database.run(lambda sql: move(sql, parcel, State.DELIVERED, NOW))  # mail goes on
        for _ in range(2):
            await housekeeping.tidy(database, contents, sealed, FakeClock(NOW))
            assert await database.read(parcels) == 1
            assert len(await found(database)) == 4

    play(tmp_path, scene)


def test_a_table_that_is_lost_altogether_stops_no_letter(tmp_path: Path) -> None:
    """Moments are columns of the parcel: no step of a letter touches the table."""
    with opened_store(tmp_path) as store:
        store.sql.execute("DROP TABLE statistics")
        parcel = put(store.sql, store.contents, 1)
        move(store.sql, parcel, State.HELD, NOW)
        queue.holders_failed(store.sql, parcel, [HANA])
        queue.keep_receipt(store.sql, parcel, b"filed", Instant(NOW))
        move(store.sql, parcel, State.DELIVERED, NOW)
        with pytest.raises(sqlite3.OperationalError):
            statistics.prune(store.sql, sure(NOW))
