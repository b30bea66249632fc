"""The audit log: chained, small, and never in anybody's way."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes import NOW, opened_store, with_database
from postroad.base import limits
from postroad.base.errors import ConfigurationError, PermanentFailure
from postroad.base.ids import Instant
from postroad.machine.disk import FolderDisk
from postroad.protocol.audit import Head, Report, Row, entry_of, examine, head_from
from postroad.store import audit
from postroad.store.database import FILE_NAME, Database, Sql
from postroad.store.schema import AUDIT_TABLE

ENTRIES = 8


@pytest.fixture
def sql(tmp_path: Path) -> Iterator[Sql]:
    with opened_store(tmp_path) as store:
        yield store.sql


def fill(sql: Sql, entries: int = ENTRIES) -> None:
    for number in range(entries):
        audit.note(sql, Instant(NOW + number), "contact added", address=f"someone{number}@x")


def report(sql: Sql, kept: Head | None = None) -> Report:
    rows, unreadable = audit.rows(sql)
    return examine(rows, audit.beside_the_log(sql), kept, unreadable)


def says(sql: Sql, kept: Head | None = None) -> str:
    return " ".join(fault.says for fault in report(sql, kept).faults)


def head(sql: Sql) -> Head:
    found = report(sql).head
    assert found is not None
    return found


def test_what_was_noted_is_told_and_the_chain_is_whole(sql: Sql) -> None:
    assert report(sql) == Report(0, 0, None, 0, ())
    fill(sql)
    found = report(sql)
    assert (found.entries, found.first, found.pruned, found.faults) == (ENTRIES, 1, 0, ())
    first = entry_of(audit.rows(sql)[0][0])
    assert first is not None
    assert (first.number, first.at, first.event) == (1, NOW, "contact added")
    assert first.facts == {"address": "someone0@x"}


def test_anybody_can_check_the_lines_with_sha256_alone(sql: Sql) -> None:
    fill(sql)
    previous = "0" * 64
    for row in audit.rows(sql)[0]:
        assert json.loads(row.line)["previous"] == previous
        previous = hashlib.sha256(row.line).hexdigest()
    assert str(head(sql)) == f"{ENTRIES}:{previous}"


@pytest.mark.parametrize("number", range(1, ENTRIES + 1))
def test_each_change_of_each_entry_is_found(sql: Sql, number: int) -> None:
    fill(sql)
    line = audit.rows(sql)[0][number - 1].line
    for forged in (line.replace(b"someone", b"nobody0"), line + b" ", b"", b"\xff" * 9):
        sql.execute("UPDATE audit SET line = ? WHERE number = ?", (forged, number))
        assert f"Entry {number} was changed" in says(sql)
    digest = hashlib.sha256(forged).digest()  # whoever knows how also changes the hash
    sql.execute("UPDATE audit SET hash = ? WHERE number = ?", (digest, number))
    assert says(sql)
    forged = line.replace(b"someone", b"nobody0")
    digest = hashlib.sha256(forged).digest()
    sql.execute("UPDATE audit SET line = ?, hash = ? WHERE number = ?", (forged, digest, number))
    last = number == ENTRIES
    assert ("not the one that was written last" if last else "one was replaced") in says(sql)


@pytest.mark.parametrize("number", range(1, ENTRIES + 1))
def test_a_removed_entry_is_missed(sql: Sql, number: int) -> None:
    fill(sql)
    sql.execute("DELETE FROM audit WHERE number = ?", (number,))
    assert any(word in says(sql) for word in ("missing", "taken out", "are gone"))


def test_entries_that_changed_places_or_moved_up_are_found(sql: Sql) -> None:
    fill(sql)
    third, fourth = audit.rows(sql)[0][2:4]
    for row, number in ((third, 4), (fourth, 3)):
        sql.execute(
            "UPDATE audit SET line = ?, hash = ? WHERE number = ?", (row.line, row.hash, number)
        )
    assert "Entry 3 was changed" in says(sql)
    sql.execute("DELETE FROM audit WHERE number = 3")
    sql.execute("UPDATE audit SET number = number - 1 WHERE number > 3")
    assert says(sql)


def test_a_log_cut_short_is_found_though_what_is_left_is_whole(sql: Sql) -> None:
    fill(sql)
    sql.execute("DELETE FROM audit WHERE number > 5")
    assert "The newest entries, 6 to 8, are gone." in says(sql)
    fill(sql, 1)  # and it stays visible
    assert "Entries are missing: 6 to 8." in says(sql)
    sql.execute("DELETE FROM audit")
    assert "The newest entries, 1 to 9, are gone." in says(sql)


def rewrite(sql: Sql, keep: int) -> None:
    """What somebody with the files and this source can do."""
    sql.execute("DELETE FROM audit WHERE number > ?", (keep,))
    rows = audit.rows(sql)[0]
    sql.execute("DELETE FROM value WHERE name = 'audit head'")
    if rows:
        sql.execute("INSERT INTO value VALUES ('audit head', ?)", (str(rows[-1].head).encode(),))


def test_only_a_head_kept_elsewhere_shows_a_log_that_was_written_anew(sql: Sql) -> None:
    fill(sql)
    kept, middle = head(sql), audit.rows(sql)[0][4].head
    assert says(sql, kept) == says(sql, middle) == ""
    rewrite(sql, 5)
    assert says(sql) == ""  # the chain alone cannot know, and `verify` says that
    assert "it was cut" in says(sql, kept)
    assert says(sql, middle) == ""
    audit.note(sql, NOW, "contact added", address="other")
    fill(sql)
    assert "Entry 8 is not the one of the head that you kept" in says(sql, kept)


def test_a_long_log_forgets_its_beginning_and_says_so(
    sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "AUDIT_ENTRIES_MAX", 10)
    monkeypatch.setattr(limits, "AUDIT_ENTRIES_KEPT", 6)
    early, kept = None, None
    for number in range(40):
        audit.note(sql, Instant(NOW + number), "contact added", address=str(number))
        audit._prune(sql, NOW)
        early = early or head(sql)
        kept = head(sql)
        found = report(sql)
        assert found.faults == ()
        assert found.entries <= 11
    assert kept is not None
    assert report(sql).pruned > 20
    assert says(sql, kept) == ""
    assert "Nothing can be said by it; keep a newer head." in says(sql, early)
    sql.execute("DELETE FROM audit WHERE number = (SELECT min(number) FROM audit)")
    assert "was taken out" in says(sql)


def test_whoever_floods_pushes_nothing_out(sql: Sql) -> None:
    noted = sum(
        audit.note_from_outside(sql, Instant(NOW + n), "weak key refused", where="record")
        for n in range(1000)
    )
    assert noted == limits.AUDIT_OUTSIDE_PER_DAY == report(sql).entries
    last = entry_of(audit.rows(sql)[0][-1])
    assert last is not None
    assert last.facts["more_left_out_for_a_day"] is True
    assert audit.note_from_outside(sql, NOW, "policy refused")  # another event counts by itself
    assert audit.note_from_outside(sql, Instant(NOW + limits.DAY), "weak key refused")
    assert audit.note_from_outside(sql, Instant(NOW - limits.DAY), "weak key refused")


def test_an_entry_is_there_if_and_only_if_what_it_tells_of_is(tmp_path: Path) -> None:
    async def work(database: Database, _: FolderDisk) -> None:
        def fails(sql: Sql) -> None:
            audit.note(sql, NOW, "contact added")
            raise PermanentFailure("something else went wrong")

        with pytest.raises(PermanentFailure):
            await database.run(fails)
        assert (await database.read(report)).entries == 0

    with_database(tmp_path, work)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE audit SET line = x'00', hash = zeroblob(32) WHERE number = 8",
        f"UPDATE value SET octets = CAST('3:{'00' * 32}' AS BLOB) WHERE name = 'audit head'",
        "UPDATE audit SET number = 9223372036854775807 WHERE number = 8",
        "DELETE FROM audit",
        "INSERT INTO audit VALUES (9, x'00', zeroblob(32))",
    ],
)
def test_damage_shows_and_stops_nobody(sql: Sql, damage: str) -> None:
    fill(sql)
    sql.execute(damage)
    assert says(sql)
    for _ in range(3):
        fill(sql)
        assert says(sql)


def test_what_is_noted_beside_the_log_is_made_anew_when_it_is_lost(sql: Sql) -> None:
    for damage in ("DELETE FROM value", "UPDATE value SET octets = x'ff'"):
        fill(sql)
        sql.execute(f"{damage} WHERE name = 'audit head'")
        assert "of its newest entry is missing" in says(sql)
        fill(sql)
        assert says(sql) == ""


def test_a_page_that_cannot_be_read_costs_its_entries_and_no_more(tmp_path: Path) -> None:
    with opened_store(tmp_path) as store:
        fill(store.sql, 400)
        store.sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        path = tmp_path / FILE_NAME
    octets = bytearray(path.read_bytes())
    at = octets.rindex(b"someone399") // 4096 * 4096
    octets[at : at + 4096] = b"\xff" * 4096
    path.write_bytes(octets)

    async def work(database: Database, _: FolderDisk) -> None:
        for _round in range(2):
            await audit.tidy(database, NOW)
            await database.run(lambda sql: audit.note(sql, NOW, "contact blocked", address="x"))
        found = await database.read(audit.rows)
        events = [entry.event for row in found[0] if (entry := entry_of(row))]
        assert events[-3:] == ["audit set aside", "contact blocked", "contact blocked"]
        assert len(events) > 350
        faults = (await database.read(report)).faults
        assert any("did not give back" in fault.says for fault in faults)
        assert any("Entries are missing" in fault.says for fault in faults)

    with_database(tmp_path, work)


def test_it_is_read_while_no_node_runs(tmp_path: Path) -> None:
    with opened_store(tmp_path) as store:
        fill(store.sql)
        assert audit.read_file(tmp_path, report).entries == ENTRIES  # beside a running one
    before = sorted(path.name for path in tmp_path.iterdir())
    assert audit.read_file(tmp_path, report).entries == ENTRIES
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert audit.read_file(tmp_path / "bodies", report).entries == 0  # before the first run
    assert list((tmp_path / "bodies").iterdir()) == []
    (tmp_path / FILE_NAME).write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        audit.read_file(tmp_path, report)


def test_a_head_is_typed_as_it_was_printed() -> None:
    whole = Head(17, b"\x0f" * 32)
    assert head_from(f" {whole}\n") == whole
    for wrong in ("", "17", "17:", "17:0f", "x:" + "0f" * 32, "0:" + "0f" * 32, "-1:" + "0f" * 32):
        with pytest.raises(PermanentFailure, match="64 hexadecimal digits"):
            head_from(wrong)


ROWS = st.lists(
    st.builds(Row, st.integers(-3, 12), st.binary(max_size=40), st.binary(max_size=40)), max_size=6
)


@given(ROWS, st.integers(0, 3))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_whatever_stands_in_the_store_is_examined(rows: list[Row], unreadable: int) -> None:
    found = examine(rows, None, None, unreadable)
    assert bool(found.faults) == bool(rows or unreadable)


@given(st.text(), st.dictionaries(st.text(max_size=9), st.text(max_size=300), max_size=8))
def test_any_name_and_fact_can_be_noted(event: str, facts: dict[str, str]) -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as sql:
        sql.execute("CREATE TABLE value (name TEXT PRIMARY KEY, octets BLOB)")
        sql.execute(AUDIT_TABLE)
        audit.note(sql, NOW, event, **facts)
        assert says(sql) == ""
        assert len(audit.rows(sql)[0]) == 1
