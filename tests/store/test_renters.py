"""What renters are to us, how much room that gives them, and what other holders may pass on."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fakes import NOW, FakeClock, Someone, opened_store, peer, someone, sure, with_database
from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Contact, DropId, HostPort, Instant, MailId
from postroad.base.tlv import encode
from postroad.delivery.holders import in_order
from postroad.machine.disk import FolderDisk
from postroad.protocol import wire, wire_holders
from postroad.protocol.contacts import encode_contact
from postroad.protocol.holding import HoldFor, Relation, quota
from postroad.protocol.records import Drop, sign_person
from postroad.protocol.wire_reseal import sign_reseal
from postroad.sealing.receipt import RECEIPT_BYTES
from postroad.store import held, hours, people, rented, renters
from postroad.store.database import Database, Sql
from postroad.store.sealed import SealedStore
from postroad.store.shelves import Shelves
from postroad.store.siblings import Ledger, Sibling

OWNER, VERA = someone("anna"), someone("vera")
ME, THERE, ELSEWHERE = peer(77), peer(78), peer(79)
MINE, ITS, THIRD = DropId(b"m" * 16), DropId(b"i" * 16), DropId(b"t" * 16)
TICKET = b"t" * 16
TICKET_HASH = hashlib.sha256(TICKET).digest()
EXPIRES = Instant(NOW + limits.DAY)
RECEIPT = b"r" * RECEIPT_BYTES


@pytest.fixture
def sql(tmp_path: Path) -> Iterator[Sql]:
    with opened_store(tmp_path) as store:
        yield store.sql


def befriend(sql: Sql, who: Someone) -> None:
    people.add_contact(sql, who.record(), NOW, my_ticket=None, their_ticket=None)


def mail(number: int) -> MailId:
    return MailId(number.to_bytes(32, "big"))


# Relations


def relation(sql: Sql, hold_for: HoldFor = HoldFor.VOUCHED, now: float = NOW) -> Relation:
    drop = held.drop(sql, MINE)
    assert drop is not None
    return renters.relation(sql, drop, hold_for, sure(now))


def test_a_contact_has_room_until_blocked_or_we_hold_no_more(sql: Sql) -> None:
    befriend(sql, OWNER)
    held.rent(sql, MINE, bytes(32), OWNER.fingerprint, NOW)
    assert relation(sql) == relation(sql, HoldFor.CONTACTS) == Relation.CONTACT
    assert relation(sql, HoldFor.OFF) == Relation.STRANGER
    sql.execute("UPDATE contact SET blocked = 1")
    assert relation(sql) == Relation.STRANGER


def test_the_vouched_have_room_while_somebody_vouches_and_we_agree(sql: Sql) -> None:
    befriend(sql, VERA)
    until = Instant(NOW + limits.DAY)
    held.rent(
        sql, MINE, bytes(32), OWNER.fingerprint, NOW, voucher=VERA.fingerprint, vouched_until=until
    )
    assert relation(sql) == Relation.VOUCHED
    assert relation(sql, HoldFor.CONTACTS) == Relation.STRANGER
    assert relation(sql, now=until) == Relation.STRANGER
    sql.execute("UPDATE contact SET blocked = 1")
    assert relation(sql) == Relation.STRANGER
    befriend(sql, OWNER)  # a contact by now: nobody needs to vouch
    assert relation(sql, now=until) == Relation.CONTACT


def test_a_drop_that_nobody_vouches_for_any_more_goes_when_it_is_empty(sql: Sql) -> None:
    until = Instant(NOW + limits.DAY)
    held.rent(
        sql, MINE, bytes(32), OWNER.fingerprint, NOW, voucher=VERA.fingerprint, vouched_until=until
    )
    held.put_letter(sql, MINE, mail(1), 10, EXPIRES, None)
    renters.forget_unvouched(sql, sure(until + 1))
    assert held.drop(sql, MINE) is not None
    sql.execute("DELETE FROM held_letter")
    renters.forget_unvouched(sql, sure(until))
    assert held.drop(sql, MINE) is not None
    renters.forget_unvouched(sql, sure(until + 1))
    assert held.drop(sql, MINE) is None


# Room for what is passed on


def test_passed_on_letters_have_half_of_a_drop_and_take_nobodys_ticket(sql: Sql) -> None:
    held.rent(sql, MINE, bytes(32), OWNER.fingerprint, NOW)
    room = quota(Relation.CONTACT)

    one, other = peer(1), peer(2)

    def fits(size: int, by: bytes) -> bool:
        sibling = one if by == b"1" else other
        return renters.has_room_for_passed(sql, MINE, size, TICKET_HASH, sibling, room)

    assert fits(limits.SIBLING_BYTES_MAX, b"1")
    held.put_letter(sql, MINE, mail(1), limits.SIBLING_BYTES_MAX, EXPIRES, TICKET_HASH, one)
    assert not fits(1, b"1")
    left = room.passed_octets - limits.SIBLING_BYTES_MAX
    assert fits(left, b"2")
    assert not fits(left + 1, b"2")
    assert renters.has_room(sql, MINE, room.ticket_octets, TICKET_HASH, room), "its own, all of it"
    assert not renters.has_room_for_passed(sql, MINE, 65_537, None, other, room)
    assert renters.has_room_for_passed(sql, MINE, 65_536, None, other, room)


def test_what_its_sender_brings_as_well_is_its_senders(sql: Sql) -> None:
    held.rent(sql, MINE, bytes(32), OWNER.fingerprint, NOW)
    held.put_letter(sql, MINE, mail(1), 10, EXPIRES, TICKET_HASH, peer(1))
    held.put_letter(sql, MINE, mail(1), 10, EXPIRES, TICKET_HASH, None)
    held.put_letter(sql, MINE, mail(1), 10, EXPIRES, TICKET_HASH, peer(1))
    lying = held.letter(sql, MINE, mail(1))
    assert lying is not None
    assert lying.sibling is None


def test_a_holder_that_lies_about_a_letters_ticket_uses_up_nobodys(sql: Sql) -> None:
    """Passed on under Bora's ticket, then brought by Anna under her own: it counts as Anna's."""
    held.rent(sql, MINE, bytes(32), OWNER.fingerprint, NOW)
    of_anna, of_bora = bytes([1]) * 32, bytes([2]) * 32
    held.put_letter(sql, MINE, mail(1), 10, EXPIRES, of_bora, peer(1))
    held.put_letter(sql, MINE, mail(1), 10, EXPIRES, of_anna, None)
    held.put_letter(sql, MINE, mail(1), 10, EXPIRES, of_bora, peer(1))
    held.put_letter(sql, MINE, mail(1), 10, EXPIRES, of_bora, None)
    lying = held.letter(sql, MINE, mail(1))
    assert lying is not None
    assert lying.ticket_hash == of_anna


def test_a_lease_for_what_was_passed_on_is_kept_even_without_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(shelf: Shelf) -> None:
        one = listed(b"letter")
        await shelf.ledger.take(await shelf.sibling(), one, chunks_of(b"letter"))
        monkeypatch.setattr(limits, "TICKET_LETTERS_MAX", 0)
        later = int(EXPIRES) + limits.DAY
        deposit = wire.Deposit(MINE, one.mail_id, 6, later, TICKET, None)
        assert await shelf.shelves.offer(deposit) is None
        mail_id = MailId(one.mail_id)
        lying = await shelf.database.read(lambda sql: held.letter(sql, MINE, mail_id))
        assert lying is not None
        assert int(lying.expires_at) == later
        assert lying.sibling == THERE

    with_ledger(tmp_path, work)


def test_an_arrival_number_is_never_used_again(sql: Sql) -> None:
    """A sibling asks for what came after a number: a second letter of that number would be lost."""
    held.rent(sql, MINE, bytes(32), OWNER.fingerprint, NOW)
    held.put_letter(sql, MINE, mail(1), 10, EXPIRES, None)
    held.put_letter(sql, MINE, mail(2), 10, EXPIRES, None)
    (before,) = [one.arrival for one in held.changes(sql, MINE, 0, NOW, 100)][-1:]
    sql.execute("DELETE FROM held_letter")
    held.put_letter(sql, MINE, mail(3), 10, EXPIRES, None)
    assert [one.mail_id for one in held.changes(sql, MINE, before, NOW, 100)] == [mail(3)]
    (before,) = [one.arrival for one in held.changes(sql, MINE, 0, NOW, 100)][-1:]
    held.bury(sql, MINE, mail(3), RECEIPT, b"s" * 64)
    assert [one.mail_id for one in held.changes(sql, MINE, before, NOW, 100)] == [mail(3)]


def test_changes_leave_out_what_is_over_too_large_or_cannot_be_proven(sql: Sql) -> None:
    held.rent(sql, MINE, bytes(32), OWNER.fingerprint, NOW)
    held.put_letter(sql, MINE, mail(1), 10, NOW, None)
    held.put_letter(sql, MINE, mail(2), 101, EXPIRES, None)
    held.put_letter(sql, MINE, mail(3), 10, EXPIRES, None)
    held.bury(sql, MINE, mail(3), RECEIPT)
    assert held.changes(sql, MINE, 0, NOW, 100) == []


# The ledger


class Shelf:
    """A holder of the owner, whose record names it in the first place and others behind it."""

    def __init__(self, database: Database, disk: FolderDisk, places: int) -> None:
        self.database = database
        clock, sealed = FakeClock(), SealedStore(disk)
        self.ledger = Ledger(database, sealed, clock, ME)
        self.shelves = Shelves(database, sealed, clock, ME)
        self.places = places

    async def named(self) -> None:
        others = [Drop(DropId(bytes([n]) * 16), encode_contact(Contact(peer(n)))) for n in range(8)]
        drops = [*others[1 : self.places], Drop(MINE, encode_contact(Contact(ME)))]
        drops += [Drop(ITS, encode_contact(Contact(THERE)))]
        record = sign_person(
            name="anna",
            devices=(OWNER.contact,),
            drops=tuple(drops),
            epoch_key=OWNER.epoch.public,
            sequence=OWNER.record(9).sequence,
            expires=NOW + limits.RECORD_SECONDS_MAX,
            certificate=OWNER.certificate,
            device=OWNER.device,
        )
        await self.database.run(lambda sql: befriend(sql, OWNER))
        refusal = await self.shelves.rent(MINE, b"k" * 32, encode(record), OWNER.device.peer)
        assert refusal is None
        await self.shelves.set_tickets(MINE, [TICKET_HASH])

    async def sibling(self) -> Sibling:
        found = await self.ledger.siblings(MINE)
        return next(one for one in found if one.drop == ITS)


def with_ledger(folder: Path, work: Callable[[Shelf], Awaitable[None]], places: int = 1) -> None:
    async def run(database: Database, disk: FolderDisk) -> None:
        shelf = Shelf(database, disk, places)
        await shelf.named()
        await work(shelf)

    with_database(folder, run)


async def chunks_of(octets: bytes) -> AsyncIterator[bytes]:
    yield octets


def listed(octets: bytes, **changes: object) -> wire_holders.Kept:
    made = {
        "mail_id": hashlib.sha256(octets).digest(),
        "size": len(octets),
        "arrival": 1,
        "expires": int(EXPIRES),
        "lies": 0,
        "ticket_hash": TICKET_HASH,
    }
    return wire_holders.Kept(**{**made, **changes})  # type: ignore[arg-type]


def test_a_sibling_is_who_the_owner_names_with_the_drop_that_stands_there(tmp_path: Path) -> None:
    async def work(shelf: Shelf) -> None:
        assert await shelf.ledger.changes(MINE, THERE, ITS, 0) == ()
        for asker, drop in ((THERE, THIRD), (ELSEWHERE, ITS), (ME, MINE), (THERE, MINE)):
            assert await shelf.ledger.changes(MINE, asker, drop, 0) is None
        assert await shelf.ledger.changes(ITS, THERE, ITS, 0) is None
        assert await shelf.ledger.siblings(ITS) == []

    with_ledger(tmp_path, work)


def test_a_letter_is_taken_once_and_only_if_it_is_the_one_listed(tmp_path: Path) -> None:
    async def work(shelf: Shelf) -> None:
        sibling, one = await shelf.sibling(), listed(b"letter")
        for sent in (b"lettes", b"lette", b""):
            with pytest.raises(PeerMisbehaved):
                await shelf.ledger.take(sibling, one, chunks_of(sent))
        assert await shelf.ledger.wanted(sibling, (one,)) == [one]
        await shelf.ledger.take(sibling, one, chunks_of(b"letter"))
        assert await shelf.ledger.wanted(sibling, (one,)) == []
        (there,) = await shelf.shelves.list_drop(MINE, 0)
        assert there.mail_id == one.mail_id
        assert await shelf.ledger.passed_on(MINE, THERE, ITS, MailId(one.mail_id)) == 6

    with_ledger(tmp_path, work)


@pytest.mark.parametrize(
    "changes",
    [
        {"expires": int(NOW)},
        {"expires": int(NOW) + limits.EXPIRY_SECONDS_MAX + limits.DAY + 1},
        {"expires": 0},
        {"size": 0},
        {"size": limits.SEALED_BYTES_MAX + 1},
        {"ticket_hash": bytes(32), "size": limits.OPEN_LETTER_BYTES_MAX + 1},
        {"ticket_hash": None, "size": limits.OPEN_LETTER_BYTES_MAX + 1},
    ],
)
def test_what_a_sender_might_not_bring_a_sibling_may_not_pass_on(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    async def work(shelf: Shelf) -> None:
        sibling = await shelf.sibling()
        assert await shelf.ledger.wanted(sibling, (listed(b"letter", **changes),)) == []

    with_ledger(tmp_path, work)


def test_large_letters_go_to_the_first_five_only(tmp_path: Path) -> None:
    large = listed(b"letter", size=limits.LARGE_LETTER_BYTES + 1)

    async def early(shelf: Shelf) -> None:
        assert await shelf.ledger.wanted(await shelf.sibling(), (large,)) == [large]

    async def late(shelf: Shelf) -> None:
        assert await shelf.ledger.wanted(await shelf.sibling(), (large,)) == []

    with_ledger(tmp_path / "early", early, places=5)
    with_ledger(tmp_path / "late", late, places=6)


def test_a_burial_is_believed_by_the_owners_signature_alone(tmp_path: Path) -> None:
    async def work(shelf: Shelf) -> None:
        sibling, one = await shelf.sibling(), listed(b"letter")
        mail_id = MailId(one.mail_id)
        await shelf.ledger.take(sibling, one, chunks_of(b"letter"))
        buried = listed(b"letter", lies=1)
        good = wire_holders.sign_burial(mail_id, RECEIPT, OWNER.device)
        lies = [
            wire_holders.Burial(mail_id, RECEIPT, bytes(64)),
            wire_holders.Burial(mail_id, b"x" * RECEIPT_BYTES, good),
            wire_holders.Burial(mail(1), RECEIPT, good),
            wire_holders.Burial(
                mail_id, RECEIPT, wire_holders.sign_burial(mail_id, RECEIPT, VERA.device)
            ),
        ]
        for lie in lies:
            with pytest.raises(PeerMisbehaved):
                await shelf.ledger.take_word(sibling, buried, lie)
        assert await shelf.ledger.has_letters(MINE)
        burial = wire_holders.Burial(mail_id, RECEIPT, good)
        await shelf.ledger.take_word(sibling, buried, burial)
        assert not await shelf.ledger.has_letters(MINE)
        assert await shelf.ledger.passed_on(MINE, THERE, ITS, mail_id) == burial
        assert await shelf.ledger.wanted(sibling, (one, buried)) == [], "it does not come back"

    with_ledger(tmp_path, work)


def test_who_brings_a_letter_that_was_buried_elsewhere_hears_of_it(tmp_path: Path) -> None:
    async def work(shelf: Shelf) -> None:
        sibling, buried = await shelf.sibling(), listed(b"letter", lies=1)
        mail_id = MailId(buried.mail_id)
        signed = wire_holders.sign_burial(mail_id, RECEIPT, OWNER.device)
        await shelf.ledger.take_word(sibling, buried, wire_holders.Burial(mail_id, RECEIPT, signed))
        deposit = wire.Deposit(MINE, mail_id, 6, int(EXPIRES), TICKET, None)
        assert await shelf.shelves.offer(deposit) == wire.Tombstone(mail_id, RECEIPT)

    with_ledger(tmp_path, work)


def test_a_wish_to_seal_anew_is_believed_by_the_owners_signature_and_passed_on(
    tmp_path: Path,
) -> None:
    async def work(shelf: Shelf) -> None:
        sibling, one = await shelf.sibling(), listed(b"letter")
        mail_id = MailId(one.mail_id)
        await shelf.ledger.take(sibling, one, chunks_of(b"letter"))
        (before,) = await shelf.ledger.changes(MINE, THERE, ITS, 0) or ()
        wished, key = listed(b"letter", lies=2), b"k" * 16
        good = sign_reseal(mail_id, key, 7, OWNER.device)
        for lie in (
            sign_reseal(mail_id, key, 7, VERA.device),
            sign_reseal(mail(1), key, 7, OWNER.device),
            replace(good, sequence=8),
        ):
            with pytest.raises(PeerMisbehaved):
                await shelf.ledger.take_word(sibling, wished, lie)
        assert await shelf.ledger.has_letters(MINE)
        await shelf.ledger.take_word(sibling, wished, good)
        assert not await shelf.ledger.has_letters(MINE)
        # It is heard of by the next sibling, and by who brings the letter.
        (after,) = await shelf.ledger.changes(MINE, THERE, ITS, before.arrival) or ()
        assert (after.mail_id, after.lies) == (mail_id, wire_holders.Lies.RESEAL)
        assert await shelf.ledger.passed_on(MINE, THERE, ITS, mail_id) == good
        assert await shelf.ledger.wanted(sibling, (one, wished)) == [], "it does not come back"
        deposit = wire.Deposit(MINE, mail_id, 6, int(EXPIRES), TICKET, None)
        assert await shelf.shelves.offer(deposit) == good
        # The receipt has the last word.
        signed = wire_holders.sign_burial(mail_id, RECEIPT, OWNER.device)
        burial = wire_holders.Burial(mail_id, RECEIPT, signed)
        await shelf.ledger.take_word(sibling, listed(b"letter", lies=1), burial)
        assert await shelf.shelves.offer(deposit) == wire.Tombstone(mail_id, RECEIPT)
        # What a later version may leave there is passed over.
        assert await shelf.ledger.wanted(sibling, (listed(b"other", lies=3),)) == []

    with_ledger(tmp_path, work)


# Hours, and drops that we left


def test_what_was_seen_of_a_node_fades(sql: Sql) -> None:
    for _ in range(4):
        hours.note(sql, THERE, 7, 1.0, 0.0, NOW)
    later = Instant(NOW + limits.HOURS_HALF_LIFE_SECONDS)
    assert hours.known(sql, NOW)[THERE].on[7] == 4
    assert hours.known(sql, later)[THERE].on[7] == pytest.approx(2)
    hours.note(sql, THERE, 7, 0.0, 1.0, later)
    found = hours.known(sql, later)[THERE]
    assert found.on[7] == pytest.approx(2)
    assert found.off[7] == pytest.approx(1)
    hours.forget_old(sql, sure(later + hours.FADED_SECONDS + 1))
    assert hours.known(sql, later) == {}


def test_a_clock_that_went_back_gives_no_weight_above_what_was_seen(sql: Sql) -> None:
    hours.note(sql, THERE, 7, 1.0, 0.0, NOW)
    assert hours.known(sql, Instant(NOW - 365 * limits.DAY))[THERE].on[7] == 1


def test_a_drop_that_we_left_is_looked_into_for_as_long_as_letters_may_lie_there(
    sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2, 3):
        rented.add_my_drop(
            sql, DropId(bytes([number]) * 16), bytes(32), peer(number), VERA.fingerprint
        )
        rented.drop_agreed(sql, DropId(bytes([number]) * 16))
    rented.leave(sql, DropId(b"\1" * 16), NOW)
    rented.leave(sql, DropId(b"\2" * 16), Instant(NOW + 1))
    life = limits.RECORD_SECONDS_MAX + limits.EXPIRY_SECONDS_MAX
    rented.forget_left(sql, sure(NOW + life))
    assert [one.is_ours for one in rented.my_drops(sql)] == [False, False, True]
    rented.forget_left(sql, sure(NOW + life + 0.5))
    assert [one.drop[0] for one in rented.my_drops(sql)] == [2, 3]
    monkeypatch.setattr(limits, "MY_DROPS_MAX", 1)
    rented.forget_left(sql, sure(NOW + life))
    assert [one.drop[0] for one in rented.my_drops(sql)] == [3], "never one that is in use"


def test_those_who_never_agreed_do_not_fill_the_store(sql: Sql) -> None:
    for number in range(2 * limits.MY_DROPS_MAX):
        drop = DropId(number.to_bytes(16, "little"))
        rented.add_my_drop(sql, drop, bytes(32), peer(number), VERA.fingerprint)
        if number % 2 and number < 20:
            rented.drop_agreed(sql, drop)
    rented.forget_left(sql, sure(NOW))
    drops = rented.my_drops(sql)
    assert sum(one.is_ours for one in drops) == 10
    assert len(drops) == 10 + limits.MY_DROPS_MAX


def test_whoever_names_the_node_of_a_vouched_holder_does_not_lead_us_astray(sql: Sql) -> None:
    """Mallory's record says that Vera's contact is where Mallory is; so ours would say it, too."""
    mallory = someone("mallory")
    befriend(sql, VERA)
    where = Contact(THERE, (HostPort("9.9.9.9", 4646),))
    rented.add_my_drop(sql, MINE, bytes(32), THERE, VERA.fingerprint, encode_contact(where))
    record = mallory.record(also=(THERE,))
    people.add_contact(sql, record, NOW, my_ticket=None, their_ticket=None)
    named = people.at_device(sql, THERE)
    assert named is not None
    assert named.fingerprint == mallory.fingerprint
    assert rented.holder_of(sql, rented.my_drops(sql)[0]) == where


def test_a_holder_is_silent_after_days_of_our_own_time(sql: Sql) -> None:
    rented.add_my_drop(sql, MINE, bytes(32), THERE, VERA.fingerprint)
    rented.drop_agreed(sql, MINE)
    rented.were_seen(sql, [], limits.SILENT_SECONDS_MAX)
    assert not rented.my_drops(sql)[0].is_silent
    rented.were_seen(sql, [ELSEWHERE], 1.0)
    assert rented.my_drops(sql)[0].is_silent
    rented.were_seen(sql, [THERE], 1.0)
    assert not rented.my_drops(sql)[0].is_silent


def test_our_drops_stand_in_the_order_of_their_hours_the_silent_ones_last(sql: Sql) -> None:
    """The first five get the letters above 1 MiB."""
    when = {1: range(0, 8), 2: range(1, 9), 3: range(12, 20), 4: range(24), 5: range(24)}
    for number, on in when.items():
        holder, drop = peer(number), DropId(bytes([number]) * 16)
        rented.add_my_drop(sql, drop, bytes(32), holder, VERA.fingerprint)
        rented.drop_agreed(sql, drop)
        for hour in range(24):
            for _ in range(14):
                hours.note(sql, holder, hour, float(hour in on), float(hour not in on), NOW)
    sql.execute("UPDATE my_drop SET silent_seconds = 1e9 WHERE drop_id = ?", (b"\5" * 16,))
    found = [one.drop[0] for one in in_order(sql, rented.my_drops(sql), ME, NOW)]
    assert found[0] == 4, "always on"
    assert 3 in found[1:3], "the hours of the other two are alike"
    assert found[-1] == 5, "silent, whatever its hours were"
