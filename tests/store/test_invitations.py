"""Invitations: used once, by one, and not when they were withdrawn or are over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes import NOW, opened_store, someone, sure
from postroad.app import contacts_cli
from postroad.base import limits
from postroad.base.errors import PermanentFailure
from postroad.base.ids import Instant, Ticket
from postroad.store import invitations
from postroad.store.database import Sql
from postroad.store.invitations import InvitationRow, State

ANNA, BEN = someone("anna").fingerprint, someone("ben").fingerprint
SECRET, TICKET = b"s" * 16, Ticket(b"1" * 16)
ID = invitations.id_of(SECRET)


@pytest.fixture
def sql(tmp_path: Path) -> Iterator[Sql]:
    with opened_store(tmp_path) as store:
        invitations.add(store.sql, SECRET, TICKET, NOW, Instant(NOW + 60), "Bob")
        yield store.sql


def made(sql: Sql) -> InvitationRow:
    row = invitations.get(sql, SECRET)
    assert row is not None
    return row


def test_an_invitation_is_used_once(sql: Sql) -> None:
    assert made(sql) == InvitationRow(ID, TICKET, NOW, Instant(NOW + 60), name="Bob")
    invitations.use(sql, SECRET, ANNA, Instant(NOW + 1))
    invitations.use(sql, SECRET, BEN, Instant(NOW + 2))
    assert (made(sql).used_by, made(sql).used_at) == (ANNA, NOW + 1)
    assert made(sql).state(NOW) is State.USED
    assert invitations.get(sql, b"x" * 16) is None


def test_the_secret_of_an_invitation_is_not_kept(sql: Sql) -> None:
    (columns,) = sql.execute("SELECT * FROM invitation").fetchall()
    assert SECRET not in columns


def test_one_that_was_taken_back_is_used_by_nobody_and_expects_nobody(sql: Sql) -> None:
    assert invitations.expects_somebody(sql, sure(NOW))
    assert invitations.withdraw(sql, f" {ID.upper()} ", NOW).id == ID
    invitations.use(sql, SECRET, ANNA, NOW)
    assert (made(sql).used_by, made(sql).state(NOW)) == (None, State.WITHDRAWN)
    assert not invitations.expects_somebody(sql, sure(NOW))


def test_only_an_open_one_is_taken_back_and_the_words_say_why(sql: Sql) -> None:
    with pytest.raises(PermanentFailure, match="You made no invitation 'abc'"):
        invitations.withdraw(sql, "abc", NOW)
    with pytest.raises(PermanentFailure, match="has expired: nobody"):
        invitations.withdraw(sql, ID, Instant(NOW + 60))
    invitations.use(sql, SECRET, ANNA, NOW)
    with pytest.raises(PermanentFailure, match="was used already"):
        invitations.withdraw(sql, ID, NOW)


def test_what_brought_somebody_who_was_removed_brings_nobody_in(sql: Sql) -> None:
    invitations.use(sql, SECRET, ANNA, NOW)
    invitations.withdraw_of(sql, BEN, NOW)
    assert made(sql).state(NOW) is State.USED
    invitations.withdraw_of(sql, ANNA, NOW)
    assert (made(sql).used_by, made(sql).state(NOW)) == (ANNA, State.WITHDRAWN)


def test_invitations_are_remembered_until_nobody_can_answer_them(sql: Sql) -> None:
    over = NOW + 60 + limits.EXPIRY_SECONDS_MAX
    invitations.forget(sql, sure(over))
    assert [row.state(Instant(over)) for row in invitations.all_made(sql)] == [State.EXPIRED]
    invitations.forget(sql, sure(over + 1))
    assert invitations.all_made(sql) == []


def test_the_word_of_identities_is_not_used_for_invitations() -> None:
    """What is revoked is a device or an identity; an invitation is withdrawn."""

    assert set(contacts_cli.invitations.commands) == {"withdraw"}
    assert "revoked" not in {one.value for one in State}
