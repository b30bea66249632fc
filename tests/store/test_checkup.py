"""Whether the store is whole, how large it is, and that it gets smaller without losing anything."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes import NOW, Store, opened_store
from postroad.base import limits
from postroad.base.errors import ConfigurationError, DiskFull
from postroad.store import checkup
from postroad.store.checkup import Fault
from postroad.store.database import FILE_NAME

SMALL = b"Subject: short\r\n\r\n" + bytes(200)
LARGE = bytes(range(256)) * 1000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened_store(tmp_path) as opened:
        yield opened


def filled(store: Store) -> None:
    """A small and a large message, and a sealed letter of either kind."""
    store.sql.execute("INSERT INTO mailbox (name, uid_validity) VALUES ('INBOX', 1)")
    for uid, octets in enumerate((SMALL, LARGE), 1):
        content = store.contents.put(store.sql, octets)
        store.sql.execute(
            """INSERT INTO message (mailbox_id, uid, modseq, internal_date, content_id, size)
               VALUES (1, ?, 1, ?, ?, 1)""",
            (uid, NOW, content),
        )
        store.sealed.put_all(store.sql, [octets], len(octets))


def found(folder: Path) -> list[Fault]:
    seen: list[int] = []
    faults = checkup.read_file(folder, lambda sql: list(checkup.faults(sql, folder, seen.append)))
    wanted = checkup.read_file(folder, checkup.octets_to_check)
    if not any(one.what == "database" for one in faults):
        assert sum(seen) == wanted
    return faults


def file_of(folder: Path, kind: str) -> Path:
    (path,) = (folder / kind).iterdir()
    return path


def test_a_whole_store_is_found_whole_while_it_is_in_use(store: Store, tmp_path: Path) -> None:
    filled(store)
    assert found(tmp_path) == []
    assert checkup.read_file(tmp_path, checkup.count) == checkup.Count(2, 1, 0, 0, 0)
    size = checkup.read_file(tmp_path, lambda sql: checkup.size(sql, tmp_path))
    assert size.bodies == size.sealed == len(LARGE)
    assert size.database >= (tmp_path / FILE_NAME).stat().st_size
    assert size.free > 0
    assert checkup.promises(store.sql) == ("wal", 2)


def test_a_file_that_is_missing_or_changed_is_named_with_its_message(
    store: Store, tmp_path: Path
) -> None:
    filled(store)
    body, sealed = file_of(tmp_path, "bodies"), file_of(tmp_path, "sealed")
    body.write_bytes(LARGE[:-1] + b"x")
    sealed.unlink()
    assert found(tmp_path) == [
        Fault("body", body.name, "its file is not what was stored", "the message 2 in INBOX"),
        Fault("sealed letter", sealed.name, "its file is missing"),
    ]
    body.unlink()
    body.mkdir()
    assert "cannot be read" in found(tmp_path)[0].reason


def test_octets_that_changed_in_a_row_are_found(store: Store, tmp_path: Path) -> None:
    filled(store)
    for table in ("content", "sealed"):
        store.sql.execute(f"UPDATE {table} SET octets = zeroblob(size) WHERE octets IS NOT NULL")
    faults = found(tmp_path)
    assert [(one.what, one.where) for one in faults] == [
        ("body", "the message 1 in INBOX"),
        ("sealed letter", ""),
    ]
    assert {one.reason for one in faults} == {"it is not what was stored"}


def test_what_went_while_it_was_looked_at_is_no_fault(store: Store, tmp_path: Path) -> None:
    filled(store)

    def look(sql: sqlite3.Connection) -> list[Fault]:
        faults = checkup.faults(sql, tmp_path, lambda _: forget())
        return list(faults)

    def forget() -> None:
        store.sql.execute("DELETE FROM message")
        store.contents.forget_unused(store.sql)
        store.contents.remove_orphans(store.sql)

    assert checkup.read_file(tmp_path, look) == []


def test_a_node_that_starts_while_the_store_is_looked_at_damages_nothing(tmp_path: Path) -> None:
    with opened_store(tmp_path) as store:
        filled(store)
        store.sql.execute("CREATE TABLE many (text TEXT)")

    def look(sql: sqlite3.Connection) -> list[Fault]:
        assert checkup.octets_to_check(sql) > 0
        with opened_store(tmp_path) as node:
            node.sql.executemany("INSERT INTO many VALUES (?)", [("x" * 500,)] * 5000)
            node.sql.execute("DROP TABLE many")
            node.sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            node.sql.execute("VACUUM")
            node.sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return list(checkup.faults(sql, tmp_path, lambda _: None))

    assert checkup.read_file(tmp_path, look) == []
    assert not list(tmp_path.glob("*-wal"))


def test_a_damaged_database_is_told_and_not_raised(tmp_path: Path) -> None:
    with opened_store(tmp_path) as store:
        filled(store)
        store.sql.execute("CREATE TABLE many (text TEXT)")
        store.sql.executemany("INSERT INTO many VALUES (?)", [("x" * 500,)] * 500)
    path = tmp_path / FILE_NAME
    octets = bytearray(path.read_bytes())
    for page in range(60 * 4096, len(octets) - 4096, 3 * 4096):
        octets[page : page + 64] = bytes(64)
    path.write_bytes(octets)
    assert {one.what for one in found(tmp_path)} == {"database"}
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        checkup.read_file(tmp_path, checkup.count)
    with pytest.raises(ConfigurationError, match="There is no store"):
        checkup.read_file(tmp_path / "elsewhere", checkup.count)


def test_a_row_that_names_what_is_not_there_is_a_fault(store: Store, tmp_path: Path) -> None:
    store.sql.execute("PRAGMA foreign_keys = OFF")
    filled(store)
    store.sql.execute("DELETE FROM mailbox")
    assert found(tmp_path)[0].what == "database"
    assert "names what is not in mailbox" in found(tmp_path)[0].reason


def deleted_much(folder: Path) -> None:
    with opened_store(folder) as store:
        filled(store)
        for number in range(300):
            store.contents.put(store.sql, number.to_bytes(4, "big") * 5000)
        store.contents.forget_unused(store.sql)


def test_compacting_gives_back_what_was_deleted_and_keeps_all_else(tmp_path: Path) -> None:
    deleted_much(tmp_path)
    before, after = checkup.compact(tmp_path)
    assert before > 4_000_000 > after
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / checkup.DRAFT).exists()
    with opened_store(tmp_path) as store:
        assert [store.contents.get(store.sql, number) for number in (1, 2)] == [SMALL, LARGE]
        assert checkup.written_format(store.sql) == checkup.FORMAT
        assert checkup.promises(store.sql) == ("wal", 2)
        assert found(tmp_path) == []


def test_compacting_wants_room_for_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deleted_much(tmp_path)
    kept = (tmp_path / FILE_NAME).read_bytes()
    monkeypatch.setattr(limits, "DISK_RESERVE_BYTES", 1 << 60)
    with pytest.raises(DiskFull):
        checkup.compact(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == kept


def test_compacting_waits_for_whoever_reads(tmp_path: Path) -> None:
    deleted_much(tmp_path)
    reading, done = threading.Event(), threading.Event()

    def read(sql: sqlite3.Connection) -> None:
        sql.execute("BEGIN")
        sql.execute("SELECT count(*) FROM message").fetchone()
        reading.set()
        done.wait(30)

    with opened_store(tmp_path):  # so that there is a log, which the reader uses as well
        reader = threading.Thread(target=checkup.read_file, args=(tmp_path, read))
        reader.start()
        assert reading.wait(30)
    with pytest.raises(ConfigurationError, match="Somebody reads the store"):
        checkup.compact(tmp_path)
    done.set()
    reader.join()
    assert checkup.compact(tmp_path)[1] < 4_000_000
