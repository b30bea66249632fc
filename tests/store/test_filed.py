"""What was filed or refused: no letter twice, and the same answer each time."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes import NOW, opened_store, peer, someone, sure
from postroad.base import limits
from postroad.base.ids import Fingerprint, Instant, MailId, Nonce
from postroad.sealing.receipt import Verdict
from postroad.store import filed, quarantine
from postroad.store.database import Sql
from postroad.store.filed import Filed, ReceiptDue

ANNA, BEN = someone("anna").fingerprint, someone("ben").fingerprint
NONCE = Nonce(b"n" * 16)
EXPIRES = NOW + limits.DAY
MEMORY = Filed(Verdict.FILED, b"h" * 32, NOW)


@pytest.fixture
def sql(tmp_path: Path) -> Iterator[Sql]:
    with opened_store(tmp_path) as store:
        yield store.sql


def owed(number: int = 1, sender: Fingerprint = ANNA) -> ReceiptDue:
    return ReceiptDue(MailId(number.to_bytes(32, "big")), sender, peer(1), b"sealed", 0)


@pytest.mark.parametrize("verdict", Verdict)
def test_a_letter_that_comes_again_gets_the_verdict_it_got_before(
    sql: Sql, verdict: Verdict
) -> None:
    assert filed.known(sql, ANNA, NONCE) is None
    memory = Filed(verdict, b"h" * 32, NOW)
    filed.remember(sql, ANNA, NONCE, memory, EXPIRES)
    assert filed.known(sql, ANNA, NONCE) == memory
    assert filed.known(sql, BEN, NONCE) is None  # another sender's nonces are their own
    assert filed.known(sql, ANNA, Nonce(bytes(16))) is None


def test_nobody_files_a_letter_twice(sql: Sql) -> None:
    """Two copies that are filed at the same time: the second commit fails, and files nothing."""
    filed.remember(sql, ANNA, NONCE, MEMORY, EXPIRES)
    with pytest.raises(sqlite3.IntegrityError):
        filed.remember(sql, ANNA, NONCE, MEMORY, EXPIRES)


def test_a_letter_is_remembered_for_as_long_as_a_copy_may_come(sql: Sql) -> None:
    filed.remember(sql, ANNA, NONCE, MEMORY, EXPIRES)
    filed.forget_old(sql, sure(EXPIRES + filed.REMEMBER_SECONDS))
    assert filed.known(sql, ANNA, NONCE) == MEMORY
    filed.forget_old(sql, sure(EXPIRES + filed.REMEMBER_SECONDS + 1))
    assert filed.known(sql, ANNA, NONCE) is None


def test_the_memory_outlives_what_holders_keep(sql: Sql) -> None:
    assert filed.REMEMBER_SECONDS > limits.TOMBSTONE_SECONDS
    assert filed.REMEMBER_SECONDS > limits.EXPIRY_GRACE_SECONDS


def test_a_receipt_is_owed_once_and_answered_the_same_each_time(sql: Sql) -> None:
    due = owed()
    assert filed.receipt_for(sql, due.mail_id) is None
    filed.owe_receipt(sql, due, NOW, EXPIRES)
    other = ReceiptDue(due.mail_id, ANNA, peer(1), b"another", 0)
    filed.owe_receipt(sql, other, NOW, EXPIRES)
    assert filed.receipt_for(sql, due.mail_id) == b"sealed"
    assert filed.receipts_due(sql, NOW, 10) == [due]


def test_the_sender_is_told_until_they_have_it(sql: Sql) -> None:
    filed.owe_receipt(sql, owed(1), NOW, EXPIRES)
    filed.owe_receipt(sql, owed(2), Instant(NOW + 5), EXPIRES)
    assert filed.next_receipt(sql) == NOW
    assert [one.mail_id for one in filed.receipts_due(sql, Instant(NOW + 5), 10)] == [
        owed(1).mail_id,
        owed(2).mail_id,
    ]
    assert len(filed.receipts_due(sql, Instant(NOW + 5), 1)) == 1
    filed.not_told(sql, owed(1).mail_id, Instant(NOW + 60))
    (tried,) = filed.receipts_due(sql, Instant(NOW + 60), 10)[1:]
    assert (tried.mail_id, tried.tries) == (owed(1).mail_id, 1)
    filed.told(sql, owed(1).mail_id)
    filed.told(sql, owed(2).mail_id)
    assert filed.receipts_due(sql, Instant(NOW + 999), 10) == []
    assert filed.next_receipt(sql) is None
    assert filed.receipt_for(sql, owed(1).mail_id) == b"sealed"  # who asks again is answered


def test_the_return_of_a_sender_makes_their_receipts_due(sql: Sql) -> None:
    for number, sender in ((1, ANNA), (2, BEN), (3, ANNA)):
        filed.owe_receipt(sql, owed(number, sender), Instant(NOW + 3600), EXPIRES)
    filed.told(sql, owed(3).mail_id)
    filed.wake_receipts(sql, ANNA, NOW)
    assert [one.mail_id for one in filed.receipts_due(sql, NOW, 10)] == [owed(1).mail_id]


def test_a_receipt_is_kept_for_a_week_after_the_letter_expired(sql: Sql) -> None:
    filed.owe_receipt(sql, owed(), NOW, EXPIRES)
    filed.forget_old(sql, sure(EXPIRES + limits.TOMBSTONE_SECONDS))
    assert filed.receipt_for(sql, owed().mail_id) == b"sealed"
    filed.forget_old(sql, sure(EXPIRES + limits.TOMBSTONE_SECONDS + 1))
    assert filed.receipt_for(sql, owed().mail_id) is None


def test_the_latest_expiry_that_can_be_read_can_be_remembered(sql: Sql) -> None:
    latest = 2**63 - 1
    filed.remember(sql, ANNA, NONCE, MEMORY, latest)
    filed.owe_receipt(sql, owed(), NOW, latest)
    filed.forget_old(sql, sure(NOW + 1e9))
    assert filed.known(sql, ANNA, NONCE) == MEMORY


def test_what_could_not_be_opened_is_noted_once_with_its_first_reason(sql: Sql) -> None:
    assert not quarantine.is_noted(sql, "letter", "abc")
    quarantine.note(sql, "letter", "abc", "first", NOW)
    quarantine.note(sql, "letter", "abc", "second", Instant(NOW + 1))
    quarantine.note(sql, "parcel", "abc", "other", NOW)
    assert quarantine.is_noted(sql, "letter", "abc")
    assert not quarantine.is_noted(sql, "letter", "abd")
    assert [(one.kind, one.reason, one.at) for one in quarantine.noted(sql)] == [
        ("letter", "first", NOW),
        ("parcel", "other", NOW),
    ]
