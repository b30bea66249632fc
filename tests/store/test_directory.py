"""What the directory remembers is there after a start, and is the newest."""

from pathlib import Path

import pytest

from fakes import NOW, FakeClock, FakeEntropy, peer, someone, with_database
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Contact, HostPort
from postroad.base.tlv import encode
from postroad.machine.disk import FolderDisk
from postroad.peers.directory.storage import Records, Shelf
from postroad.protocol.contacts import encode_contact
from postroad.protocol.directory import read_statement
from postroad.store import people
from postroad.store.database import Database
from postroad.store.directory import DirectoryShelf, acquaintances

ANNA, BORA = someone("anna"), someone("bora")
shelf_keeps_the_protocol: type[Shelf] = DirectoryShelf


def records(database: Database, clock: FakeClock) -> Records:
    return Records(bytes(20), DirectoryShelf(database), clock, FakeEntropy())


def test_records_are_there_after_a_start_and_end_with_their_expiry(tmp_path: Path) -> None:
    clock = FakeClock()
    old, new = (encode(ANNA.record(counter)) for counter in (1, 2))
    key = read_statement(old, NOW).key

    async def first(database: Database, _: FolderDisk) -> None:
        kept = records(database, clock)
        await kept.offer(None, old)
        await kept.offer(key, new)
        with pytest.raises(PeerMisbehaved, match="newer"):
            await kept.offer(key, old)

    async def second(database: Database, _: FolderDisk) -> None:
        kept = records(database, clock)
        await kept.load()
        assert kept[key] == new
        clock.advance(46 * 86400)
        assert kept.get(key) is None
        assert key not in kept
        await kept.forget_expired()
        assert await DirectoryShelf(database).load() == []

    with_database(tmp_path, first)
    with_database(tmp_path, second)


def test_a_row_that_does_not_verify_is_not_taken_up_again(tmp_path: Path) -> None:
    async def work(database: Database, _: FolderDisk) -> None:
        shelf = DirectoryShelf(database)
        record = encode(ANNA.record())
        statement = read_statement(record, NOW)
        await shelf.keep(statement.key, record[:-1] + b"x", statement)
        await shelf.keep(bytes(20), record, statement)
        kept = records(database, FakeClock())
        await kept.load()
        assert len(kept) == 0
        assert await shelf.load() == []

    with_database(tmp_path, work)


def test_good_peers_are_kept_in_their_order(tmp_path: Path) -> None:
    async def work(database: Database, _: FolderDisk) -> None:
        shelf = DirectoryShelf(database)
        some = [encode_contact(Contact(peer(n), (HostPort("8.8.8.8", 46464),))) for n in (3, 1, 2)]
        await shelf.keep_peers(some)
        assert await shelf.load_peers() == some
        await shelf.keep_peers(some[:1])
        assert await shelf.load_peers() == some[:1]

    with_database(tmp_path, work)


def test_we_join_by_way_of_contacts_and_then_of_their_holders(tmp_path: Path) -> None:
    async def work(database: Database, _: FolderDisk) -> None:
        for who in (ANNA.record(), BORA.record(drops=2)):
            await database.run(
                lambda sql, who=who: people.add_contact(  # type: ignore[misc]
                    sql, who, NOW, my_ticket=None, their_ticket=None
                )
            )
        await database.run(lambda sql: people.seen(sql, BORA.fingerprint, NOW))
        found = await database.read(lambda sql: acquaintances(sql, private=True))
        assert [contact.peer for contact in found] == [BORA.device.peer, ANNA.device.peer]

    with_database(tmp_path, work)
