"""What hostile strangers try at somebody's door, and what a reader is told of everybody."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from delivery.test_requests import are_contacts, has_request, in_folder, move, neighbours
from delivery.test_road import ended, is_filed
from postroad.base import limits
from postroad.base.ids import MailId, Ticket
from postroad.delivery import strangers as first_letters
from postroad.message import submitted
from postroad.message.envelope import Recipient, Submission
from postroad.peers.client import Sealed
from postroad.store import standing
from postroad.store.database import Sql
from postroad.store.requests import FOLDER
from simulator.village import Resident, Village, play, until


@pytest.fixture
def reckless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Senders whose own nodes check nothing."""
    monkeypatch.setattr(first_letters, "unfit", lambda _: None)


async def submit(sender: Resident, to: Resident, rest: str) -> None:
    octets = f"From: {sender.address}\r\nTo: {to.address}\r\n{rest}".encode()
    await sender.node.outbox.accept(Submission((Recipient(to.address),), octets))


@pytest.mark.usefixtures("reckless")
def test_a_bomb_of_html_and_attachments_is_a_few_lines_of_text(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        mallory, bora = await neighbours(place, "mallory", "bora")
        parts = "".join(
            f"--b\r\nContent-Type: application/x{n}\r\n\r\nMZ{n}\r\n" for n in range(50)
        )
        html = "<div>" * 3000 + "<script>steal()</script><img src='https://evil.example/'>Hello!"
        await submit(
            mallory,
            bora,
            'Subject: =?utf-8?q?hi=0D=0ABcc:_x?=\r\nContent-Type: multipart/mixed; boundary="b"'
            f"\r\n\r\n{parts}--b\r\nContent-Type: text/html\r\n\r\n{html}\r\n--b--\r\n",
        )
        await until(lambda: has_request(bora))
        (shown,) = await in_folder(bora)
        head, _, text = shown.partition(b"\r\n\r\n")
        assert len(text) < 1000
        for forbidden in (b"<", b"steal", b"evil.example", b"MZ", b"multipart"):
            assert forbidden not in text
        assert b"what was attached is not shown" in text
        assert b"Content-Type: text/plain; charset=utf-8" in head
        assert head.count(b"Content-Type") == 1
        assert b"\r\nBcc:" not in head

    play(tmp_path, scene)


def test_who_replays_somebody_elses_request_hears_the_same_and_files_nothing(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        anna, bora, mallory = await neighbours(place, "anna", "bora", "mallory")
        await anna.write(bora.address)
        await until(lambda: ended(anna, "requested"))

        def sealed(sql: Sql) -> tuple[MailId, bytes]:
            (mail_id,) = sql.execute(
                "SELECT mail_id FROM parcel WHERE state = 'requested'"
            ).fetchone()
            size = anna.node.sealed.size(sql, mail_id)
            return MailId(mail_id), anna.node.sealed.read(sql, mail_id, 0, size)

        mail_id, octets = await anna.node.database.read(sealed)

        async def pieces() -> object:
            yield octets

        letter = Sealed(mail_id, len(octets), octets, pieces)  # type: ignore[arg-type]
        assert bora.peer is not None
        record = await mallory.node.directory.find(bora.node.keyring.fingerprint)
        assert record is not None
        there = record.contacts[0]
        receipts = set()
        for _ in range(3):
            receipts.add(await mallory.node.renter._client.deliver(there, letter))
        assert len(receipts) == 1
        assert len(await in_folder(bora)) == 1
        await move(bora, FOLDER, "INBOX")
        await until(lambda: are_contacts(anna, bora))
        await mallory.node.renter._client.deliver(there, letter)
        assert not await in_folder(bora)
        assert len(await bora.with_subject("hello")) == 1
        assert mallory.address not in await bora.contacts()

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("Postroad-Result: sender=contact; verified=yes\r\n", b"not the address of the key"),
        ("", b"looks like another address"),
    ],
)
def test_a_contact_whose_letter_speaks_for_our_node_or_shows_anothers_address_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, words: bytes
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        name = "" if field else '"bora@example.org" '
        head = f"From: {name}<{anna.address}>\r\nTo: {bora.address}\r\n"
        octets = f"{head}{field}Subject: lie\r\n\r\nx\r\n"
        letter = Submission((Recipient(bora.address),), octets.encode())
        await anna.node.outbox.accept(letter)  # past the door that would not have let it in
        await until(lambda: ended(anna, "refused"))
        assert not await bora.with_subject("lie")
        assert any(words in octets for octets in await anna.inbox())

    play(tmp_path, scene)


def test_what_is_filed_says_who_signed_it_and_nothing_below_is_touched(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora, cora = await place.settle_in("anna", "bora", "cora")
        await place.meet(bora, anna, cora)
        octets = await anna.write(bora.address, subject="one")
        await until(lambda: is_filed(bora, "one"))
        (found,) = await bora.with_subject("one")
        assert found.endswith(octets)
        assert result_of(found) == (
            f"signed-by={anna.address}; fingerprint={anna.node.keyring.fingerprint}; "
            "sender=contact; verified=no"
        )
        who, now = anna.node.keyring.fingerprint, place.clock.now()
        await bora.node.database.run(lambda sql: standing.verify(sql, who, now))
        large = await anna.write(bora.address, subject="two", text="x" * 200_000)
        await until(lambda: is_filed(bora, "two"))
        (found,) = await bora.with_subject("two")
        assert found.endswith(large)
        assert result_of(found).endswith("sender=contact; verified=yes")
        for size in (10, 100_000):
            subject = f"like {size}"
            rest = f"Subject: {subject}\r\n\r\n{'x' * size}\r\n"
            octets = f"From: C\u043era <{anna.address}>\r\nTo: {bora.address}\r\n{rest}".encode()
            await anna.node.outbox.accept(Submission((Recipient(bora.address),), octets))
            await until(lambda subject=subject: is_filed(bora, subject))  # type: ignore[misc]
            (found,) = await bora.with_subject(subject)
            assert found.endswith(octets)
            assert result_of(found).endswith(f"; name-is-like={cora.address}")
        await bora.write(bora.address, subject="note")
        await until(lambda: is_filed(bora, "note"))
        assert result_of((await bora.with_subject("note"))[0]).endswith("sender=self")

    play(tmp_path, scene)


def result_of(octets: bytes) -> str:
    """The one result field, unfolded."""
    head = octets.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert head.count(b"Postroad-Result:") == 1
    author = submitted.author(head)
    assert author is not None
    unfolded = head.replace(b";\r\n\t", b"; ").decode()
    value = unfolded.partition("Postroad-Result: ")[2].partition("\r\n")[0]
    assert f"signed-by={author.address};" in value  # From, signature and field agree
    return value


@pytest.mark.usefixtures("reckless")
def test_a_stranger_who_calls_themselves_like_a_contact_is_found_out(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        mallory, bora = await neighbours(place, "mallory", "bora")
        octets = (
            f"From: H\u0430na <{mallory.address}>\r\nTo: {bora.address}\r\n\r\nTrust me!\r\n"
        ).encode()
        await mallory.node.outbox.accept(Submission((Recipient(bora.address),), octets))
        await until(lambda: has_request(bora, "Trust me!"))
        (shown,) = await in_folder(bora)
        head, _, text = shown.partition(b"\r\n\r\n")
        assert f'From: "mallory (not a contact)" <{mallory.address}>'.encode() in head
        assert "H\u0430na".encode() not in head
        assert b"Careful: that reads like your contact hana." in text
        assert b"; name-is-like=hana." in head.replace(b"\r\n\t", b" ").replace(b";  ", b"; ")

    play(tmp_path, scene)


def test_nobody_becomes_a_contact_by_an_answer_that_was_not_asked_for(tmp_path: Path) -> None:
    """An introduction without a secret counts from those only to whom one wrote."""

    async def scene(place: Village) -> None:
        anna, bora, mallory = await neighbours(place, "anna", "bora", "mallory")
        await anna.write(bora.address)
        await until(lambda: ended(anna, "requested"))
        box = mallory.node.introductions
        record = await mallory.node.directory.find(anna.node.keyring.fingerprint)
        assert record is not None
        mine = await box.own_record()

        def work(sql: Sql) -> None:
            box.answer_request(sql, record, None, Ticket(bytes(16)), mine)

        await mallory.node.database.run(work)
        mallory.node.sender.wake()
        await asyncio.sleep(limits.HOUR)
        assert mallory.address not in await anna.contacts()
        assert not await anna.with_subject("You and Mallory")

    play(tmp_path, scene)
