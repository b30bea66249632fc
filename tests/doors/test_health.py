"""What a running node tells of how it does: the facts are gathered, and nothing wakes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from fakes import NOW, FakeClock, FakeEntropy
from postroad.base import limits
from postroad.base.bell import Bell
from postroad.base.errors import DiskFull, TemporaryFailure
from postroad.base.seams import Disk
from postroad.doors import health
from postroad.doors.health import HealthDesk
from postroad.machine.disk import FolderDisk
from postroad.peers.exchange import Counts
from postroad.protocol import netcheck
from postroad.protocol.clock import Judgement
from postroad.protocol.health import Facts, judge
from postroad.protocol.netcheck import Way
from postroad.protocol.starting import Keeper
from postroad.sealing.keys import Identity
from postroad.sealing.password import verifier
from postroad.store import keyring, last_backup, quarantine
from postroad.store.database import Database, Sql
from postroad.store.keyring import OwnKeys
from postroad.store.last_backup import LastBackup
from postroad.store.pauses import Pauses

NO_NETWORK = Way("network", netcheck.State.BAD, "This computer has no network.", "Connect it.")


@dataclass
class Links:
    """`peers.link.Links`, as far as it is asked."""

    is_served: bool = True
    count: int = 0
    counts: Counts = field(default_factory=lambda: Counts(sent=3, heard=2))


class Clock(FakeClock):
    """One that has been running for an hour."""

    def judgement(self) -> Judgement:
        return replace(super().judgement(), seconds=float(limits.HOUR))


@dataclass
class House:
    """What a desk looks at, and the desk."""

    database: Database
    disk: Disk
    pauses: Pauses
    clock: Clock = field(default_factory=Clock)
    links: Links = field(default_factory=Links)
    bell: Bell = field(default_factory=Bell)
    ways: list[Way] = field(default_factory=list)
    unanswered: int = 0
    failing: list[tuple[str, str]] = field(default_factory=list)
    not_reloaded: bool = False
    sandbox_lost: str = ""
    keeper: Keeper = Keeper.TERMINAL
    mail_ports: dict[str, int] = field(
        default_factory=lambda: {"smtp": 10588, "imap": 10144, "pop3": 10111}
    )
    doors_shut: dict[str, str] = field(default_factory=dict)
    doors_not_held: list[str] = field(default_factory=list)
    astray: list[str] = field(default_factory=list)
    asked_ways: list[tuple[int, int]] = field(default_factory=list)
    room: int = 1 << 40

    def bad_ways(self, contacts: int, helpers: int) -> list[Way]:
        self.asked_ways.append((contacts, helpers))
        return self.ways

    def open(self, name: str) -> BinaryIO:
        return self.disk.open(name)

    def require_room(self, size: int) -> None:
        if size >= self.room:
            raise DiskFull("The disk is almost full.")

    def desk(self, keys: OwnKeys, database: Database | None = None) -> HealthDesk:
        return HealthDesk(
            database or self.database,
            cast(Disk, self),
            keys,
            self.clock,
            self.pauses,
            self.links,
            self,
            self,
            self.bell,
        )


Scene = Callable[[House, HealthDesk], Awaitable[None]]


class ReadsOnly:
    """A database that can be read, and in which no transaction may be begun."""

    trouble = ""

    def __init__(self, database: Database) -> None:
        self.read = database.read


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[tuple[House, OwnKeys]]:
    entropy = FakeEntropy()
    disk = FolderDisk(folder / "data", reserve_bytes=0)
    try:
        password = verifier("secret", entropy.token(16))
        keys = keyring.new_keyring("anna", Identity(entropy.token(32)), password, entropy, NOW)
        async with Database(disk) as database:
            yield House(database, disk, Pauses(disk, FakeClock())), OwnKeys(disk, keys)
    finally:
        disk.close()


def play(folder: Path, scene: Scene) -> None:
    async def run() -> None:
        async with house(folder) as (place, keys):
            await scene(place, place.desk(keys, cast(Database, ReadsOnly(place.database))))

    asyncio.run(run())


async def ask(desk: HealthDesk, what: str, **more: Any) -> dict[str, Any]:
    return await desk.questions[what]({"do": what, **more})


def codes(answer: dict[str, Any]) -> list[str]:
    return [one["code"] for one in answer["problems"]]


def test_a_node_at_rest_is_judged_from_what_is_at_hand(tmp_path: Path) -> None:
    async def scene(place: House, desk: HealthDesk) -> None:
        status = await ask(desk, "status")
        assert (status["smtp_port"], status["imap_port"]) == (10588, 10144)
        assert status["pop3_port"] == 10111
        assert status["user_name"] == status["address"]
        assert status["address"].startswith("anna.")
        assert (status["contact_count"], status["letters_under_way"]) == (0, 0)
        assert (status["holders"], status["holders_wanted"]) == (0, limits.HOLDERS_WANTED)
        assert (status["messages_sent"], status["messages_heard"]) == (3, 2)
        assert (status["paused"], status["paused_until"]) == (False, None)
        told = judge(Facts(contacts=0, holders=0)).told()
        assert told["state"] == "online"
        assert {key: status[key] for key in told} == told
        assert await ask(desk, "health") == told
        assert place.asked_ways == [(0, 0)] * 2

    play(tmp_path, scene)


async def damage(place: House, sql: str) -> None:
    await place.database.run(lambda database: database.execute(sql).rowcount)


@pytest.mark.parametrize(
    ("change", "code", "state", "how"),
    [
        (lambda place: place.ways.append(NO_NETWORK), "network", "offline", "attention"),
        (lambda place: setattr(place, "room", 0), "disk-full", "degraded", "broken"),
        (lambda place: setattr(place, "room", 1 << 20), "disk-low", "degraded", "attention"),
        (lambda place: place.doors_shut.update(smtp="Taken."), "door-shut", "degraded", "broken"),
        (lambda place: place.doors_not_held.append("smtp"), "port-not-held", "online", "attention"),
        (lambda place: place.astray.append("[::1]:1"), "port-astray", "online", "attention"),
        (lambda place: setattr(place.clock, "confirmed", False), "clock-unconfirmed", "online", ""),
        (lambda place: place.failing.append(("sender", "No.")), "service", "degraded", "broken"),
        (
            lambda place: setattr(place, "not_reloaded", True),
            "configuration",
            "online",
            "attention",
        ),
        (
            lambda place: setattr(place, "sandbox_lost", "user namespaces"),
            "sandbox",
            "online",
            "attention",
        ),
        (lambda place: setattr(place.links, "is_served", False), "no-contacts", "starting", ""),
    ],
)
def test_each_fact_that_is_at_hand_is_gathered(
    tmp_path: Path, change: Callable[[House], Any], code: str, state: str, how: str
) -> None:
    async def scene(place: House, desk: HealthDesk) -> None:
        change(place)
        answer = await ask(desk, "health")
        assert code in codes(answer)
        assert (answer["state"], answer["health"]) == (state, how or "ok")

    play(tmp_path, scene)


CONTACT = """INSERT INTO contact (fingerprint, address, name, record, sequence, learnt_at, since)
    VALUES ('f', 'ben.f@postroad.alt', 'ben', x'00', 1, 0, 0)"""
DROP = """INSERT INTO my_drop (drop_id, seed, holder, fingerprint, agreed{columns})
    VALUES (randomblob(16), randomblob(32), randomblob(32), 'f', {agreed}{values})"""
REQUEST = """INSERT INTO request (id, mail_id, fingerprint, address, device, recipient, nonce,
        header_hash, content_key, subject, content_id, uid, at, expires_at, state)
    VALUES (randomblob(16), randomblob(32), 's', 'a', randomblob(32), 'r', randomblob(16),
        randomblob(32), randomblob(32), '', 1, 1, 0, 0, 'waiting')"""
CONTENT = "INSERT INTO content (id, sha256, size, octets) VALUES (1, randomblob(32), 1, x'00')"
LETTER = """INSERT INTO letter (id, nonce, kind, content_id, accepted_at, expires_at, visible)
    VALUES (1, randomblob(16), 0, 1, 0, 9, '[]')"""
PARCEL = """INSERT INTO parcel (letter_id, recipient, fingerprint, blind, notify, state, due_at,
        delayed_at) VALUES (1, '{state}', 'f', 0, 0, '{state}', 0, {delayed})"""
REVOKED = "INSERT INTO revoked (fingerprint, peer, barred) VALUES ('{mine}', x'', 0)"


@pytest.mark.parametrize(
    ("sql", "code", "counted"),
    [
        ([CONTACT], "no-holders", {"contact_count": 1}),
        ([CONTACT, DROP.format(agreed=1, columns="", values="")], "few-holders", {"holders": 1}),
        (
            [
                CONTACT,
                DROP.format(
                    agreed=1,
                    columns=", silent_seconds",
                    values=f", {limits.SILENT_SECONDS_MAX + 1}",
                ),
            ],
            "silent-holders",
            {"holders": 0, "holders_silent": 1},
        ),
        (
            [CONTACT, DROP.format(agreed=0, columns=", refusal", values=", 'It is full.'")],
            "unwilling-holder",
            {"holders": 0},
        ),
        ([REQUEST], "requests", {"requests_waiting": 1}),
        (
            [CONTENT, LETTER, PARCEL.format(state="waiting", delayed="5")],
            "late-here",
            {"letters_under_way": 1, "parcels_waiting": 1, "parcels_held": 0},
        ),
        (
            [
                CONTENT,
                LETTER,
                PARCEL.format(state="held", delayed="5"),
                PARCEL.format(state="waiting", delayed="NULL"),
            ],
            "late-held",
            {"letters_under_way": 1, "parcels_waiting": 1, "parcels_held": 1},
        ),
        ([REVOKED], "identity", {}),
    ],
)
def test_each_fact_of_the_store_is_gathered(
    tmp_path: Path, sql: list[str], code: str, counted: dict[str, int]
) -> None:
    async def scene(place: House, desk: HealthDesk) -> None:
        mine = (await ask(desk, "status"))["address"].partition("@")[0].partition(".")[2]
        for statement in sql:
            await damage(place, statement.format(mine=mine))
        status = await ask(desk, "status")
        assert code in codes(status)
        assert {key: status[key] for key in counted} == counted

    play(tmp_path, scene)


@pytest.mark.parametrize("octets", [b"", b"{}", b"\xff", b'{"made_at": 1e999}', b"[" * 60_000])
def test_a_damaged_note_of_the_last_backup_costs_nothing(tmp_path: Path, octets: bytes) -> None:
    async def scene(_: House, desk: HealthDesk) -> None:
        (tmp_path / "data" / last_backup.NAME).write_bytes(octets)
        assert "store" not in codes(await ask(desk, "status"))

    play(tmp_path, scene)


def test_a_backup_that_has_grown_old_is_told_with_the_line_to_type(tmp_path: Path) -> None:
    async def scene(_: House, desk: HealthDesk) -> None:
        for days, is_told in ((30, False), (31, True)):
            made = LastBackup("/media/a stick/mail", int(NOW) - days * limits.DAY, 1, 7)
            (tmp_path / "data" / last_backup.NAME).write_bytes(last_backup.written(made))
            status = await ask(desk, "status")
            assert ("backup-old" in codes(status)) == is_told
        (found,) = (
            one for one in (await ask(desk, "status"))["problems"] if one["code"] == "backup-old"
        )
        assert found["severity"] == "info"
        assert "31 days old" in found["summary"]
        assert found["next_step"].endswith("postroad backup to '/media/a stick/mail'")

    play(tmp_path, scene)


def test_what_is_set_aside_is_counted_and_listed(tmp_path: Path) -> None:
    async def scene(place: House, desk: HealthDesk) -> None:
        def note(sql: Sql) -> None:
            quarantine.note(sql, "letter", "7", "bad", NOW)
            quarantine.note(sql, "message", "8", "bad", NOW)
            quarantine.note(sql, "message", "9", "bad", NOW)

        await place.database.run(note)
        status = await ask(desk, "status")
        assert codes(status)[0] == "damaged"
        assert status["problems"][0]["summary"].startswith("2 messages in your folders are")
        assert "unreadable" in codes(status)
        listed = {"kind": "letter", "name": "7", "reason": "bad", "at": NOW}
        assert status["quarantine"][0] == listed
        assert len(status["quarantine"]) == 3

    play(tmp_path, scene)


def test_a_pause_is_told_and_the_ways_are_not_asked_for(tmp_path: Path) -> None:
    async def scene(place: House, desk: HealthDesk) -> None:
        place.ways.append(NO_NETWORK)
        await place.pauses.begin(None)
        status = await ask(desk, "status")
        assert (status["state"], status["paused"], status["paused_until"]) == ("paused", True, None)
        assert place.asked_ways == []
        assert "network" not in codes(status)

    play(tmp_path, scene)


class Broken:
    """A store whose disk fails."""

    trouble = ""

    async def read(self, work: object) -> None:
        raise TemporaryFailure("The disk did not take it (disk I/O error); try again later.")


def test_a_store_that_cannot_be_read_is_a_fact_and_no_failure(tmp_path: Path) -> None:
    async def run() -> None:
        async with house(tmp_path) as (place, keys):
            desk = place.desk(keys, cast(Database, Broken()))
            status = await ask(desk, "status")
            for answer in (status, await ask(desk, "health")):
                assert (answer["state"], answer["health"]) == ("degraded", "broken")
                assert codes(answer)[0] == "store"
                assert "disk I/O error" in answer["problems"][0]["summary"]
            assert status["quarantine"] == []

    asyncio.run(run())


def test_a_commit_that_failed_is_told_until_the_next_one_succeeds(tmp_path: Path) -> None:
    async def run() -> None:
        async with house(tmp_path) as (place, keys):
            desk = place.desk(keys)

            def fill(sql: Sql) -> None:
                sql.execute("PRAGMA max_page_count = 1")
                sql.execute("CREATE TABLE big (octets BLOB) STRICT")
                sql.execute("INSERT INTO big VALUES (zeroblob(1000000))")

            with pytest.raises(DiskFull):
                await place.database.run(fill)
            answer = await ask(desk, "health")
            assert (codes(answer)[0], answer["health"]) == ("store", "broken")
            await place.database.run(lambda sql: sql.execute("PRAGMA max_page_count = 4294967294"))
            assert "store" not in codes(await ask(desk, "health"))

    asyncio.run(run())


def test_whoever_waits_for_a_change_hears_of_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "CHANGED_SECONDS_MIN", 0.0)

    async def scene(place: House, desk: HealthDesk) -> None:
        first = await ask(desk, "changed")
        waiting = asyncio.create_task(ask(desk, "changed", **first))
        await asyncio.sleep(0)
        assert not waiting.done()
        place.bell.ring()
        second = await waiting
        assert second["seen"] == first["seen"] + 1
        place.bell.ring()  # while nobody asked: it is told at once
        assert (await ask(desk, "changed", **second))["seen"] == second["seen"] + 1
        assert await ask(desk, "changed", seen="what is no number") == {"seen": place.bell.count}

    play(tmp_path, scene)


def test_nobody_waits_for_a_change_longer_than_a_request_may_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert health.CHANGED_SECONDS_MAX + health.CHANGED_SECONDS_MIN < limits.CONTROL_SECONDS_MAX
    monkeypatch.setattr(health, "CHANGED_SECONDS_MAX", 0.0)

    async def scene(place: House, desk: HealthDesk) -> None:
        first = await ask(desk, "changed")
        assert await ask(desk, "changed", **first) == first

    play(tmp_path, scene)
