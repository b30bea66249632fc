"""The IMAP door, driven by imaplib and by bare sockets over loopback."""

import asyncio
import base64
import contextlib
import imaplib
import socket
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from doors.imap_fixture import PASSWORD, ImapCredentials, ImapHouse, imap_door, imap_store
from postroad.base import limits
from postroad.base.errors import DiskFull
from postroad.doors.imap import act
from postroad.protocol.imap.events import StatusInfo
from postroad.protocol.imap.session import Session
from postroad.store.mailboxes import Flag
from postroad.timeouts import timeout

LETTER = (
    b"From: Anna <anna@postroad.alt>\r\nTo: bob@postroad.alt\r\nSubject: hello\r\n"
    b"Date: Mon, 2 Feb 2026 10:00:00 +0000\r\nMessage-ID: <1@x>\r\n\r\nGood morning.\r\n"
)


def with_client(folder: Path, work: Callable[[imaplib.IMAP4], None]) -> None:
    async def run() -> None:
        async with imap_door(folder) as house:
            await house.logged_in(work)

    asyncio.run(run())


def text(answer: tuple[str, list[Any]]) -> bytes:
    status, data = answer
    assert status == "OK", answer
    return b"\n".join(b"\n".join(one) if isinstance(one, tuple) else one or b"" for one in data)


def test_a_program_logs_in_lists_selects_appends_fetches_and_stores(tmp_path: Path) -> None:
    def work(client: imaplib.IMAP4) -> None:
        listed = text(client.list())
        for name in (b"INBOX", b"Requests", b"Sent", b"Drafts", b"Junk", b"Trash", b"Archive"):
            assert b'"%b"' % name in listed
        assert b'(\\HasNoChildren \\Sent) "/" "Sent"' in listed
        appended = text(
            client.append("INBOX", "(\\Flagged work)", '" 1-Feb-2026 12:34:56 +0100"', LETTER)
        )
        assert b"APPENDUID" in appended
        assert text(client.select("INBOX")) == b"1"
        found = text(client.fetch("1", "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY.PEEK[])"))
        assert b"UID 1 FLAGS (\\Flagged \\Recent work)" in found
        assert b'INTERNALDATE "01-Feb-2026 11:34:56 +0000"' in found
        assert b"RFC822.SIZE %d" % len(LETTER) in found
        assert b'"hello" (("Anna" NIL "anna" "postroad.alt"))' in found
        assert LETTER in found
        assert b"\\Seen" not in text(client.fetch("1", "FLAGS"))
        assert b"\\Seen" in text(client.fetch("1", "BODY[TEXT]"))
        assert text(client.store("1", "+FLAGS", "\\Answered")) == (
            b"1 (FLAGS (\\Answered \\Flagged \\Seen \\Recent work))"
        )
        assert text(client.store("1", "-FLAGS.SILENT", "work")) == b""
        assert text(client.search(None, "ANSWERED", "SUBJECT", "HELLO")) == b"1"
        assert text(client.search(None, "TEXT", '"good MORNING"')) == b"1"
        assert text(client.search(None, "BODY", "evening")) == b""
        assert text(client.copy("1", "Archive")) != b""
        client.store("1", "+FLAGS", "\\Deleted")
        assert text(client.expunge()) == b"1"
        assert text(client.select("Archive")) == b"1"
        assert client.logout()[0] == "BYE"

    with_client(tmp_path, work)


def test_a_wrong_password_is_refused_and_too_many_end_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("postroad.base.limits.LOGIN_FAILURE_SECONDS", 0.0)

    async def run() -> None:
        async with imap_door(tmp_path) as house:
            answers = await asyncio.to_thread(
                talk, house, b"".join(b"a%d LOGIN anna wrong\r\n" % n for n in range(9))
            )
            assert answers.count(b"NO [AUTHENTICATIONFAILED]") == 5
            assert answers.endswith(b"* BYE Too many wrong passwords.\r\n")

    asyncio.run(run())


def talk(house: ImapHouse, sent: bytes, *, half_close: bool = True) -> bytes:
    """Send all, then read to the end."""
    with socket.create_connection(("127.0.0.1", house.port), timeout=20) as client:
        client.sendall(sent)
        if half_close:
            client.shutdown(socket.SHUT_WR)
        got = bytearray()
        while piece := client.recv(65536):
            got += piece
    return bytes(got)


def test_another_users_program_is_turned_away_without_a_word(tmp_path: Path) -> None:
    async def run() -> None:
        async with imap_door(tmp_path) as house:
            house.peer_uid.is_mine = False
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.to_thread(talk, house, b"", half_close=False) == b""

    asyncio.run(run())


def test_many_commands_may_be_sent_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with imap_door(tmp_path) as house:
            sent = b"a LOGIN anna {13+}\r\n" + PASSWORD.encode() + b"\r\n"
            sent += b"".join(b"n%d NOOP\r\n" % n for n in range(5000)) + b"z LOGOUT\r\n"
            answers = await asyncio.to_thread(talk, house, sent, half_close=False)
            assert answers.count(b"OK NOOP") == 5000
            assert answers.endswith(b"z OK LOGOUT completed.\r\n")

    asyncio.run(run())


# Conversations ------------------------------------------------------------------------------------


class Talker:
    """A bare client on the event loop: lines out, lines in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def until(self, end: bytes) -> bytes:
        async with timeout(20):
            return await self.reader.readuntil(end)

    async def do(self, command: bytes) -> bytes:
        """Send a command with the tag `t`; everything up to its tagged response."""
        self.writer.write(b"t " + command + b"\r\n")
        got = b""
        while not got.startswith(b"t ") and b"\r\nt " not in got:
            got += await self.until(b"\r\n")
        return got


@contextlib.asynccontextmanager
async def talker(house: ImapHouse, *commands: bytes) -> AsyncIterator[Talker]:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    client = Talker(reader, writer)
    try:
        assert (await client.until(b"\r\n")).startswith(b"* OK [CAPABILITY IMAP4rev1 ")
        assert b"t OK" in await client.do(b'LOGIN anna "correct horse"')
        for command in commands:
            assert b"t OK" in await client.do(command)
        yield client
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def with_door(folder: Path, work: Callable[[ImapHouse], Awaitable[None]]) -> None:
    async def run() -> None:
        async with imap_door(folder) as house:
            await work(house)

    asyncio.run(run())


def test_an_idling_program_hears_of_a_new_letter_at_once(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        async with talker(house, b"SELECT INBOX") as client:
            client.writer.write(b"i IDLE\r\n")
            assert await client.until(b"\r\n") == b"+ Idling.\r\n"
            for number in (1, 2):
                await house.file(LETTER)
                assert await client.until(b"RECENT\r\n") == (
                    b"* %d EXISTS\r\n* %d RECENT\r\n" % (number, number)
                )
            box = (await house.mailboxes.open("INBOX", claim=False)).mailbox_id
            await house.mailboxes.change_flags(box, [2], "+", Flag.DELETED, ())
            told = await client.until(b"\r\n")
            assert told == b"* 2 FETCH (UID 2 FLAGS (\\Deleted \\Recent))\r\n"
            await house.mailboxes.expunge(box)
            assert await client.until(b"\r\n") == b"* 2 EXPUNGE\r\n"
            client.writer.write(b"done\r\n")
            assert await client.until(b"\r\n") == b"i OK IDLE completed.\r\n"

    with_door(tmp_path, work)


def test_numbers_hold_while_messages_are_addressed_by_them(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        for _ in range(3):
            await house.file(LETTER)
        async with talker(house, b"SELECT INBOX") as one, talker(house, b"SELECT INBOX") as two:
            await two.do(b"STORE 2 +FLAGS.SILENT (\\Deleted)")
            assert b"* 2 EXPUNGE" in await two.do(b"EXPUNGE")
            told = await one.do(b"FETCH 1:3 (UID)")
            assert b"EXPUNGE\r" not in told
            assert b"* 3 FETCH (UID 3)" in told
            told = await one.do(b"FETCH 1:3 (RFC822.SIZE)")
            assert b"* 2 FETCH" not in told
            assert b"* 3 FETCH" in told
            assert b"t NO [EXPUNGEISSUED]" in told
            assert b"EXPUNGE\r" not in await one.do(b"STORE 3 +FLAGS (x)")
            assert b"EXPUNGE\r" not in await one.do(b"SEARCH ALL")
            assert b"* 2 EXPUNGE\r\n" in await one.do(b"NOOP")
            assert b"* 2 FETCH (UID 3)" in await one.do(b"FETCH 2 UID")
            assert b"t BAD" in await one.do(b"FETCH 3 UID")
            assert b"* 2 FETCH (UID 3 FLAGS (x))" in await two.do(b"NOOP")

    with_door(tmp_path, work)


def test_reading_marks_as_seen_unless_peeked_or_examined(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        await house.file(LETTER)
        async with talker(house, b"EXAMINE INBOX") as client:
            for item in (b"BODY[]", b"RFC822", b"RFC822.TEXT"):
                assert b"Seen" not in await client.do(b"FETCH 1 " + item)
            assert b"t NO" in await client.do(b"STORE 1 +FLAGS (\\Seen)")
            assert b"t NO" in await client.do(b"EXPUNGE")
        async with talker(house, b"SELECT INBOX") as client:
            for item in (b"BODY.PEEK[]", b"RFC822.HEADER", b"ENVELOPE", b"BODY"):
                assert b"Seen" not in await client.do(b"FETCH 1 (FLAGS " + item + b")")
            assert b"FLAGS (\\Seen" in await client.do(b"UID FETCH 1 BODY[HEADER]")
            assert b"FLAGS" not in await client.do(b"FETCH 1 BODY[]")

    with_door(tmp_path, work)


def test_sections_and_their_pieces_have_exact_sizes(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        await house.file(LETTER)
        async with talker(house, b"SELECT INBOX") as client:
            told = await client.do(b"FETCH 1 (BODY.PEEK[TEXT]<5.4> BODY.PEEK[]<99999.1>)")
            assert b"BODY[TEXT]<5> {4}\r\nmorn BODY[]<99999> {0}\r\n)" in told
            told = await client.do(b"FETCH 1 (BODY.PEEK[2] BODY.PEEK[HEADER.FIELDS (subject X-Y)])")
            assert b"BODY[2] NIL BODY[HEADER.FIELDS (subject X-Y)] {18}\r\n" in told
            told = await client.do(b"FETCH 1 (BODY.PEEK[]<0.5> UID)")
            assert b"BODY[]<0> {5}\r\nFrom: UID 1)" in told
            told = await client.do(b"FETCH 1 RFC822.HEADER")
            assert b"RFC822.HEADER {%d}\r\n" % (LETTER.index(b"\r\n\r\n") + 4) in told

    with_door(tmp_path, work)


def test_copy_move_and_append_tell_the_new_uids(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        for _ in range(4):
            await house.file(LETTER)
        async with talker(house, b"SELECT INBOX") as client:
            told = await client.do(b"COPY 1:2,4 Archive")
            assert b" 1:2,4 1:3] COPY completed." in told
            assert b"t NO [TRYCREATE]" in await client.do(b"COPY 1 nowhere")
            told = await client.do(b"UID MOVE 2:3 Trash")
            assert told.startswith(b"* OK [COPYUID ")
            assert b"* 3 EXPUNGE\r\n* 2 EXPUNGE\r\n" in told
            assert b"t OK UID" not in told
            assert told.endswith(b"t OK MOVE completed.\r\n")
            client.writer.write(b"t APPEND Sent (\\Seen) {3}\r\n")
            assert await client.until(b"\r\n") == b"+ Go on.\r\n"
            client.writer.write(b"a:b\r\n")
            assert b"t OK [APPENDUID " in await client.until(b"\r\n")
            assert b"MESSAGES 1 " in await client.do(b"STATUS Sent (MESSAGES UNSEEN)")
            client.writer.write(b"t APPEND nowhere {3+}\r\na:b\r\n")
            assert b"t NO [TRYCREATE]" in await client.until(b"\r\n")
            client.writer.write(b"u APPEND INBOX {3+}\r\na:b\r\n")
            told = await client.until(b"u OK [APPENDUID ")
            assert told.startswith(b"* 3 EXISTS\r\n")  # before the tagged response
            await client.until(b"\r\n")
            client.writer.write(b"t APPEND INBOX {3+}\r\na\0b\r\n")
            assert b"t NO [CANNOT]" in await client.until(b"\r\n")

    with_door(tmp_path, work)


def test_mailboxes_are_managed(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        async with talker(house) as client:
            assert b"t OK" in await client.do(b"CREATE a/&APw-/c")
            told = await client.do(b'LIST "" "a*"')
            assert b'* LIST (\\HasChildren) "/" "a"\r\n' in told
            assert b'* LIST (\\HasNoChildren) "/" "a/&APw-/c"\r\n' in told
            assert b"c" not in (await client.do(b'LIST "a/" %')).split(b"t OK")[0][-5:]
            assert b"t OK" in await client.do(b"DELETE a")
            assert b'(\\HasChildren \\Noselect) "/" "a"' in await client.do(b'LIST "" %')
            assert b"t OK" in await client.do(b"RENAME a/&APw- z")
            assert b'"z/c"' in await client.do(b'LIST "" *')
            assert b"t OK" in await client.do(b"UNSUBSCRIBE z")
            told = await client.do(b'LSUB "" *')
            assert b'"z"\r\n' not in told
            assert b'"z/c"' in told
            assert b'(\\HasChildren \\Noselect) "/" "z"' in await client.do(b'LSUB "" %')
            assert b"t NO [NONEXISTENT]" in await client.do(b"SELECT nowhere")
            assert b"t NO [ALREADYEXISTS]" in await client.do(b"CREATE z")
            assert b"t NO [CANNOT]" in await client.do(b"DELETE INBOX")
            assert b'* LIST (\\Noselect) "/" ""' in await client.do(b'LIST "" ""')
            assert b'* NAMESPACE (("" "/")) NIL NIL' in await client.do(b"NAMESPACE")

    with_door(tmp_path, work)


def test_a_program_in_a_deleted_mailbox_is_told_goodbye(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        async with talker(house, b"CREATE x", b"SELECT x") as client:
            await house.mailboxes.delete("x")
            client.writer.write(b"t NOOP\r\n")
            assert await client.until(b"\r\n") == b"* BYE The mailbox was deleted.\r\n"
            assert await client.reader.read() == b""

    with_door(tmp_path, work)


def test_before_login_nothing_but_logging_in_is_possible(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        sent = (
            b"a SELECT INBOX\r\nb FETCH 1 FLAGS\r\nc STARTTLS\r\nd APPEND INBOX {9000}\r\n"
            b"e AUTHENTICATE CRAM-MD5\r\nf AUTHENTICATE PLAIN\r\n*\r\n"
            b"g AUTHENTICATE PLAIN !!\r\nh AUTHENTICATE PLAIN "
            + base64.b64encode(b"\0anna\0correct horse")
            + b"\r\ni CAPABILITY\r\nj LOGIN a b\r\nk LOGOUT\r\n"
        )
        lines = (await asyncio.to_thread(talk, house, sent)).split(b"\r\n")[1:]
        told = [line.split(b" ")[:2] for line in lines if line and line[:1] not in b"*+"]
        assert told == [
            [b"a", b"BAD"], [b"b", b"BAD"], [b"c", b"BAD"], [b"d", b"NO"], [b"e", b"NO"],
            [b"f", b"BAD"], [b"g", b"BAD"], [b"h", b"OK"], [b"i", b"OK"], [b"j", b"BAD"],
            [b"k", b"OK"],
        ]  # fmt: skip

    with_door(tmp_path, work)


def test_authenticate_with_the_answer_on_a_line_of_its_own(tmp_path: Path) -> None:
    def work(client: imaplib.IMAP4) -> None:
        answer = client.authenticate("PLAIN", lambda _: b"\0anna@postroad.alt\0correct horse")
        assert answer[0] == "OK"
        assert "MOVE" in text(client.capability()).decode()

    asyncio.run(_without_login(tmp_path, work))


async def _without_login(folder: Path, work: Callable[[imaplib.IMAP4], None]) -> None:
    async with imap_door(folder) as house:
        await house.client(work)


def test_when_the_door_stops_programs_are_told_goodbye(tmp_path: Path) -> None:
    async def run() -> None:
        async with contextlib.AsyncExitStack() as stack:
            house = await stack.enter_async_context(imap_door(tmp_path))
            async with talker(house, b"SELECT INBOX") as client:
                client.writer.write(b"i IDLE\r\n")
                await client.until(b"\r\n")
                await stack.aclose()
                assert await client.reader.read() == b"* BYE Postroad is stopping.\r\n"

    asyncio.run(run())


def test_a_fault_ends_one_connection_is_logged_once_and_tells_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(house: ImapHouse) -> None:
        async def broken(name: str) -> StatusInfo:
            raise RuntimeError("secret inside")

        async with talker(house) as other, talker(house) as client:
            monkeypatch.setattr(house.mailboxes, "status", broken)
            client.writer.write(b"t STATUS INBOX (MESSAGES)\r\n")
            told = await client.reader.read()
            assert told.startswith(b"* BYE ")
            assert b"secret" not in told
            assert b"t OK" in await other.do(b"NOOP")

    with_door(tmp_path, work)
    assert [record.message for record in caplog.records] == ["a connection ended in an error"]


def test_a_full_disk_is_answered_in_words_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(house: ImapHouse) -> None:
        await house.file(LETTER)
        real = house.database.run

        async def full(work: Callable[[Any], Any], then: Any = None) -> Any:
            def writes(sql: sqlite3.Connection) -> Any:
                before = sql.total_changes
                answer = work(sql)
                if sql.total_changes > before:
                    raise DiskFull("The disk is full; nothing was lost.")
                return answer

            return await real(writes, then=then)

        async with talker(house, b"SELECT INBOX") as client:
            monkeypatch.setattr(house.database, "run", full)
            refused = b"t NO [OVERQUOTA] The disk is full; nothing was lost.\r\n"
            assert await client.do(b"STORE 1 +FLAGS (\\Seen)") == refused
            assert await client.do(b"COPY 1 Archive") == refused
            assert await client.do(b"MOVE 1 Archive") == refused
            client.writer.write(b"t APPEND INBOX {3+}\r\na:b\r\n")
            assert await client.until(b"\r\n") == refused
            assert b"Good morning." in await client.do(b"FETCH 1 BODY[]")  # reading goes on
            monkeypatch.undo()
            assert b"FETCH (FLAGS (\\Recent))" in await client.do(b"FETCH 1 FLAGS")
            assert b"MESSAGES 1" in await client.do(b"STATUS INBOX (MESSAGES)")

    with_door(tmp_path, work)


def test_a_program_that_reads_slowly_is_waited_for_with_little_memory(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        body = b"Subject: x\r\n\r\n" + b"0123456789abcdef\r\n" * 20_000
        for number in range(40):
            await house.file(body + b"%d" % number)
        loads = 0
        real = house.mailboxes.load

        async def counted(*values: Any, **named: Any) -> Any:
            nonlocal loads
            loads += 1
            return await real(*values, **named)

        house.mailboxes.load = counted  # type: ignore[method-assign]
        async with talker(house, b"SELECT INBOX") as client:
            client.writer.write(b"t UID FETCH 1:* BODY.PEEK[]\r\n")
            async with timeout(20):
                while not loads:
                    await asyncio.sleep(0.01)
            before = -1
            while before != loads:  # until it waits for us
                before = loads
                await asyncio.sleep(0.2)
            assert loads < 10
            got = 0
            async with timeout(30):
                while piece := await client.reader.read(1 << 20):
                    got += len(piece)
                    if piece.endswith(b"t OK FETCH completed.\r\n"):
                        break
            assert got > 40 * len(body)

    with_door(tmp_path, work)


def test_a_damaged_letter_is_explained_and_the_others_are_read(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        large = LETTER + b"line\r\n" * 20_000
        for octets in (LETTER, large):
            await house.file(octets)
        (body,) = (tmp_path / "bodies").iterdir()
        body.write_bytes(body.read_bytes()[:-1])
        async with talker(house, b"SELECT INBOX") as client:
            told = await client.do(b"FETCH 1:* (ENVELOPE BODY.PEEK[] BODY.PEEK[1] BODY.PEEK[7.2])")
            assert told.count(b"Good morning.") == 2
            assert told.count(b"[damaged letter]") == 2  # in BODY[] and in BODY[7.2]
            assert told.count(b"This letter is damaged") == 3
            assert told.count(b'"hello" (("Anna"') == 2
            assert told.endswith(b"t OK FETCH completed.\r\n")

    with_door(tmp_path, work)


def test_connections_above_the_limit_are_told_why(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(limits.DOOR_CONNECTIONS_MAX):
                await stack.enter_async_context(talker(house))
            told = await asyncio.to_thread(talk, house, b"", half_close=False)
            assert told.splitlines()[-1].startswith(b"* BYE Too many connections")
        assert b"OK" in await asyncio.to_thread(talk, house, b"a LOGOUT\r\n", half_close=False)

    with_door(tmp_path, work)


def test_silence_and_overlong_lines_end_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("postroad.base.limits.DOOR_LOGIN_SECONDS", 0.05)

    async def work(house: ImapHouse) -> None:
        told = await asyncio.to_thread(talk, house, b"", half_close=False)
        assert told.endswith(b"* BYE Nothing was said for too long.\r\n")
        told = await asyncio.to_thread(talk, house, b"a" * 100_000, half_close=False)
        assert b"* BAD That line is too long.\r\n* BYE" in told

    with_door(tmp_path, work)


DIALOGUE = (
    b'a LOGIN {4+}\r\nanna "correct horse"\r\nb EXAMINE "INBOX"\r\n'
    b"c FETCH 1:2 (UID FLAGS ENVELOPE BODY.PEEK[HEADER.FIELDS ({2+}\r\nTo)]<0.9>)\r\n"
    b"d SEARCH CHARSET UTF-8 OR FROM {4+}\r\nAnna SUBJECT nothing\r\n"
    b"e IDLE\r\nDONE\r\nf UID FETCH 2 BODY[TEXT]\r\nx\r\ng LOGOUT\r\n"
)


def test_a_dialogue_means_the_same_however_its_octets_arrive(tmp_path: Path) -> None:
    async def work(house: ImapHouse) -> None:
        for _ in range(2):
            await house.file(LETTER)

        async def outcome(chunks: Iterable[bytes]) -> bytes:
            """What the session answers, with the door's own deeds but without its socket."""
            session = Session()
            for chunk in chunks:
                request = session.receive(chunk)
                while request is not None:
                    answer = await act(request, house.mailboxes, ImapCredentials())
                    request = session.answer(answer)
            assert session.closing
            return b"".join(iter(session.take_output, b""))

        expected = await outcome([DIALOGUE])
        assert expected.count(b" OK ") >= 7
        assert b"x BAD" in expected
        assert await outcome(bytes([octet]) for octet in DIALOGUE) == expected
        for at in range(1, len(DIALOGUE)):
            assert await outcome([DIALOGUE[:at], DIALOGUE[at:]]) == expected

    async def run() -> None:
        async with imap_store(tmp_path) as house:
            await work(house)

    asyncio.run(run())
