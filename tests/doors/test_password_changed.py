"""With a new mailbox password, whoever came in with the old one has to go: in words, at all doors.

What is being written down at that moment is finished and answered, so that nobody does it twice.
"""

import asyncio
import socket
import threading
from pathlib import Path

import pytest

from doors.imap_fixture import PASSWORD
from doors.pop3_fixture import LOGIN, Pop3House, pop3_door
from doors.submission_fixture import ANNA, MemoryOutbox, opened, plain
from postroad.base import limits
from postroad.timeouts import timeout

CHANGED = b"The mailbox password was changed: log in with the new one.\r\n"
LETTER = b"From: anna@postroad.alt\r\nSubject: hello\r\n\r\nGood morning.\r\n"
IMAP_LOGIN = b"a LOGIN anna {%d+}\r\n%b\r\n" % (len(PASSWORD), PASSWORD.encode())
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def imap_client(door: Pop3House, said: bytes, until: bytes) -> Client:
    """A client that said this, and has read what it was told until there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.house.port)
    writer.write(said)
    await reader.readuntil(until)
    return reader, writer


def test_imap_programs_hear_bye_also_while_they_idle(tmp_path: Path) -> None:
    async def run() -> None:
        async with pop3_door(tmp_path) as door, timeout(20):
            stranger, outside = await imap_client(door, b"x NOOP\r\n", b"x OK")
            clients = [
                await imap_client(door, IMAP_LOGIN, b"a OK"),
                await imap_client(door, IMAP_LOGIN + b"b SELECT INBOX\r\n", b"b OK"),
                await imap_client(
                    door, IMAP_LOGIN + b"b SELECT INBOX\r\nc IDLE\r\n", b"+ Idling.\r\n"
                ),
                await imap_client(door, IMAP_LOGIN + b"b APPEND INBOX {99}\r\n", b"+ Go on."),
            ]
            door.knows.changed.ring()
            for reader, writer in clients:
                assert (await reader.read()).endswith(b"* BYE " + CHANGED)
                writer.close()
            assert not stranger.at_eof()
            outside.close()
            _, again = await imap_client(door, IMAP_LOGIN, b"a OK")
            again.close()

    asyncio.run(run())


def test_an_imap_program_that_takes_much_is_not_given_the_rest(tmp_path: Path) -> None:
    async def run() -> None:
        async with pop3_door(tmp_path) as door, timeout(60):
            large = LETTER + b"line\r\n" * 400_000
            for _ in range(20):
                await door.house.file(large)
            fetch = IMAP_LOGIN + b"b SELECT INBOX\r\nc FETCH 1:* BODY[]\r\n"
            reader, writer = await imap_client(door, fetch, b"Good morning.")
            door.knows.changed.ring()
            rest = await reader.read()
            assert rest.endswith(b"* BYE " + CHANGED)
            assert len(rest) < 15 * len(large)
            writer.close()

    asyncio.run(run())


@pytest.mark.parametrize("selected", [b"", b"s SELECT INBOX\r\n"])
def test_what_an_imap_program_changes_is_answered_before_it_has_to_go(
    tmp_path: Path, selected: bytes
) -> None:
    async def run() -> None:
        async with pop3_door(tmp_path) as door, timeout(20):
            append, go_on = door.house.mailboxes.append, asyncio.Event()

            async def slowly(*given: object, **more: object) -> object:
                door.knows.changed.ring()
                await go_on.wait()
                return await append(*given, **more)  # type: ignore[arg-type]

            door.house.mailboxes.append = slowly  # type: ignore[method-assign,assignment]
            said = b"b APPEND INBOX {%d+}\r\n%b\r\nc NOOP\r\n" % (len(LETTER), LETTER)
            reader, writer = await imap_client(door, IMAP_LOGIN + selected + said, b"a OK")
            await reader.readline()
            if selected:
                await reader.readuntil(b"s OK [READ-WRITE]")
                await reader.readline()
            go_on.set()
            answer = await reader.read()
            if selected:  # the news of it come first
                assert answer.startswith(b"* 1 EXISTS\r\n* 1 RECENT\r\nb OK [APPENDUID")
            else:
                assert answer.startswith(b"b OK [APPENDUID")
            assert answer.endswith(b"* BYE " + CHANGED)
            assert b"c OK" not in answer
            writer.close()

    asyncio.run(run())


def test_what_an_imap_program_copies_is_answered_though_there_is_news(tmp_path: Path) -> None:
    async def run() -> None:
        async with pop3_door(tmp_path) as door, timeout(20):
            await door.house.file(LETTER)
            copy = door.house.mailboxes.copy

            async def while_one_comes(*given: object, **more: object) -> object:
                door.knows.changed.ring()
                copied = await copy(*given, **more)  # type: ignore[arg-type]
                await door.house.file(LETTER)
                return copied

            door.house.mailboxes.copy = while_one_comes  # type: ignore[method-assign,assignment]
            said = IMAP_LOGIN + b"b SELECT INBOX\r\nc COPY 1 Archive\r\nd NOOP\r\n"
            reader, writer = await imap_client(door, said, b"b OK")
            answer = await reader.read()
            assert b"* 2 EXISTS\r\n" in answer
            assert b"c OK [COPYUID" in answer
            assert answer.endswith(b"* BYE " + CHANGED)
            assert b"d OK" not in answer
            writer.close()

    asyncio.run(run())


def test_a_pop3_program_that_comes_in_just_then_has_to_go_too(tmp_path: Path) -> None:
    async def run() -> None:
        async with pop3_door(tmp_path) as door, timeout(20):
            look = door.inbox.look

            async def just_then() -> object:
                door.knows.changed.ring()
                return await look()

            door.inbox.look = just_then  # type: ignore[method-assign,assignment]
            reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
            writer.write(b"".join(line + b"\r\n" for line in LOGIN))
            assert (await reader.read()).endswith(b"-ERR [SYS/TEMP] " + CHANGED)
            writer.close()

    asyncio.run(run())


def test_pop3_programs_are_told_and_have_deleted_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with pop3_door(tmp_path) as door, timeout(20):
            await door.house.file(LETTER)
            reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
            writer.write(b"".join(line + b"\r\n" for line in (*LOGIN, b"DELE 1")))
            await reader.readuntil(b"It goes at QUIT.\r\n")
            stranger, greeted = await asyncio.open_connection("127.0.0.1", door.port)
            await stranger.readline()
            door.knows.changed.ring()
            assert await reader.read() == b"-ERR [SYS/TEMP] " + CHANGED
            writer.close()
            greeted.write(LOGIN[0] + b"\r\n")
            assert (await stranger.readline()).startswith(b"+OK")
            greeted.close()
            assert (await door.house.mailboxes.status("INBOX")).messages == 1

    asyncio.run(run())


def test_a_letter_that_a_pop3_program_reads_breaks_off(tmp_path: Path) -> None:
    async def run() -> None:
        async with pop3_door(tmp_path) as door, timeout(60):
            await door.house.file(LETTER + b"line\r\n" * (24 * limits.MIB // 6))
            reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
            writer.write(b"".join(line + b"\r\n" for line in (*LOGIN, b"RETR 1", b"QUIT")))
            await reader.readuntil(b"Good morning.")
            door.knows.changed.ring()
            rest = await reader.read()
            assert len(rest) < 20 * limits.MIB
            assert not rest.endswith(b"\r\n.\r\n")
            assert b"+OK" not in rest
            writer.close()

    asyncio.run(run())


def _logged_in(raw: socket.socket) -> None:
    raw.sendall(b"EHLO localhost\r\nAUTH PLAIN " + plain() + b"\r\n")
    _read_until(raw, b"235 ")


def _read_until(raw: socket.socket, wanted: bytes) -> None:
    heard = b""
    while wanted not in heard:
        octets = raw.recv(4096)
        assert octets, heard
        heard += octets


def _rest(raw: socket.socket) -> bytes:
    return b"".join(iter(lambda: raw.recv(4096), b""))


def test_smtp_programs_are_told_also_in_the_midst_of_a_letter() -> None:
    with opened() as office, office.raw() as resting, office.raw() as writing, office.raw() as new:
        for raw in (resting, writing):
            _logged_in(raw)
        writing.sendall(b"MAIL FROM:<>\r\nRCPT TO:<bora@postroad.alt>\r\nDATA\r\n")
        _read_until(writing, b"354 ")
        office.change_password()
        for raw in (resting, writing):
            assert _rest(raw).endswith(b"421 4.7.0 " + CHANGED)
        new.sendall(b"NOOP\r\n")
        _read_until(new, b"250 ")
        assert office.outbox.accepted == []


def test_a_letter_that_is_being_written_down_is_answered_before_the_program_has_to_go() -> None:
    outbox = MemoryOutbox(waits=threading.Event())
    with opened(outbox) as office, office.raw() as raw:
        assert outbox.waits is not None
        _logged_in(raw)
        raw.sendall(b"MAIL FROM:<>\r\nRCPT TO:<bora@postroad.alt>\r\nDATA\r\n")
        _read_until(raw, b"354 ")
        raw.sendall(LETTER.replace(b"anna@postroad.alt", ANNA.encode()) + b".\r\nNOOP\r\n")
        assert outbox.entered.wait(20)
        office.change_password()
        outbox.waits.set()
        said = _rest(raw).splitlines()
        assert said[-2].startswith(b"250 2.0.0 queued")
        assert said[-1] == b"421 4.7.0 " + CHANGED.strip()
        assert len(outbox.accepted) == 1
