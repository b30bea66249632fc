"""The corpus of real mail on the whole road: from Anna's SMTP to Bora's IMAP, between real nodes.

Purpose: each letter arrives with the octets that were submitted, below our trace fields (promise
M5), and can be read and searched, or it is refused in words; none crashes or slows a node (A7).
What is expected is worked out here by a few lines of our own, not by the parsers under test.
Letters travel one at a time, so that the time a node spends is the time of one known letter.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import imaplib
import os
import re
import smtplib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest

from person import Person, until

Couple = tuple[Person, Person]
LETTERS_MIN = 400  # fewer mean that the corpus is not all here
LOOP_SECONDS_MAX = 0.25  # A7: no input blocks the loop for longer
SUPPLIED = (b"date", b"message-id")  # by the door, where they are missing

# What may be said to a letter of the corpus. A new sentence has to be read here by a person first.
REASONS = {
    "it is from somebody else": r"554 5\.7\.1 The letter says that it is from .*, which is not you",
    "From is not one address": r"554 5\.7\.1 The letter's From must be one address and stand once",
    "no From": r"554 5\.6\.0 The letter has no From field\.",
    "bare CR or LF": r"554 5\.6\.0 The letter has a bare CR or LF in it",
    "NUL": r"554 5\.6\.0 The letter has a NUL in it",
    "header too large": r"552 5\.3\.4 The letter's header is larger than 64 KiB",
    "mbox line": r"554 5\.6\.0 The letter begins with the line of an mbox file",
    "no header field": r"554 5\.6\.0 Line \d+ of the letter.* is not a header field",
}


def test_every_letter_of_the_corpus_arrives_as_it_was_written_or_is_refused_in_words(
    own_couple: Couple, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    anna, bora = own_couple
    letters = {name: as_annas(octets, anna) for name, octets in read(corpus).items()}
    with watched(anna, bora) as watch, anna_smtp(anna) as smtp, bora.imap() as imap:
        walk = Walk(anna, bora, smtp, imap)
        for name, octets in letters.items():
            with watch.of(name):
                arrived = walk.send(name, octets)
            if arrived is not None:
                walk.check_octets(name, octets, arrived)
                with watch.of(f"reading {name}"):
                    walk.check_reading(name, arrived)
        with capsys.disabled():
            print(f"\nAs Anna's: {walk.told()}\n{watch.told()}")
    assert not walk.faults
    assert walk.refused.total() + walk.filed == len(letters)
    assert walk.filed > len(letters) * 0.8
    assert watch.slowest_loop_seconds < LOOP_SECONDS_MAX, watch.told()
    until(lambda: not anna.postroad("queue")["queue"], "every receipt comes back")


def test_every_letter_of_the_corpus_as_it_stands_is_refused_because_it_is_not_annas(
    own_couple: Couple, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    anna, bora = own_couple
    with watched(anna, bora) as watch, anna_smtp(anna) as smtp, bora.imap() as imap:
        walk = Walk(anna, bora, smtp, imap)
        for name, octets in read(corpus).items():
            with watch.of(name):
                arrived = walk.send(name, octets)
            assert arrived is None, f"{name} is not from Anna, and was taken"
        with capsys.disabled():
            print(f"\nAs they stand: {walk.told()}\n{watch.told()}")
    assert not walk.faults
    assert watch.slowest_loop_seconds < LOOP_SECONDS_MAX, watch.told()


# The letters --------------------------------------------------------------------------------------


def read(corpus: Path) -> dict[str, bytes]:
    found = {path.stem: with_crlf(path.read_bytes()) for path in sorted(corpus.glob("*.eml"))}
    assert len(found) > LETTERS_MIN
    return found


def with_crlf(octets: bytes) -> bytes:
    """As a mail program submits a file: each of its lines ends with CR LF, the last one too."""
    if b"\n" not in octets:  # the old Macintosh's
        octets = octets.replace(b"\r", b"\n")
    octets = re.sub(rb"\r?\n", b"\r\n", octets)
    return octets if octets.endswith(b"\r\n") else octets + b"\r\n"


def split(octets: bytes) -> tuple[list[bytes], bytes]:
    """The fields of a letter, each with its line ends, and what follows them."""
    end = (b"\r\n" + octets).find(b"\r\n\r\n")
    header = octets if end < 0 else octets[:end]
    return re.findall(rb"[^\n]*\n(?:[ \t][^\n]*\n)*", header), octets[len(header) :]


def name_of(one: bytes) -> bytes:
    return one.partition(b":")[0].rstrip(b" \t").lower()


def as_annas(octets: bytes, anna: Person) -> bytes:
    """The letter with one From, Anna's, where its first one stood, and without Sender."""
    fields, rest = split(octets)
    names = [name_of(one) for one in fields]
    at = names.index(b"from") if b"from" in names else len(names)
    ours = f"From: Anna <{anna.address}>\r\n".encode()
    theirs = (b"from", b"sender")
    kept = [b"" if name in theirs else one for name, one in zip(names, fields, strict=True)]
    return b"".join((*kept[:at], ours, *kept[at:], rest))


def as_filed(octets: bytes) -> bytes:
    """What must arrive of a letter: all but its blind copies' names."""
    fields, rest = split(octets)
    kept = [one for one in fields if name_of(one) not in (b"bcc", b"resent-bcc")]
    return b"".join((*kept, rest))


def digest(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


# Their way ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def anna_smtp(anna: Person) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP("127.0.0.1", anna.smtp_port, timeout=60) as smtp:
        smtp.login(anna.address, anna.password)
        yield smtp


@dataclass
class Walk:
    """Sends one letter after the other, looks at what arrives, and notes every fault."""

    anna: Person
    bora: Person
    smtp: smtplib.SMTP
    imap: imaplib.IMAP4
    filed: int = 0
    refused: collections.Counter[str] = field(default_factory=collections.Counter)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.exists = self.number_of_letters()

    def number_of_letters(self) -> int:
        assert self.imap.noop()[0] == "OK"
        told = self.imap.response("EXISTS")[1][-1]
        if told is not None:
            self.exists = int(told)
        return self.exists

    def send(self, name: str, octets: bytes) -> bytes | None:
        """Submit it; what Bora has of it then, or None when it was refused."""
        assert self.smtp.mail(self.anna.address)[0] == 250
        assert self.smtp.rcpt(self.bora.address)[0] == 250
        code, words = self.smtp.data(octets)
        if code != 250:
            self.note_refusal(name, f"{code} {words.decode()}")
            return None
        before = self.exists
        until(lambda: self.number_of_letters() > before, f"{name} arrives")
        assert self.exists == before + 1, f"{name} arrived more than once"
        self.filed += 1
        return self.fetched("(BODY.PEEK[])")[0]

    def note_refusal(self, name: str, reply: str) -> None:
        reply = re.sub(r"\n\d\.\d\.\d ", " ", reply)  # a long reply has more than one line
        reason = next((why for why, words in REASONS.items() if re.match(words, reply)), None)
        if reason is None:
            self.faults.append(f"{name} was refused in words that nobody has read: {reply}")
        else:
            self.refused[reason] += 1

    def check_octets(self, name: str, submitted: bytes, arrived: bytes) -> None:
        """Above the letter stand the trace fields that it needs and nothing else."""
        expected = as_filed(submitted)
        above, below = arrived[: -len(expected)], arrived[-len(expected) :]
        if digest(below) != digest(expected):
            self.faults.append(f"{name} has other octets than were submitted")
        names = {name_of(one) for one in split(submitted)[0]}
        missing = [one for one in SUPPLIED if one not in names]
        if not re.fullmatch(self.trace_fields(missing), above):
            self.faults.append(f"{name} has this above it: {above!r}")

    def trace_fields(self, missing: list[bytes]) -> bytes:
        anna, bora = (re.escape(one.address).encode() for one in (self.anna, self.bora))
        date = rb"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000"
        supplied = {
            b"date": rb"Date: %b\r\n" % date,
            b"message-id": rb"Message-ID: <[0-9a-f]{32}@postroad\.alt>\r\n",
        }
        return b"".join(
            (
                rb"Return-Path: <%b>\r\nDelivered-To: %b\r\n" % (anna, bora),
                rb"Received: from [a-z0-9]{32} by [a-z0-9]{32}\r\n",
                rb"\t\(Postroad\) id [0-9a-f]{32}; %b\r\n" % date,
                rb"Postroad-Result: (?:[^\r\n]|\r\n\t)*\r\n",
                rb"Received: from localhost by localhost \(Postroad\) with ESMTPA;\r\n",
                rb"\t%b\r\n" % date,
                *(supplied[one] for one in missing),
            )
        )

    def check_reading(self, name: str, arrived: bytes) -> None:
        """All that a mail program asks about a letter is answered, and fits together."""
        header, text, whole = self.fetched(
            "(ENVELOPE BODYSTRUCTURE RFC822.SIZE BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[])"
        )
        if header + text != whole or whole != arrived:
            self.faults.append(f"{name}: its header and text are not the whole")
        for asked in ("(ENVELOPE)", "(BODYSTRUCTURE)", "(BODY)"):
            status, answer = self.imap.fetch(str(self.exists), asked)
            if status != "OK" or not answer[0]:
                self.faults.append(f"{name}: {asked} was answered {status}")
        _, (size,) = self.imap.fetch(str(self.exists), "(RFC822.SIZE)")
        if size != b"%d (RFC822.SIZE %d)" % (self.exists, len(arrived)):
            self.faults.append(f"{name}: its size is {len(arrived)}, and was told as {size!r}")
        for asked in (f"FROM {self.anna.address}", "SUBJECT e", "BODY e", 'TEXT "no such words"'):
            status, (found,) = self.imap.search(None, f"{self.exists} {asked}")
            if status != "OK" or (asked.startswith("FROM") and int(found or 0) != self.exists):
                self.faults.append(f"{name}: SEARCH {asked} was answered {status} {found!r}")

    def fetched(self, items: str) -> list[bytes]:
        """The literals of the newest letter, in the order of the items that have one."""
        status, answer = self.imap.fetch(str(self.exists), items)
        assert status == "OK", answer
        wanted = items.count("BODY.PEEK[")
        return [one[1] for one in answer if isinstance(one, tuple)][-wanted:]

    def told(self) -> str:
        reasons = ", ".join(f"{why} ({count})" for why, count in self.refused.most_common())
        return f"{self.filed} arrived, {self.refused.total()} were refused: {reasons}"


# Watching the nodes -------------------------------------------------------------------------------


@dataclass
class Watch:
    """What a letter costs each node, in processor time: a busy machine does not change that."""

    nodes: list[Person]
    letter_seconds: dict[str, float] = field(default_factory=dict)  # of the whole process
    loop_seconds: dict[str, float] = field(default_factory=dict)  # of the thread of its event loop
    answer_seconds: float = 0.0  # the longest that another client waited, on the wall's clock

    @contextlib.contextmanager
    def of(self, name: str) -> Iterator[None]:
        before = [spent(node) for node in self.nodes]
        yield
        after = [spent(node) for node in self.nodes]
        pairs = list(zip(before, after, strict=True))
        self.letter_seconds[name] = max(late.process - early.process for early, late in pairs)
        self.loop_seconds[name] = max(late.loop - early.loop for early, late in pairs)

    @property
    def slowest_loop_seconds(self) -> float:
        return max(self.loop_seconds.values())

    def told(self) -> str:
        """The slowest in words."""
        figures = []
        for what, seconds in (("process", self.letter_seconds), ("event loop", self.loop_seconds)):
            name = max(seconds, key=lambda one: seconds[one])
            figures.append(f"{what}: {seconds[name]:.2f} s for {name}")
        return f"Most processor time, {'; '.join(figures)}; NOOP waited {self.answer_seconds:.3f} s"


class Spent(NamedTuple):
    """Seconds of processor time since a node's start."""

    process: float
    loop: float  # of the main thread, which runs the event loop


def spent(node: Person) -> Spent:
    assert node.process is not None
    pid = node.process.pid
    return Spent(cpu_seconds(f"/proc/{pid}/stat"), cpu_seconds(f"/proc/{pid}/task/{pid}/stat"))


def cpu_seconds(path: str) -> float:
    fields = Path(path).read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def watched(*nodes: Person) -> Iterator[Watch]:
    """Another client of each node is answered all the time, and the nodes come through unharmed."""
    pids = [node.process.pid for node in nodes if node.process]
    watch = Watch(list(nodes))
    over = threading.Event()
    trouble: list[Exception] = []

    def ask(node: Person) -> None:
        try:
            with node.imap("Drafts") as imap:
                while not over.wait(0.02):
                    began = time.monotonic()
                    assert imap.noop()[0] == "OK"
                    watch.answer_seconds = max(watch.answer_seconds, time.monotonic() - began)
        except Exception as error:
            trouble.append(error)

    clients = [threading.Thread(target=ask, args=(node,)) for node in nodes]
    for client in clients:
        client.start()
    try:
        yield watch
    finally:
        over.set()
        for client in clients:
            client.join()
    assert not trouble
    for node, pid in zip(nodes, pids, strict=True):
        assert node.process is not None
        assert node.process.pid == pid
        assert node.process.poll() is None, node.last_words()
        log = (node.folder / "log").read_text()
        assert not re.search(r"Traceback| ERROR | CRITICAL ", log), node.last_words()
