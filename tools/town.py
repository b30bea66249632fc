"""People of a laboratory: each lives behind a router of some kind, and has a real node there.

Purpose: what the programs of benchmarks/netlab/ and the tests of tests/netlab/ do with them:
somebody moves in, two meet, write to each other, and we look which way their letters went.
Invariants: nodes run with the configuration of any user, all their addresses included; when a town
is taken down, no process and no network of it is left. The folders stay when a claim failed.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from lab import Host, Kind, Lab
from mail_program import Incoming, incoming, outgoing, write_letter
from person import ClaimFailed, Person, until

KIB, MIB = 1024, 1024 * 1024
HTTPS_PORT = 443
FOUND_SECONDS_MAX = 60.0
# What goes along with a letter: at most so much of its octets may be others'.
SHARE_OF_THE_WAY = 0.8


class Town:
    """A laboratory with people in it; `with` ends it."""

    def __init__(self, purpose: str, *, v6: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"postroad-netlab-{purpose}-"))
        self.lab = Lab(v6=v6)
        self.people: dict[str, Person] = {}

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
        self.lab.close()
        if error is None:
            shutil.rmtree(self.folder)
        else:
            print(f"The nodes' folders stay in {self.folder}", flush=True)

    def move_in(
        self, name: str, kind: Kind = Kind.OPEN, more: str = "", *, port: int | None = None
    ) -> Person:
        """A computer for somebody, with a node that is set up and not yet on."""
        host = self.lab.host(name, kind)
        person = Person(name, self.folder, 0, more, place=host, peer_hosts=(), peer_port=port)
        self.people[name] = person
        person.set_up()
        return person

    def host_of(self, person: Person) -> Host:
        return self.lab.hosts[person.name]

    def start(self, *people: Person) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(Person.start, people))

    def octets(self, source: Person, target: Person) -> int:
        """What the internet carried from one straight to the other until now."""
        return self.lab.passed(self.host_of(source).outside, self.host_of(target).outside)


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


def way_of_a_letter(town: Town, sender: Person, to: Person, third: Person | None) -> str:
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


def log_of(person: Person) -> str:
    return (person.folder / "log").read_text(errors="replace")


def wait_for(person: Person, subject: str) -> bytes:
    """The letter of this subject, when it has come into somebody's INBOX."""
    found: list[bytes] = []

    def has_come() -> bool:
        letter = person.find(subject)
        found.extend([letter] if letter is not None else [])
        return bool(found)

    until(has_come, f"{subject!r} is in {person.title}'s INBOX", FOUND_SECONDS_MAX)
    return found[0]


def make_contacts(inviter: Person, guest: Person) -> float:
    """One invites, the other accepts, each gets the other's introduction; the seconds it took."""
    link = inviter.postroad("invite")["link"]
    began = time.monotonic()
    guest.postroad("accept", link)
    wait_for(inviter, f"{guest.title} accepted")
    wait_for(guest, f"You and {inviter.title}")
    return round(time.monotonic() - began, 2)
