"""A real submission door on loopback, in a thread of its own, before an outbox in memory."""

import asyncio
import base64
import smtplib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from postroad.base.bell import Bell
from postroad.base.errors import PermanentFailure, TemporaryFailure
from postroad.base.seams import PeerUid, SocketAddress
from postroad.doors import submission
from postroad.machine.arrivals import next_arrival
from postroad.machine.clock import SystemClock
from postroad.machine.entropy import SystemEntropy
from postroad.machine.listeners import SystemListeners
from postroad.machine.peer_uid import KernelPeerUid
from postroad.message.envelope import Submission
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
        next_arrival,
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
        yield Office(port, outbox, sockets, lambda: loop.call_soon_threadsafe(mailbox.changed.ring))
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(30)
        assert not thread.is_alive()
        assert all(one.fileno() < 0 for one in sockets)


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
