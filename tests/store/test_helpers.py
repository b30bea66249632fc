"""Helpers of ours, and a helper's guest book: one secret, one person."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from fakes import NOW, FakeClock, FakeEntropy, contact, opened_store, peer, someone
from postroad.base import limits
from postroad.base.errors import ConfigurationError, PeerMisbehaved
from postroad.base.ids import DropId, HostPort, Instant, Ticket
from postroad.base.tlv import encode
from postroad.machine.disk import FolderDisk
from postroad.protocol.contacts import encode_contact
from postroad.store import helper_key, helpers, invitations, people, rented
from postroad.store.database import Database, Sql
from postroad.store.helpers import GuestBook

ANNA, BEN = someone("anna"), someone("ben")
LATER = Instant(NOW + 100)
SECRET, OTHER_SECRET = b"s" * 16, b"o" * 16


def test_a_helper_is_kept_told_and_forgotten(tmp_path: Path) -> None:
    with opened_store(tmp_path) as store:
        sql = store.sql
        box = contact(peer(1))
        helpers.keep(sql, box, "box", 7, NOW)
        (row,) = helpers.helpers(sql)
        assert (row.contact, row.name, row.told, row.refusal) == (box, "box", 7, "")
        helpers.refused(sql, box.peer, "Go away.", NOW)
        (row,) = helpers.helpers(sql)
        assert (row.told, row.refusal) == (0, "Go away.")
        moved = replace(box, addresses=(HostPort("203.0.113.9", 46464),))
        helpers.keep(sql, moved, "box", 8, NOW)
        (row,) = helpers.helpers(sql)
        assert (row.contact, row.told, row.refusal) == (moved, 8, "")
        sql.execute("UPDATE helper SET contact = x'00'")
        assert helpers.helpers(sql) == []
        helpers.forget(sql, box.peer, NOW)
        assert sql.execute("SELECT count(*) FROM helper").fetchone() == (0,)


def test_a_damaged_row_of_a_helper_does_not_hide_our_drop_there(tmp_path: Path) -> None:
    with opened_store(tmp_path) as store:
        sql, box = store.sql, contact(peer(1))
        helpers.keep(sql, box, "box", 7, NOW)
        drop = DropId(bytes(16))
        place = encode_contact(box)
        rented.add_my_drop(sql, drop, bytes(32), box.peer, helpers.OF_A_HELPER, place=place)
        sql.execute("UPDATE helper SET contact = x'00'")
        (mine,) = rented.my_drops(sql)
        assert rented.holder_of(sql, mine) == box


def played(tmp_path: Path, steps: list[tuple[bytes | None, bytes, bytes]]) -> list[str | None]:
    """What the guest book answers to these, one after the other; SECRET and OTHER_SECRET exist."""

    async def play() -> list[str | None]:
        disk = FolderDisk(tmp_path / "data")
        clock = FakeClock()
        try:
            async with Database(disk) as database:

                def invite(sql: Sql) -> None:
                    for secret in (SECRET, OTHER_SECRET):
                        invitations.add(sql, secret, Ticket(bytes(16)), NOW, LATER)

                await database.run(invite)
                book = GuestBook(database, clock)
                return [
                    await book.sign_in(secret, record, asker)  # type: ignore[arg-type]
                    for secret, record, asker in steps
                ]
        finally:
            disk.close()

    return asyncio.run(play())


def test_a_secret_makes_one_person_known_for_good(tmp_path: Path) -> None:
    anna, ben = encode(ANNA.record()), encode(BEN.record())
    newer = encode(ANNA.record(2))
    answers = played(
        tmp_path,
        [
            (None, anna, ANNA.device.peer),
            (b"x" * 16, anna, ANNA.device.peer),
            (SECRET, anna, ANNA.device.peer),
            (SECRET, anna, ANNA.device.peer),  # the answer was lost, and they ask again
            (None, newer, ANNA.device.peer),
            (SECRET, ben, BEN.device.peer),
            (OTHER_SECRET, ben, BEN.device.peer),
        ],
    )
    assert [answer is None for answer in answers] == [False, False, True, True, True, False, True]


def test_who_was_removed_takes_nobodys_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HELPED_MAX", 1)
    with opened_store(tmp_path) as store:
        invitations.add(store.sql, SECRET, Ticket(bytes(16)), NOW, LATER)
        people.add_contact(store.sql, ANNA.record(), NOW, my_ticket=None, their_ticket=None)
        assert helpers._why_not(store.sql, SECRET, NOW) is not None
        people.block(store.sql, ANNA.fingerprint)
        assert helpers._why_not(store.sql, SECRET, NOW) is None


def test_somebody_elses_record_opens_nothing(tmp_path: Path) -> None:
    with pytest.raises(PeerMisbehaved, match="another device"):
        played(tmp_path, [(SECRET, encode(ANNA.record()), BEN.device.peer)])
    forged = replace(ANNA.record(), name="mallory")
    with pytest.raises(PeerMisbehaved):
        played(tmp_path / "other", [(SECRET, encode(forged), ANNA.device.peer)])


def test_the_helpers_key_stays_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    disk = FolderDisk(tmp_path / "data")
    try:
        key = helper_key.load(disk, FakeEntropy(1))
        assert helper_key.load(disk, FakeEntropy(2)) == key
        path = tmp_path / "data" / helper_key.FILE_NAME
        assert path.stat().st_mode & 0o777 == 0o600
        octets = bytearray(path.read_bytes())
        octets[3] ^= 1
        path.write_bytes(octets)
        with pytest.raises(ConfigurationError, match="damaged"):
            helper_key.load(disk, FakeEntropy(2))
    finally:
        disk.close()
