"""Nodes are paused and resumed at any moment: each has its port again, and no letter is lost.

    make soak ONLY=pauses [SEED=7] [LINK=tls] [ARGS="2 120"]      friends, and seconds

Friends of Bora pause and resume their nodes, often without a wait, while she and they write to each
other: dials, handshakes and streams are broken off wherever they happen to be. Each resume must
bring the node onto the network again, and each letter must arrive once. On failure the seed and the
nodes' folders are named, and the folders stay.
"""

from __future__ import annotations

import os
import sys
import threading
import time

import results
from person import ClaimFailed, Person, meet, people, until
from postroad.app import asking

FRIENDS = ("anna", "carl", "dora", "emil")
WAIT_SECONDS_MAX = 0.2  # between pause and resume; every second time there is none
LETTER_SECONDS = 1.0  # between two letters of one author
ARRIVAL_SECONDS_MAX = 120.0  # for all letters, once nobody pauses any more


class Worker(threading.Thread):
    """Does the same again and again until the time is over, or something is wrong."""

    def __init__(self, name: str, ends: float) -> None:
        super().__init__(name=name)
        self.ends = ends
        self.complaint = ""

    def run(self) -> None:
        try:
            while time.monotonic() < self.ends and not self.complaint:
                self.do()
        except Exception as error:  # the node has ended, most likely
            self.complaint = f"{self.name}: {error!r}"

    def do(self) -> None:
        raise NotImplementedError


class Pauser(Worker):
    """Pauses and resumes one person's node."""

    def __init__(self, person: Person, ends: float) -> None:
        super().__init__(person.title, ends)
        self.control = person.folder / "run" / "control"
        self.dice = results.dice(f"pauses {person.name}")
        self.rounds = 0
        self.longest_seconds = 0.0

    def do(self) -> None:
        self.rounds += 1
        asking.ask(self.control, do="pause", seconds=3600)
        time.sleep(max(0.0, self.dice.uniform(-WAIT_SECONDS_MAX, WAIT_SECONDS_MAX)))
        began = time.monotonic()
        if not asking.ask(self.control, do="resume")["was_paused"]:
            self.complaint = f"{self.name} was not paused in round {self.rounds}"
        self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)


class Author(Worker):
    """Writes from one person to another."""

    def __init__(self, author: Person, reader: Person, ends: float) -> None:
        super().__init__(f"{author.name} to {reader.name}", ends)
        self.author, self.reader = author, reader
        self.subjects: list[str] = []

    def do(self) -> None:
        subject = f"pauses {self.name} {len(self.subjects)}"
        letter = (
            f"From: {self.author.address}\r\nTo: {self.reader.address}\r\n"
            f"Subject: {subject}\r\n\r\nStill here.\r\n"
        )
        self.author.submit(self.reader.address, letter.encode())
        self.subjects.append(subject)
        time.sleep(LETTER_SECONDS)

    def arrived(self) -> list[str]:
        """The subjects of this author's letters in the reader's INBOX."""
        with self.reader.imap() as imap:
            _, parts = imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        headers = [part[1].decode() for part in parts if isinstance(part, tuple)]
        subjects = [header.partition(":")[2].strip() for header in headers]
        return [subject for subject in subjects if subject.startswith(f"pauses {self.name} ")]

    def is_done(self) -> bool:
        return set(self.arrived()) >= set(self.subjects)


def play(count: int, seconds: float) -> dict[str, object]:
    with people("pauses", "bora", *FRIENDS[:count]) as (bora, *friends):
        for friend in friends:
            meet(bora, friend)
        ends = time.monotonic() + seconds
        pausers = [Pauser(friend, ends) for friend in friends]
        authors = [Author(bora, friend, ends) for friend in friends]
        authors += [Author(friend, bora, ends) for friend in friends]
        workers = (*pausers, *authors)
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        there = f"the folders are in {bora.folder.parent}"
        if complaints := [worker.complaint for worker in workers if worker.complaint]:
            raise ClaimFailed("; ".join((*complaints, there)))
        for author in authors:
            what = f"all letters of {author.name} arrive ({there})"
            until(author.is_done, what, ARRIVAL_SECONDS_MAX)
        for author in authors:
            if sorted(author.arrived()) != sorted(author.subjects):
                raise ClaimFailed(f"a letter of {author.name} was filed twice; {there}")
        return {
            "friends": count,
            "rounds": sum(pauser.rounds for pauser in pausers),
            "not_on_the_network_again": 0,  # else we would not be here
            "longest_resume_seconds": round(max(each.longest_seconds for each in pausers), 2),
            "letters": sum(len(author.subjects) for author in authors),
            "lost": 0,
            "twice": 0,
        }


def main() -> None:
    results.must_be_alone()
    count = int(sys.argv[1]) if sys.argv[1:] else 2
    seconds = float(sys.argv[2]) if sys.argv[2:] else 120
    link = os.environ.get("LINK", "iroh")
    try:
        figure = play(count, seconds)
    except ClaimFailed as error:
        sys.exit(f"pauses with SEED={results.seed()}: {error}")
    rounds = figure["rounds"]
    assert isinstance(rounds, int)
    results.write("pauses" if link == "iroh" else f"pauses_{link}", figure, rounds)


if __name__ == "__main__":
    main()
