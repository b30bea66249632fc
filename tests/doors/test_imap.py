"""The IMAP door, driven by imaplib and by bare sockets over loopback."""

import asyncio
import contextlib
import imaplib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from doors.imap_fixture import PASSWORD, ImapHouse, imap_door

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
    tmp_path: Path, monkeypatch: Any
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
