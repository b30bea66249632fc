"""Octets of letters: once, whole, and there for as long as somebody needs them."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes import NOW, Store, opened_store
from postroad.base import limits
from postroad.store.contents import Contents, Damaged, file_name

SMALL = b"Subject: short\r\n\r\n" + bytes(200)
LARGE = bytes(range(256)) * 300
EDGE = limits.BODY_IN_DATABASE_BYTES_MAX


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened_store(tmp_path) as opened:
        yield opened


def needed_by_letter(store: Store, content: int, nonce: int = 1) -> None:
    store.sql.execute(
        """INSERT INTO letter (nonce, kind, content_id, accepted_at, expires_at, visible)
           VALUES (?, 1, ?, ?, ?, '[]')""",
        (nonce.to_bytes(16, "big"), content, NOW, NOW),
    )


def needed_by_message(store: Store, content: int) -> None:
    store.sql.execute("INSERT INTO mailbox (name, uid_validity) VALUES ('INBOX', 1)")
    store.sql.execute(
        """INSERT INTO message (mailbox_id, uid, modseq, internal_date, content_id, size)
           VALUES (1, 1, 1, ?, ?, 1)""",
        (NOW, content),
    )


def tidied(store: Store) -> None:
    """As housekeeping does it: the files go in a later commit than the rows."""
    store.contents.forget_unused(store.sql)
    store.contents.remove_orphans(store.sql)


@pytest.mark.parametrize("size", [0, 1, EDGE - 1, EDGE, EDGE + 1, 3 * EDGE])
def test_octets_of_any_size_come_back_as_they_were(store: Store, size: int) -> None:
    octets = bytes(at % 251 for at in range(size))
    number = store.contents.put(store.sql, octets)
    assert store.contents.get(store.sql, number) == octets
    assert len(list(store.disk.names("bodies"))) == int(size > EDGE)


def test_equal_octets_are_kept_once_whoever_refers_to_them(store: Store) -> None:
    for octets in (SMALL, LARGE):
        assert store.contents.put(store.sql, octets) == store.contents.put(store.sql, octets)
    assert store.sql.execute("SELECT count(*) FROM content").fetchone() == (2,)


def test_what_was_damaged_is_never_given_out(store: Store) -> None:
    small, large = (store.contents.put(store.sql, octets) for octets in (SMALL, LARGE))
    store.sql.execute("UPDATE content SET octets = zeroblob(size) WHERE id = ?", (small,))
    path = Path(store.disk.folder) / file_name(hashlib.sha256(LARGE).digest())
    for broken in (LARGE[:-1], LARGE + b"\0", b"\xff" + LARGE[1:], b""):
        path.write_bytes(broken)
        with pytest.raises(Damaged):
            store.contents.get(store.sql, large)
    path.unlink()
    for number in (small, large):
        with pytest.raises(Damaged):
            store.contents.get(store.sql, number)


@pytest.mark.parametrize("broken", [None, b"", LARGE[:-1], LARGE + b"\0", bytes(len(LARGE))])
def test_a_letter_whose_octets_were_lost_before_is_whole_when_it_is_accepted(
    store: Store, broken: bytes | None
) -> None:
    """The 250 promises this letter, whatever became of one that was equal to it."""
    first = store.contents.put(store.sql, LARGE)
    path = Path(store.disk.folder) / file_name(hashlib.sha256(LARGE).digest())
    path.unlink()
    if broken is not None:
        path.write_bytes(broken)
    again = store.contents.put(store.sql, LARGE)
    assert again == first
    assert store.contents.get(store.sql, again) == LARGE


def test_a_short_letter_that_was_damaged_is_whole_when_it_is_accepted(store: Store) -> None:
    first = store.contents.put(store.sql, SMALL)
    store.sql.execute("UPDATE content SET octets = zeroblob(size)")
    assert store.contents.put(store.sql, SMALL) == first
    assert store.contents.get(store.sql, first) == SMALL


def test_a_file_without_a_row_is_swept_and_a_file_with_one_is_not(store: Store) -> None:
    """What a crash between file and commit leaves."""
    kept = store.contents.put(store.sql, LARGE)
    store.sql.execute("BEGIN")
    store.contents.put(store.sql, LARGE * 2)
    store.sql.execute("ROLLBACK")
    assert len(list(store.disk.names("bodies"))) == 2
    store.contents.remove_orphans(store.sql)
    assert store.disk.names("bodies") == [hashlib.sha256(LARGE).hexdigest()]
    assert store.contents.get(store.sql, kept) == LARGE


def test_what_a_letter_or_a_message_needs_stays(store: Store) -> None:
    letter, message, nobody = (
        store.contents.put(store.sql, octets) for octets in (LARGE, LARGE * 2, LARGE * 3)
    )
    small = store.contents.put(store.sql, SMALL)
    needed_by_letter(store, letter)
    needed_by_message(store, message)
    tidied(store)
    assert store.contents.get(store.sql, letter) == LARGE
    assert store.contents.get(store.sql, message) == LARGE * 2
    left = {number for (number,) in store.sql.execute("SELECT id FROM content")}
    assert left == {letter, message}
    assert {nobody, small}.isdisjoint(left)
    assert len(list(store.disk.names("bodies"))) == 2


def test_octets_needed_again_between_forgetting_and_sweeping_are_kept(store: Store) -> None:
    store.contents.put(store.sql, LARGE)
    store.contents.forget_unused(store.sql)
    again = store.contents.put(store.sql, LARGE)
    needed_by_letter(store, again)
    store.contents.remove_orphans(store.sql)
    assert store.contents.get(store.sql, again) == LARGE


def test_a_crash_before_the_commit_that_forgets_leaves_the_file(store: Store) -> None:
    number = store.contents.put(store.sql, LARGE)
    store.sql.execute("BEGIN")
    store.contents.forget_unused(store.sql)
    store.sql.execute("ROLLBACK")
    assert store.contents.get(store.sql, number) == LARGE


@given(st.lists(st.sampled_from(["put", "need", "drop", "forget", "sweep", "crash"]), max_size=25))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_in_any_order_no_needed_octets_are_lost(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    with opened_store(tmp_path_factory.mktemp("any")) as store:
        contents: Contents = store.contents
        needed: dict[int, bytes] = {}
        for at, step in enumerate(steps):
            octets = LARGE + bytes([at % 3])
            if step == "put":
                contents.put(store.sql, octets)
            elif step == "need":
                number = contents.put(store.sql, octets)
                needed_by_letter(store, number, at)
                needed[number] = octets
            elif step == "drop":
                store.sql.execute("DELETE FROM letter")
                needed.clear()
            elif step == "forget":
                contents.forget_unused(store.sql)
            elif step == "sweep":
                contents.remove_orphans(store.sql)
            else:
                store.sql.execute("BEGIN")
                contents.put(store.sql, octets)
                contents.forget_unused(store.sql)
                store.sql.execute("ROLLBACK")
            for number, wanted in needed.items():
                assert contents.get(store.sql, number) == wanted
