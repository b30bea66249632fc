"""The outgoing queue: a letter comes in by one commit, and goes out one step at a time."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes import NOW, Store, opened_store, peer, someone, sure
from postroad.base.ids import DropId, Instant, MailId, Nonce
from postroad.message.envelope import Notify, Recipient
from postroad.protocol.delivery import (
    Cancelled,
    Leased,
    NotPlaced,
    Parcel,
    ReceiptCame,
    State,
    Step,
    advance,
    look_at_clock,
)
from postroad.sealing.letter import Kind
from postroad.sealing.receipt import Verdict
from postroad.store import queue

ANNA, BEN = someone("anna"), someone("ben")
MAIL, KEY = MailId(b"m" * 32), b"k" * 32
DAY = 86400


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened_store(tmp_path) as opened:
        yield opened


def new_letter(number: int = 1, *, at: float = NOW, octets: bytes = b"body") -> queue.NewLetter:
    return queue.NewLetter(
        Nonce(number.to_bytes(16, "big")),
        Kind.PERSON,
        octets,
        Instant(at),
        Instant(at + 30 * DAY),
        (str(ANNA.address), 'Ünicode "quoted" , comma'),
        "envelope",
        True,
        b"introduction",
    )


def to(*people: str) -> list[queue.NewParcel]:
    return [
        queue.NewParcel(
            Recipient(person, Notify.SUCCESS | Notify.DELAY, "rfc822;x"),
            ANNA.fingerprint if person.startswith("a") else BEN.fingerprint,
            person.endswith("blind"),
        )
        for person in people
    ]


def put(store: Store, number: int = 1, *people: str, at: float = NOW) -> list[int]:
    """Enter a letter; the ids of its parcels."""
    letter = queue.put(
        store.sql, store.contents, new_letter(number, at=at), to(*(people or ("a",)))
    )
    rows = store.sql.execute("SELECT id FROM parcel WHERE letter_id = ? ORDER BY id", (letter,))
    return [found for (found,) in rows]


def take(store: Store, parcel_id: int, state: State, *, due: float = NOW, now: float = NOW) -> None:
    parcel = queue.get(store.sql, parcel_id).parcel
    moved = replace(parcel, state=state, due_at=Instant(due))
    queue.record(store.sql, parcel_id, moved, Instant(now))


def due(
    store: Store, now: float = NOW, at_most: int = 100, *, but_not: set[int] | None = None
) -> list[int]:
    return [row.id for row in queue.due(store.sql, Instant(now), at_most, but_not or set()).rows]


def test_a_letter_and_its_parcels_come_in_together_and_all_is_remembered(store: Store) -> None:
    one, other = put(store, 1, "a", "b blind")
    row = queue.get(store.sql, one)
    letter = new_letter()
    assert store.contents.get(store.sql, row.content_id) == letter.octets
    assert (row.nonce, row.kind, row.size) == (letter.nonce, letter.kind, len(letter.octets))
    assert (row.visible, row.envelope_id) == (letter.visible, letter.envelope_id)
    assert (row.return_full, row.introduction) == (True, b"introduction")
    assert (row.recipient, row.fingerprint, row.blind) == ("a", ANNA.fingerprint, False)
    assert (row.original_recipient, row.notify) == ("rfc822;x", Notify.SUCCESS | Notify.DELAY)
    assert row.sealed is None
    assert row.parcel == Parcel(State.WAITING, NOW, 0, NOW, letter.expires_at)
    assert queue.get(store.sql, other).blind


def test_a_letter_is_accepted_whole_or_not_at_all(store: Store) -> None:
    store.sql.execute("BEGIN")
    with pytest.raises(sqlite3.IntegrityError):
        queue.put(store.sql, store.contents, new_letter(), to("a", "b", "a"))
    store.sql.execute("ROLLBACK")
    for table in ("letter", "parcel", "content"):
        assert store.sql.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_a_nonce_is_never_used_for_two_letters(store: Store) -> None:
    put(store, 1)
    with pytest.raises(sqlite3.IntegrityError):
        put(store, 1)


def test_what_is_due_comes_longest_due_first_and_no_more_than_is_asked_for(store: Store) -> None:
    ids = [put(store, number)[0] for number in range(1, 7)]
    for number, parcel_id in enumerate(ids):
        take(store, parcel_id, State.WAITING, due=NOW - number)
    assert due(store) == ids[::-1]
    assert due(store, at_most=2) == [ids[5], ids[4]]
    assert due(store, at_most=2, but_not={ids[5], ids[3]}) == [ids[4], ids[2]]
    assert due(store, at_most=0) == []
    assert due(store, now=NOW - 4) == [ids[5], ids[4]]
    take(store, ids[5], State.HELD, due=NOW + 60)
    assert due(store) == ids[4::-1]
    assert due(store, now=NOW + 60) == [*ids[4::-1], ids[5]]


def test_what_has_ended_is_never_due(store: Store) -> None:
    for number, state in enumerate(State, 1):
        take(store, put(store, number)[0], state)
    states = [queue.get(store.sql, found).parcel.state for found in due(store, NOW + 99 * DAY)]
    assert set(states) == {State.WAITING, State.HELD}
    assert {row.parcel.state for row in queue.waiting(store.sql)} == {State.WAITING, State.HELD}


def test_the_sender_sleeps_until_the_next_that_is_not_in_hand(store: Store) -> None:
    assert queue.next_due(store.sql, set()) is None
    ids = [put(store, number)[0] for number in range(1, 4)]
    for number, parcel_id in enumerate(ids):
        take(store, parcel_id, State.WAITING, due=NOW + number)
    assert queue.next_due(store.sql, set()) == NOW
    assert queue.next_due(store.sql, {ids[0]}) == NOW + 1
    assert queue.next_due(store.sql, {ids[0], ids[1]}) == NOW + 2
    assert queue.next_due(store.sql, set(ids)) is None


@given(
    st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=12),
    st.integers(0, 9),
    st.integers(0, 12),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_due_and_what_is_next_agree(
    tmp_path_factory: pytest.TempPathFactory,
    parcels: list[tuple[int, bool]],
    now: int,
    at_most: int,
) -> None:
    with opened_store(tmp_path_factory.mktemp("any")) as store:
        in_hand = set()
        for number, (at, held) in enumerate(parcels, 1):
            (parcel_id,) = put(store, number)
            take(store, parcel_id, State.WAITING, due=NOW + at)
            if held:
                in_hand.add(parcel_id)
        found = due(store, NOW + now, at_most, but_not=in_hand)
        free = sorted(at for at, held in parcels if not held)
        assert len(found) == min(at_most, sum(at <= now for at in free))
        assert not set(found) & in_hand
        next_at = queue.next_due(store.sql, in_hand)
        assert next_at == (NOW + free[0] if free else None)


def test_the_return_of_a_person_wakes_what_waits_for_them_and_nothing_else(store: Store) -> None:
    hers, his = put(store, 1, "a", "b")
    over = put(store, 2, "a")[0]
    for parcel_id, state in ((hers, State.HELD), (his, State.WAITING), (over, State.DELIVERED)):
        take(store, parcel_id, state, due=NOW + 999)
    queue.wake(store.sql, ANNA.fingerprint, NOW)
    assert due(store) == [hers]
    take(store, hers, State.WAITING, due=NOW - 50)
    queue.wake(store.sql, ANNA.fingerprint, NOW)
    assert queue.get(store.sql, hers).parcel.due_at == NOW - 50  # its place is not lost


def test_each_step_of_the_table_is_kept_as_it_was_taken(store: Store) -> None:
    (parcel_id,) = put(store)
    parcel = queue.get(store.sql, parcel_id).parcel
    steps: tuple[Callable[[Parcel], Step], ...] = (
        lambda before: advance(before, NotPlaced("nobody"), NOW, 0.3),
        lambda before: advance(before, Leased(3), NOW, 0.7),
        lambda before: look_at_clock(before, sure(NOW + DAY), sure(NOW + DAY)),
        lambda before: advance(before, Leased(4), Instant(NOW + DAY), 0.1),
        lambda before: look_at_clock(before, sure(NOW + 31 * DAY), sure(NOW + 31 * DAY)),
        lambda before: advance(before, ReceiptCame(Verdict.FILED), Instant(NOW + 32 * DAY), 0),
        lambda before: advance(before, Cancelled(), NOW, 0),
    )
    for number, take_step in enumerate(steps):
        parcel = take_step(parcel).parcel
        queue.record(store.sql, parcel_id, parcel, Instant(NOW + number))
        assert queue.get(store.sql, parcel_id).parcel == parcel


def test_the_moment_of_the_end_is_the_first_end(store: Store) -> None:
    (parcel_id,) = put(store)
    take(store, parcel_id, State.EXPIRED, now=NOW + 5)
    take(store, parcel_id, State.DELIVERED, now=NOW + 9)
    ended = store.sql.execute("SELECT ended_at FROM parcel").fetchone()
    assert ended == (NOW + 5,)


def test_what_a_parcel_was_sealed_to_and_its_proof_are_kept(store: Store) -> None:
    one, other = put(store, 1, "a", "b")
    made = queue.Sealed(MAIL, KEY, b"h" * 32, b"e" * 16, 7)
    queue.sealed(store.sql, one, made)
    row = queue.by_mail_id(store.sql, MAIL)
    assert row is not None
    assert (row.id, row.sealed) == (one, made)
    assert queue.by_mail_id(store.sql, MailId(bytes(32))) is None
    assert queue.get(store.sql, other).sealed is None
    queue.keep_receipt(store.sql, one, b"receipt", NOW)
    assert store.sql.execute("SELECT receipt FROM parcel ORDER BY id").fetchall() == [
        (b"receipt",),
        (None,),
    ]


def test_each_holders_last_lease_counts_once(store: Store) -> None:
    (parcel_id,) = put(store)
    first = queue.LeaseRow(DropId(b"1" * 16), peer(1), MAIL, Instant(NOW + 1), b"signed")
    second = queue.LeaseRow(DropId(b"2" * 16), peer(2), MAIL, Instant(float(2**63 - 1)), b"signed")
    again = replace(first, until=Instant(NOW + 9), holder=peer(3))
    for lease in (first, second, again):
        queue.add_lease(store.sql, parcel_id, lease)
    assert sorted(queue.leases(store.sql, parcel_id), key=lambda lease: lease.drop) == [
        again,
        second,
    ]


def test_what_ended_is_remembered_for_as_long_as_a_receipt_may_come(store: Store) -> None:
    old, young, open_ = put(store, 1, "a", "b", "b open")
    (only,) = put(store, 2)
    for parcel_id, days in ((old, 0), (young, 1), (only, 0)):
        take(store, parcel_id, State.EXPIRED, now=NOW + days * DAY)
    queue.add_lease(
        store.sql, old, queue.LeaseRow(DropId(bytes(16)), peer(1), MAIL, NOW, b"signed")
    )
    queue.prune(store.sql, sure(NOW + queue.RETENTION_SECONDS))
    assert store.sql.execute("SELECT count(*) FROM parcel").fetchone() == (4,)
    queue.prune(store.sql, sure(NOW + queue.RETENTION_SECONDS + 1))
    left = [found for (found,) in store.sql.execute("SELECT id FROM parcel ORDER BY id")]
    assert left == [young, open_]
    assert store.sql.execute("SELECT nonce FROM letter").fetchall() == [(new_letter(1).nonce,)]
    assert store.sql.execute("SELECT count(*) FROM lease").fetchone() == (0,)


def test_an_open_parcel_is_never_pruned(store: Store) -> None:
    put(store, 1)
    take(store, put(store, 2)[0], State.HELD)
    queue.prune(store.sql, sure(NOW + 400 * DAY))
    assert len(queue.waiting(store.sql)) == 2


def test_a_row_that_cannot_be_understood_holds_up_no_other(store: Store) -> None:
    bad, good = put(store, 1)[0], put(store, 2)[0]
    store.sql.execute("UPDATE letter SET visible = 'not json' WHERE id = 1")
    found = queue.due(store.sql, NOW, 10, set())
    assert [row.id for row in found.rows] == [good]
    assert found.damaged == [bad]
    assert [row.id for row in queue.waiting(store.sql)] == [good]
