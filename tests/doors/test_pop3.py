"""The POP3 door, driven by poplib and by bare sockets over loopback, with IMAP beside it."""

import asyncio
import contextlib
import imaplib
import poplib
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from doors.imap_fixture import PASSWORD
from doors.pop3_fixture import LOGIN, Pop3House, pop3_door
from postroad.base import limits
from postroad.base.errors import DiskFull
from postroad.timeouts import timeout

LETTER = b"From: anna@postroad.alt\r\nSubject: hello\r\n\r\nGood morning.\r\n.\r\n..two\r\n"
Work = Callable[[Pop3House], Awaitable[None]]


def with_door(folder: Path, work: Work) -> None:
    async def run() -> None:
        async with pop3_door(folder) as door:
            await work(door)

    asyncio.run(run())


def test_a_program_logs_in_lists_reads_and_deletes(tmp_path: Path) -> None:
    large = LETTER + b"line\r\n" * 30_000

    def first(client: poplib.POP3) -> None:
        assert client.stat() == (3, 2 * len(LETTER) + len(large))
        listed = client.list()[1]
        assert listed == [b"1 %d" % len(LETTER), b"2 %d" % len(large), b"3 %d" % len(LETTER)]
        uids = [line.split()[1] for line in client.uidl()[1]]
        assert len(set(uids)) == 3
        for number, octets in ((1, LETTER), (2, large), (3, LETTER)):
            assert b"\r\n".join(client.retr(number)[1]) + b"\r\n" == octets
        assert b"\r\n".join(client.top(2, 1)[1]) == LETTER.partition(b"\r\n.\r\n")[0]
        client.dele(2)
        client.quit()
        seen.append(uids)

    def second(client: poplib.POP3) -> None:
        assert [line.split()[1] for line in client.uidl()[1]] == [seen[0][0], seen[0][2]]
        assert client.capa()["SASL"] == ["PLAIN"]

    seen: list[list[bytes]] = []

    async def work(door: Pop3House) -> None:
        for octets in (LETTER, large, LETTER):
            await door.house.file(octets)
        await door.logged_in(first)
        await door.logged_in(second)

    with_door(tmp_path, work)


def test_unique_ids_are_never_given_to_another_letter(tmp_path: Path) -> None:
    async def work(door: Pop3House) -> None:
        await door.house.file(LETTER)
        assert await door.talk(*LOGIN, b"DELE 1", b"QUIT") != b""
        first = (await door.house.mailboxes.status("INBOX")).uid_next
        await door.house.file(LETTER)
        said = await door.talk(*LOGIN, b"UIDL")
        assert b".%d\r\n.\r\n" % first in said

    with_door(tmp_path, work)


def test_bare_octets_come_out_as_they_were_filed(tmp_path: Path) -> None:
    octets = b".\r\na: b\n\n.c\r\n..d\re\n.\xff\0\r\n\r\n."

    async def work(door: Pop3House) -> None:
        await door.house.file(octets)
        said = await door.talk(*LOGIN, b"LIST", b"RETR 1", b"QUIT")
        sent = b"..\r\na: b\n\n.c\r\n...d\re\n.\xff\0\r\n\r\n..\r\n.\r\n"
        assert b"1 %d\r\n.\r\n+OK %d octets\r\n%b+OK" % (len(octets), len(octets), sent) in said

    with_door(tmp_path, work)


def test_whoever_is_cut_off_has_deleted_nothing(tmp_path: Path) -> None:
    async def work(door: Pop3House) -> None:
        for _ in range(3):
            await door.house.file(LETTER)
        said = await door.talk(*LOGIN, b"DELE 1", b"DELE 2", hang_up=True)
        assert said.count(b"+OK It goes at QUIT.") == 2
        assert (await door.house.mailboxes.status("INBOX")).messages == 3

    with_door(tmp_path, work)


def test_deletes_show_as_expunge_to_an_imap_program_that_idles(tmp_path: Path) -> None:
    async def work(door: Pop3House) -> None:
        for _ in range(3):
            await door.house.file(LETTER)
        reader, writer = await asyncio.open_connection("127.0.0.1", door.house.port)
        writer.write(b"a LOGIN anna {%d+}\r\n%b\r\n" % (len(PASSWORD), PASSWORD.encode()))
        writer.write(b"b SELECT INBOX\r\nc IDLE\r\n")
        async with timeout(20):
            await reader.readuntil(b"+ Idling.\r\n")
            assert (await door.talk(*LOGIN, b"DELE 1", b"DELE 3", b"QUIT")).endswith(
                b"+OK 2 deleted. Goodbye.\r\n"
            )
            told = [await reader.readline() for _ in range(2)]
            assert told == [b"* 3 EXPUNGE\r\n", b"* 1 EXPUNGE\r\n"]
        writer.close()

    with_door(tmp_path, work)


def test_what_imap_removes_meanwhile_keeps_its_number_and_is_said_to_be_gone(
    tmp_path: Path,
) -> None:
    def expunge_first(client: imaplib.IMAP4) -> None:
        client.select("INBOX")
        client.store("1", "+FLAGS", "\\Deleted")
        assert client.expunge()[1] == [b"1"]

    async def work(door: Pop3House) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(2):
            await door.house.file(LETTER)

        def work_on(client: poplib.POP3) -> None:
            asyncio.run_coroutine_threadsafe(door.house.logged_in(expunge_first), loop).result(20)
            asyncio.run_coroutine_threadsafe(door.house.file(LETTER), loop).result(20)
            with pytest.raises(poplib.error_proto, match="Another program has deleted"):
                client.retr(1)
            assert client.stat()[0] == 2  # what came meanwhile is for the next session
            assert b"\r\n".join(client.retr(2)[1]) + b"\r\n" == LETTER
            client.dele(1)
            client.quit()

        await door.logged_in(work_on)
        assert (await door.house.mailboxes.status("INBOX")).messages == 2

    with_door(tmp_path, work)


def test_a_full_disk_refuses_quit_and_deletes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(door: Pop3House) -> None:
        await door.house.file(LETTER)

        async def full(*_: object, **__: object) -> None:
            raise DiskFull("The disk is full.")

        with monkeypatch.context() as patched:
            patched.setattr(door.house.database, "run", full)
            said = await door.talk(*LOGIN, b"DELE 1", b"QUIT")
        assert said.endswith(b"-ERR [SYS/TEMP] The disk is full. Nothing was deleted.\r\n")
        assert (await door.house.mailboxes.status("INBOX")).messages == 1

    with_door(tmp_path, work)


def test_a_damaged_letter_is_explained_in_its_place(tmp_path: Path) -> None:
    async def work(door: Pop3House) -> None:
        large = LETTER + b"line\r\n" * 20_000
        for octets in (large, LETTER):
            await door.house.file(octets)
        (body,) = (tmp_path / "bodies").iterdir()
        body.write_bytes(body.read_bytes()[:-1])
        said = await door.talk(*LOGIN, b"RETR 1", b"RETR 2", b"LIST")
        assert b"octets in place of a letter that is damaged\r\n" in said
        assert b"Subject: [damaged letter]\r\n" in said
        assert b"Its subject: hello\r\n" in said
        assert b"Good morning.\r\n..\r\n...two\r\n.\r\n" in said
        assert said.endswith(b"1 %d\r\n2 %d\r\n.\r\n" % (len(large), len(LETTER)))
        noted = await door.house.database.read(
            lambda sql: sql.execute("SELECT kind FROM quarantine").fetchall()
        )
        assert noted == [("message",)]

    with_door(tmp_path, work)


def test_a_letter_of_the_greatest_size_takes_a_few_pieces_of_memory(tmp_path: Path) -> None:
    octets = LETTER + (b"x" * 998 + b"\r\n") * ((limits.LETTER_BYTES_MAX - len(LETTER)) // 1000)

    async def work(door: Pop3House) -> None:
        await door.house.file(octets)
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(b"".join(line + b"\r\n" for line in (*LOGIN, b"RETR 1", b"QUIT")))
        tracemalloc.start()
        got = 0
        try:
            async with timeout(60):
                while piece := await reader.read(64 * limits.KIB):
                    got += len(piece)
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            writer.close()
        assert got > len(octets)
        assert most < 2 * limits.MIB

    with_door(tmp_path, work)


def test_many_commands_may_be_sent_at_once(tmp_path: Path) -> None:
    async def work(door: Pop3House) -> None:
        await door.house.file(LETTER)
        said = await door.talk(
            *LOGIN, *(b"NOOP" for _ in range(5000)), *(b"RETR 1",) * 50, b"QUIT", hang_up=False
        )
        assert said.count(b"+OK\r\n") == 5000
        assert said.count(b"Good morning.") == 50
        assert said.endswith(b"+OK Goodbye.\r\n")

    with_door(tmp_path, work)


def test_a_wrong_password_is_refused_and_too_many_end_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("postroad.base.limits.LOGIN_FAILURE_SECONDS", 0.0)

    async def work(door: Pop3House) -> None:
        said = await door.talk(*(b"USER anna", b"PASS wrong") * 9)
        assert said.count(b"-ERR [AUTH] Wrong user name or password.\r\n") == 5
        assert said.endswith(b"-ERR [SYS/TEMP] Too many wrong passwords.\r\n")

    with_door(tmp_path, work)


def test_another_users_program_is_turned_away_without_a_word(tmp_path: Path) -> None:
    async def work(door: Pop3House) -> None:
        door.house.peer_uid.is_mine = False
        with contextlib.suppress(ConnectionResetError):
            assert await door.talk(hang_up=False) == b""

    with_door(tmp_path, work)


def test_connections_above_the_limit_are_told_why(tmp_path: Path) -> None:
    async def work(door: Pop3House) -> None:
        others = []
        for _ in range(limits.DOOR_CONNECTIONS_MAX):
            reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
            await reader.readline()
            others.append(writer)
        said = await door.talk(hang_up=False)
        assert said.endswith(b"-ERR [SYS/TEMP] Too many connections; close one first.\r\n")
        for writer in others:
            writer.close()
        assert (await door.talk(*LOGIN)).count(b"+OK") >= 1

    with_door(tmp_path, work)


@pytest.mark.parametrize(
    ("limit", "lines"), [("DOOR_LOGIN_SECONDS", ()), ("POP3_IDLE_SECONDS", (*LOGIN, b"DELE 1"))]
)
def test_silence_ends_the_connection_without_a_word_and_deletes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, lines: tuple[bytes, ...]
) -> None:
    monkeypatch.setattr(f"postroad.base.limits.{limit}", 0.2)

    async def work(door: Pop3House) -> None:
        await door.house.file(LETTER)
        said = await door.talk(*lines, hang_up=False)
        assert b"-ERR" not in said
        assert said.count(b"+OK") == 1 + len(lines)
        assert (await door.house.mailboxes.status("INBOX")).messages == 1

    with_door(tmp_path, work)


def test_an_error_ends_one_connection_and_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(door: Pop3House) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(door.inbox, "look", lambda: 1 / 0)
            said = await door.talk(*LOGIN)
        assert said.endswith(b"Something went wrong in Postroad; its log says more.\r\n")
        assert b"Welcome" in await door.talk(*LOGIN)

    with_door(tmp_path, work)
