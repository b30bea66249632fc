"""First contact: a stranger's letter lies in Requests until the owner says yes or no."""

import asyncio
from pathlib import Path

import pytest

from delivery.test_road import ended, has_notice, is_filed
from postroad.base import limits
from postroad.base.errors import PermanentFailure
from postroad.base.ids import Instant
from postroad.message.envelope import NOTIFY_DEFAULT, Notify, Recipient, Submission
from postroad.sealing.letter import Kind
from postroad.store import incoming, people, requests, strangers
from postroad.store.database import Sql
from postroad.store.requests import FOLDER
from simulator.village import Resident, Village, play, until


async def in_folder(person: Resident, folder: str = FOLDER) -> list[bytes]:
    """The octets of all messages there, oldest first."""
    opened = await person.node.mailboxes.open(folder, claim=False)

    def work(sql: Sql) -> list[bytes]:
        rows = sql.execute(
            "SELECT content_id FROM message WHERE mailbox_id = ? ORDER BY uid", (opened.mailbox_id,)
        ).fetchall()
        return [person.node.contents.get(sql, content_id) for (content_id,) in rows]

    return await person.node.database.read(work)


async def has_request(person: Resident, text: str = "Hello!") -> bool:
    return any(text.encode() in octets for octets in await in_folder(person))


async def neighbours(place: Village, *names: str) -> list[Resident]:
    """People who know each other only by way of Hana, and are found in the directory."""
    hana, *others = await place.settle_in("hana", *names)
    await place.meet(hana, *others)
    everybody = [hana, *others]

    async def all_found() -> bool:
        for one in others:
            for other in everybody:
                found = await one.node.directory.find(other.node.keyring.fingerprint)
                if other is not one and found is None:
                    return False
        return True

    await until(all_found, limits.HOUR)
    return others


async def asked(place: Village) -> tuple[Resident, Resident]:
    """Anna, a stranger, has written to Bora, in whose Requests it lies, and knows that it does."""
    anna, bora = await neighbours(place, "anna", "bora")
    await anna.write(bora.address)
    await until(lambda: ended(anna, "requested"))
    assert await has_request(bora)
    return anna, bora


async def mailbox_id(person: Resident, name: str) -> tuple[int, list[int]]:
    opened = await person.node.mailboxes.open(name, claim=False)
    return opened.mailbox_id, list(opened.uids)


async def move(person: Resident, name: str, to: str) -> None:
    """All messages of a folder, as a mail program does it."""
    here, uids = await mailbox_id(person, name)
    await person.node.mailboxes.copy(here, uids, to, move=True)


async def are_contacts(one: Resident, other: Resident) -> bool:
    return other.address in await one.contacts() and one.address in await other.contacts()


def test_a_strangers_letter_lies_in_requests_and_nothing_of_it_in_the_inbox(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await neighbours(place, "anna", "bora")
        inbox_before = await bora.inbox()
        await anna.write(bora.address, subject="first words", text="May I write to you?")
        await until(lambda: has_request(bora, "May I write to you?"))
        (shown,) = await in_folder(bora)
        head = shown.partition(b"\r\n\r\n")[0].replace(b"\r\n\t", b" ")
        assert f"signed-by={anna.address};".encode() in head
        assert b"sender=stranger" in head
        assert f'From: "anna (not a contact)" <{anna.address}>'.encode() in head
        assert b"Subject: first words" in head
        assert await bora.inbox() == inbox_before
        assert not await are_contacts(anna, bora)
        await until(lambda: ended(anna, "requested"))
        assert await has_notice(anna, "Waits for an answer: first words")

    play(tmp_path, scene)


def test_moved_to_the_inbox_it_makes_contacts_both_ways(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await neighbours(place, "anna", "bora")
        await anna.write(bora.address, notify=NOTIFY_DEFAULT | Notify.SUCCESS)
        await until(lambda: has_request(bora))
        await move(bora, FOLDER, "INBOX")
        await until(lambda: are_contacts(anna, bora))
        await until(lambda: is_filed(anna, "You and Bora can write to each other now"))
        assert await is_filed(bora, "hello")
        await until(lambda: ended(anna, "delivered"))
        assert await has_notice(anna, "Delivered: hello")
        octets = await anna.write(bora.address, subject="second", text="x" * 100_000)
        await until(lambda: is_filed(bora, "second"))
        assert (await bora.with_subject("second"))[0].endswith(octets)
        await bora.write(anna.address, subject="answer")
        await until(lambda: is_filed(anna, "answer"))

    play(tmp_path, scene)


def test_accepted_while_its_sender_sleeps_they_are_contacts_when_they_wake(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await asked(place)
        await asyncio.sleep(limits.HOUR)  # holders know the ticket for the answer
        await anna.sleep()
        found = await bora.node.requests.accept("anna")
        assert found.address.startswith("anna.")
        await asyncio.sleep(limits.HOUR)
        await anna.wake()
        await until(lambda: are_contacts(anna, bora), limits.HOUR)

    play(tmp_path, scene)


def test_refused_by_its_reader_the_sender_is_told_once(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await asked(place)
        await bora.node.requests.refuse("anna")
        await until(lambda: ended(anna, "refused"))
        assert await has_notice(anna, "Not delivered: hello")
        assert not await in_folder(bora)
        assert not await are_contacts(anna, bora)

    play(tmp_path, scene)


@pytest.mark.parametrize("how", ["silently", "deleted", "to the trash", "too old"])
def test_left_or_deleted_nobody_is_told(tmp_path: Path, how: str) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await asked(place)
        here, uids = await mailbox_id(bora, FOLDER)
        match how:
            case "silently":
                await bora.node.requests.refuse("anna", silently=True)
            case "deleted":
                await bora.node.mailboxes.change_flags(here, uids, "+", 8, ())
                await bora.node.mailboxes.expunge(here)
            case "to the trash":
                await move(bora, FOLDER, "Trash")
            case _:
                place.put_forward(limits.REQUEST_SECONDS + limits.MINUTE)
                await asyncio.sleep(limits.HOUR + 1)
        await asyncio.sleep(limits.DAY / 4)
        assert not await in_folder(bora)
        assert (await anna.states())[-1] == "requested"
        assert not await has_notice(anna, "Not delivered: hello")
        assert not await bora.node.database.read(requests.waiting)

    play(tmp_path, scene)


def test_a_program_that_keeps_copies_accepts_by_bringing_it_to_the_inbox(tmp_path: Path) -> None:
    """mbsync deletes here and appends there, in either order, with a field of its own on top."""

    async def scene(place: Village) -> None:
        anna, bora = await asked(place)
        (octets,) = await in_folder(bora)
        here, uids = await mailbox_id(bora, FOLDER)
        await bora.node.mailboxes.change_flags(here, uids, "+", 8, ())
        await bora.node.mailboxes.expunge(here)
        await bora.node.mailboxes.append("INBOX", b"X-TUID: 1\r\n" + octets)
        await until(lambda: are_contacts(anna, bora))

    play(tmp_path, scene)


def test_two_who_write_to_each_other_are_contacts_without_a_word(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await neighbours(place, "anna", "bora")
        bora_is = bora.address
        await bora.sleep()
        await anna.write(bora_is)
        await asyncio.sleep(1)
        anna_is = anna.address
        await anna.sleep()
        await bora.wake()
        await asyncio.sleep(limits.MINUTE)
        await bora.write(anna_is)
        await asyncio.sleep(1)
        await anna.wake()
        await until(lambda: are_contacts(anna, bora), limits.HOUR)

    play(tmp_path, scene)


def test_an_unknown_address_is_refused_at_once_where_the_directory_is_joined(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        anna, _ = await neighbours(place, "anna", "bora")
        (nobody,) = await place.settle_in("nora")
        nora_is = nobody.address
        await nobody.destroy()
        with pytest.raises(PermanentFailure, match="Nobody of this address"):
            await anna.node.outbox.check_recipient(nora_is)

    play(tmp_path, scene)


def test_offline_a_letter_to_an_unknown_address_is_taken_and_returned_later(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        (hana,) = await place.settle_in("hana")
        anna, nora = await place.settle_in("anna", "nora")
        nora_is = nora.address
        await nora.destroy()
        octets = await anna.write(nora_is)
        await asyncio.sleep(limits.MINUTE)
        (waiting,) = await anna.waiting()
        assert "has not reached that yet" in waiting.parcel.reason
        await place.meet(hana, anna)
        await until(lambda: has_notice(anna, "Not delivered: hello"), 3 * limits.HOUR)
        assert (await anna.states())[0] == "refused"
        assert any(b"5.1.1" in one for one in await anna.inbox())
        assert octets

    play(tmp_path, scene)


def test_offline_a_letter_to_a_stranger_is_found_its_way_when_the_network_is_back(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        anna, bora, hana = await place.settle_in("anna", "bora", "hana")
        await anna.write(bora.address)
        await place.meet(hana, anna, bora)
        await until(lambda: has_request(bora), limits.HOUR)

    play(tmp_path, scene)


def test_who_takes_no_letters_from_strangers_says_so_at_the_door(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await neighbours(place, "anna", "bora")
        bora.takes_requests = False
        await bora.sleep()
        await bora.wake()
        fingerprint = bora.node.keyring.fingerprint

        async def is_told() -> bool:
            found = await anna.node.directory.find(fingerprint)
            return found is not None and not found.strangers

        await until(is_told, limits.HOUR)
        with pytest.raises(PermanentFailure, match="from their contacts only"):
            await anna.node.outbox.check_recipient(bora.address)

    play(tmp_path, scene)


def test_what_a_stranger_could_not_be_shown_is_refused_at_the_door(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await neighbours(place, "anna", "bora")
        with pytest.raises(PermanentFailure, match="longer than 4 KiB"):
            await anna.write(bora.address, text="word " * 1000)
        head = f"From: {anna.address}\r\nTo: {bora.address}\r\n"
        attached = (
            f"{head}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nHello\r\n--b\r\n"
            "Content-Type: application/pdf\r\n\r\nx\r\n--b--\r\n"
        )
        submission = Submission((Recipient(bora.address),), attached.encode())
        with pytest.raises(PermanentFailure, match="attached"):
            await anna.node.outbox.accept(submission)
        assert await anna.states() == ["delivered"]  # the introduction to Hana alone

    play(tmp_path, scene)


def test_a_tagged_address_of_a_stranger_is_theirs(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await neighbours(place, "anna", "bora")
        name, _, rest = bora.address.partition(".")
        await anna.write(f"{name}+club.{rest}")
        await until(lambda: has_request(bora))
        (shown,) = await in_folder(bora)
        assert f"To: <{name}+club.{rest}>".encode() in shown

    play(tmp_path, scene)


def test_a_request_while_an_invitation_is_open_is_no_answer_to_it(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await neighbours(place, "anna", "bora")
        await bora.node.introductions.invite()
        await anna.write(bora.address)
        await until(lambda: has_request(bora))
        assert not await are_contacts(anna, bora)

    play(tmp_path, scene)


def test_a_blocked_person_is_refused_and_reaches_no_folder(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        who = anna.node.keyring.fingerprint
        await bora.node.database.run(lambda sql: people.block(sql, who))
        await anna.write(bora.address)
        await until(lambda: ended(anna, "refused"))
        assert not await in_folder(bora)
        assert not await is_filed(bora, "hello")

    play(tmp_path, scene)


def test_who_was_removed_from_the_contacts_is_a_stranger_again(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        who = anna.node.keyring.fingerprint
        await bora.node.database.run(
            lambda sql: sql.execute("DELETE FROM contact WHERE fingerprint = ?", (who,)).rowcount
        )
        await anna.write(bora.address)
        await until(lambda: ended(anna, "requested"))
        assert await has_request(bora)
        assert not await is_filed(bora, "hello")
        await bora.node.requests.accept("anna")
        await until(lambda: are_contacts(anna, bora))

    play(tmp_path, scene)


def test_the_fourth_letter_of_a_day_waits_with_its_sender_who_can_read_why(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await neighbours(place, "anna", "bora")
        for number in range(4):
            await anna.write(bora.address, subject=f"letter {number}")
            await asyncio.sleep(limits.MINUTE)
        await until(lambda: waits_because(anna, "A stranger may write 3 letters a day"))
        assert len(await in_folder(bora)) == 3
        await until(lambda: ended(anna, "requested"), 2 * limits.DAY)
        assert len(await in_folder(bora)) == 4
        assert await has_notice(anna, "Still on its way: letter 3")

    play(tmp_path, scene)


async def waits_because(person: Resident, words: str) -> bool:
    return any(words in row.parcel.reason for row in await person.waiting())


def test_the_hundred_and_first_request_waits_for_a_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REQUESTS_MAX", 2)

    async def scene(place: Village) -> None:
        anna, bora, cora, dora = await neighbours(place, "anna", "bora", "cora", "dora")
        for one in (bora, cora):
            await one.write(anna.address)
            await until(lambda one=one: ended(one, "requested"))  # type: ignore[misc]
        await dora.write(anna.address)
        await until(lambda: waits_because(dora, "letters of strangers wait for the recipient"))
        assert len(await in_folder(anna)) == 2
        await anna.node.requests.refuse("bora")
        await until(lambda: ended(dora, "requested"), limits.DAY)

    play(tmp_path, scene)


def test_a_request_brought_again_is_one_message_and_its_answer_stands(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await asked(place)
        for _ in range(2):
            await anna.node.database.run(
                lambda sql: (
                    sql.execute(
                        "UPDATE parcel SET state = 'waiting', ended_at = NULL, due_at = 0"
                    ).rowcount
                )
            )
            anna.node.sender.wake()
            await until(lambda: ended(anna, "requested"))
            assert len(await in_folder(bora)) == 1
        await move(bora, FOLDER, "INBOX")
        await until(lambda: are_contacts(anna, bora))
        await until(lambda: ended(anna, "delivered"))

    play(tmp_path, scene)


def test_a_crash_between_decision_and_answer_repeats_nothing(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await asked(place)
        bora.node.mailboxes.on_accepted = lambda: None  # the node dies before it hears of it
        await move(bora, FOLDER, "INBOX")
        bora.crash()
        await bora.wake()
        await until(lambda: are_contacts(anna, bora), limits.HOUR)
        await asyncio.sleep(limits.HOUR)
        assert len(await anna.with_subject("You and Bora can write to each other now")) == 1

    play(tmp_path, scene)


def test_the_letter_to_a_stranger_is_sealed_as_a_request_with_the_senders_record(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await asked(place)
        (kept,) = await bora.node.database.read(requests.waiting)
        assert kept.record is not None
        assert kept.ticket is not None
        who = bora.node.keyring.fingerprint
        known = await anna.node.database.read(lambda sql: strangers.stranger(sql, who))
        assert known is not None
        assert known.ticket == kept.ticket
        assert known.is_written_to
        (kind,) = await anna.node.database.read(
            lambda sql: sql.execute("SELECT DISTINCT kind FROM letter").fetchone()
        )
        assert Kind(kind) in (Kind.PERSON, Kind.INTRODUCTION)

    play(tmp_path, scene)


def test_a_look_up_that_takes_too_long_keeps_no_mail_program_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await neighbours(place, "anna", "bora")

        async def slow(_: object) -> None:
            await asyncio.sleep(limits.HOUR)

        with monkeypatch.context() as patched:
            patched.setattr(anna.node.directory, "find", slow)
            began = asyncio.get_running_loop().time()
            assert await anna.node.outbox.check_recipient(bora.address) == bora.address
            assert asyncio.get_running_loop().time() - began <= limits.LOOK_UP_SECONDS_MAX + 0.1
        await anna.write(bora.address)
        await until(lambda: has_request(bora), limits.HOUR)

    play(tmp_path, scene)


def test_letters_that_came_in_are_counted_by_what_became_of_them(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await asked(place)
        mine = bora.node.keyring.fingerprints
        wrote_to = await bora.node.database.read(people.called_by_owner)

        async def counted() -> tuple[int, int]:
            days = await bora.node.database.read(lambda sql: incoming.days(sql, Instant(0.0), mine))
            return sum(one.contacts for one in days), sum(one.strangers for one in days)

        contacts, strangers = await counted()
        assert (contacts, strangers) == (len(wrote_to), 1)  # Hana's introduction, and Anna's letter
        await bora.node.requests.accept("anna")
        await until(lambda: are_contacts(anna, bora))
        assert await counted() >= (contacts + 1, 0)
        assert (await counted())[1] == 0

    play(tmp_path, scene)
