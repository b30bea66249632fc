"""Real nodes to be killed, and a ledger of what was said at their doors.

Purpose: a cast of five (Anna writes, Bora reads, three hold for Bora), each a process that is met
through its front doors; letters; and a mail program of Anna's that notes what became of each.
Invariants: no letter is submitted again once its octets began to leave, so what is in the INBOX
twice was filed twice; a letter counts as accepted only when its 250 was read; every wait ends.
"""

from __future__ import annotations

import hashlib
import random
import smtplib
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from person import ClaimFailed, Person, meet, until

HOLDERS = ("hana", "hugo", "hedi")
SUBMIT_SECONDS_MAX = 60.0
PER_CONNECTION = 10  # letters


# --- the cast -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody, and where their folders are."""

    folder: Path
    anna: Person
    bora: Person
    holders: tuple[Person, ...]

    @property
    def everybody(self) -> tuple[Person, ...]:
        return (self.anna, self.bora, *self.holders)


def settle_in(folder: Path, slot: int) -> Cast:
    """Set all up, start them and have them meet, as in the demo."""
    people = [Person(name, folder, slot + at) for at, name in enumerate(("anna", "bora", *HOLDERS))]
    cast = Cast(folder, people[0], people[1], tuple(people[2:]))
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(Person.set_up, people))
        revive(*people)
        for holder in cast.holders:
            meet(cast.bora, holder)
        # Before Anna comes: who is a contact when a holder is missing is asked to hold as well.
        until(
            lambda: cast.bora.postroad("status")["holders"] == len(HOLDERS),
            "Bora's contacts hold for her",
        )
        meet(cast.bora, cast.anna)
        until(lambda: all(map(is_idle, cast.everybody)), "all introductions are through")
    except BaseException:
        kill(*people)
        raise
    return cast


def kill(*people: Person) -> None:
    for person in people:
        person.kill()


def revive(*people: Person) -> None:
    """Start those who are off, all at once; ClaimFailed when a node does not come up."""
    off = [person for person in people if person.state != "on"]
    for person in off:
        person.begin_start()
    for person in off:
        person.end_start()


def is_idle(person: Person) -> bool:
    return not person.postroad("queue")["queue"]


# --- letters, and what became of them at the door -------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mark:
    """How a letter is known again: its size and the SHA-256 of its octets."""

    size: int
    digest: bytes


@dataclass(slots=True)
class Ledger:
    """What Anna's node said of each letter, by subject."""

    accepted: dict[str, Mark] = field(default_factory=dict)
    unknown: dict[str, Mark] = field(default_factory=dict)  # broken off before the answer
    # A disk that fails at the sync of a commit may have it all the same when the node comes back.
    refused: dict[str, Mark] = field(default_factory=dict)
    words: Counter[str] = field(default_factory=Counter)  # the refusals

    def add(self, other: Ledger) -> None:
        self.accepted.update(other.accepted)
        self.unknown.update(other.unknown)
        self.refused.update(other.refused)
        self.words.update(other.words)


def write(anna: Person, bora: Person, subject: str, size: int, dice: random.Random) -> bytes:
    """A letter of about this size with content of its own."""
    head = (
        f"From: {anna.address}\r\nTo: {bora.address}\r\nSubject: {subject}\r\n"
        f"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
        f"Message-ID: <{subject.replace(' ', '-')}@crash.test>\r\n\r\n"
    )
    text = dice.randbytes(max(size - len(head), 40) // 2).hex()
    return head.encode() + b"".join(
        text[at : at + 76].encode() + b"\r\n" for at in range(0, len(text), 76)
    )


class Door:
    """Anna's submission door, as one mail program uses it: connect again after each break."""

    def __init__(self, anna: Person, bora: Person, ledger: Ledger) -> None:
        self._anna = anna
        self._bora = bora
        self._ledger = ledger
        self._smtp: smtplib.SMTP | None = None
        self._used = 0

    def submit(self, subject: str, octets: bytes, *, alive: Callable[[], bool] = bool) -> bool:
        """Submit it until it was answered or broken off, and note which; whether it got its 250.

        `alive`: whether it makes sense to knock again; while it is True, we knock for a minute."""
        ends = time.monotonic() + SUBMIT_SECONDS_MAX
        mark = Mark(len(octets), hashlib.sha256(octets).digest())
        smtp = None
        while smtp is None:
            try:
                smtp = self._begin()
            except (OSError, smtplib.SMTPException) as error:  # nothing of the letter has left yet
                self.hang_up()
                if time.monotonic() > ends:
                    raise ClaimFailed(f"Anna's door stayed shut: {error}.") from error
                if not alive():
                    return False
                time.sleep(0.05)
        try:
            smtp.send(octets + b".\r\n")
            code, words = smtp.getreply()
        except (OSError, smtplib.SMTPException):
            self.hang_up()
            self._ledger.unknown[subject] = mark
            return False
        if code == 250:
            self._ledger.accepted[subject] = mark
            return True
        self._ledger.refused[subject] = mark
        self._ledger.words[f"{code} {words.decode(errors='replace')}"] += 1
        return False

    def _begin(self) -> smtplib.SMTP:
        """Up to the 354."""
        if self._used >= PER_CONNECTION:
            self.hang_up()
        if self._smtp is None:
            self._used = 0
            # With a name of its own, or smtplib asks a resolver for one.
            self._smtp = smtplib.SMTP(
                "127.0.0.1", self._anna.smtp_port, local_hostname="localhost", timeout=30
            )
            self._smtp.login(self._anna.address, self._anna.password)
        self._used += 1
        for command, expected in (
            (f"MAIL FROM:<{self._anna.address}>", 250),
            (f"RCPT TO:<{self._bora.address}>", 250),
            ("DATA", 354),
        ):
            code, words = self._smtp.docmd(command)
            if code != expected:
                raise smtplib.SMTPResponseException(code, words)
        return self._smtp

    def hang_up(self) -> None:
        if self._smtp is not None:
            self._smtp.close()
        self._smtp = None
