"""People of a laboratory: each lives behind a router of some kind, and has a real node there.

Purpose: what the programs of benchmarks/netlab/ and the tests of tests/netlab/ do with them:
somebody moves in, two meet, write to each other, and we look which way their letters went.
Invariants: nodes run with the configuration of any user, all their addresses included; when a town
is taken down, no process and no network of it is left. The folders stay when a claim failed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from lab import Host, Kind, Lab
from mail_program import Incoming, incoming, outgoing, write_letter
from person import ClaimFailed, Person, Place, surroundings, until

KIB, MIB = 1024, 1024 * 1024
FOUND_SECONDS_MAX = 60.0
# What goes along with a letter: at most so much of its octets may be others'.
SHARE_OF_THE_WAY = 0.8


class Resident(Protocol):
    """Whoever has a computer in the laboratory."""

    @property
    def name(self) -> str: ...


class HelperBox:
    """A box with `postroad helper` on it; TCP 443 and the peers' UDP port are open.

    `more`: options of `helper run`."""

    def __init__(self, name: str, folder: Path, place: Place, more: Sequence[str] = ()) -> None:
        self.name = name
        self.folder = folder / name
        self.folder.mkdir()
        self._place = place
        self._more = more
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def title(self) -> str:
        return self.name.capitalize()

    def start(self) -> None:
        self.begin_start()
        until(self.answers, f"the helper {self.title} starts")

    def begin_start(self) -> None:
        with open(self.folder / "log", "ab") as log:
            run = ("run", "--data", str(self.folder / "data"), "--name", self.name, *self._more)
            command = self._command(*run)
            self.process = self._place.inside(
                lambda: subprocess.Popen(
                    command, stdout=log, stderr=log, start_new_session=True, env=surroundings()
                )
            )

    def answers(self) -> bool:
        with contextlib.suppress(ClaimFailed):
            self.ask("status")
            return True
        return False

    def ask(self, *words: str) -> dict[str, Any]:
        """Type a command of the helper's owner; its answer."""
        command = self._command(*words, "--json")
        done = self._place.inside(
            lambda: subprocess.run(
                command, capture_output=True, timeout=90, check=False, env=surroundings()
            )
        )
        answer: dict[str, Any] = json.loads(done.stdout or b'{"error": "no answer"}')
        if done.returncode:
            raise ClaimFailed(f"{self.title}: postroad helper {words[0]}: {answer['error']}")
        return answer

    def serve(self, person: Person) -> None:
        """Its owner makes a link, and the person accepts it."""
        person.postroad("accept", self.ask("invite")["link"])

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)

    def destroy(self) -> None:
        """kill -9, and everything on its disk deleted."""
        self.kill()
        shutil.rmtree(self.folder / "data")

    def _command(self, *words: str) -> list[str]:
        runtime = ["--runtime", str(self.folder / "run")]
        return [sys.executable, "-m", "postroad", "helper", *words, *runtime]


class Town:
    """A laboratory with people in it; `with` ends it."""

    def __init__(self, purpose: str, *, v6: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"postroad-netlab-{purpose}-"))
        self.lab = Lab(v6=v6)
        self.people: dict[str, Person] = {}
        self.helpers: dict[str, HelperBox] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for person in self.people.values():
            person.kill()
        for helper in self.helpers.values():
            helper.kill()
        self.lab.close()
        if error is None:
            shutil.rmtree(self.folder)
        else:
            print(f"The nodes' folders stay in {self.folder}", flush=True)

    def move_in(
        self, name: str, kind: Kind = Kind.OPEN, more: str = "", without: int | None = None
    ) -> Person:
        """A computer for somebody, with a node that is set up and not yet on.

        `without`: the version of IP that it does not have."""
        host = self.lab.host(name, kind)
        if without is not None:
            self.lab.take_away(host, without)
        person = Person(name, self.folder, 0, more, place=host, peer_hosts=())
        self.people[name] = person
        person.set_up()
        return person

    def add_helper(self, name: str) -> HelperBox:
        """A helper on a public address, running."""
        helper = HelperBox(name, self.folder, self.lab.host(name))
        self.helpers[name] = helper
        helper.start()
        return helper

    def host_of(self, resident: Resident) -> Host:
        return self.lab.hosts[resident.name]

    def start(self, *people: Person) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(Person.start, people))

    def octets(self, source: Resident, target: Resident) -> int:
        """What the internet carried from one straight to the other until now."""
        one, other = self.host_of(source), self.host_of(target)
        v4 = self.lab.passed(one.outside, other.outside)
        return v4 + self.lab.passed(one.address_v6, other.address_v6)


def send(sender: Person, to: Person, size: int, dice: random.Random, watching: Incoming) -> float:
    """Hand over one letter; seconds from its dot until the other's mail program is told of it."""
    octets = write_letter(sender.address, to.address, size, 0, dice)
    with outgoing(sender) as door:
        return door.hand_over(to.address, octets, watching)[1]


def write_both_ways(one: Person, other: Person, size: int, dice: random.Random) -> list[float]:
    """A letter each way; the seconds that they took."""
    took = []
    for sender, to in ((one, other), (other, one)):
        with incoming(to) as watching:
            took.append(round(send(sender, to, size, dice, watching), 2))
    return took


def way_of_a_letter(town: Town, sender: Person, to: Person, third: Resident | None) -> str:
    """Which way a letter of 1 MiB takes, by the packets that the internet saw and by what the
    sender's node wrote into its log: direct, relayed (by the third) or held (there)."""
    dice = random.Random(f"{sender.address} {to.address}")
    logged = len(log_of(sender))
    straight = town.octets(sender, to)
    around = town.octets(sender, third) if third else 0
    with incoming(to) as watching:
        send(sender, to, MIB, dice, watching)
    time.sleep(0.2)  # the log's last line
    if "parcel leased" in log_of(sender)[logged:]:
        return "held"
    if town.octets(sender, to) - straight > SHARE_OF_THE_WAY * MIB:
        return "direct"
    if third and town.octets(sender, third) - around > SHARE_OF_THE_WAY * MIB:
        return "relayed"
    raise ClaimFailed(f"Nobody saw {sender.title}'s letter to {to.title} pass.")


def told(person: Person) -> str:
    """All that somebody can read of their node's condition, whitespace evened out."""
    commands = (("status",), ("queue",), ("netcheck",))
    return " ".join(" ".join(person.type(*words).stdout.split()) for words in commands)


def log_of(person: Person) -> str:
    return (person.folder / "log").read_text(errors="replace")


def wait_for(person: Person, subject: str, seconds: float = FOUND_SECONDS_MAX) -> bytes:
    """The letter of this subject, when it has come into somebody's INBOX."""
    found: list[bytes] = []

    def has_come() -> bool:
        letter = person.find(subject)
        found.extend([letter] if letter is not None else [])
        return bool(found)

    until(has_come, f"{subject!r} is in {person.title}'s INBOX", seconds)
    return found[0]


def must_have_once(person: Person, subject: str, octets: bytes) -> None:
    """Somebody's INBOX has one letter of this subject, octet for octet as it was written."""
    found = wait_for(person, subject)
    if not found.endswith(octets):
        digest = hashlib.sha256(found).hexdigest()
        raise ClaimFailed(f"What came is not what was written: {len(found)} bytes, {digest}.")
    with person.imap() as imap:
        count = len(imap.search(None, "SUBJECT", f'"{subject}"')[1][0].split())
    if count != 1:
        raise ClaimFailed(f"{person.title} has {subject!r} {count} times.")


def try_each(
    cases: Iterable[str], play: Callable[[str], object]
) -> tuple[dict[str, object], list[str]]:
    """What came of each case, told on the way; and those in which a claim failed."""
    table: dict[str, object] = {}
    failed = []
    for name in cases:
        began = time.monotonic()
        try:
            table[name] = play(name)
        except ClaimFailed as error:
            table[name] = {"failed": str(error)}
            failed.append(name)
        print(f"{name}: {table[name]} ({time.monotonic() - began:.1f} s)", flush=True)
    return table, failed


def wait_for_holders(person: Person, count: int) -> None:
    until(lambda: person.postroad("status")["holders"] >= count, f"{count} hold for {person.title}")


def make_contacts(inviter: Person, guest: Person) -> float:
    """One invites, the other accepts, each gets the other's introduction; the seconds it took."""
    link = inviter.postroad("invite")["link"]
    began = time.monotonic()
    guest.postroad("accept", link)
    wait_for(inviter, f"{guest.title} accepted")
    wait_for(guest, f"You and {inviter.title}")
    return round(time.monotonic() - began, 2)


def befriend_both(town: Town, anna: Person, bora: Person) -> Person | HelperBox:
    """Hana, whom both can reach: a contact, or a helper where somebody needs TCP 443."""
    if Kind.UDP_BLOCKED in (town.host_of(anna).kind, town.host_of(bora).kind):
        helper = town.add_helper("hana")
        helper.serve(anna)
        helper.serve(bora)
        return helper
    hana = town.move_in("hana")
    hana.start()
    make_contacts(hana, anna)
    make_contacts(hana, bora)
    return hana
