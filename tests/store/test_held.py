"""What we hold for others: how much, for whom, and until when."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from fakes import NOW, FakeClock, Someone, opened_store, peer, someone, sure, with_database
from postroad.base import limits
from postroad.base.errors import DiskFull, PeerMisbehaved, TemporaryFailure
from postroad.base.ids import DropId, Instant, MailId, PeerId
from postroad.base.tlv import encode
from postroad.machine.disk import FolderDisk
from postroad.protocol import wire
from postroad.protocol.holding import Relation, quota
from postroad.store import held, housekeeping, people, renters
from postroad.store.contents import Contents
from postroad.store.database import Database, Sql
from postroad.store.sealed import SealedStore, file_name
from postroad.store.shelves import Shelves

ANNA, BEN, MALLORY = someone("anna"), someone("ben"), someone("mallory")
DROP, DROP_KEY = DropId(b"d" * 16), b"k" * 32
ME = peer(77)
TICKET = b"t" * 16
TICKET_HASH = hashlib.sha256(TICKET).digest()
EXPIRES = Instant(NOW + limits.DAY)
DAY = limits.DAY


@pytest.fixture
def sql(tmp_path: Path) -> Iterator[Sql]:
    with opened_store(tmp_path) as store:
        held.rent(store.sql, DROP, DROP_KEY, ANNA.fingerprint, NOW)
        yield store.sql


def mail(number: int) -> MailId:
    return MailId(number.to_bytes(32, "big"))


def put(
    sql: Sql, number: int, size: int = 100, *, ticket: bytes | None = None, drop: DropId = DROP
) -> None:
    held.put_letter(sql, drop, mail(number), size, EXPIRES, ticket)


def has_room(sql: Sql, drop: DropId, size: int, ticket_hash: bytes | None) -> bool:
    return renters.has_room(sql, drop, size, ticket_hash, quota(Relation.CONTACT))


def tombstone(sql: Sql, number: int) -> bytes | None:
    found = held.letter(sql, DROP, mail(number))
    return found.tombstone if found else None


# Rows


def test_a_drop_stays_whose_it_is(sql: Sql) -> None:
    held.rent(sql, DROP, bytes(32), BEN.fingerprint, NOW)
    assert held.drop(sql, DROP) == held.HeldDrop(DROP, DROP_KEY, ANNA.fingerprint)
    assert held.drop(sql, DropId(bytes(16))) is None
    assert (held.drops_of(sql, ANNA.fingerprint), held.drops_of(sql, BEN.fingerprint)) == (1, 0)


def test_a_drop_takes_the_tickets_it_was_last_told_and_no_others(sql: Sql) -> None:
    held.set_tickets(sql, DROP, [TICKET_HASH, TICKET_HASH, bytes(32)])
    assert held.has_ticket(sql, DROP, TICKET) == TICKET_HASH
    assert held.has_ticket(sql, DROP, b"x" * 16) is None
    assert held.has_ticket(sql, DROP, None) is None
    assert held.has_ticket(sql, DropId(bytes(16)), TICKET) is None
    held.set_tickets(sql, DROP, [bytes(32)])  # a contact was blocked
    assert held.has_ticket(sql, DROP, TICKET) is None
    assert TICKET not in [row[1] for row in sql.execute("SELECT * FROM held_ticket")]


def test_letters_are_listed_in_order_of_arrival_each_once(sql: Sql) -> None:
    for number in (3, 1, 2, 3):
        put(sql, number)
    found = held.letters(sql, DROP, 0, 10)
    assert [one.mail_id for one in found] == [mail(3), mail(1), mail(2)]
    assert [one.arrival for one in found] == [1, 2, 3]
    assert [one.mail_id for one in held.letters(sql, DROP, 1, 1)] == [mail(1)]
    assert held.letters(sql, DROP, 3, 10) == []
    assert held.letters(sql, DROP, 2**63 - 1, 10) == []
    assert held.letters(sql, DropId(bytes(16)), 0, 10) == []


@pytest.mark.parametrize("ticketed", [True, False])
def test_a_compartment_takes_so_many_letters(
    sql: Sql, ticketed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DROP_LETTERS_MAX", 50)
    monkeypatch.setattr(limits, "OPEN_COMPARTMENT_LETTERS_MAX", 5)
    mine, other = (TICKET_HASH, None) if ticketed else (None, TICKET_HASH)
    for number in range(50 if ticketed else 5):
        assert has_room(sql, DROP, 100, mine)
        put(sql, number, ticket=somebody(number) if ticketed else None)
    assert not has_room(sql, DROP, 100, mine)
    assert has_room(sql, DROP, 100, other), "the other one is not displaced"
    held.bury(sql, DROP, mail(0), b"receipt")
    assert has_room(sql, DROP, 100, mine)


def somebody(number: int) -> bytes:
    """The hash of another contact's ticket."""
    return hashlib.sha256(bytes([number])).digest()


def test_one_contact_cannot_fill_the_drop_for_the_others(sql: Sql) -> None:
    put(sql, 1, limits.TICKET_BYTES_MAX - 100, ticket=TICKET_HASH)
    assert has_room(sql, DROP, 100, TICKET_HASH)
    assert not has_room(sql, DROP, 101, TICKET_HASH)
    assert has_room(sql, DROP, limits.SEALED_BYTES_MAX, somebody(1))


@pytest.mark.parametrize("ticketed", [True, False])
def test_a_compartment_takes_so_many_bytes(sql: Sql, ticketed: bool) -> None:
    mine, other = (TICKET_HASH, None) if ticketed else (None, TICKET_HASH)
    largest = limits.SEALED_BYTES_MAX if ticketed else limits.OPEN_LETTER_BYTES_MAX
    total = limits.DROP_BYTES_MAX if ticketed else limits.OPEN_COMPARTMENT_BYTES_MAX
    put(sql, 1, total - largest, ticket=somebody(1) if ticketed else None)
    assert has_room(sql, DROP, largest, mine)
    put(sql, 2, 1, ticket=somebody(2) if ticketed else None)
    assert not has_room(sql, DROP, largest, mine)
    assert has_room(sql, DROP, 60_000, other), "the other one is not displaced"


def test_a_stranger_cannot_leave_a_large_letter(sql: Sql) -> None:
    assert not has_room(sql, DROP, limits.OPEN_LETTER_BYTES_MAX + 1, None)
    assert has_room(sql, DROP, limits.OPEN_LETTER_BYTES_MAX + 1, TICKET_HASH)


def test_the_first_receipt_stays_in_the_letters_place(sql: Sql) -> None:
    put(sql, 1)
    assert tombstone(sql, 1) is None
    held.bury(sql, DROP, mail(1), b"first")
    held.bury(sql, DROP, mail(1), b"second")
    held.bury(sql, DROP, mail(2), b"of a letter that is not here")
    assert tombstone(sql, 1) == b"first"
    assert tombstone(sql, 2) is None
    assert held.letters(sql, DROP, 0, 10) == []
    lying = held.letter(sql, DROP, mail(1))
    assert lying is not None
    assert lying.tombstone == b"first"


def test_a_receipt_in_one_drop_says_nothing_of_another(sql: Sql) -> None:
    other = DropId(b"o" * 16)
    held.rent(sql, other, bytes(32), BEN.fingerprint, NOW)
    put(sql, 1)
    held.put_letter(sql, other, mail(1), 100, EXPIRES, None)
    held.bury(sql, other, mail(1), b"receipt")
    assert tombstone(sql, 1) is None
    assert [one.mail_id for one in held.letters(sql, DROP, 0, 10)] == [mail(1)]


def test_a_letter_lies_until_its_expiry_and_a_tombstone_a_week_longer(sql: Sql) -> None:
    put(sql, 1)
    put(sql, 2)
    held.bury(sql, DROP, mail(2), b"receipt")

    def left(now: float) -> set[MailId]:
        held.forget_expired(sql, sure(now))
        return {MailId(found) for (found,) in sql.execute("SELECT mail_id FROM held_letter")}

    assert left(EXPIRES + limits.EXPIRY_GRACE_SECONDS) == {mail(1), mail(2)}
    assert left(EXPIRES + limits.EXPIRY_GRACE_SECONDS + 1) == {mail(2)}
    assert left(EXPIRES + 7 * DAY) == {mail(2)}
    assert left(EXPIRES + 7 * DAY + 1) == set()


# Shelves: what the holder's side of conversations stands on


class Shelf:
    """Shelves over a real store, for a holder whose contact Anna rents a drop."""

    def __init__(self, database: Database, disk: FolderDisk) -> None:
        self.database = database
        self.disk = disk
        self.clock = FakeClock()
        self.sealed = SealedStore(disk)
        self.shelves = Shelves(database, self.sealed, self.clock, ME)

    async def rented(self) -> None:
        await self.befriend(ANNA)
        record = encode(ANNA.record())
        assert await self.shelves.rent(DROP, DROP_KEY, record, ANNA.device.peer) is None
        await self.shelves.set_tickets(DROP, [TICKET_HASH])

    async def befriend(self, who: Someone) -> None:
        await self.database.run(
            lambda sql: people.add_contact(
                sql, who.record(), NOW, my_ticket=None, their_ticket=None
            )
        )

    async def deposit(self, octets: bytes, **changes: object) -> wire.Deposit:
        deposit = deposit_of(octets, **changes)
        answer = await self.shelves.offer(deposit)
        assert answer == wire.Take(), answer
        await self.shelves.put(deposit, chunks_of(octets))
        return deposit


async def chunks_of(octets: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(octets), 50_000):
        yield octets[at : at + 50_000]


def letter(size: int = 1000, seed: int = 1) -> bytes:
    return Random(seed).randbytes(size)


def deposit_of(octets: bytes, **changes: object) -> wire.Deposit:
    made = wire.Deposit(
        DROP, hashlib.sha256(octets).digest(), len(octets), int(EXPIRES), TICKET, None
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # checked where it is read


def with_shelf(folder: Path, work: Callable[[Shelf], Awaitable[None]]) -> None:
    async def run(database: Database, disk: FolderDisk) -> None:
        shelf = Shelf(database, disk)
        await shelf.rented()
        await work(shelf)

    with_database(folder, run)


def refusal(answer: object) -> wire.Refusal:
    assert isinstance(answer, wire.No), answer
    assert answer.reason.endswith(".")
    return wire.Refusal(answer.refusal)


@pytest.mark.parametrize("size", [1, 64 * 1024, 64 * 1024 + 1, 300_000])
def test_a_letter_is_held_and_given_back_as_it_came(tmp_path: Path, size: int) -> None:
    octets = letter(size)

    async def work(shelf: Shelf) -> None:
        deposit = await shelf.deposit(octets)
        (listed,) = await shelf.shelves.list_drop(DROP, 0)
        assert (listed.mail_id, listed.size) == (deposit.mail_id, size)
        mail_id = MailId(deposit.mail_id)
        assert await shelf.shelves.size_of(DROP, mail_id) == size
        pieces = [piece async for piece in shelf.shelves.read(mail_id, size)]
        assert b"".join(pieces) == octets

    with_shelf(tmp_path, work)


def test_a_letter_that_lies_there_is_leased_again_without_being_sent_again(tmp_path: Path) -> None:
    async def work(shelf: Shelf) -> None:
        deposit = await shelf.deposit(letter())
        assert await shelf.shelves.offer(deposit) is None
        await shelf.shelves.put(deposit, chunks_of(letter()))  # it was on its way twice
        assert len(await shelf.shelves.list_drop(DROP, 0)) == 1

    with_shelf(tmp_path, work)


def test_a_letter_that_the_disk_lost_is_asked_for_again_and_not_leased(tmp_path: Path) -> None:
    octets = letter(200_000)

    async def work(shelf: Shelf) -> None:
        deposit = await shelf.deposit(octets)
        (tmp_path / file_name(MailId(deposit.mail_id))).unlink()
        await shelf.deposit(octets)  # is taken
        mail_id = MailId(deposit.mail_id)
        pieces = [piece async for piece in shelf.shelves.read(mail_id, len(octets))]
        assert b"".join(pieces) == octets

    with_shelf(tmp_path, work)


def test_a_letter_that_is_done_is_answered_with_its_receipt(tmp_path: Path) -> None:
    async def work(shelf: Shelf) -> None:
        deposit = await shelf.deposit(letter())
        mail_id = MailId(deposit.mail_id)
        await shelf.shelves.bury(DROP, mail_id, b"r" * 1052)
        assert await shelf.shelves.offer(deposit) == wire.Tombstone(mail_id, b"r" * 1052)
        assert await shelf.shelves.tombstone(DROP, mail_id) == b"r" * 1052
        assert await shelf.shelves.size_of(DROP, mail_id) is None
        assert await shelf.shelves.list_drop(DROP, 0) == ()

    with_shelf(tmp_path, work)


@pytest.mark.parametrize("sent", [letter()[:-1], letter() + b"!", letter(seed=2), b""])
def test_a_letter_that_is_not_the_one_announced_is_not_held(tmp_path: Path, sent: bytes) -> None:
    async def work(shelf: Shelf) -> None:
        with pytest.raises(PeerMisbehaved):
            await shelf.shelves.put(deposit_of(letter()), chunks_of(sent))
        assert await shelf.shelves.list_drop(DROP, 0) == ()

    with_shelf(tmp_path, work)


def test_a_sender_who_leaves_half_way_leaves_nothing(tmp_path: Path) -> None:
    async def breaks_off() -> AsyncIterator[bytes]:
        yield bytes(100_000)
        raise ConnectionError

    async def work(shelf: Shelf) -> None:
        octets = letter(300_000)
        with pytest.raises(ConnectionError):
            await shelf.shelves.put(deposit_of(octets), breaks_off())
        assert shelf.disk.names("spool") == []
        assert await shelf.shelves.list_drop(DROP, 0) == ()

    with_shelf(tmp_path, work)


def test_what_a_drop_does_not_want_is_refused_in_words_before_it_is_sent(tmp_path: Path) -> None:
    async def work(shelf: Shelf) -> None:
        offer, octets = shelf.shelves.offer, letter()
        now = int(NOW)
        latest = now + limits.EXPIRY_SECONDS_MAX + DAY
        assert refusal(await offer(deposit_of(octets, drop=bytes(16)))) == wire.Refusal.UNKNOWN
        for expires in (0, now - 1, now, latest + 1, 2**63 - 1):
            answer = await offer(deposit_of(octets, expires=expires))
            assert refusal(answer) == wire.Refusal.FORBIDDEN
        for expires in (now + 1, latest):
            assert await offer(deposit_of(octets, expires=expires)) == wire.Take()
        too_large = deposit_of(octets, size=limits.SEALED_BYTES_MAX + 1)
        assert refusal(await offer(too_large)) == wire.Refusal.TOO_LARGE
        for ticket in (None, bytes(16)):
            large = deposit_of(octets, size=limits.OPEN_LETTER_BYTES_MAX + 1, ticket=ticket)
            assert refusal(await offer(large)) == wire.Refusal.FULL

    with_shelf(tmp_path, work)


def test_many_deposits_at_once_do_not_overfill_a_drop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All were offered while there was room."""
    monkeypatch.setattr(limits, "DROP_LETTERS_MAX", 3)

    async def work(shelf: Shelf) -> None:
        letters = [letter(seed=seed) for seed in range(8)]
        for one in letters:
            assert await shelf.shelves.offer(deposit_of(one)) == wire.Take()
        held_now = 0
        for one in letters:
            try:
                await shelf.shelves.put(deposit_of(one), chunks_of(one))
                held_now += 1
            except TemporaryFailure:
                continue
        assert held_now == 3
        assert len(await shelf.shelves.list_drop(DROP, 0)) == 3
        (again, *_) = await shelf.shelves.list_drop(DROP, 0)
        same = next(one for one in letters if hashlib.sha256(one).digest() == again.mail_id)
        await shelf.shelves.put(deposit_of(same), chunks_of(same))  # full, but it lies there

    with_shelf(tmp_path, work)


def test_a_letter_is_refused_when_the_disk_is_almost_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(shelf: Shelf) -> None:
        def full(_: int) -> None:
            raise DiskFull("full")

        monkeypatch.setattr(shelf.disk, "require_room", full)
        with pytest.raises(DiskFull):
            await shelf.shelves.offer(deposit_of(letter()))

    with_shelf(tmp_path, work)


def test_only_contacts_rent_and_no_more_than_they_may(tmp_path: Path) -> None:
    async def work(shelf: Shelf) -> None:
        async def rent(drop: bytes, key: bytes, who: Someone, device: bytes) -> str | None:
            record = encode(who.record())
            return await shelf.shelves.rent(DropId(drop), key, record, PeerId(device))

        key = bytes(32)
        told = await rent(b"m" * 16, key, MALLORY, MALLORY.device.public)
        assert told is not None
        assert "contacts only" in told
        assert await rent(DROP, DROP_KEY, ANNA, ANNA.device.public) is None  # renews
        await shelf.befriend(BEN)
        stolen = await rent(DROP, DROP_KEY, BEN, BEN.device.public)
        assert stolen is not None
        assert "somebody else's" in stolen
        assert await rent(DROP, key, ANNA, ANNA.device.public) is not None  # another key
        with pytest.raises(PeerMisbehaved):
            await rent(b"2" * 16, key, ANNA, BEN.device.public)  # with somebody else's record
        assert await rent(b"2" * 16, key, ANNA, ANNA.device.public) is None
        for drop in (DROP, DropId(b"2" * 16)):
            await shelf.database.run(lambda sql, drop=drop: put(sql, 1, drop=drop))  # type: ignore[misc]
        third = await rent(b"3" * 16, key, ANNA, ANNA.device.public)
        assert third is not None
        assert "as many drops" in third
        await shelf.database.run(lambda sql: sql.execute("DELETE FROM held_letter").close())
        assert await rent(b"3" * 16, key, ANNA, ANNA.device.public) is None  # the left are free
        await shelf.database.run(lambda sql: sql.execute("UPDATE contact SET blocked = 1").close())
        assert await rent(b"4" * 16, key, BEN, BEN.device.public) is not None

    with_shelf(tmp_path, work)


def test_a_contact_tells_a_newer_record_and_everybody_may_have_it(tmp_path: Path) -> None:
    async def work(shelf: Shelf) -> None:
        shelves = shelf.shelves
        assert await shelves.record_of(ANNA.fingerprint) == encode(ANNA.record())
        assert await shelves.learn_record(encode(ANNA.record(2)), ANNA.device.peer)
        assert await shelves.learn_record(encode(ANNA.record(1)), ANNA.device.peer)
        assert await shelves.record_of(ANNA.fingerprint) == encode(ANNA.record(2))
        assert not await shelves.learn_record(encode(BEN.record()), BEN.device.peer)
        with pytest.raises(PeerMisbehaved):
            await shelves.learn_record(encode(BEN.record()), ANNA.device.peer)
        assert await shelves.record_of(BEN.fingerprint) is None
        assert await shelves.key_of(DROP) == DROP_KEY
        assert await shelves.key_of(DropId(bytes(16))) is None
        assert not await shelves.learn_record(encode(ANNA.record(3)), peer(9))

    with_shelf(tmp_path, work)


def test_housekeeping_leaves_what_waits_and_takes_what_is_over(tmp_path: Path) -> None:
    async def work(shelf: Shelf) -> None:
        waits, done = letter(100_000, 1), letter(100_000, 2)
        await shelf.deposit(waits)
        buried = MailId((await shelf.deposit(done)).mail_id)
        await shelf.shelves.bury(DROP, buried, b"receipt")

        async def tidy(now: float) -> list[str]:
            contents = Contents(shelf.disk)
            await housekeeping.tidy(shelf.database, contents, shelf.sealed, FakeClock(now))
            return list(shelf.disk.names("sealed"))

        assert await tidy(NOW) == [hashlib.sha256(waits).hexdigest()]
        assert await shelf.shelves.tombstone(DROP, buried) == b"receipt"
        assert await tidy(EXPIRES + limits.EXPIRY_GRACE_SECONDS + 1) == []
        assert await shelf.shelves.tombstone(DROP, buried) == b"receipt"
        await tidy(EXPIRES + 8 * DAY)
        assert await shelf.shelves.tombstone(DROP, buried) is None

    with_shelf(tmp_path, work)
