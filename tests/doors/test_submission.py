"""The submission door, as mail programs meet it: real sockets, smtplib, and raw bytes."""

import asyncio
import base64
import itertools
import logging
import re
import smtplib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes

import pytest

from postroad.base import limits
from postroad.base.bell import Bell
from postroad.base.errors import DiskFull, PermanentFailure, TemporaryFailure
from postroad.base.seams import PeerUid, SocketAddress
from postroad.doors import submission
from postroad.machine.clock import SystemClock
from postroad.machine.entropy import SystemEntropy
from postroad.machine.listeners import SystemListeners
from postroad.machine.peer_uid import KernelPeerUid
from postroad.message.envelope import NOTIFY_DEFAULT, Notify, Submission
from postroad.sealing.password import PasswordVerifier, verifier

ANNA = "anna@example.org"
BORA = "bora@example.org"
PASSWORD = "kind-tall-warm-rain"
LETTER = f"From: Anna <{ANNA}>\r\nTo: {BORA}\r\nSubject: Hello\r\nDate: Mon, 01 Jan 2029 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\nGood morning.\r\n"  # noqa: E501


@dataclass
class MemoryOutbox:
    """Takes custody by remembering; raises what the test asks for."""

    accepted: list[Submission] = field(default_factory=list)
    fails: Exception | None = None
    waits: threading.Event | None = None
    entered: threading.Event = field(default_factory=threading.Event)

    async def check_recipient(self, address: str) -> str:
        match address.partition("@")[0]:
            case "bara":
                raise PermanentFailure(f"No such person: did you mean Bora <{BORA}>?")
            case "offline":
                raise TemporaryFailure("The directory does not answer.")
            case "broken":
                raise RuntimeError("secret of the house")
            case _:
                return address.lower()

    async def accept(self, letter: Submission) -> str:
        self.entered.set()
        if self.waits is not None:
            while not self.waits.is_set():
                await asyncio.sleep(0.01)
        if self.fails is not None:
            raise self.fails
        self.accepted.append(letter)
        return f"letter-{len(self.accepted)}"


class Mailbox:
    """The owner's name and password, checked as the node does it."""

    def __init__(self) -> None:
        self._verifier: PasswordVerifier = verifier(PASSWORD, b"salt of 16 octet")
        self.changed = Bell()

    def check(self, user: str, password: bytes) -> bool:
        return user == ANNA and self._verifier.verify(password)


class Nobody:
    def is_owner(self, client: SocketAddress, server: SocketAddress) -> bool:
        return False


@dataclass
class Office:
    """A door that is being served in a thread of its own."""

    port: int
    outbox: MemoryOutbox
    sockets: list[socket.socket]
    change_password: Callable[[], object]

    def smtp(self) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.port, timeout=20, local_hostname="localhost")

    def login(self) -> smtplib.SMTP:
        client = self.smtp()
        client.login(ANNA, PASSWORD)
        return client

    def raw(self, family: int = socket.AF_INET) -> socket.socket:
        host = "127.0.0.1" if family == socket.AF_INET else "::1"
        return socket.create_connection((host, self.port), timeout=20)


@contextmanager
def opened(outbox: MemoryOutbox | None = None, uid: PeerUid | None = None) -> Iterator[Office]:
    outbox = outbox or MemoryOutbox()
    sockets, mailbox = list(SystemListeners({}).loopback("smtp", 0)), Mailbox()
    port: int = sockets[0].getsockname()[1]
    loop = asyncio.new_event_loop()
    serving = submission.serve(
        sockets,
        outbox,
        mailbox,
        uid or KernelPeerUid(),
        {ANNA},
        SystemClock(),
        SystemEntropy(),
    )
    task = loop.create_task(serving)

    def run() -> None:
        asyncio.set_event_loop(loop)
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
        assert not asyncio.all_tasks(loop), "the door left tasks behind"
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield Office(
            port, outbox, sockets, lambda: loop.call_soon_threadsafe(mailbox.changed.ring)
        )
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(30)
        assert not thread.is_alive()
        assert all(one.fileno() < 0 for one in sockets)


@pytest.fixture
def office() -> Iterator[Office]:
    with opened() as office:
        yield office


@pytest.fixture(autouse=True)
def _quick_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOGIN_FAILURE_SECONDS", 0.05)


def plain(user: str = ANNA, password: str = PASSWORD, acting: str = "") -> bytes:
    return base64.b64encode(f"{acting}\0{user}\0{password}".encode())


LOGGED_IN = b"EHLO localhost\r\nAUTH PLAIN " + plain() + b"\r\n"
ENVELOPE = f"MAIL FROM:<{ANNA}>\r\nRCPT TO:<{BORA}>\r\nDATA\r\n".encode()


def talk(office: Office, *chunks: bytes) -> list[str]:
    """Send the chunks one by one, say that there is no more, and read all replies."""
    with office.raw() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for chunk in chunks:
            client.sendall(chunk)
        client.shutdown(socket.SHUT_WR)
        return read_all(client)


def read_all(client: socket.socket) -> list[str]:
    received = b""
    while True:
        try:
            chunk = client.recv(65536)
        except (ConnectionResetError, TimeoutError):
            break
        if not chunk:
            break
        received += chunk
    return received.decode().splitlines()


# A letter's way in ------------------------------------------------------------------------------


def test_a_letter_from_the_owner_is_queued_and_nothing_but_trace_is_put_on_top(
    office: Office,
) -> None:
    with office.login() as client:
        client.mail(ANNA)
        client.rcpt(BORA)
        code, said = client.data(LETTER)
    assert (code, said) == (250, b"2.0.0 queued as letter-1")
    (letter,) = office.outbox.accepted
    assert [one.address for one in letter.recipients] == [BORA]
    assert letter.octets.endswith(LETTER.encode())
    trace = letter.octets.removesuffix(LETTER.encode())
    assert trace.startswith(b"Received: from localhost by localhost (Postroad) with ESMTPA;\r\n\t")
    assert trace.count(b"\r\n") == 2  # one folded field


def test_both_loopback_addresses_are_served(office: Office) -> None:
    for one in office.sockets:
        with office.raw(one.family) as client:
            assert client.recv(100) == b"220 localhost ESMTP Postroad\r\n"


def test_what_the_door_offers_is_what_it_does(office: Office) -> None:
    with office.smtp() as client:
        client.ehlo()
        assert client.esmtp_features == {
            "size": str(limits.LETTER_BYTES_MAX),
            "8bitmime": "",
            "smtputf8": "",
            "pipelining": "",
            "enhancedstatuscodes": "",
            "dsn": "",
            "auth": " PLAIN LOGIN",
        }


def test_one_connection_can_hand_over_many_letters(office: Office) -> None:
    with office.login() as client:
        for number in range(20):
            text = LETTER.replace("Hello", f"Number {number}")
            assert client.sendmail(ANNA, [BORA], text) == {}
    assert len(office.outbox.accepted) == 20


def test_a_whole_session_may_come_in_one_write(office: Office) -> None:
    said = talk(office, LOGGED_IN + ENVELOPE + LETTER.encode() + b".\r\nNOOP\r\nQUIT\r\n")
    assert [line[:3] for line in said if line[3:4] == " "] == [
        "220", "250", "235", "250", "250", "354", "250", "250", "221",
    ]  # fmt: skip
    assert len(office.outbox.accepted) == 1


def test_a_client_that_ends_its_input_early_is_still_answered(office: Office) -> None:
    said = talk(office, LOGGED_IN + ENVELOPE + LETTER.encode() + b".\r\n")
    assert said[-1] == "250 2.0.0 queued as letter-1"


def test_a_letter_cut_off_before_its_end_is_not_a_letter(office: Office) -> None:
    said = talk(office, LOGGED_IN + ENVELOPE + LETTER.encode())
    assert said[-1].startswith("354")
    assert office.outbox.accepted == []


def test_a_large_letter_with_long_lines_and_dots_arrives_whole(office: Office) -> None:
    lines = [b".", b"..", b".a", b"a" * 100_000, b"\xff" * 3000, b"", b"."]
    body = b"\r\n".join(lines * 60) + b"\r\n"
    octets = LETTER.encode() + body
    with office.login() as client:
        client.mail(ANNA, ["BODY=8BITMIME"])
        client.rcpt(BORA)
        assert client.data(octets)[0] == 250
    assert office.outbox.accepted[0].octets.endswith(b"\r\n\r\nGood morning.\r\n" + body)


def test_the_reply_250_waits_for_the_outbox() -> None:
    outbox = MemoryOutbox(waits=threading.Event())
    with opened(outbox) as office, office.raw() as client:
        client.sendall(LOGGED_IN + ENVELOPE + LETTER.encode() + b".\r\n")
        assert outbox.entered.wait(10)
        client.settimeout(0.2)
        assert read_all(client)[-1].startswith("354")
        client.settimeout(10)
        assert outbox.waits is not None
        outbox.waits.set()
        assert client.recv(1000) == b"250 2.0.0 queued as letter-1\r\n"


def test_when_the_node_stops_an_unfinished_letter_is_not_acknowledged() -> None:
    outbox = MemoryOutbox(waits=threading.Event())
    with opened(outbox) as office:
        client = office.raw()
        client.sendall(LOGGED_IN + ENVELOPE + LETTER.encode() + b".\r\n")
        assert outbox.entered.wait(10)
    with client:
        said = read_all(client)
    assert said[-1].startswith("421 4.3.2 Postroad is stopping")
    assert not any(line.startswith("250 2.0.0 queued") for line in said)


def test_when_the_node_stops_a_letter_that_was_written_down_is_answered_first() -> None:
    """Else its client sends it again, and the recipient has it twice."""
    outbox = MemoryOutbox(waits=threading.Event())
    assert outbox.waits is not None
    with opened(outbox) as office:
        client = office.raw()
        client.sendall(LOGGED_IN + ENVELOPE + LETTER.encode() + b".\r\n")
        assert outbox.entered.wait(10)
        threading.Timer(0.1, outbox.waits.set).start()  # while it is being stopped
    with client:
        said = read_all(client)
    assert said[-2] == "250 2.0.0 queued as letter-1"
    assert said[-1].startswith("421 4.3.2 Postroad is stopping")


# Where a letter ends ------------------------------------------------------------------------------

ENDS = [
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r\n\0.\r\n",
    b"\r\n.\0\r\n", b"\n\r.\r\n", b"\r\n.\r\r\n", b"\r\r\n.\r\r\n", b"\n.\r",
]  # fmt: skip
SMUGGLED = f"MAIL FROM:<{ANNA}>\r\nRCPT TO:<eve@example.org>\r\nDATA\r\n{LETTER}".encode()


@pytest.mark.parametrize("end", ENDS, ids=repr)
def test_no_end_but_the_right_one_ends_a_letter_however_it_is_cut(
    office: Office, end: bytes
) -> None:
    """SMTP smuggling: a second letter hidden in the first one's text, behind a doubtful end."""
    octets = LETTER.encode() + b"one" + end + SMUGGLED + b"\r\n.\r\n"
    hidden = len(LETTER.encode()) + 3
    with office.raw() as client, client.makefile("rb") as replies:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(LOGGED_IN)
        while not replies.readline().startswith(b"235"):
            pass
        for cut in [0, *range(hidden - 2, hidden + len(end) + 3), *range(-6, 0)]:
            client.sendall(ENVELOPE)
            while not replies.readline().startswith(b"354"):
                pass
            client.sendall(octets[:cut])
            client.sendall(octets[cut:])
            assert replies.readline().startswith(b"554 5.6.0 "), cut
        client.sendall(b"NOOP\r\n")
        assert replies.readline().startswith(b"250 2.0.0 ")  # nothing was taken for a command
    assert office.outbox.accepted == []


def test_a_line_of_more_than_one_dot_does_not_end_a_letter(office: Office) -> None:
    text = LETTER.encode() + b"..\r\n...\r\n.. \r\n"
    said = talk(office, LOGGED_IN + ENVELOPE + text + b".\r\n")
    assert said[-1].startswith("250 2.0.0 queued")
    assert office.outbox.accepted[0].octets.endswith(b"Good morning.\r\n.\r\n..\r\n. \r\n")


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
def test_chunks_of_any_size_make_the_same_letter(office: Office, size: int) -> None:
    whole = LETTER.encode() + b"..dots\r\n.\r\n"
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    said = talk(office, LOGGED_IN + ENVELOPE, *pieces)
    assert said[-1].startswith("250 2.0.0 queued")
    assert office.outbox.accepted[0].octets.endswith(b"Good morning.\r\n.dots\r\n")


def test_an_empty_letter_is_refused_in_words(office: Office) -> None:
    said = talk(office, LOGGED_IN + ENVELOPE + b".\r\nNOOP\r\n")
    assert said[-2].startswith("554 5.6.0 The letter has no From field.")
    assert said[-1].startswith("250")


def test_a_letter_of_exactly_the_limit_is_taken_and_one_octet_more_is_not(
    office: Office,
) -> None:
    filling = b"x" * (limits.LETTER_BYTES_MAX - len(LETTER) - 2) + b"\r\n"
    with office.login() as client:
        for more, code in [(b"", 250), (b"x", 552)]:
            client.mail(ANNA)
            client.rcpt(BORA)
            assert client.data(LETTER.encode() + more + filling)[0] == code
        assert client.sendmail(ANNA, [BORA], LETTER) == {}  # and the door is still in step
    assert len(office.outbox.accepted) == 2


def test_a_letter_announced_as_too_large_is_refused_before_it_is_sent(office: Office) -> None:
    with office.login() as client:
        code, said = client.mail(ANNA, [f"SIZE={limits.LETTER_BYTES_MAX + 1}"])
        assert (code, said[:5]) == (552, b"5.3.4")


def test_somebody_who_never_stops_sending_is_cut_off(office: Office) -> None:
    with office.raw() as client:
        client.sendall(LOGGED_IN + ENVELOPE)
        chunk = b"x" * (4 * limits.MIB)
        sent = 0
        with suppress(ConnectionError):
            while sent < 8 * limits.LETTER_BYTES_MAX:
                client.sendall(chunk)
                sent += len(chunk)
        assert sent < 5 * limits.LETTER_BYTES_MAX
    assert office.outbox.accepted == []


# Who may come in ----------------------------------------------------------------------------------


def test_another_users_process_is_closed_without_a_word() -> None:
    with opened(uid=Nobody()) as office, office.raw() as client:
        assert read_all(client) == []


@pytest.mark.parametrize("command", [f"MAIL FROM:<{ANNA}>", f"RCPT TO:<{BORA}>", "DATA"])
def test_nothing_is_taken_before_the_login(office: Office, command: str) -> None:
    with office.smtp() as client:
        client.ehlo()
        assert client.docmd(command)[0] == 530


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("at_once", [True, False])
def test_the_mailbox_password_opens_by_either_mechanism(
    office: Office, mechanism: str, at_once: bool
) -> None:
    with office.smtp() as client:
        client.ehlo()
        client.user, client.password = ANNA, PASSWORD
        ask = client.auth_plain if mechanism == "PLAIN" else client.auth_login
        assert client.auth(mechanism, ask, initial_response_ok=at_once)[0] == 235
        assert client.docmd("AUTH", "PLAIN")[0] == 503


def test_mechanism_names_are_read_in_any_case(office: Office) -> None:
    said = talk(office, b"ehlo localhost\r\nauth plain " + plain() + b"\r\n")
    assert said[-1].startswith("235 2.7.0")


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (b"AUTH PLAIN " + plain(password="wrong"), "535 5.7.8"),
        (b"AUTH PLAIN " + plain(user="eve@example.org"), "535 5.7.8"),
        (b"AUTH PLAIN " + plain(acting="eve@example.org"), "535 5.7.8"),
        (b"AUTH PLAIN " + plain(acting=ANNA), "235 2.7.0"),
        (b"AUTH PLAIN =", "501 5.5.2"),
        (b"AUTH PLAIN !!!", "501 5.5.2"),
        (b"AUTH PLAIN\r\n*", "501 5.7.0"),
        (b"AUTH LOGIN\r\n*", "501 5.7.0"),
        (b"AUTH LOGIN\r\n" + base64.b64encode(b"\xff\xfe") + b"\r\nAAAA", "535 5.7.8"),
        (b"AUTH CRAM-MD5", "504 5.5.4"),
        (b"AUTH", "504 5.5.4"),
    ],
)
def test_a_login_is_answered_by_what_was_wrong(office: Office, command: bytes, reply: str) -> None:
    said = talk(office, b"EHLO localhost\r\n" + command + b"\r\nNOOP\r\n")
    assert said[-2].startswith(reply), said
    assert said[-1].startswith("250")


def test_after_five_wrong_passwords_the_door_is_closed(office: Office) -> None:
    guesses = b"".join(b"AUTH PLAIN " + plain(password=f"guess {n}") + b"\r\n" for n in range(5))
    said = talk(
        office, b"EHLO localhost\r\n" + guesses + b"AUTH PLAIN " + plain() + b"\r\nNOOP\r\n"
    )
    assert [line[:3] for line in said][-5:] == ["535"] * 4 + ["421"]


def test_a_wrong_password_is_answered_slowly(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LOGIN_FAILURE_SECONDS", 0.4)
    with office.smtp() as client:
        client.ehlo()
        client.sock.settimeout(0.2)  # type: ignore[union-attr]
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.docmd("AUTH", "PLAIN " + plain(password="wrong").decode())


def test_there_is_no_starttls(office: Office) -> None:
    with office.smtp() as client:
        client.ehlo()
        assert client.docmd("STARTTLS")[0] == 502


def test_a_web_page_cannot_speak_through_the_browser(office: Office) -> None:
    request = b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n" + LOGGED_IN + ENVELOPE
    said = talk(office, request)
    assert [line[:3] for line in said] == ["220", "421"]


def test_one_connection_too_many_is_told_to_come_later(office: Office) -> None:
    clients = [office.smtp() for _ in range(limits.DOOR_CONNECTIONS_MAX)]
    try:
        with office.raw() as client:
            assert read_all(client)[0].startswith("421 4.3.2 Too many connections")
        clients.pop().quit()
        with office.smtp() as client_again:
            assert client_again.noop()[0] == 250
    finally:
        for one in clients:
            one.quit()


def test_silence_is_ended_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SMTP_IDLE_SECONDS", 0.3)
    with opened() as office, office.raw() as client:
        said = read_all(client)
    assert said[-1].startswith("421 4.4.2 ")


# Whose letter it is -------------------------------------------------------------------------------


@pytest.mark.parametrize("sender", ["eve@example.org", "anna@example.com", "xanna@example.org"])
def test_nobody_else_can_be_the_envelopes_sender(office: Office, sender: str) -> None:
    with office.login() as client:
        code, said = client.docmd(f"MAIL FROM:<{sender}>")
        assert (code, said[:5]) == (553, b"5.7.1")


def test_a_read_receipt_is_taken_and_asks_for_no_notice(office: Office) -> None:
    with office.login() as client:
        client.docmd("MAIL FROM:<>")
        client.docmd(f"RCPT TO:<{BORA}> NOTIFY=SUCCESS,FAILURE")
        assert client.data(LETTER)[0] == 250
    (accepted,) = office.outbox.accepted
    assert [one.notify for one in accepted.recipients] == [Notify.NEVER]


@pytest.mark.parametrize("sender", ["Anna@Example.ORG", "anna+shop@example.org"])
def test_case_and_a_tag_do_not_make_a_stranger_of_the_owner(office: Office, sender: str) -> None:
    with office.login() as client:
        text = LETTER.replace(f"<{ANNA}>", f"<{sender}>")
        assert client.sendmail(sender, [BORA], text) == {}
    assert len(office.outbox.accepted) == 1


@pytest.mark.parametrize(
    ("header", "reply"),
    [
        (b"From: eve@example.org", "554 5.7.1 The letter says that it is from eve@example.org"),
        (b"From: anna@example.org, eve@example.org", "554 5.7.1"),
        (b"From: anna@example.org\r\nFrom: eve@example.org", "554 5.7.1"),
        (b"From: anna@example.org\r\nFROM : anna@example.org", "554 5.7.1"),
        (b"From: friends: anna@example.org;", "554 5.7.1"),
        (b"From: a:b:;;", "554 5.7.1"),
        (b"From: <@eve.example:anna@example.org>", "554 5.7.1"),
        (b"From:", "554 5.7.1"),
        (b'From: "anna@example.org" <eve@example.org>', "554 5.7.1"),
        (b"From: anna@example.org\r\nSender: eve@example.org", "554 5.7.1"),
        (b"From: eve@example.org\r\nResent-From: anna@example.org", "554 5.7.1"),
        (b"To: bora@example.org", "554 5.6.0 The letter has no From field."),
        (b"From: anna@example.org\r\nno field at all", "554 5.6.0"),
        (b" From: anna@example.org", "554 5.6.0"),
        (b"From: anna@example.org\r\nX: " + b"x" * limits.HEADER_BYTES_MAX, "552 5.3.4"),
        (b"From: anna@example.org\r\nSender: Anna <anna@example.org>", "250 2.0.0"),
        (b"from:\r\n =?utf-8?q?Anna?= (at home)\r\n <ANNA@example.org>", "250 2.0.0"),
        (
            b'From: "eve@example.org" <anna@example.org>',
            "554 5.7.1 The name in the letter's From says eve@example.org",
        ),
        (b'From: "Anna@example.org" <anna@example.org>', "250 2.0.0"),
    ],
)
def test_the_header_says_truly_who_wrote_it(office: Office, header: bytes, reply: str) -> None:
    said = talk(office, LOGGED_IN + ENVELOPE + header + b"\r\n\r\nHello.\r\n.\r\nNOOP\r\n")
    assert said[-2].startswith(reply), said
    assert said[-1].startswith("250")


@pytest.mark.parametrize(
    ("before", "reply"),
    [
        (b"From anna Tue Jul  7 22:47:39 2009", "The letter begins with the line of an mbox file"),
        (b">From anna Tue Jul  7", "The letter begins with the line of an mbox file"),
        (b"  \t ", "Line 1 of the letter, of white space only, is not a header field."),
        (b"To: x\r\n folded\r\n--foo", "Line 3 of the letter, '--foo', is not a header field."),
        (b"X: y\r\nGr\xfc\xdfe!", "Line 2 of the letter, 'Gr??e!', is not a header field."),
        (b"X: y\r\n" + b"x" * 5000, f"Line 2 of the letter, '{'x' * 60}', is not a header field."),
    ],
)
def test_a_line_that_is_no_header_field_is_shown_to_its_writer(
    office: Office, before: bytes, reply: str
) -> None:
    sent = LOGGED_IN + ENVELOPE + before + b"\r\nFrom: anna@example.org\r\n\r\nHi.\r\n.\r\n"
    assert talk(office, sent)[-1].startswith(f"554 5.6.0 {reply}")


def test_blind_copies_stay_blind(office: Office) -> None:
    """The one thing that is taken out of a letter (RFC 5322 section 3.6.3)."""
    head, _, body = LETTER.partition("\r\n\r\n")
    text = f"Bcc: eve@example.org\r\n{head}\r\nBCC: a@b.example,\r\n c@d.example\r\n\r\n{body}"
    with office.login() as client:
        client.sendmail(ANNA, [BORA, "eve@example.org"], text)
    (letter,) = office.outbox.accepted
    assert letter.octets.endswith(LETTER.encode())
    assert b"eve" not in letter.octets
    assert len(letter.recipients) == 2


def test_a_missing_date_and_message_id_are_put_on_top(office: Office) -> None:
    text = f"From: {ANNA}\r\nTo: {BORA}\r\n\r\nHello.\r\n".encode()
    with office.login() as client:
        for _ in range(2):
            client.mail(ANNA)
            client.rcpt(BORA)
            assert client.data(text)[0] == 250
    first, second = (one.octets for one in office.outbox.accepted)
    assert first.endswith(text)
    read = message_from_bytes(first)
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000", read["Date"])
    assert re.fullmatch(r"<[0-9a-f]{32}@example\.org>", read["Message-ID"])
    assert read["Message-ID"] != message_from_bytes(second)["Message-ID"]


# Recipients and notifications ---------------------------------------------------------------------


def test_a_recipient_who_is_not_there_is_told_in_the_outboxs_words(office: Office) -> None:
    with office.login() as client:
        client.mail(ANNA)
        assert client.rcpt("bara@example.org") == (
            550,
            b"5.1.1 No such person: did you mean Bora <bora@example.org>?",
        )
        assert client.rcpt("offline@example.org")[0] == 451
        assert client.docmd("DATA")[0] == 554


def test_a_recipient_named_twice_gets_one_parcel(office: Office) -> None:
    with office.login() as client:
        client.sendmail(ANNA, [BORA, "Bora@example.org"], LETTER)
    assert len(office.outbox.accepted[0].recipients) == 1


def test_recipients_beyond_the_limit_are_put_off_and_the_others_served(office: Office) -> None:
    people = [f"p{number}@example.org" for number in range(limits.RECIPIENTS_MAX + 1)]
    with office.login() as client:
        refused = client.sendmail(ANNA, people, LETTER)
    assert {code for code, _ in refused.values()} == {452}
    assert list(refused) == people[-1:]
    assert len(office.outbox.accepted[0].recipients) == limits.RECIPIENTS_MAX


def test_what_the_sender_wants_to_be_told_reaches_the_outbox(office: Office) -> None:
    with office.login() as client:
        assert client.mail(ANNA, ["RET=FULL", "ENVID=QQ+2B314159"])[0] == 250
        for address, options in [
            ("never@example.org", ["NOTIFY=NEVER"]),
            ("all@example.org", ["notify=success,FAILURE,delay", "ORCPT=rfc822;All+40example.org"]),
            ("default@example.org", []),
        ]:
            assert client.rcpt(address, options)[0] == 250
        assert client.data(LETTER)[0] == 250
    (letter,) = office.outbox.accepted
    assert (letter.return_full, letter.envelope_id) == (True, "QQ+314159")
    assert [(one.notify, one.original) for one in letter.recipients] == [
        (Notify.NEVER, None),
        (Notify.SUCCESS | Notify.FAILURE | Notify.DELAY, "rfc822;All+40example.org"),
        (NOTIFY_DEFAULT, None),
    ]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (f"MAIL FROM:<{ANNA}> RET=SOME", 501),
        (f"MAIL FROM:<{ANNA}> ENVID=a+2", 501),
        (f"MAIL FROM:<{ANNA}> ENVID={'x' * 101}", 501),
        (f"MAIL FROM:<{ANNA}> ENVID=+0D+0A", 501),
        (f"MAIL FROM:<{ANNA}> SIZE=many", 501),
        (f"MAIL FROM:<{ANNA}> SIZE=1 SIZE=1", 501),
        (f"MAIL FROM:<{ANNA}> BODY=BINARYMIME", 501),
        (f"MAIL FROM:<{ANNA}> SMTPUTF8=yes", 501),
        (f"MAIL FROM:<{ANNA}> HOLDFOR=60", 555),
        (f"MAIL FROM:<{ANNA}>SIZE=1", 501),
        (f"MAIL FROM:{ANNA}", 501),
        (f"MAIL TO:<{ANNA}>", 501),
        ("MAIL", 501),
        (f"MAIL FROM: <{ANNA}> SIZE=1000 BODY=8BITMIME AUTH=<>", 250),
        (f"MAIL FROM:<@relay.example:{ANNA}>", 250),
        (f"MAIL FROM:<{ANNA}> {'X' * 3000}", 500),
    ],
)
def test_mail_from_is_read_strictly(office: Office, command: str, code: int) -> None:
    with office.login() as client:
        found, said = client.docmd(command)
        assert found == code, said


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("<bora>", 501),
        ("<>", 501),
        ("<bora@example.org", 501),
        ("<bo ra@example.org>", 501),
        (f"<{'x' * 65}@example.org>", 501),
        ("<börä@example.org>", 553),
        ("<bora@example.org> NOTIFY=NEVER,DELAY", 501),
        ("<bora@example.org> NOTIFY=", 501),
        ("<bora@example.org> NOTIFY=SOMETIMES", 501),
        ("<bora@example.org> ORCPT=bora", 501),
        ("<bora@example.org> ORCPT=rfc822;bo+ra", 501),
        ("<bora@example.org> WHAT=ELSE", 555),
        ('<"bo ra > x"@example.org> NOTIFY=DELAY', 250),
        ("<bora@[127.0.0.1]>", 250),
    ],
)
def test_rcpt_to_is_read_strictly(office: Office, argument: str, code: int) -> None:
    said = talk(
        office, LOGGED_IN + f"MAIL FROM:<{ANNA}>\r\nRCPT TO:{argument}\r\nNOOP\r\n".encode()
    )
    assert said[-2].startswith(f"{code} "), said
    assert said[-1].startswith("250")


def test_addresses_beyond_ascii_travel_with_smtputf8(office: Office) -> None:
    with office.login() as client:
        client.sendmail(ANNA, ["börä@example.org"], LETTER, ["SMTPUTF8"])
    assert office.outbox.accepted[0].recipients[0].address == "börä@example.org"


# When things go wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (DiskFull("The disk is full."), b"4.3.1 The disk is full."),
        (TemporaryFailure("Not now."), b"4.3.0 Not now."),
        (PermanentFailure("Never\r\n250 ok."), b"5.0.0 Never 250 ok."),
    ],
)
def test_what_the_outbox_refuses_is_said_with_its_code_and_words(
    error: Exception, reply: bytes
) -> None:
    with opened(MemoryOutbox(fails=error)) as office, office.login() as client:
        client.mail(ANNA)
        client.rcpt(BORA)
        code, said = client.data(LETTER)
        assert (code // 100, said) == (reply[0] - ord("0"), reply)
        assert client.noop()[0] == 250


def test_a_fault_of_ours_is_logged_once_and_not_shown(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    with office.login() as client:
        client.mail(ANNA)
        code, said = client.rcpt("broken@example.org")
        assert code == 451
        assert b"secret" not in said
        assert client.rcpt(BORA)[0] == 250
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR] == [
        "a command failed"
    ]


def test_no_log_line_holds_an_address_a_password_or_a_subject(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with office.login() as client:
        client.sendmail(ANNA, [BORA], LETTER)
        client.docmd("nonsense anna@example.org")
    with office.smtp() as client:
        client.ehlo()
        client.docmd("AUTH", "PLAIN " + plain(password="wrong").decode())
    logged = " ".join(f"{one.getMessage()} {vars(one)}" for one in caplog.records)
    assert "wrong mailbox password" in logged
    for secret in ("anna@", "bora@", "Hello", PASSWORD, plain().decode(), "wrong\\0"):
        assert secret not in logged


def test_every_reply_carries_an_enhanced_status(office: Office) -> None:
    commands = [
        "NOOP", "RSET", "RSET x", "VRFY anna", "EXPN all", "HELP", "NONSENSE", "DATA", "RCPT", "",
        "MAIL FROM:<anna@example.org>", "DATA x", "EHLO", "HELO", "STARTTLS", "QUIT x", "QUIT",
    ]  # fmt: skip
    said = talk(office, LOGGED_IN + "\r\n".join([*commands, ""]).encode())
    for line in said[said.index("235 2.7.0 Welcome.") :]:
        assert re.match(r"([245])\d\d[ -]\1\.\d{1,3}\.\d{1,3} \S", line), line


def test_reset_drops_the_letter_that_was_begun(office: Office) -> None:
    with office.login() as client:
        client.mail(ANNA)
        client.rcpt(BORA)
        client.rset()
        assert client.docmd("DATA")[0] == 503
        assert client.mail(ANNA)[0] == 250
        client.ehlo()
        assert client.docmd("DATA")[0] == 503


def test_letters_from_several_programs_at_once_do_not_mix(office: Office) -> None:
    def send(number: int) -> None:
        with office.login() as client:
            for turn in range(10):
                text = LETTER.replace("Hello", f"{number}-{turn}") + "x" * 50_000 + "\r\n"
                client.sendmail(ANNA, [f"p{number}@example.org"], text)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = {
        (one.recipients[0].address, message_from_bytes(one.octets)["Subject"])
        for one in office.outbox.accepted
    }
    wanted = {
        (f"p{number}@example.org", f"{number}-{turn}")
        for number, turn in itertools.product(range(4), range(10))
    }
    assert found == wanted


def test_more_large_letters_than_fit_in_memory_wait_for_each_other(office: Office) -> None:
    text = LETTER + ("x" * 998 + "\r\n") * 3000
    failed: list[BaseException] = []

    def send() -> None:
        try:
            with office.login() as client:
                client.sendmail(ANNA, [BORA], text)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    assert len(office.outbox.accepted) == 6
