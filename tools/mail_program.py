"""A mail program that keeps the time: raw SMTP and IMAP sockets that say when each word was said.

Purpose: what benchmarks measure between is a moment on the wire (the dot that ends DATA, the answer
to it, the IDLE line `* n EXISTS`), which smtplib and imaplib do not tell.
Invariants: every wait has an end and ends in ClaimFailed; moments are `time.perf_counter`'s.
"""

from __future__ import annotations

import random
import re
import select
import socket
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from person import ClaimFailed, Person

SECONDS_MAX = 60.0
LINE_BYTES = 76
EXISTS = re.compile(rb"\* (\d+) EXISTS$")


class Wire:
    """One connection to a door, a line at a time."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), SECONDS_MAX)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines: list[bytes] = []
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def say(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def lines(self) -> list[bytes]:
        """The whole lines that have come and were not heard yet; waits only where there is none."""
        while not self._lines:
            octets = self.socket.recv(65536)
            if not octets:
                raise ClaimFailed("A door closed the connection.")
            *self._lines, self._unread = (self._unread + octets).split(b"\r\n")
        lines, self._lines = self._lines, []
        return lines

    def hear(self, wanted: Callable[[bytes], bool]) -> bytes:
        """The first line that is wanted; those before it are nothing to us."""
        ends = time.monotonic() + SECONDS_MAX
        while time.monotonic() < ends:
            lines = self.lines()
            for number, line in enumerate(lines, 1):
                if wanted(line):
                    self._lines = lines[number:]
                    return line
        raise ClaimFailed("A door did not say what it should in time.")


class Outgoing(Wire):
    """An SMTP or LMTP session that hands letters over, one after the other."""

    def __init__(self, port: int, sender: str, login: str = "", hello: bytes = b"EHLO") -> None:
        super().__init__(port)
        self.sender = sender
        self._expect(b"220")
        self.say(hello + b" localhost\r\n")
        self._expect(b"250")
        if login:
            self.say(b"AUTH PLAIN " + b64encode(f"\0{sender}\0{login}".encode()) + b"\r\n")
            self._expect(b"235")

    def _expect(self, code: bytes) -> None:
        line = self.hear(lambda line: line[3:4] != b"-")
        if not line.startswith(code):
            raise ClaimFailed(f"The door said {line.decode(errors='replace')!r}.")

    def envelope(self, to: str) -> bytes:
        """What stands before a letter, in one packet (PIPELINING)."""
        return f"MAIL FROM:<{self.sender}>\r\nRCPT TO:<{to}>\r\nDATA\r\n".encode()

    def begin(self, to: str) -> None:
        self.say(self.envelope(to))
        for code in (b"250", b"250", b"354"):
            self._expect(code)

    def hand_over_all(self, to: str, letters: Sequence[bytes]) -> None:
        """Letter after letter; each goes out with the next one's envelope (RFC 2920)."""
        self.begin(to)
        for number, letter in enumerate(letters, 1):
            is_last = number == len(letters)
            self.say(letter + b".\r\n" + (b"" if is_last else self.envelope(to)))
            for code in (b"250",) if is_last else (b"250", b"250", b"250", b"354"):
                self._expect(code)

    def hand_over(self, to: str, letter: bytes, watching: Incoming) -> tuple[float, float]:
        """Seconds from the dot to its 250, and to the notice of one letter more at the other end.

        `letter` ends with CRLF; the dot leaves in a packet of its own."""
        self.begin(to)
        wanted = watching.count + 1
        self.say(letter)
        began = time.perf_counter()
        self.say(b".\r\n")
        accepted = noticed = 0.0
        while not accepted or not noticed:
            ready, _, _ = select.select([self.socket, watching.socket], [], [], SECONDS_MAX)
            if not ready:
                raise ClaimFailed("A letter was not filed in time.")
            now = time.perf_counter()
            if watching.socket in ready and watching.take() >= wanted:
                noticed = now
            if self.socket in ready:
                for line in self.lines():
                    if not line.startswith(b"250"):
                        raise ClaimFailed(f"The door said {line.decode(errors='replace')!r}.")
                    accepted = now
        return accepted - began, noticed - began


class Incoming(Wire):
    """An IMAP session in IDLE on the INBOX: `count` is how many letters it was told of."""

    def __init__(self, port: int, user: str, password: str) -> None:
        super().__init__(port)
        self.count = 0
        self.say(f'a LOGIN "{user}" "{password}"\r\nb SELECT INBOX\r\n'.encode())
        self.hear(self._selected)
        self.say(b"c IDLE\r\n")
        self.hear(self._idling)

    def _selected(self, line: bytes) -> bool:
        self._note(line)
        if line.startswith((b"a NO", b"a BAD", b"b NO", b"b BAD")):
            raise ClaimFailed(f"The IMAP door said {line.decode(errors='replace')!r}.")
        return line.startswith(b"b OK")

    def _idling(self, line: bytes) -> bool:
        self._note(line)
        return line.startswith(b"+")

    def _note(self, line: bytes) -> None:
        if found := EXISTS.match(line):
            self.count = int(found[1])

    def take(self) -> int:
        """Read what has come; how many letters there are now."""
        for line in self.lines():
            self._note(line)
        return self.count

    def wait_for(self, count: int) -> None:
        """Until there are so many letters."""
        ends = time.monotonic() + SECONDS_MAX
        while self.count < count:
            if time.monotonic() > ends:
                raise ClaimFailed(f"Only {self.count} of {count} letters came in time.")
            self.take()


def outgoing(person: Person) -> Outgoing:
    return person.place.inside(lambda: Outgoing(person.smtp_port, person.address, person.password))


def incoming(person: Person) -> Incoming:
    return person.place.inside(lambda: Incoming(person.imap_port, person.address, person.password))


def write_letter(sender: str, to: str, size: int, number: int, dice: random.Random) -> bytes:
    """A letter of exactly `size` octets, if its header leaves room; no two are alike."""
    head = (
        f"From: <{sender}>\r\nTo: <{to}>\r\nSubject: letter {number}\r\n"
        f"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
        f"Message-ID: <{dice.getrandbits(64):x}.{number}@postroad.alt>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
    ).encode()
    left = max(size - len(head), LINE_BYTES + 2)
    # Hexadecimal digits: they never begin with a dot, and are quickly made.
    lines = left // (LINE_BYTES + 2)
    digits = dice.randbytes(left // 2).hex().encode()[: left - 2 * lines]
    starts = range(0, LINE_BYTES * lines, LINE_BYTES)
    body = [digits[at : at + LINE_BYTES] for at in starts[:-1]] + [digits[starts[-1] :]]
    return head + b"\r\n".join(body) + b"\r\n"


def sizes(dice: random.Random, count: int) -> list[int]:
    """Sizes as they are in a mailbox: half below 3.4 kB, one in ten above 20 kB."""
    return [min(int(dice.lognormvariate(8.0, 1.5)) + 400, 256 * 1024) for _ in range(count)]


def quantiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p90, p99 and the greatest, in milliseconds."""
    found = sorted(seconds)

    def at(share: float) -> float:
        return round(found[min(int(share * len(found)), len(found) - 1)] * 1000, 2)

    return {"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": at(1.0)}
