"""What has to be true after nodes were killed: the ledger and Bora's INBOX agree, as sets.

Purpose: say as sentences what is lost, there twice, changed or damaged. Mail is looked at through
IMAP; only the store of a node that is off is opened, or a copy of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from crash.harness import Cast, Ledger, Mark, is_idle
from person import ClaimFailed, Person, until

SETTLED_SECONDS_MAX = 300.0  # promise M7: after a network heals, all queued mail moves within 5 min
FETCHED_AT_ONCE = 50
TRACE = re.compile(
    rb"(?:(?:Return-Path|Delivered-To|Received|Postroad-Result): [^\r\n]*\r\n"
    rb"(?:[\t ][^\r\n]*\r\n)*)+"
)
SUBJECT = re.compile(rb"^Subject: ([^\r\n]*)\r\n", re.MULTILINE)


def uid_next(person: Person) -> int:
    """The UID that the next message of the INBOX gets."""
    with person.imap() as imap:
        text = imap.status("INBOX", "(UIDNEXT)")[1][0]
    assert isinstance(text, bytes)
    found = re.search(rb"UIDNEXT (\d+)", text)
    assert found is not None
    return int(found[1])


def inbox(person: Person, first_uid: int) -> Iterator[bytes]:
    """The octets of all messages of the INBOX from this UID on."""
    with person.imap() as imap:
        uids = imap.uid("SEARCH", f"UID {first_uid}:*")[1][0].split()
        # The last message always belongs to n:* (RFC 9051 section 9, seq-range).
        wanted = [uid.decode() for uid in uids if int(uid) >= first_uid]
        for at in range(0, len(wanted), FETCHED_AT_ONCE):
            numbers = ",".join(wanted[at : at + FETCHED_AT_ONCE])
            for part in imap.uid("FETCH", numbers, "(BODY.PEEK[])")[1]:
                if isinstance(part, tuple):
                    yield part[1]


def wait_until_settled(cast: Cast, seconds: float = SETTLED_SECONDS_MAX) -> float:
    """Until Anna's node knows of each letter that it was filed; how long that took."""
    began = time.monotonic()
    try:
        until(lambda: is_idle(cast.anna), "Anna's queue is empty", seconds)
    except ClaimFailed as error:
        left = cast.anna.postroad("queue")["queue"]
        raise ClaimFailed(f"{error} {len(left)} letters wait, the first: {left[:3]}") from error
    return time.monotonic() - began


@dataclass(frozen=True, slots=True)
class Before:
    """What there was before the first letter: the next UID of each INBOX, the size of each log."""

    uids: dict[str, int]
    logs: dict[str, int]


def look_around(cast: Cast) -> Before:
    return Before(
        {person.name: uid_next(person) for person in (cast.anna, cast.bora)},
        {person.name: (person.folder / "log").stat().st_size for person in cast.everybody},
    )


def faults_in_mail(cast: Cast, ledger: Ledger, before: Before) -> list[str]:
    """What the ledger and the INBOXes do not agree on, each as a sentence."""
    seen: Counter[str] = Counter()
    faults = []
    for octets in inbox(cast.bora, before.uids["bora"]):
        found = SUBJECT.search(octets)
        subject = found[1].decode(errors="replace") if found else "(none)"
        seen[subject] += 1
        mark = {**ledger.accepted, **ledger.unknown, **ledger.refused}.get(subject)
        if mark is None:
            faults.append(f"Bora has a letter that nobody wrote: {subject!r}.")
        elif not is_whole(octets, mark):
            faults.append(f"{subject} is not, octet for octet, what Anna wrote.")
    faults += [f"{subject} is lost." for subject in ledger.accepted if not seen[subject]]
    faults += [f"{subject} is there {count} times." for subject, count in seen.items() if count > 1]
    for octets in inbox(cast.anna, before.uids["anna"]):
        found = SUBJECT.search(octets)
        faults.append(f"Anna got a notice: {found[1].decode() if found else octets[:200]!r}.")
    return faults


def is_whole(octets: bytes, mark: Mark) -> bool:
    below = len(octets) - mark.size
    trace, letter = octets[:below], octets[below:]
    whole = hashlib.sha256(letter).digest() == mark.digest
    return below > 0 and whole and TRACE.fullmatch(trace) is not None


def faults_in_quarantine(cast: Cast) -> list[str]:
    return [
        f"{person.title} has in quarantine: {noted}."
        for person in cast.everybody
        for noted in person.postroad("status")["quarantine"]
    ]


def faults_in_log(
    person: Person, before: Before, bad: str = r"Traceback|\bERROR\b|\bCRITICAL\b"
) -> list[str]:
    """Tracebacks, and what the node itself calls an error."""
    with (person.folder / "log").open("rb") as file:
        file.seek(before.logs[person.name])
        lines = file.read().decode(errors="replace").splitlines()
    found = [at for at, line in enumerate(lines) if re.search(bad, line)]
    return [f"{person.title}'s log: " + "\n    ".join(lines[at : at + 30]) for at in found[:3]]


def faults_in_store(person: Person) -> list[str]:
    """What is wrong with the database and the files of a node that is off.

    A copy is looked at: SQLite would tidy up the original, and that is the node's work."""
    data = person.folder / "data"
    with tempfile.TemporaryDirectory() as folder:
        for path in data.glob("postroad.sqlite*"):
            if not path.name.endswith("-shm"):
                shutil.copy(path, folder)
        return [f"{person.title}'s store: {one}." for one in _faults(data, Path(folder))]


def _faults(data: Path, copy: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(copy / "postroad.sqlite")) as sql:
        told = [row[0] for row in sql.execute("PRAGMA integrity_check") if row[0] != "ok"]
        told += [
            f"foreign key of {row[0]} row {row[1]}"
            for row in sql.execute("PRAGMA foreign_key_check")
        ]
        files = [
            ("bodies", name)
            for (name,) in sql.execute(
                "SELECT lower(hex(sha256)) FROM content WHERE octets IS NULL"
            )
        ] + [
            ("sealed", name)
            for (name,) in sql.execute(
                "SELECT lower(hex(mail_id)) FROM sealed WHERE octets IS NULL"
            )
        ]
    for folder, name in files:
        path = data / folder / name
        if not path.exists():
            told.append(f"{folder}/{name} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != name:
            told.append(f"{folder}/{name} is damaged")
    return told


def left_lying(cast: Cast) -> int:
    """Letters that still lie in Bora's drops; the holders are off."""
    count = 0
    for holder in cast.holders:
        with contextlib.closing(sqlite3.connect(holder.folder / "data/postroad.sqlite")) as sql:
            (lying,) = sql.execute(
                "SELECT count(*) FROM held_letter WHERE tombstone IS NULL"
            ).fetchone()
            count += lying
    return count


def insist(faults: list[str], cast: Cast) -> None:
    """ClaimFailed with everything that one needs to look into it."""
    if faults:
        shown = "\n  ".join(faults[:40])
        raise ClaimFailed(f"{len(faults)} faults:\n  {shown}\nThe nodes' folders: {cast.folder}")
