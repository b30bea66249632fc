"""What stands at a holder in the place of a letter that has to be sealed anew."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes import NOW, FakeClock, opened_store, peer, someone, sure, with_database
from postroad.base import limits
from postroad.base.ids import DropId, Instant, MailId
from postroad.base.tlv import encode
from postroad.machine.disk import FolderDisk
from postroad.protocol import wire
from postroad.protocol.holding import Relation, quota
from postroad.protocol.wire_reseal import sign_reseal
from postroad.store import held, people, renters
from postroad.store.database import Database, Sql
from postroad.store.sealed import SealedStore
from postroad.store.shelves import Shelves

ANNA = someone("anna")
DROP = DropId(b"d" * 16)
EXPIRES = Instant(NOW + limits.DAY)
OCTETS = b"a sealed letter"
MAIL = MailId(hashlib.sha256(OCTETS).digest())
WISH = sign_reseal(MAIL, bytes(16), 7, ANNA.device)


@pytest.fixture
def sql(tmp_path: Path) -> Iterator[Sql]:
    with opened_store(tmp_path) as store:
        held.rent(store.sql, DROP, bytes(32), ANNA.fingerprint, NOW)
        held.put_letter(store.sql, DROP, MAIL, 100, EXPIRES, None)
        yield store.sql


def test_it_is_no_letter_any_more_and_takes_no_room(sql: Sql) -> None:
    room = quota(Relation.CONTACT)
    sql.execute("UPDATE held_letter SET size = ?", (room.open_octets,))
    assert not renters.has_room(sql, DROP, 1, None, room)
    held.ask_to_reseal(sql, DROP, MAIL, encode(WISH))
    assert renters.has_room(sql, DROP, 1, None, room)
    assert held.letters(sql, DROP, 0, 10) == []
    (told,) = held.changes(sql, DROP, 0, NOW, limits.SEALED_BYTES_MAX)  # to the other holders
    assert told.reseal == encode(WISH)
    assert (held.lying(sql), held.drops_with_letters(sql)) == (0, [])


def test_it_stays_a_week_longer_than_the_letter_would_have(sql: Sql) -> None:
    held.ask_to_reseal(sql, DROP, MAIL, encode(WISH))
    held.forget_expired(sql, sure(EXPIRES + limits.TOMBSTONE_SECONDS))
    assert held.letter(sql, DROP, MAIL) is not None
    held.forget_expired(sql, sure(EXPIRES + limits.TOMBSTONE_SECONDS + 1))
    assert held.letter(sql, DROP, MAIL) is None


def test_a_receipt_is_stronger_whichever_came_first(sql: Sql) -> None:
    held.bury(sql, DROP, MAIL, b"receipt")
    held.ask_to_reseal(sql, DROP, MAIL, encode(WISH))
    found = held.letter(sql, DROP, MAIL)
    assert found is not None
    assert (found.tombstone, found.reseal) == (b"receipt", None)
    sql.execute("UPDATE held_letter SET tombstone = NULL")
    held.ask_to_reseal(sql, DROP, MAIL, encode(WISH))
    held.bury(sql, DROP, MAIL, b"receipt")
    found = held.letter(sql, DROP, MAIL)
    assert found is not None
    assert found.tombstone == b"receipt"


def test_whoever_brings_or_asks_hears_of_it_and_a_damaged_one_lets_the_letter_come_again(
    tmp_path: Path,
) -> None:
    async def work(database: Database, disk: FolderDisk) -> None:
        shelves = Shelves(database, SealedStore(disk), FakeClock(), peer(77))
        deposit = wire.Deposit(DROP, MAIL, len(OCTETS), int(EXPIRES), None, None)

        def befriend(sql: Sql) -> None:
            people.add_contact(sql, ANNA.record(), NOW, my_ticket=None, their_ticket=None)
            held.rent(sql, DROP, bytes(32), ANNA.fingerprint, NOW)
            held.put_letter(sql, DROP, MAIL, len(OCTETS), EXPIRES, None)

        await database.run(befriend)
        await shelves.ask_to_reseal(DROP, WISH)
        assert await shelves.offer(deposit) == await shelves.tombstone(DROP, MAIL) == WISH
        assert await shelves.size_of(DROP, MAIL) is None
        await database.run(
            lambda sql: sql.execute("UPDATE held_letter SET reseal = x'00'").rowcount
        )
        assert await shelves.tombstone(DROP, MAIL) is None
        assert await shelves.offer(deposit) == wire.Take()
        assert await shelves.size_of(DROP, MAIL) == len(OCTETS)

    with_database(tmp_path, work)
