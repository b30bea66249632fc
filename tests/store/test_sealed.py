"""Sealed letters as bytes: in and out in pieces, kept once, and no longer than needed."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from fakes import NOW, Store, opened_store, with_database
from postroad.base import limits
from postroad.base.ids import DropId, Fingerprint, Instant, MailId
from postroad.machine.disk import FolderDisk
from postroad.store import held
from postroad.store.contents import Damaged
from postroad.store.database import Database
from postroad.store.sealed import Arriving, SealedStore, file_name

EDGE = limits.BODY_IN_DATABASE_BYTES_MAX
SIZES = [0, 1, EDGE - 1, EDGE, EDGE + 1, 3 * EDGE + 7]
DROP = DropId(b"d" * 16)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened_store(tmp_path) as opened:
        yield opened


def letter(size: int, seed: int = 1) -> bytes:
    return Random(seed * 1000 + size).randbytes(size)


def mail_id(octets: bytes) -> MailId:
    return MailId(hashlib.sha256(octets).digest())


def arrived(store: Store, octets: bytes, step: int = 9000) -> Arriving:
    arriving = store.sealed.arriving(len(octets))
    for at in range(0, len(octets), step):
        arriving.write(octets[at : at + step])
    return arriving


def kept(store: Store, octets: bytes) -> MailId:
    return store.sealed.put_all(
        store.sql, [octets[at : at + 9000] for at in range(0, len(octets), 9000)], len(octets)
    )


def hold(store: Store, octets: bytes) -> MailId:
    if held.drop(store.sql, DROP) is None:
        held.rent(store.sql, DROP, bytes(32), Fingerprint("f" * 32), NOW)
    found = kept(store, octets)
    held.put_letter(store.sql, DROP, found, len(octets), Instant(NOW + 3600), None)
    return found


def send(store: Store, octets: bytes, state: str, number: int) -> MailId:
    """A parcel of ours in this state, sealed to these octets."""
    content = store.contents.put(store.sql, b"body")
    store.sql.execute(
        """INSERT INTO letter (id, nonce, kind, content_id, accepted_at, expires_at, visible)
           VALUES (?, ?, 1, ?, ?, ?, '[]')""",
        (number, number.to_bytes(16, "big"), content, NOW, NOW),
    )
    found = kept(store, octets)
    store.sql.execute(
        """INSERT INTO parcel (letter_id, recipient, fingerprint, blind, notify, state, due_at,
                               ended_at, mail_id, content_key)
           VALUES (?, 'x', 'y', 0, 0, ?, ?, ?, ?, zeroblob(32))""",
        (number, state, NOW, None if state in ("waiting", "held") else NOW, found),
    )
    return found


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("step", [1000, EDGE, 10**7])
def test_a_letter_comes_in_piece_by_piece_and_is_there_whole(
    store: Store, size: int, step: int
) -> None:
    octets = letter(size)
    arriving = arrived(store, octets, step)
    assert arriving.mail_id == mail_id(octets)
    assert arriving.received == size
    assert arriving.read(0, size) == octets  # it can be opened before it is put away
    assert arriving.read(size // 2, 10) == octets[size // 2 : size // 2 + 10]
    assert arriving.read(size, 10) == b""
    found = store.sealed.put(store.sql, arriving)
    arriving.discard()  # harmless now
    assert found == mail_id(octets)
    assert store.sealed.size(store.sql, found) == size
    assert store.sealed.is_whole(store.sql, found)
    for at in (0, 1, size // 2, max(size - 5, 0), size):
        assert store.sealed.read(store.sql, found, at, 9) == octets[at : at + 9]
    assert store.disk.names("spool") == []


def test_memory_does_not_grow_with_the_letter(store: Store) -> None:
    large = store.sealed.arriving(EDGE + 1)
    assert large.small is None
    assert large.spool is not None
    large.discard()
    assert store.disk.names("spool") == []


@pytest.mark.parametrize("size", SIZES)
def test_a_letter_goes_out_in_bounded_pieces(tmp_path: Path, size: int) -> None:
    octets = letter(size)

    async def work(database: Database, disk: FolderDisk) -> None:
        sealed = SealedStore(disk)
        found = await database.run(lambda sql: sealed.put_all(sql, [octets], size))
        pieces = [piece async for piece in sealed.pieces(database, found, size)]
        assert b"".join(pieces) == octets
        assert all(0 < len(piece) <= limits.BULK_CHUNK_BYTES for piece in pieces)

    with_database(tmp_path, work)


@pytest.mark.parametrize("size", [100, 3 * EDGE])
def test_a_letter_that_ends_early_is_never_passed_on_as_whole(tmp_path: Path, size: int) -> None:
    octets = letter(size)

    async def work(database: Database, disk: FolderDisk) -> None:
        sealed = SealedStore(disk)
        found = await database.run(lambda sql: sealed.put_all(sql, [octets], size))
        for wanted in (size + 1, size + limits.BULK_CHUNK_BYTES):
            with pytest.raises(Damaged):
                _ = [piece async for piece in sealed.pieces(database, found, wanted)]
        if size > EDGE:
            path = tmp_path / file_name(found)
            path.write_bytes(octets[:-1])
            with pytest.raises(Damaged):
                _ = [piece async for piece in sealed.pieces(database, found, size)]
            path.unlink()
            with pytest.raises(Damaged):
                _ = [piece async for piece in sealed.pieces(database, found, size)]
        with pytest.raises(Damaged):
            _ = [piece async for piece in sealed.pieces(database, MailId(bytes(32)), 10)]
        with pytest.raises(Damaged):
            await database.run(lambda sql: sealed.size(sql, MailId(bytes(32))))

    with_database(tmp_path, work)


@pytest.mark.parametrize("size", [100, 3 * EDGE])
def test_a_letter_that_is_there_already_is_kept_once(store: Store, size: int) -> None:
    octets = letter(size)
    assert kept(store, octets) == kept(store, octets)
    assert store.sql.execute("SELECT count(*) FROM sealed").fetchone() == (1,)
    assert store.disk.names("spool") == []


@pytest.mark.parametrize("broken", [None, b"", letter(3 * EDGE)[:-1]])
def test_a_letter_that_the_disk_lost_is_whole_when_it_comes_again(
    store: Store, broken: bytes | None
) -> None:
    octets = letter(3 * EDGE)
    found = kept(store, octets)
    path = Path(store.disk.folder) / file_name(found)
    path.unlink()
    if broken is not None:
        path.write_bytes(broken)
    assert not store.sealed.is_whole(store.sql, found)
    kept(store, octets)
    assert store.sealed.is_whole(store.sql, found)
    assert store.sealed.read(store.sql, found, 0, len(octets)) == octets


def test_a_letter_given_up_half_way_leaves_nothing(store: Store) -> None:
    def chunks() -> Iterator[bytes]:
        yield bytes(EDGE)
        raise ConnectionError("the sender is gone")

    with pytest.raises(ConnectionError):
        store.sealed.put_all(store.sql, chunks(), 3 * EDGE)
    assert store.disk.names("spool") == []
    assert store.disk.names("sealed") == []


def test_a_crash_between_file_and_commit_leaves_a_file_that_is_swept(store: Store) -> None:
    safe = hold(store, letter(2 * EDGE, 1))
    store.sql.execute("BEGIN")
    lost = kept(store, letter(2 * EDGE, 2))
    store.sql.execute("ROLLBACK")
    assert store.disk.names("sealed") == sorted([safe.hex(), lost.hex()])
    store.sealed.remove_orphans(store.sql)
    assert store.disk.names("sealed") == [safe.hex()]
    assert store.sealed.read(store.sql, safe, 0, 2 * EDGE) == letter(2 * EDGE, 1)


def test_only_what_somebody_still_waits_for_is_kept(store: Store) -> None:
    large = 2 * EDGE
    needed = [
        hold(store, letter(large, 1)),
        hold(store, letter(100, 2)),
        send(store, letter(large, 3), "waiting", 3),
        send(store, letter(100, 4), "held", 4),
    ]
    over = [
        send(store, letter(large, number), state, number)
        for number, state in enumerate(("delivered", "refused", "expired", "cancelled"), 5)
    ]
    buried = hold(store, letter(large, 9))
    held.bury(store.sql, DROP, buried, b"receipt")
    nobodys = kept(store, letter(large, 10))
    both = hold(store, letter(large, 11))  # our own parcel, held for a contact and buried there
    send(store, letter(large, 11), "waiting", 11)
    held.bury(store.sql, DROP, both, b"receipt")

    store.sealed.forget_unused(store.sql)
    store.sealed.remove_orphans(store.sql)
    left = {MailId(found) for (found,) in store.sql.execute("SELECT mail_id FROM sealed")}
    assert left == {*needed, both}
    assert not left & {*over, buried, nobodys}
    assert all(store.sealed.is_whole(store.sql, found) for found in left)
    assert len(list(store.disk.names("sealed"))) == 3


def test_a_letter_that_comes_again_between_forgetting_and_sweeping_is_kept(store: Store) -> None:
    octets = letter(2 * EDGE)
    kept(store, octets)
    store.sealed.forget_unused(store.sql)
    found = hold(store, octets)
    store.sealed.remove_orphans(store.sql)
    assert store.sealed.is_whole(store.sql, found)
