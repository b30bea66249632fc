"""A node that dies, or whose disk fails, at its n-th system call of a kind, for n = 1, 2, 3, ...

Purpose: play one scene for each point: run the node under strace with a fault injected, let a small
letter and one that becomes a file pass, start the node again without strace, and ask the oracle.
Invariants: an injected SIGKILL comes before the call is made, so n and n + 1 are the two sides of
one call; strace counts for each thread on its own, so the fault comes in the thread that gets to n
first; a series ends with the first run in which the fault did not come.
See: strace(1), "Syscall tampering". The injected call must also be traced (-e trace=).
"""

from __future__ import annotations

import contextlib
import imaplib
import json
import random
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dev
from crash import harness, oracle
from crash.harness import Cast, Door, Ledger
from person import ClaimFailed, Person, surroundings, until

SCENE_SECONDS_MAX = 12.0
AFTERWARDS_SECONDS = 0.4  # for what follows when the letters are filed: receipts, tombstones
FILED_SECONDS_MAX = 90.0
SMALL, LARGE = 3_000, 200_000
STANDARD_MAILBOXES = 7
FAULTS_MAX = 5  # enough to look into
NEVER = 65_535  # a point that no run reaches, and the last that strace takes: it counts the calls


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at the n-th of some system calls."""

    name: str
    calls: str
    what: str  # in strace's words

    @property
    def kills(self) -> bool:
        return self.what == "signal=SIGKILL"

    def under(self, n: int, told: Path) -> list[str]:
        """The command that runs another one with this fault; what it saw is written to `told`."""
        inject = f"inject={self.calls}:{self.what}:when={n}"
        # With --seccomp-bpf only traced calls are slow; but strace 6.1 sends no signal then.
        quick = [] if self.kills else ["--seccomp-bpf"]
        quiet = ["-f", *quick, "-qq", "-o", str(told)]
        return ["strace", *quiet, "-e", f"trace={self.calls}", "-e", inject]


CALLS_OF_NAMES = "rename,renameat,renameat2,unlink,unlinkat,ftruncate"
KILLED_AT_SYNC = Fault("killed at sync", "fdatasync,fsync", "signal=SIGKILL")
KILLED_AT_PAGE = Fault("killed at page write", "pwrite64", "signal=SIGKILL")
# Octets of files, and log lines: "letter accepted" stands between the commit and the 250.
KILLED_AT_WRITE = Fault("killed at write", "write", "signal=SIGKILL")
KILLED_AT_NAME = Fault("killed at rename or unlink", CALLS_OF_NAMES, "signal=SIGKILL")
SYNC_FAILS = Fault("sync fails", "fdatasync,fsync", "error=EIO")
DISK_FULL = Fault("disk full", "pwrite64", "error=ENOSPC")
FAULTS = (
    KILLED_AT_SYNC,
    KILLED_AT_PAGE,
    KILLED_AT_WRITE,
    KILLED_AT_NAME,
    SYNC_FAILS,
    DISK_FULL,
)


def can_inject() -> bool:
    """Whether strace is here and may trace what it starts."""
    if dev.lacking("strace"):
        return False
    command = [
        "strace",
        "-f",
        "--seccomp-bpf",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=fsync",
        "true",
    ]
    return subprocess.run(command, capture_output=True, check=False, timeout=20).returncode == 0


@dataclass(slots=True)
class Found:
    """What a series has shown."""

    points: int = 0
    calls: int = 0  # of the thread that makes most of them, in a run without a fault
    faults: list[str] = field(default_factory=list)
    seconds_to_filed: list[float] = field(default_factory=list)  # from the restart on


Start = Callable[[Person], None]
Scene = Callable[["Stage", Start], Person]
"""Plays with the node that `Start` starts, and gives the person whose node it is."""


class Stage:
    """A cast on which scenes are played again and again."""

    def __init__(self, cast: Cast) -> None:
        harness.revive(*cast.everybody)
        self.cast = cast
        self.anna, self.bora, self.hana = cast.anna, cast.bora, cast.holders[0]
        self.ledger = Ledger()
        self.before = oracle.look_around(cast)
        self._subject = ""
        self._current = Ledger()
        self._target: Person | None = None

    def series(
        self, scene: Scene, fault: Fault, points: Sequence[int], name: str, seed: int
    ) -> Found:
        """Play the scene once for each point; a range ends where the fault does not come."""
        found = Found()
        for n in points:
            if self._play(scene, fault, n, f"{name} {fault.name} {n}", seed, found):
                found.points += 1
            elif isinstance(points, range):
                break
            if len(found.faults) > FAULTS_MAX:
                break
        return found

    def close(self) -> list[str]:
        """Wait until all is through, stop everybody, and say what is wrong with all of it."""
        harness.revive(*self.cast.everybody)
        oracle.wait_until_settled(self.cast)
        faults = oracle.faults_in_mail(self.cast, self.ledger, self.before)
        faults += oracle.faults_in_quarantine(self.cast)
        for person in self.cast.everybody:
            person.stop()
            faults += oracle.faults_in_store(person)
        return faults

    def count(self, scene: Scene, fault: Fault, name: str, seed: int) -> int:
        """How many such calls the thread that makes most of them makes in this scene."""
        found = Found()
        self._play(scene, fault, NEVER, f"{name} {fault.name} counted", seed, found)
        oracle.insist(found.faults, self.cast)
        return found.calls

    def _play(self, scene: Scene, fault: Fault, n: int, name: str, seed: int, found: Found) -> bool:
        """One point; whether the fault came."""
        self._subject = f"scene {name}"
        self._current, self._target = Ledger(), None
        self._dice = random.Random(f"{name} {seed}")
        told = self.cast.folder / "strace"
        logs = oracle.look_around(self.cast)
        began: list[Person] = []

        def start(person: Person) -> None:
            person.kill()
            self._target = person
            began.append(person)
            person.begin_start(*fault.under(n, told))

        target = scene(self, start)
        assert began == [target]
        came = _came(fault, target, told)
        found.calls = _most_calls(told)
        target.kill()
        found.faults += [f"{name}: {each}" for each in oracle.faults_in_store(target)]
        try:
            began_again = time.monotonic()
            harness.revive(*self.cast.everybody)
            until(self.accepted_are_filed, "what was accepted is filed", FILED_SECONDS_MAX)
            if came:
                found.seconds_to_filed.append(time.monotonic() - began_again)
        except ClaimFailed as error:
            found.faults.append(f"{name}: {error}")
        bad = r"Traceback|\bERROR\b|\bCRITICAL\b" if fault.kills else "Traceback"
        for person in self.cast.everybody:
            found.faults += [f"{name}: {one}" for one in oracle.faults_in_log(person, logs, bad)]
        self.ledger.add(self._current)
        return came

    # What scenes are made of

    def submit(self) -> None:
        """A small letter and a large one, as long as the node under strace lives."""
        for kind, size in (("small", SMALL), ("large", LARGE)):
            door = Door(self.anna, self.bora, self._current)
            subject = f"{self._subject}: {kind}"
            octets = harness.write(self.anna, self.bora, subject, size, self._dice)
            door.submit(subject, octets, alive=self.is_on)
            door.hang_up()

    def is_on(self) -> bool:
        """Whether the node under strace still runs; Anna's door opens again only then."""
        return self._target is not self.anna or _is_alive(self.anna)

    def wait(self, holds: Callable[[], bool], seconds: float = SCENE_SECONDS_MAX) -> None:
        """Until it holds, or the node under strace is dead, or the time is over."""
        assert self._target is not None
        ends = time.monotonic() + seconds
        while _is_alive(self._target) and not holds() and time.monotonic() < ends:
            time.sleep(0.05)

    def answers(self) -> bool:
        assert self._target is not None
        try:
            return self._target.answers()
        except ClaimFailed:  # it is dead
            return False

    def linger(self) -> None:
        """Some time for what follows."""
        self.wait(lambda: False, AFTERWARDS_SECONDS)

    def accepted_are_filed(self) -> bool:
        return all(map(self._is_filed, self._current.accepted))

    def _is_filed(self, subject: str) -> bool:
        try:
            return self.bora.find(subject) is not None
        except (OSError, imaplib.IMAP4.error):  # she is off, or dies
            return False

    def are_held(self) -> bool:
        queue = self.anna.postroad("queue")["queue"]
        leased = [one for one in queue if one["holders"] == len(self.cast.holders)]
        return len(leased) >= len(self._current.accepted)


def _came(fault: Fault, person: Person, told: Path) -> bool:
    return not _is_alive(person) if fault.kills else b"(INJECTED)" in told.read_bytes()


def _is_alive(person: Person) -> bool:
    return person.process is not None and person.process.poll() is None


def _most_calls(told: Path) -> int:
    lines = told.read_text(errors="replace").splitlines() if told.exists() else []
    threads = Counter(line.split()[0] for line in lines if line[:1].isdigit() and "(" in line)
    return max(threads.values(), default=0)


def _asked(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except ClaimFailed:  # the node that is asked is dead
        return False


# --- scenes ---------------------------------------------------------------------------------------


def sender(stage: Stage, start: Start) -> Person:
    """Anna's node accepts, seals, brings to Bora, and hears the receipt."""
    return _brought(stage, start, stage.anna)


def recipient(stage: Stage, start: Start) -> Person:
    """Bora's node is brought letters, files them and gives receipts."""
    return _brought(stage, start, stage.bora)


def _brought(stage: Stage, start: Start, who: Person) -> Person:
    harness.revive(*(person for person in stage.cast.everybody if person is not who))
    start(who)
    stage.wait(stage.answers)
    stage.submit()
    stage.wait(stage.accepted_are_filed)
    stage.linger()
    return who


def sender_and_holder(stage: Stage, start: Start) -> Person:
    """Anna's node leaves letters with holders, and hears the receipt when Bora is back."""
    harness.revive(*stage.cast.holders)
    stage.bora.kill()
    start(stage.anna)
    stage.wait(stage.answers)
    stage.submit()
    stage.wait(lambda: _asked(stage.are_held))
    harness.revive(stage.bora)
    stage.wait(stage.accepted_are_filed)
    stage.linger()
    return stage.anna


def holder(stage: Stage, start: Start) -> Person:
    """Hana's node takes letters in, gives them out, and buries them."""
    harness.revive(stage.anna)
    stage.bora.kill()
    start(stage.hana)
    stage.wait(stage.answers)
    stage.submit()
    stage.wait(lambda: _asked(stage.are_held))
    # Without its sender, a letter can come from the holder only.
    stage.anna.kill()
    harness.revive(stage.bora)
    stage.wait(stage.accepted_are_filed, 3.0)
    stage.linger()
    return stage.hana


def recipient_and_holder(stage: Stage, start: Start) -> Person:
    """Bora's node fetches letters from holders, files them, leaves receipts and tells Anna's."""
    harness.revive(stage.anna, *stage.cast.holders)
    stage.bora.kill()
    stage.submit()
    until(stage.are_held, "all hold the letters")
    stage.anna.kill()
    start(stage.bora)
    stage.wait(stage.accepted_are_filed)
    stage.linger()
    return stage.bora


SCENES: dict[str, Scene] = {
    "sender": sender,
    "sender and holder": sender_and_holder,
    "holder": holder,
    "recipient": recipient,
    "recipient and holder": recipient_and_holder,
}


Play = Callable[[Path, int, Fault, Iterable[int], str], Found]


# --- before there is any letter -------------------------------------------------------------------


def first_start(folder: Path, slot: int, fault: Fault, points: Iterable[int], name: str) -> Found:
    """A node that was only set up is started: its store is made, its mailboxes, its record."""
    found, n = Found(), 0
    person = Person("nora", folder, slot)
    person.set_up()
    data, fresh, told = person.folder / "data", folder / "fresh", folder / "strace"
    shutil.copytree(data, fresh)
    try:
        for n in points:
            shutil.rmtree(data)
            shutil.copytree(fresh, data)
            person.begin_start(*fault.under(n, told))
            with contextlib.suppress(ClaimFailed):
                person.end_start()
            came = _came(fault, person, told)
            person.kill()
            person.start()
            with person.imap() as imap:
                names = imap.list()[1]
            if len(names) != STANDARD_MAILBOXES:
                found.faults.append(f"{name} {fault.name} {n}: its mailboxes are {names}.")
            person.stop()
            found.faults += [
                f"{name} {fault.name} {n}: {one}" for one in oracle.faults_in_store(person)
            ]
            if not came or len(found.faults) > FAULTS_MAX:
                break
            found.points += 1
    except ClaimFailed as error:
        found.faults.append(f"{name} {fault.name} {n}: {error}")
    finally:
        person.kill()
    return found


def setting_up(folder: Path, slot: int, fault: Fault, points: Iterable[int], name: str) -> Found:
    """`postroad setup`, again when it was broken off: one has an address then, and can log in."""
    found = Found()
    for n in points:
        base = Path(tempfile.mkdtemp(dir=folder))  # a short name: the node's socket lies in it
        person, told = Person("sven", base, slot), base / "strace"
        done = subprocess.run(
            [*fault.under(n, told), *person.command, "setup", "--name", "sven", "--json"],
            capture_output=True, text=True, timeout=90, check=False, env=surroundings(),
        )  # fmt: skip
        try:
            came = done.returncode != 0 if fault.kills else b"(INJECTED)" in told.read_bytes()
            if done.returncode:
                again = person.type("setup", "--name", "sven", "--json")
                # Died after it had shown everything: what was shown is true.
                done = done if "set up already" in again.stdout and done.stdout else again
            person.take_answer(json.loads(done.stdout))
            person.start()
            with person.imap():
                pass
            person.stop()
        except (ClaimFailed, imaplib.IMAP4.error, KeyError) as error:
            found.faults.append(f"{name} {fault.name} {n}: {error!r}, after {done}")
            came = True
        finally:
            person.kill()
        if not came or len(found.faults) > FAULTS_MAX:
            break
        found.points += 1
    return found
