"""POP3 never destroys a letter that cannot be read at this moment, whatever programs delete."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from doors.pop3_fixture import LOGIN, Pop3House, pop3_door
from postroad.base.errors import DiskFull
from postroad.store.maildrop import OUT_OF_SIGHT_SECONDS

LARGE = b"Subject: large\r\n\r\n" + b"line\r\n" * 20_000
SMALL = b"Subject: small\r\n\r\nGood morning.\r\n"
KEPT = b"1 damaged, and not deleted: IMAP shows what is left. Goodbye.\r\n"


@contextlib.contextmanager
def unreadable(folder: Path) -> Iterator[None]:
    """The disk does not give the large letter back, for a while."""
    (body,) = (folder / "bodies").iterdir()
    body.rename(folder / "away")
    try:
        yield
    finally:
        (folder / "away").rename(body)


async def filed(door: Pop3House) -> None:
    for octets in (LARGE, SMALL):
        await door.house.file(octets)


async def messages(door: Pop3House) -> int:
    return (await door.house.mailboxes.status("INBOX")).messages


def test_a_program_that_fetches_and_deletes_leaves_a_letter_that_cannot_be_read(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        async with pop3_door(tmp_path) as door:
            await filed(door)
            fetch_all = (*LOGIN, b"RETR 1", b"DELE 1", b"RETR 2", b"DELE 2", b"QUIT")
            with unreadable(tmp_path):
                said = await door.talk(*fetch_all)
                assert said.endswith(b"+OK 1 deleted. " + KEPT)
                assert said.count(b"[damaged letter]") == 1
                assert await messages(door) == 1
                # The same program comes again and again: it is not given the note each time.
                assert b"Welcome: 0 letters" in await door.talk(*LOGIN, b"QUIT")
                door.house.clock.advance(OUT_OF_SIGHT_SECONDS)
                said = await door.talk(*fetch_all[:4], b"QUIT")
                assert said.endswith(b"+OK 0 deleted. " + KEPT)
            door.house.clock.advance(OUT_OF_SIGHT_SECONDS)
            said = await door.talk(*fetch_all[:4], b"QUIT")
            assert LARGE in said
            assert said.endswith(b"+OK 1 deleted. Goodbye.\r\n")
            assert await messages(door) == 0

    asyncio.run(run())


@pytest.mark.parametrize("command", [b"RETR 1", b"TOP 1 0"])
def test_a_later_session_does_not_destroy_what_only_a_note_was_given_out_of(
    tmp_path: Path, command: bytes
) -> None:
    async def run() -> None:
        async with pop3_door(tmp_path) as door:
            await filed(door)
            with unreadable(tmp_path):
                assert b"[damaged letter]" in await door.talk(*LOGIN, command, b"QUIT")
            # A program that leaves letters for a week knows this one by its unique id.
            assert (await door.talk(*LOGIN, b"DELE 1", b"QUIT")).endswith(b"+OK 0 deleted. " + KEPT)
            assert await messages(door) == 2
            door.house.clock.advance(OUT_OF_SIGHT_SECONDS)
            assert b"Subject: large" in await door.talk(*LOGIN, b"TOP 1 0", b"QUIT")
            assert (await door.talk(*LOGIN, b"DELE 1", b"QUIT")).endswith(KEPT)
            door.house.clock.advance(OUT_OF_SIGHT_SECONDS)
            assert LARGE in await door.talk(*LOGIN, b"RETR 1", b"QUIT")
            assert b"+OK 1 deleted. Goodbye." in await door.talk(*LOGIN, b"DELE 1", b"QUIT")
            assert await messages(door) == 1

    asyncio.run(run())


def test_what_was_fetched_whole_is_deleted_though_it_is_damaged_since(tmp_path: Path) -> None:
    async def run() -> None:
        async with pop3_door(tmp_path) as door:
            await filed(door)
            assert LARGE in await door.talk(*LOGIN, b"RETR 1", b"QUIT")
            with unreadable(tmp_path):
                said = await door.talk(*LOGIN, b"DELE 1", b"QUIT")
            assert said.endswith(b"+OK 1 deleted. Goodbye.\r\n")
            assert await messages(door) == 1

    asyncio.run(run())


def test_a_clock_that_leapt_back_hides_nothing_for_longer(tmp_path: Path) -> None:
    async def run() -> None:
        async with pop3_door(tmp_path) as door:
            await filed(door)
            with unreadable(tmp_path):
                await door.talk(*LOGIN, b"RETR 1", b"DELE 1", b"QUIT")
            door.house.clock.step(-10 * OUT_OF_SIGHT_SECONDS)
            assert b"Welcome: 2 letters" in await door.talk(*LOGIN, b"QUIT")

    asyncio.run(run())


def test_on_a_full_disk_a_letter_that_is_whole_again_is_given_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object, **__: object) -> None:
        raise DiskFull("The disk is full.")

    async def run() -> None:
        async with pop3_door(tmp_path) as door:
            await filed(door)
            with unreadable(tmp_path):
                await door.talk(*LOGIN, b"RETR 1", b"QUIT")
            with monkeypatch.context() as patch:
                patch.setattr(door.house.database, "run", full)
                said = await door.talk(*LOGIN, b"RETR 1", b"RETR 2", b"QUIT")
            assert LARGE in said
            assert SMALL in said

    asyncio.run(run())
