"""A restored copy of the database: what it gives out from now on was never given out before."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from doors.imap_fixture import ImapHouse, imap_store
from fakes import NOW, FakeEntropy, someone
from postroad.base import limits
from postroad.base.ids import DropId, Instant
from postroad.store import held, snapshot
from postroad.store.contents import file_name
from postroad.store.database import FILE_NAME, connect
from postroad.store.mailboxes import Flag

ANNA = someone("anna")
MADE_AT = int(NOW)
LETTER = b"From: a@b\r\nSubject: %d\r\n\r\nbody\r\n"
LETTERS = 1_000  # that come between two restorations


class Dice(FakeEntropy):
    """They fall the same way each time."""

    def __init__(self, chance: float) -> None:
        super().__init__()
        self._chance = chance

    def uniform(self) -> float:
        return self._chance


def made(folder: Path) -> Path:
    """A database as a backup has it: an INBOX with three letters, and somebody's drop."""
    folder.mkdir()

    async def run() -> None:
        async with imap_store(folder) as house:
            for number in range(3):
                await house.file(LETTER % number)
            await house.database.run(
                lambda sql: held.rent(sql, DropId(b"d" * 16), b"k" * 32, ANNA.fingerprint, NOW)
            )

    asyncio.run(run())
    return folder / FILE_NAME


def restored(backup: Path, name: str, entropy: FakeEntropy, seconds: float) -> tuple[int, int, int]:
    """Restored so long after the backup: its next UID, mod-sequence and arrival."""
    folder = backup.parent.parent / name
    folder.mkdir()
    path = shutil.copy(backup, folder / FILE_NAME)
    now = Instant(MADE_AT + seconds)
    snapshot.settle(Path(path), ANNA.fingerprint, now, MADE_AT, entropy)
    assert snapshot.is_settled(Path(path).read_bytes()[: snapshot.HEAD_BYTES])
    with closing(connect(str(path))) as sql:
        uid, modseq = sql.execute(
            "SELECT uid_next, highest_modseq FROM mailbox WHERE name = 'INBOX'"
        ).fetchone()
        (arrival,) = sql.execute("SELECT arrivals FROM held_drop").fetchone()
    assert not snapshot.is_settled(Path(path).read_bytes()[: snapshot.HEAD_BYTES])
    return uid, modseq, arrival


def test_the_later_of_two_restorations_of_one_backup_goes_further(tmp_path: Path) -> None:
    """However the dice fall: after two weeks no UID, after two seconds no other number."""
    backup = made(tmp_path / "backup")
    first = restored(backup, "first", Dice(0.999_999), 10.0)
    soon = restored(backup, "soon", Dice(0.0), 12.0)
    later = restored(backup, "later", Dice(0.0), 10.0 + 14 * limits.DAY)
    assert later[0] > first[0] + LETTERS
    for at in (1, 2):
        assert later[at] > soon[at] > first[at] + LETTERS


def test_two_restorations_at_the_same_moment_go_apart(tmp_path: Path) -> None:
    backup = made(tmp_path / "backup")
    found = [restored(backup, str(seed), FakeEntropy(seed), 60.0) for seed in range(12)]
    for at in (0, 1, 2):
        numbers = sorted(one[at] for one in found)
        gaps = [after - before for before, after in pairwise(numbers)]
        assert min(gaps) > LETTERS


def test_a_wrong_clock_uses_up_no_more_than_a_year_of_numbers(tmp_path: Path) -> None:
    backup = made(tmp_path / "backup")
    behind = restored(backup, "behind", Dice(0.0), -400 * limits.DAY)
    ahead = restored(backup, "ahead", Dice(0.999_999), 90 * 365 * limits.DAY)
    assert behind[0] > snapshot.UIDS_SKIPPED
    assert ahead[0] < 1 << 28
    assert ahead[1] < 1 << 60
    assert ahead[2] < 1 << 60


def test_what_changed_since_a_moment_of_the_lost_node_is_told_whole(tmp_path: Path) -> None:
    """A program asks by the mod-sequence that the lost node told it last (RFC 7162): it hears the
    flags of all that is there, and that what came after the backup is gone; nothing twice."""
    folder = tmp_path / "lost"
    backup = shutil.copytree(made(folder).parent, tmp_path / "backup")
    known = 0

    async def live_on(house: ImapHouse) -> None:
        nonlocal known
        opened = await house.mailboxes.open("INBOX", claim=False)
        for number in range(3, 10):
            await house.file(LETTER % number)
        await house.database.run(
            lambda sql: sql.execute("UPDATE message SET flags = ?", (Flag.SEEN.value,)).close()
        )
        known = (await house.mailboxes.changes(opened.mailbox_id, 0, claim=False)).modseq

    async def ask(house: ImapHouse) -> None:
        opened = await house.mailboxes.open("INBOX", claim=False)
        changes = await house.mailboxes.changes(opened.mailbox_id, known, claim=False)
        assert [one.uid for one in changes.flags] == [1, 2, 3]
        assert {one.bits for one in changes.flags} == {0}, "as in the backup"
        assert set(range(4, 11)) <= set(changes.expunged)
        assert not {1, 2, 3} & set(changes.expunged)
        assert len(changes.expunged) == len(set(changes.expunged))
        assert changes.modseq > known
        again = await house.mailboxes.changes(opened.mailbox_id, changes.modseq, claim=False)
        assert (again.flags, again.expunged) == ((), ())

    async def run() -> None:
        async with imap_store(folder) as house:
            await live_on(house)
        now = Instant(MADE_AT + 60.0)
        snapshot.settle(backup / FILE_NAME, ANNA.fingerprint, now, MADE_AT, FakeEntropy())
        async with imap_store(backup) as house:
            await ask(house)

    asyncio.run(run())


def test_letters_are_named_by_the_file_of_the_database_itself(tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    path = made(folder)

    async def run() -> None:
        async with imap_store(folder) as house:
            await house.file(LETTER % 9 + b"x" * 100_000)

    asyncio.run(run())
    with closing(connect(str(path))) as sql:
        (digest,) = sql.execute("SELECT sha256 FROM content WHERE octets IS NULL").fetchone()
        sql.execute("PRAGMA journal_mode = DELETE")
    found = snapshot.letters_in(path, {file_name(digest)})
    assert (found.told, found.files) == (["message 4 in INBOX"], {file_name(digest)})
    assert snapshot.letters_in(path, {"bodies/00"}).told == []
    path.write_bytes(path.read_bytes()[:4096] + bytes(path.stat().st_size - 4096))
    found = snapshot.letters_in(path, {file_name(digest)})
    assert (found.told, found.files) == ([], set())


@pytest.mark.parametrize("name", ["statistics", "incoming", "audit"])
def test_a_damaged_table_that_was_set_aside_is_no_fault_and_another_is(
    tmp_path: Path, name: str
) -> None:
    path = made(tmp_path / "mail")
    with closing(connect(str(path))) as sql:
        sql.execute(f"ALTER TABLE {name} RENAME TO {name}_set_aside_1")
        sql.execute("PRAGMA journal_mode = DELETE")
    overwrite(path, f"{name}_set_aside_1")
    assert snapshot.fault(path) == ""
    overwrite(path, "mailbox")
    assert snapshot.fault(path) != ""


def overwrite(path: Path, table: str) -> None:
    """The first page of this table."""
    with closing(connect(str(path))) as sql:
        sql.execute("PRAGMA journal_mode = DELETE")
        (page,) = sql.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)
        ).fetchone()
        (page_bytes,) = sql.execute("PRAGMA page_size").fetchone()
    assert snapshot.fault(path) == "" or table != "mailbox"
    with path.open("r+b") as file:
        file.seek((page - 1) * page_bytes)
        file.write(b"\1" * page_bytes)
