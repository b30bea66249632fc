"""Mailboxes over real SQLite: the laws of UIDs and modseqs, durability, and damage."""

import asyncio
import errno
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from doors.imap_fixture import ImapHouse, imap_store
from postroad.base.errors import DiskFull, PermanentFailure, TemporaryFailure
from postroad.protocol.imap.events import Column, FlagsOf, Row
from postroad.protocol.imap.render import render
from postroad.store.mailboxes import Flag, MailboxExists, MailboxGone, NoSuchMailbox

SMALL = b"From: a@b\r\nSubject: small\r\n\r\nbody\r\n"
LARGE = b"From: Anna <a@b>\r\nSubject: large\r\n\r\n" + b"line of text\r\n" * 8000
EVERYTHING = Column.ENVELOPE | Column.BODY | Column.BODY_STRUCTURE | Column.HEADER | Column.OCTETS


def in_store(folder: Path, work: Callable[[ImapHouse], Awaitable[None]]) -> None:
    async def run() -> None:
        async with imap_store(folder) as house:
            await work(house)

    asyncio.run(run())


async def inbox(house: ImapHouse) -> int:
    return (await house.mailboxes.open("INBOX", claim=False)).mailbox_id


async def rows(house: ImapHouse, uids: list[int], columns: Column = EVERYTHING) -> list[Row]:
    """All rows, however many steps it takes."""
    found: list[Row] = []
    mailbox_id = await inbox(house)
    while uids:
        loaded = await house.mailboxes.load(mailbox_id, uids, columns)
        assert loaded.taken > 0
        found += loaded.rows
        uids = uids[loaded.taken :]
    return found


async def quarantined(house: ImapHouse) -> list[tuple[str, str]]:
    return await house.database.run(
        lambda sql: sql.execute("SELECT kind, name FROM quarantine ORDER BY name").fetchall()
    )


async def execute(house: ImapHouse, statement: str, *values: object) -> None:
    def work(sql: sqlite3.Connection) -> None:
        sql.execute(statement, values)

    await house.database.run(work)


def test_the_standard_mailboxes_are_made_once_and_kept(tmp_path: Path) -> None:
    async def first(house: ImapHouse) -> None:
        await house.file(SMALL)

    async def again(house: ImapHouse) -> None:
        listed = {one.name: one.special_use for one in await house.mailboxes.list()}
        assert listed == {
            "INBOX": None, "Requests": None, "Sent": "\\Sent", "Drafts": "\\Drafts",
            "Junk": "\\Junk", "Trash": "\\Trash", "Archive": "\\Archive",
        }  # fmt: skip
        assert (await house.mailboxes.status("INBOX")).messages == 1

    in_store(tmp_path, first)
    in_store(tmp_path, again)


def test_uids_rise_and_are_not_given_twice_after_an_expunge_and_a_restart(tmp_path: Path) -> None:
    async def first(house: ImapHouse) -> None:
        assert [(await house.file(SMALL)).uid for _ in range(3)] == [1, 2, 3]
        mailbox_id = await inbox(house)
        await house.mailboxes.change_flags(mailbox_id, [2, 3], "+", Flag.DELETED, ())
        assert await house.mailboxes.expunge(mailbox_id) == (2, 3)

    async def again(house: ImapHouse) -> None:
        assert (await house.file(SMALL)).uid == 4
        opened = await house.mailboxes.open("INBOX", claim=False)
        assert list(opened.uids) == [1, 4]
        assert opened.uid_next == 5

    in_store(tmp_path, first)
    in_store(tmp_path, again)


def test_a_mailbox_made_again_has_another_uidvalidity_though_the_clock_stepped_back(
    tmp_path: Path,
) -> None:
    async def work(house: ImapHouse) -> None:
        seen = []
        for _ in range(4):
            await house.mailboxes.create("x")
            seen.append((await house.mailboxes.status("x")).uid_validity)
            await house.mailboxes.delete("x")
            house.clock.step(-86400)
        assert seen == sorted(set(seen))

    in_store(tmp_path, work)


def test_every_change_gets_a_higher_modseq_and_changes_tell_it(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        for _ in range(3):
            await house.file(SMALL)
        opened = await house.mailboxes.open("INBOX", claim=False)
        box = opened.mailbox_id
        await house.mailboxes.change_flags(box, [1, 2], "+", Flag.SEEN, ("work",))
        changes = await house.mailboxes.changes(box, opened.modseq, claim=False)
        assert changes.modseq > opened.modseq
        assert changes.flags == (FlagsOf(1, 1, "work"), FlagsOf(2, 1, "work"))
        # The same again changes nothing.
        await house.mailboxes.change_flags(box, [1, 2], "+", Flag.SEEN, ("WORK",))
        same = await house.mailboxes.changes(box, changes.modseq, claim=False)
        assert (same.modseq, same.flags, same.expunged) == (changes.modseq, (), ())
        await house.mailboxes.change_flags(box, [1], "", Flag.DELETED, ())
        await house.mailboxes.expunge(box)
        after = await house.mailboxes.changes(box, changes.modseq, claim=False)
        assert after.modseq > same.modseq
        assert (after.flags, after.expunged) == ((), (1,))

    in_store(tmp_path, work)


def test_flags_that_were_told_are_there_after_a_restart(tmp_path: Path) -> None:
    async def first(house: ImapHouse) -> None:
        await house.file(SMALL)
        await house.mailboxes.change_flags(await inbox(house), [1], "+", Flag.FLAGGED, ("b", "a"))

    async def again(house: ImapHouse) -> None:
        opened = await house.mailboxes.open("INBOX", claim=False)
        assert list(opened.bits) == [Flag.FLAGGED]
        assert opened.keywords == {1: "a b"}

    in_store(tmp_path, first)
    in_store(tmp_path, again)


def test_a_letter_comes_back_octet_for_octet_with_its_rendering(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        for octets in (SMALL, LARGE):
            await house.file(octets)
        for row, octets in zip(await rows(house, [1, 2]), (SMALL, LARGE), strict=True):
            rendered = render(octets)
            assert row.octets == octets
            assert row.size == len(octets)
            assert row.envelope == rendered.envelope
            assert row.body_structure == rendered.body_structure
            assert row.header == rendered.header

    in_store(tmp_path, work)


def test_a_header_longer_than_what_is_kept_is_given_whole(tmp_path: Path) -> None:
    octets = b"Subject: x\r\n" + b"X-Long: " + b"y" * 90_000 + b"\r\n\r\nbody"

    async def work(house: ImapHouse) -> None:
        await house.file(octets)
        (row,) = await rows(house, [1], Column.HEADER)
        assert row.header == octets[:-4]

    in_store(tmp_path, work)


def test_one_load_is_bounded_but_never_empty(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        for number in range(20):
            await house.file(LARGE + b"%d\r\n" % number)
        loaded = await house.mailboxes.load(await inbox(house), range(1, 21), Column.OCTETS)
        assert 1 <= loaded.taken < 20
        assert len(await rows(house, list(range(1, 21)))) == 20

    in_store(tmp_path, work)


def test_copies_share_their_octets_and_keep_flags_and_date(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        await house.file(SMALL, flags=Flag.SEEN)
        box = await inbox(house)
        copied = await house.mailboxes.copy(box, [1, 77], "Archive")
        assert (copied.uids, copied.new_uids) == ((1,), (1,))
        copied = await house.mailboxes.copy(box, [1], "INBOX")
        assert copied.new_uids == (2,)
        opened = await house.mailboxes.open("Archive", claim=False)
        assert list(opened.bits) == [Flag.SEEN]
        count = await house.database.run(
            lambda sql: sql.execute("SELECT count(*) FROM content").fetchone()[0]
        )
        assert count == 1
        with pytest.raises(NoSuchMailbox):
            await house.mailboxes.copy(box, [1], "nowhere")

    in_store(tmp_path, work)


def test_a_move_is_a_copy_and_an_expunge_in_one(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        for _ in range(3):
            await house.file(SMALL)
        box = await inbox(house)
        with pytest.raises(NoSuchMailbox):
            await house.mailboxes.copy(box, [1], "nowhere", move=True)
        moved = await house.mailboxes.copy(box, [1, 3], "Trash", move=True)
        assert (moved.uids, moved.new_uids) == ((1, 3), (1, 2))
        within = await house.mailboxes.copy(box, [2], "INBOX", move=True)
        assert within.new_uids == (4,)
        opened = await house.mailboxes.open("INBOX", claim=False)
        assert list(opened.uids) == [4]
        changes = await house.mailboxes.changes(box, 0, claim=False)
        assert sorted(changes.expunged) == [1, 2, 3]

    in_store(tmp_path, work)


def test_mailboxes_are_made_with_the_levels_above_renamed_and_deleted(tmp_path: Path) -> None:
    async def names(house: ImapHouse) -> set[str]:
        return {one.name for one in await house.mailboxes.list() if one.name[0] in "ab%_"}

    async def work(house: ImapHouse) -> None:
        boxes = house.mailboxes
        await boxes.create("a/b/c/")
        await boxes.create("a_b")
        assert await names(house) == {"a", "a/b", "a/b/c", "a_b"}
        with pytest.raises(MailboxExists):
            await boxes.create("a/b")
        with pytest.raises(PermanentFailure):
            await boxes.rename("a", "a/x")
        await boxes.rename("a", "b/z")
        assert await names(house) == {"b", "b/z", "b/z/b", "b/z/b/c", "a_b"}
        await boxes.delete("b/z")
        assert await names(house) == {"b", "b/z/b", "b/z/b/c", "a_b"}
        for standard in ("INBOX", "Requests", "Sent"):
            with pytest.raises(PermanentFailure):
                await boxes.delete(standard)
        with pytest.raises(NoSuchMailbox):
            await boxes.delete("nowhere")

    in_store(tmp_path, work)


def test_renaming_the_inbox_moves_its_letters_and_leaves_it(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        await house.file(SMALL)
        await house.mailboxes.rename("INBOX", "old")
        assert (await house.mailboxes.status("INBOX")).messages == 0
        assert (await house.mailboxes.status("old")).messages == 1
        assert (await house.file(SMALL)).uid == 2

    in_store(tmp_path, work)


def test_who_works_in_a_deleted_mailbox_is_told(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        await house.mailboxes.create("x")
        box = (await house.mailboxes.open("x", claim=True)).mailbox_id
        woken = []
        house.mailboxes.watch(box, lambda: woken.append(1))
        await house.mailboxes.delete("x")
        assert woken
        with pytest.raises(MailboxGone):
            await house.mailboxes.changes(box, 0, claim=True)

    in_store(tmp_path, work)


def test_a_message_is_recent_for_the_first_who_claims_it(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        await house.file(SMALL)
        assert (await house.mailboxes.status("INBOX")).recent == 1
        assert (await house.mailboxes.open("INBOX", claim=False)).recent_from == 1
        assert (await house.mailboxes.open("INBOX", claim=True)).recent_from == 1
        assert (await house.mailboxes.open("INBOX", claim=True)).recent_from == 2
        assert (await house.mailboxes.status("INBOX")).recent == 0

    in_store(tmp_path, work)


def test_a_full_disk_keeps_nobody_from_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(house: ImapHouse) -> None:
        await house.file(SMALL)
        box = await inbox(house)
        await execute(house, "UPDATE rendering SET envelope = X'00'")
        await execute(house, "UPDATE message SET keywords = CAST(x'fffe20' AS TEXT)")

        async def full(work: object, then: object = None) -> None:
            raise DiskFull("full")

        with monkeypatch.context() as patch:
            patch.setattr(house.database, "run", full)
            assert (await house.mailboxes.open("INBOX", claim=True)).recent_from == 1
            assert (await house.mailboxes.open("INBOX", claim=False)).uids[0] == 1
            assert (await house.mailboxes.changes(box, 0, claim=False)).flags
            loaded = await house.mailboxes.load(box, [1], EVERYTHING, mark_seen=True)
            assert (loaded.rows[0].octets, loaded.seen) == (SMALL, ())
        assert await quarantined(house) == []
        assert (await house.mailboxes.open("INBOX", claim=True)).recent_from == 1
        assert await quarantined(house) == [("message", f"{box}/1")]
        assert (await house.mailboxes.open("INBOX", claim=True)).recent_from == 2

    in_store(tmp_path, work)


def test_watchers_are_woken_by_what_is_announced_until_they_stop(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        woken: list[int] = []
        box = await inbox(house)
        stop = house.mailboxes.watch(box, lambda: woken.append(1))
        await house.file(SMALL)
        await house.mailboxes.change_flags(box, [1], "+", Flag.SEEN, ())
        await house.mailboxes.change_flags(box, [1], "+", Flag.SEEN, ())
        assert len(woken) == 2
        stop()
        await house.file(SMALL)
        assert len(woken) == 2

    in_store(tmp_path, work)


def test_a_failed_transaction_files_nothing(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        def fails(sql: sqlite3.Connection) -> None:
            house.mailboxes.add(sql, "INBOX", SMALL, render(SMALL), date=house.clock.now())
            raise PermanentFailure("no")

        with pytest.raises(PermanentFailure):
            await house.database.run(fails)
        assert (await house.mailboxes.status("INBOX")).messages == 0

    in_store(tmp_path, work)


# Damage -------------------------------------------------------------------------------------------


def damage_file(tmp_path: Path) -> None:
    (body,) = (tmp_path / "bodies").iterdir()
    octets = bytearray(body.read_bytes())
    octets[5000] ^= 1
    body.write_bytes(octets)


def remove_file(tmp_path: Path) -> None:
    (body,) = (tmp_path / "bodies").iterdir()
    body.unlink()


@pytest.mark.parametrize("harm", [damage_file, remove_file])
def test_a_damaged_body_file_is_shown_as_a_note_and_hides_no_neighbour(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    async def work(house: ImapHouse) -> None:
        for octets in (SMALL, LARGE, SMALL + b"more"):
            await house.file(octets)
        whole = (tmp_path / "bodies").iterdir().__next__().read_bytes()
        name = (tmp_path / "bodies").iterdir().__next__()
        harm(tmp_path)
        assert (await house.mailboxes.status("INBOX")).messages == 3
        one, two, three = await rows(house, [1, 2, 3])
        assert (one.octets, three.octets) == (SMALL, SMALL + b"more")
        assert two.damaged
        assert two.octets.startswith(b"From: Anna <a@b>\r\nSubject: [damaged letter]\r\n")
        assert b"Its subject: large" in two.octets
        assert b"restore" in two.octets
        assert two.envelope == render(LARGE).envelope  # what is left still tells whose it was
        assert await quarantined(house) == [("message", f"{await inbox(house)}/2")]
        name.write_bytes(whole)  # a backup came back
        (row,) = await rows(house, [2])
        assert row.octets == LARGE

    in_store(tmp_path, work)


def test_a_letter_is_not_called_damaged_when_only_descriptors_are_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(house: ImapHouse) -> None:
        await house.file(LARGE)

        def short(name: str) -> BinaryIO:
            raise OSError(errno.EMFILE, "Too many open files")

        monkeypatch.setattr(house.disk, "open", short)
        with pytest.raises(TemporaryFailure):
            await rows(house, [1])
        monkeypatch.undo()
        assert (await rows(house, [1]))[0].octets == LARGE
        assert await quarantined(house) == []

    in_store(tmp_path, work)


def test_a_damaged_body_row_is_shown_as_a_note(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        await house.file(SMALL)
        await house.file(SMALL + b"more")
        await execute(house, "UPDATE content SET octets = zeroblob(size) WHERE id = 1")
        one, two = await rows(house, [1, 2])
        assert one.damaged
        assert b"damaged" in one.octets
        assert two.octets == SMALL + b"more"
        assert len(await quarantined(house)) == 1

    in_store(tmp_path, work)


@pytest.mark.parametrize("column", ["envelope", "body", "body_structure", "header"])
def test_a_damaged_rendering_is_made_again_from_the_letter(tmp_path: Path, column: str) -> None:
    async def work(house: ImapHouse) -> None:
        await house.file(SMALL)
        before = await rows(house, [1])
        await execute(
            house, f"UPDATE rendering SET {column} = CAST(x'2822' || substr({column}, 3) AS BLOB)"
        )
        assert await rows(house, [1]) == before
        assert await rows(house, [1]) == before
        await execute(house, "DELETE FROM rendering")
        assert await rows(house, [1]) == before
        assert await quarantined(house) == []

    in_store(tmp_path, work)


def test_a_letter_of_which_nothing_is_left_is_still_listed(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        await house.file(SMALL)
        await house.file(SMALL + b"more")
        await execute(house, "UPDATE content SET octets = zeroblob(size) WHERE id = 1")
        await execute(house, "DELETE FROM rendering WHERE content_id = 1")
        one, two = await rows(house, [1, 2])
        assert one.octets.startswith(b"From: Postroad <postroad@postroad.alt>\r\n")
        assert b"[damaged letter]" in one.envelope
        assert two.octets == SMALL + b"more"

    in_store(tmp_path, work)


def test_a_row_whose_keywords_do_not_decode_is_listed_without_them(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        await house.file(SMALL)
        await house.file(SMALL)
        await execute(
            house, "UPDATE message SET keywords = CAST(x'fffe20' AS TEXT), flags = -1 WHERE uid = 1"
        )
        opened = await house.mailboxes.open("INBOX", claim=False)
        assert list(opened.uids) == [1, 2]
        assert opened.keywords == {}
        assert len(await rows(house, [1, 2])) == 2
        assert await quarantined(house) == [("message", f"{opened.mailbox_id}/1")]
        box = opened.mailbox_id
        answer = await house.mailboxes.change_flags(box, [1], "", Flag.SEEN, ("work",))
        assert answer.flags == (FlagsOf(1, Flag.SEEN, "work"),)
        copied = await house.mailboxes.copy(box, [1, 2], "Archive")
        assert copied.uids == (1, 2)

    in_store(tmp_path, work)


def test_pages_that_sqlite_cannot_read_cost_only_what_stands_on_them(tmp_path: Path) -> None:
    count = 30

    async def fill(house: ImapHouse) -> None:
        for number in range(count):
            await house.file(b"Subject: %d\r\nX: " % number + b"y" * 20_000 + b"\r\n\r\nbody\r\n")

    in_store(tmp_path, fill)
    with sqlite3.connect(tmp_path / "postroad.sqlite") as sql:
        sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = sql.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'rendering'"
        ).fetchone()
        (size,) = sql.execute("PRAGMA page_size").fetchone()
    sql.close()
    path = tmp_path / "postroad.sqlite"
    file = bytearray(path.read_bytes())
    file[(root - 1) * size : root * size] = b"\xa5" * size  # the root of all renderings
    path.write_bytes(file)

    async def read(house: ImapHouse) -> None:
        found = await rows(house, list(range(1, count + 1)), Column.OCTETS | Column.ENVELOPE)
        assert len(found) == count
        assert all(b"body\r\n" in row.octets for row in found)
        assert b'"7"' in found[7].envelope
        await house.mailboxes.change_flags(await inbox(house), [1], "+", Flag.SEEN, ())

    in_store(tmp_path, read)
