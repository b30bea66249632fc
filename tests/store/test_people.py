"""People: contacts, their newest records, whose device it is, invitations, our drops."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes import NOW, Someone, opened_store, peer, someone, sure
from postroad.base import limits
from postroad.base.errors import PermanentFailure, TemporaryFailure
from postroad.base.ids import DropId, Instant, PeerId, Ticket
from postroad.base.tlv import encode
from postroad.protocol.records import PersonRecord
from postroad.sealing.certificate import certify
from postroad.sealing.keys import SigningKey
from postroad.store import invitations, people, rented, standing
from postroad.store.database import Sql

ANNA, BEN, MALLORY = someone("anna"), someone("ben"), someone("mallory")
ONE, OTHER = Ticket(b"1" * 16), Ticket(b"2" * 16)
SECRET = b"s" * 16


@pytest.fixture
def sql(tmp_path: Path) -> Iterator[Sql]:
    with opened_store(tmp_path) as store:
        yield store.sql


def add(
    sql: Sql,
    record: PersonRecord,
    *,
    mine: Ticket | None = None,
    theirs: Ticket | None = None,
    now: float = NOW,
) -> None:
    people.add_contact(sql, record, Instant(now), my_ticket=mine, their_ticket=theirs)


def found(sql: Sql, who: Someone) -> people.Person:
    person = people.contact(sql, who.fingerprint)
    assert person is not None
    return person


def at(sql: Sql, device: PeerId) -> str | None:
    person = people.at_device(sql, device)
    return None if person is None else person.name


def test_a_contact_is_known_by_fingerprint_and_by_device(sql: Sql) -> None:
    add(sql, ANNA.record(), mine=ONE, theirs=OTHER)
    anna = found(sql, ANNA)
    assert (anna.address, anna.name) == (str(ANNA.address), "anna")
    assert (anna.my_ticket, anna.their_ticket) == (ONE, OTHER)
    assert anna.record == ANNA.record()
    assert (anna.learnt_at, anna.seen_at, anna.blocked, anna.told) == (NOW, None, False, 0)
    assert at(sql, ANNA.device.peer) == "anna"
    assert at(sql, BEN.device.peer) is None
    assert people.contact(sql, BEN.fingerprint) is None


def test_a_contact_is_called_by_name_or_address_and_a_second_of_a_name_has_a_number(
    sql: Sql,
) -> None:
    other = replace(BEN, name="anna")
    add(sql, ANNA.record())
    assert people.called(sql, " Anna ").fingerprint == ANNA.fingerprint
    with pytest.raises(PermanentFailure, match="no contact called 'ben'"):
        people.called(sql, "ben")
    add(sql, other.record())
    assert people.called(sql, "anna").fingerprint == ANNA.fingerprint
    assert people.called(sql, "anna-2").fingerprint == other.fingerprint
    assert people.called(sql, str(other.address)).fingerprint == other.fingerprint
    sql.execute("UPDATE contact SET name = 'anna'")  # as no node of ours does
    with pytest.raises(PermanentFailure, match="say the whole address"):
        people.called(sql, "anna")


def test_a_contact_who_was_blocked_is_served_no_more(sql: Sql) -> None:
    add(sql, ANNA.record())
    assert people.is_served(sql, ANNA.device.peer)
    assert not people.is_served(sql, BEN.device.peer)
    people.block(sql, ANNA.fingerprint)
    assert not people.is_served(sql, ANNA.device.peer)


def test_a_ticket_once_known_is_not_lost_when_the_person_is_added_again(sql: Sql) -> None:
    add(sql, ANNA.record(), theirs=ONE)
    add(sql, ANNA.record(), mine=ONE)
    add(sql, ANNA.record(2))
    assert (found(sql, ANNA).my_ticket, found(sql, ANNA).their_ticket) == (ONE, ONE)
    add(sql, ANNA.record(), mine=OTHER, theirs=OTHER)
    assert found(sql, ANNA).my_ticket == OTHER  # what they gave us last is what their drops take
    assert found(sql, ANNA).their_ticket == ONE  # what we gave them may be on its way in a letter


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 6)), min_size=1, max_size=8))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_order_records_come_in_the_newest_stays(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, int]]
) -> None:
    with opened_store(tmp_path_factory.mktemp("any")) as store:
        add(store.sql, ANNA.record(3))
        newest = 3
        for adds, counter in steps:
            if adds:
                add(store.sql, ANNA.record(counter))
            else:
                learnt = people.learn(store.sql, ANNA.record(counter), NOW)
                assert learnt == (counter > newest)
            newest = max(newest, counter)
            assert found(store.sql, ANNA).record == ANNA.record(newest)


def test_an_older_record_does_not_bring_an_older_device_back(sql: Sql) -> None:
    """An introduction may lie in a drop for weeks, while the person has got a new machine."""
    new = SigningKey(b"n" * 32)
    moved = replace(ANNA, device=new, certificate=certify(ANNA.identity, new.peer, NOW))
    add(sql, moved.record(5))
    assert at(sql, new.peer) == "anna"
    add(sql, ANNA.record(4))
    people.learn(sql, ANNA.record(4), NOW)
    assert at(sql, new.peer) == "anna"
    assert at(sql, ANNA.device.peer) is None


def test_a_device_that_a_record_no_longer_names_is_nobodys(sql: Sql) -> None:
    add(sql, ANNA.record(1, also=(peer(7),)))
    assert at(sql, peer(7)) == "anna"
    assert people.learn(sql, ANNA.record(2), NOW)
    assert at(sql, peer(7)) is None
    assert at(sql, ANNA.device.peer) == "anna"


def test_nobody_takes_a_contacts_device_by_naming_it_in_their_own_record(sql: Sql) -> None:
    """Else Mallory could rent in Anna's name, and Anna's own records would be refused."""
    add(sql, ANNA.record())
    add(sql, MALLORY.record(1, also=(ANNA.device.peer,)))
    assert at(sql, ANNA.device.peer) == "anna"
    people.learn(sql, MALLORY.record(2, also=(ANNA.device.peer,)), NOW)
    assert at(sql, ANNA.device.peer) == "anna"
    assert at(sql, MALLORY.device.peer) == "mallory"


def test_who_named_a_device_first_gives_it_up_to_whom_it_signs_for(sql: Sql) -> None:
    add(sql, MALLORY.record(1, also=(ANNA.device.peer,)))
    add(sql, ANNA.record())
    assert at(sql, ANNA.device.peer) == "anna"


def test_a_record_of_nobody_we_know_is_not_learnt(sql: Sql) -> None:
    assert not people.learn(sql, ANNA.record(), NOW)
    assert people.contacts(sql) == []
    assert at(sql, ANNA.device.peer) is None


def test_a_changed_name_changes_the_address_and_not_what_the_owner_calls_them(sql: Sql) -> None:
    add(sql, ANNA.record())
    assert people.learn(sql, ANNA.record(2, name="annie"), Instant(NOW + 5))
    anna = found(sql, ANNA)
    assert anna.address.startswith("annie.")
    assert anna.name == "anna"
    assert anna.learnt_at == NOW + 5


def test_two_records_of_one_sequence_do_not_take_turns(sql: Sql) -> None:
    add(sql, ANNA.record(2))
    twin = ANNA.record(2, name="annie")
    assert not people.learn(sql, twin, NOW)
    assert found(sql, ANNA).record == ANNA.record(2)


def test_hearing_the_same_record_again_proves_it_is_still_the_newest(sql: Sql) -> None:
    add(sql, ANNA.record(2))
    assert not people.learn(sql, ANNA.record(2), Instant(NOW + 9))
    assert found(sql, ANNA).learnt_at == NOW + 9
    assert not people.learn(sql, ANNA.record(1), Instant(NOW + 99))
    assert found(sql, ANNA).learnt_at == NOW + 9


def test_contacts_are_listed_in_the_order_in_which_they_became_contacts(sql: Sql) -> None:
    add(sql, BEN.record(), now=NOW)
    add(sql, ANNA.record(), now=NOW + 1)
    add(sql, BEN.record(2), now=NOW + 2)
    assert [person.name for person in people.contacts(sql)] == ["ben", "anna"]


def test_when_somebody_was_seen_and_what_they_know_of_us(sql: Sql) -> None:
    add(sql, ANNA.record())
    people.seen(sql, ANNA.fingerprint, Instant(NOW + 7))
    people.told_record(sql, ANNA.fingerprint, 5)
    people.told_record(sql, ANNA.fingerprint, 4)  # an older answer that came late
    assert (found(sql, ANNA).seen_at, found(sql, ANNA).told) == (NOW + 7, 5)


def test_who_was_removed_while_they_were_told_something_is_not_noted(sql: Sql) -> None:
    add(sql, ANNA.record())
    standing.remove(sql, ANNA.fingerprint, NOW)
    rented.told_holding(sql, ANNA.fingerprint, b"x")
    people.told_record(sql, ANNA.fingerprint, 5)
    people.seen(sql, ANNA.fingerprint, NOW)
    assert not people.learn(sql, ANNA.record(9), NOW)
    assert people.contacts(sql) == []
    assert rented.holdings(sql) == {}


# Tickets


def test_drops_take_the_tickets_of_contacts_and_of_open_invitations_only(sql: Sql) -> None:
    add(sql, ANNA.record(), theirs=Ticket(b"a" * 16))
    add(sql, BEN.record(), theirs=Ticket(b"b" * 16))
    add(sql, MALLORY.record(), mine=Ticket(b"x" * 16))
    sql.execute("UPDATE contact SET blocked = 1 WHERE fingerprint = ?", (BEN.fingerprint,))
    for number, (expires, used) in enumerate([(60, False), (-1, False), (60, True), (60, False)]):
        secret = bytes([number]) * 16
        invitations.add(sql, secret, Ticket(secret), NOW, Instant(NOW + expires))
        if used:
            invitations.use(sql, secret, ANNA.fingerprint, NOW)
    invitations.withdraw(sql, invitations.id_of(bytes([3]) * 16), NOW)
    assert people.tickets(sql, sure(NOW)) == [b"a" * 16, bytes(16)]


def test_no_more_tickets_are_told_than_a_drop_takes(sql: Sql) -> None:
    for number in range(limits.TICKETS_PER_DROP_MAX + 5):
        secret = number.to_bytes(16, "big")
        invitations.add(sql, secret, Ticket(secret), NOW, Instant(NOW + 60))
    assert len(people.tickets(sql, sure(NOW))) == limits.TICKETS_PER_DROP_MAX
    # And it is not a contact's that is left out.
    add(sql, ANNA.record(), theirs=Ticket(b"\xff" * 16))
    told = people.tickets(sql, sure(NOW))
    assert len(told) == limits.TICKETS_PER_DROP_MAX
    assert told[0] == b"\xff" * 16


# Drops that we rent, records that we keep


def test_a_drop_is_ours_when_its_holder_agreed(sql: Sql) -> None:
    drop, holder = DropId(b"d" * 16), ANNA.device.peer
    rented.add_my_drop(sql, drop, b"k" * 32, holder, ANNA.fingerprint)
    assert rented.my_drops(sql) == [
        rented.MyDrop(drop, b"k" * 32, holder, ANNA.fingerprint, False, b"")
    ]
    rented.drop_agreed(sql, drop)
    rented.drop_has_tickets(sql, drop, b"hash")
    (mine,) = rented.my_drops(sql)
    assert (mine.agreed, mine.tickets) == (True, b"hash")
    rented.forget_drop(sql, drop)
    assert rented.my_drops(sql) == []


def test_the_newest_record_is_kept_to_be_served(sql: Sql) -> None:
    assert people.kept_record(sql, ANNA.fingerprint) is None
    assert people.keep_record(sql, ANNA.record(2), NOW)
    assert not people.keep_record(sql, ANNA.record(1), NOW)
    assert not people.keep_record(sql, ANNA.record(2, name="annie"), NOW)
    assert people.kept_record(sql, ANNA.fingerprint) == encode(ANNA.record(2))
    assert people.keep_record(sql, ANNA.record(3), NOW)
    assert people.kept_record(sql, ANNA.fingerprint) == encode(ANNA.record(3))


def test_records_that_are_skipped_are_older_than_the_next(sql: Sql) -> None:
    """A restored node does not know which ones the lost one signed after the backup."""
    assert people.kept_sequence(sql, ANNA.fingerprint) == 0
    for who in (ANNA, BEN):
        people.keep_record(sql, who.record(5), NOW)
    people.skip_records(sql, ANNA.fingerprint, 100)
    assert people.kept_sequence(sql, ANNA.fingerprint) == ANNA.record(105).sequence
    assert people.kept_record(sql, ANNA.fingerprint) == encode(ANNA.record(5))
    assert not people.keep_record(sql, ANNA.record(104), NOW)
    assert people.keep_record(sql, ANNA.record(106), NOW)
    assert people.kept_sequence(sql, BEN.fingerprint) == BEN.record(5).sequence


def test_the_greatest_sequence_that_can_be_read_can_be_kept(sql: Sql) -> None:
    """A record of a contact must not upset the commit in which it is learnt."""
    greatest = replace(ANNA.record(), sequence=2**63 - 1)
    add(sql, ANNA.record())
    assert people.learn(sql, greatest, NOW)
    assert people.keep_record(sql, greatest, NOW)
    assert found(sql, ANNA).record.sequence == 2**63 - 1


def test_a_record_from_the_future_is_not_taken_whoever_brings_it(sql: Sql) -> None:
    a_day_ahead = NOW + limits.DAY + limits.RECORD_SECONDS_MAX
    early, too_early = ANNA.record(2, expires=a_day_ahead), ANNA.record(3, expires=a_day_ahead + 1)
    with pytest.raises(TemporaryFailure, match="one of your two clocks is wrong"):
        people.add_contact(sql, too_early, NOW, my_ticket=None, their_ticket=None)
    assert people.contacts(sql) == []
    add(sql, ANNA.record())
    assert not people.learn(sql, too_early, NOW)
    assert not people.keep_record(sql, too_early, NOW)
    assert found(sql, ANNA).record == ANNA.record()
    assert people.learn(sql, early, NOW)
    assert people.keep_record(sql, early, NOW)
    assert people.learn(sql, too_early, Instant(NOW + 1))
