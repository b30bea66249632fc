"""Letters that came in, by days: out of the memory of what was filed, and of what it forgot."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

import answer_check
from fakes import NOW, FakeClock, FakeEntropy, opened_store, someone, sure, with_database
from postroad.base import limits
from postroad.base.errors import TemporaryFailure
from postroad.base.ids import Fingerprint, Instant, Nonce
from postroad.doors.statistics import StatisticsDesk
from postroad.machine.disk import FolderDisk
from postroad.sealing.keys import Identity
from postroad.sealing.password import verifier
from postroad.sealing.receipt import Verdict
from postroad.store import filed, housekeeping, incoming, keyring, statistics
from postroad.store.contents import Contents
from postroad.store.database import FILE_NAME, Database, Sql
from postroad.store.filed import Filed
from postroad.store.incoming import Day
from postroad.store.keyring import OwnKeys
from postroad.store.sealed import SealedStore

MINE, BEN = (someone(name).fingerprint for name in ("anna", "ben"))
TODAY = datetime.fromtimestamp(NOW, UTC).date()
SPAN = limits.STATISTICS_DAYS


def came(
    sql: Sql, number: int, verdict: Verdict, days_ago: float = 0.0, sender: Fingerprint = BEN
) -> None:
    at = NOW - days_ago * limits.DAY
    memory = Filed(verdict, bytes(32), Instant(at))
    filed.remember(sql, sender, Nonce(number.to_bytes(16, "big")), memory, at + limits.DAY)


def told(sql: Sql, days_ago: float = SPAN) -> list[Day]:
    return incoming.days(sql, Instant(NOW - days_ago * limits.DAY), [MINE])


def test_each_day_has_its_numbers(tmp_path: Path) -> None:
    with opened_store(tmp_path) as store:
        for number, verdict in enumerate(
            (Verdict.FILED, Verdict.FILED, Verdict.REQUESTED, Verdict.UNWANTED, Verdict.FORGED)
        ):
            came(store.sql, number, verdict)
        came(store.sql, 9, Verdict.FILED, sender=MINE)
        came(store.sql, 10, Verdict.EXPIRED, days_ago=3)
        found = told(store.sql)
        assert [(TODAY - one.day).days for one in found] == [3, 0]
        assert found[1] == Day(TODAY, 2, 1, 2)
        assert (found[0].contacts, found[0].refused) == (0, 1)
        assert told(store.sql, 0) == found[1:]


def test_what_the_memory_forgets_is_counted_once_and_for_ninety_days(tmp_path: Path) -> None:
    async def work(database: Database, disk: FolderDisk) -> None:
        def fill(sql: Sql) -> None:
            for number, days_ago in enumerate((0, 40, 40, 80, SPAN + 2)):
                came(sql, number, Verdict.FILED, days_ago)
            came(sql, 99, Verdict.FILED, 40, sender=MINE)

        await database.run(fill)
        whole = [one.contacts for one in await database.read(lambda sql: told(sql))]
        assert whole == [1, 2, 1]
        stores = (Contents(disk), SealedStore(disk), FakeClock(NOW), (MINE,))
        for _ in range(2):
            await housekeeping.tidy(database, *stores)
            found = await database.read(told)
            assert [one.contacts for one in found] == whole
            left = await database.read(
                lambda sql: sql.execute("SELECT sum(number) FROM incoming").fetchone()
            )
            assert left == (3,)  # one is still remembered, and one is older than 90 days

    with_database(tmp_path, work)


def damaged(folder: Path) -> None:
    """A store that has counted one, of whose table no page can be read any more."""
    with opened_store(folder) as store:
        came(store.sql, 1, Verdict.FILED, 40)
        incoming.keep(store.sql, sure(NOW), (MINE,))
        (root,) = store.sql.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'incoming'"
        ).fetchone()
        store.sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path = folder / FILE_NAME
    octets = bytearray(path.read_bytes())
    octets[(root - 1) * 4096 : root * 4096] = b"\xff" * 4096
    path.write_bytes(octets)


def test_a_damaged_table_costs_its_numbers_and_stops_no_letter(tmp_path: Path) -> None:
    damaged(tmp_path)

    async def work(database: Database, disk: FolderDisk) -> None:
        await database.run(lambda sql: came(sql, 2, Verdict.FILED, 41))  # mail goes on
        with pytest.raises(TemporaryFailure):
            await database.read(told)
        await housekeeping.tidy(
            database, Contents(disk), SealedStore(disk), FakeClock(NOW), (MINE,)
        )
        assert [one.contacts for one in await database.read(told)] == [1, 1]

    with_database(tmp_path, work)


def test_it_is_mended_though_other_statistics_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged(tmp_path)

    async def cannot(_: Database) -> None:
        raise TemporaryFailure("Your mail's database cannot be read.")

    monkeypatch.setattr(statistics, "mend", cannot)

    async def work(database: Database, disk: FolderDisk) -> None:
        await housekeeping.tidy(
            database, Contents(disk), SealedStore(disk), FakeClock(NOW), (MINE,)
        )
        assert [one.contacts for one in await database.read(told)] == [1]

    with_database(tmp_path, work)


def test_while_it_is_damaged_all_other_numbers_are_told(tmp_path: Path) -> None:
    damaged(tmp_path)

    async def work(database: Database, disk: FolderDisk) -> None:
        entropy = FakeEntropy()
        password = verifier("secret", entropy.token(16))
        keys = keyring.new_keyring("anna", Identity(entropy.token(32)), password, entropy, NOW)
        desk = StatisticsDesk(database, OwnKeys(disk, keys), FakeClock(NOW))
        found = await desk.questions["statistics"]({})
        assert found["accepted"] == 0
        assert found["from_contacts"] is found["refused_here"] is None
        assert found["incoming_by_day"] == []
        assert answer_check.fault(("statistics",), {"version": 1, **found}) == ""

    with_database(tmp_path, work)
