"""Blow up nodes: 6 of 20 are killed and wiped at once while 1,000 letters wait for absent people.

    make soak ONLY=blow_up [SEED=7] [LINK=tls] [ARGS="20 8 1000"]     rounds, holders each, letters

Twelve hold, five read, three write, each a real process. The first of the twelve is a `postroad
helper`: holder, relay and the place where all who read join the directory, and each of them rents
there; the others hold and relay for their contacts, as every node does. While the readers are off,
the letters are left with all their holders; then the writers go off, too. From here each round
begins anew, with the same folders: six of the twelve, the helper always and five by lot, are killed
with kill -9 and their disks wiped, all at once; the readers come on.
Counted are readers who miss anything then. In the end the writers come back: nobody may miss
anything any more.

Beside the count stand the exact chances that all the holders of a reader are among those wiped: as
drawn here; for any six of the twenty; and the binomial of 30 % of a network without end, which
promise M8 is about. With 8 holders each, the first two are 0: six cannot be eight. What 8 holders
show is that what survives is enough; that a loss is seen when there is one, ARGS="20 3" shows.
"""

from __future__ import annotations

import random
import re
import shutil
import smtplib
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from math import comb
from pathlib import Path

import results
from person import PEER_PORT, ClaimFailed, Here, Person, until
from town import HelperBox

SLOT = 70
HELPER_OPTIONS = (
    *("--port", str(PEER_PORT + SLOT), "--relay-port", str(PEER_PORT + SLOT)),
    *("--host", "127.0.0.1", "--dial-private"),
)
HOLDERS, READERS, WRITERS, WIPED = 12, 5, 3, 6
HELD_SECONDS_MAX = 900.0
FILED_SECONDS_MAX = 240.0
QUIET_SECONDS = 20.0  # nothing more came for so long, and what is missing has no holder left
BACK_SECONDS_MAX = 300.0  # promise M7: after the network heals, all queued mail moves in 5 minutes
SUBJECT = re.compile(rb"^Subject: letter (\d+)", re.MULTILINE | re.IGNORECASE)


Holder = Person | HelperBox


@dataclass(slots=True)
class Town:
    folder: Path
    holders: list[Holder]
    readers: list[Person]
    writers: list[Person]
    rents: dict[str, list[str]] = field(default_factory=dict)  # the holders of each reader
    wanted: dict[str, set[int]] = field(default_factory=dict)  # the letters to each reader
    leased: dict[int, set[str]] = field(default_factory=dict)  # who holds each letter

    @property
    def everybody(self) -> list[Holder]:
        return [*self.holders, *self.readers, *self.writers]


@dataclass(frozen=True, slots=True)
class Round:
    """What one round brought: readers who missed letters, and how many letters they missed."""

    lost_readers: int
    lost_letters: int
    expected_letters: int  # to be lost, by the leases: all the holders of these were wiped
    seconds_to_filed: float
    seconds_to_all: float  # after the writers came back
    seconds: float


def settle(folder: Path, each: int, dice: random.Random) -> Town:
    """Everybody set up, met, and renting."""
    names = [f"holder{n:02}" for n in range(1, HOLDERS)]
    names += [f"reader{n}" for n in range(READERS)] + [f"writer{n}" for n in range(WRITERS)]
    # So that we know who holds for whom: else readers would hold for each other while off.
    people = [
        Person(name, folder, SLOT + at, f'hold_for = "{"contacts" if at < HOLDERS else "off"}"\n')
        for at, name in enumerate(names, 1)
    ]
    others = people[HOLDERS - 1 :]
    helper = HelperBox("helper", folder, Here(), HELPER_OPTIONS)
    town = Town(folder, [helper, *people[: HOLDERS - 1]], others[:READERS], others[READERS:])
    try:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(Person.set_up, people))
        start(town.everybody)
        for reader in town.readers:
            chosen = [town.holders[0], *dice.sample(town.holders[1:], each - 1)]
            town.rents[reader.name] = [one.name for one in chosen]
            for holder in chosen:
                acquaint(holder, reader)
        for reader in town.readers:
            for writer in town.writers:
                acquaint(reader, writer)
        for reader in town.readers:
            until(partial(rents, reader, each), f"{reader.title} has {each} holders", 120)
        until(lambda: not any(map(owed, people)), "all introductions are through", 120)
    except BaseException:
        stop(town.everybody, kill=True)
        raise
    return town


def acquaint(inviter: Holder, guest: Person) -> None:
    """Make them contacts, though their introductions may still be on their way; or let the helper
    serve the guest."""
    if isinstance(inviter, HelperBox):
        inviter.serve(guest)
        return
    guest.postroad("accept", inviter.postroad("invite")["link"])


def rents(reader: Person, holders: int) -> bool:
    with closing(store(reader)) as sql:
        count: int = sql.execute("SELECT count(*) FROM my_drop WHERE agreed").fetchone()[0]
        return count == holders


def start(people: Sequence[Holder]) -> None:
    for person in people:
        person.begin_start()
    for person in people:
        until(person.answers, f"{person.title}'s node starts", 60)


def stop(people: Sequence[Holder], *, kill: bool = False) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: one.kill() if kill else one.stop(), people))


def leave_letters(town: Town, letters: int, dice: random.Random) -> None:
    """Write to the readers while they are off, until every letter lies with all their holders."""
    stop(town.readers)
    shares: dict[str, list[tuple[int, Person]]] = {one.name: [] for one in town.writers}
    town.wanted = {one.name: set() for one in town.readers}
    for number in range(letters):
        writer, reader = town.writers[number % WRITERS], town.readers[number % READERS]
        shares[writer.name].append((number, reader))
        town.wanted[reader.name].add(number)

    def hand_over(writer: Person) -> None:
        mine = random.Random(f"{writer.name} {results.seed()}")
        with smtplib.SMTP("127.0.0.1", writer.smtp_port, "localhost", timeout=60) as smtp:
            smtp.login(writer.address, writer.password)
            for number, reader in shares[writer.name]:
                text = mine.randbytes(mine.randrange(100, 1500)).hex()
                smtp.sendmail(
                    writer.address,
                    [reader.address],
                    f"From: {writer.address}\r\nTo: {reader.address}\r\n"
                    f"Subject: letter {number}\r\nMessage-ID: <{number}@blow.test>\r\n\r\n".encode()
                    + b"\r\n".join(text[at : at + 76].encode() for at in range(0, len(text), 76)),
                )

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(hand_over, town.writers))

    def all_held() -> bool:
        town.leased = leases(town)
        each = {one: len(rents) for one, rents in town.rents.items()}
        return all(
            len(town.leased.get(number, ())) == each[reader]
            for reader, wanted in town.wanted.items()
            for number in wanted
        )

    ends = time.monotonic() + HELD_SECONDS_MAX
    while not all_held():
        if time.monotonic() > ends:
            count = sum(map(len, town.leased.values()))
            raise ClaimFailed(f"Only {count} leases were given in time.")
        time.sleep(2)
    stop(town.everybody)


def leases(town: Town) -> dict[int, set[str]]:
    """Who signed a lease for each letter, as its writer's store says."""
    owners = {one.address: one.name for one in town.everybody if isinstance(one, Person)}
    owners[""] = town.holders[0].name  # a helper is nobody's node
    drops: dict[bytes, str] = {}
    for reader in town.readers:
        with closing(store(reader)) as sql:
            rows = sql.execute(
                """SELECT drop_id, coalesce(address, '')
                   FROM my_drop LEFT JOIN contact USING (fingerprint) WHERE agreed"""
            )
            drops |= {drop: owners[address] for drop, address in rows}
    found: dict[int, set[str]] = {}
    for writer in town.writers:
        with closing(store(writer)) as sql:
            rows = sql.execute(
                """SELECT octets, drop_id FROM lease
                   JOIN parcel ON parcel.id = parcel_id JOIN letter ON letter.id = letter_id
                   JOIN content ON content.id = content_id WHERE kind = 1"""
            )
            for octets, drop in rows:
                subject = SUBJECT.search(octets)
                assert subject is not None
                found.setdefault(int(subject[1]), set()).add(drops[drop])
    return found


def store(person: Holder) -> sqlite3.Connection:
    path = f"file:{person.folder}/data/postroad.sqlite?mode=ro"
    return sqlite3.connect(path, uri=True, timeout=30)


def owed(person: Person) -> int:
    """How many letters of theirs have not come to their end."""
    with closing(store(person)) as sql:
        asked = "SELECT count(*) FROM parcel WHERE state IN ('waiting', 'held')"
        count: int = sql.execute(asked).fetchone()[0]
        return count


def filed(person: Person) -> list[int]:
    """The letters in somebody's INBOX, twice if it is there twice."""
    with person.imap() as imap:
        answer = imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
    found = (SUBJECT.search(part[1]) for part in answer if isinstance(part, tuple))
    return [int(subject[1]) for subject in found if subject]


def missing(town: Town) -> dict[str, set[int]]:
    return {one.name: town.wanted[one.name] - set(filed(one)) for one in town.readers}


def keep(town: Town) -> None:
    """Put everybody's folder aside, as it is before anything blows up."""
    for person in town.everybody:
        shutil.copytree(person.folder / "data", person.folder / "kept")


def restore(town: Town) -> None:
    for person in town.everybody:
        shutil.rmtree(person.folder / "data", ignore_errors=True)
        shutil.copytree(person.folder / "kept", person.folder / "data")


def blow_up(town: Town, dice: random.Random) -> Round:
    began = time.monotonic()
    restore(town)
    start(town.holders)
    wiped = [town.holders[0], *dice.sample(town.holders[1:], WIPED - 1)]
    with ThreadPoolExecutor(WIPED) as pool:
        list(pool.map(lambda one: one.destroy(), wiped))
    gone = {one.name for one in wiped}
    doomed = {number for number, holders in town.leased.items() if holders <= gone}
    came = time.monotonic()
    start(town.readers)
    lost = _wait(town, doomed)
    to_filed = time.monotonic() - came
    back = time.monotonic()
    start(town.writers)
    until(
        lambda: not any(missing(town).values()),
        "with the writers back nobody misses anything",
        BACK_SECONDS_MAX,
    )
    to_all = time.monotonic() - back
    for reader in town.readers:
        if len(got := filed(reader)) != len(set(got)):
            raise ClaimFailed(f"{reader.title} has a letter twice.")
    stop([one for one in town.everybody if one not in wiped], kill=True)
    return Round(
        sum(bool(one) for one in lost.values()),
        sum(map(len, lost.values())),
        len(doomed),
        round(to_filed, 1),
        round(to_all, 1),
        round(time.monotonic() - began, 1),
    )


def _wait(town: Town, doomed: set[int]) -> dict[str, set[int]]:
    """What readers miss when all is there that survived, or nothing has come for a while."""
    ends = time.monotonic() + FILED_SECONDS_MAX
    quiet_since, before = time.monotonic(), -1
    while True:
        left = missing(town)
        count = sum(map(len, left.values()))
        if count != before:
            quiet_since, before = time.monotonic(), count
        quiet = time.monotonic() - quiet_since > QUIET_SECONDS
        if not count or (quiet and set().union(*left.values()) <= doomed):
            return left
        if time.monotonic() > ends:
            return left  # a holder that survived has it, and it does not come: a loss as well
        time.sleep(0.5)


def chances(each: int) -> dict[str, float]:
    """That a reader loses everything: all of so many holders are among those wiped."""
    nodes = HOLDERS + READERS + WRITERS
    return {
        "as_drawn_here": comb(WIPED - 1, each - 1) / comb(HOLDERS - 1, each - 1),
        "any_6_of_20": comb(WIPED, each) / comb(nodes, each),
        "binomial_30_percent": (WIPED / nodes) ** each,
    }


def main() -> None:
    results.must_be_alone()
    asked = [int(one) for one in sys.argv[1:]]
    rounds, each, letters = asked + [20, 8, 1000][len(asked) :]
    folder = Path(tempfile.mkdtemp(prefix="postroad-blow-up-"))
    began = time.monotonic()
    dice = results.dice(f"blow up {each}")
    town = settle(folder, each, dice)
    settled = round(time.monotonic() - began, 1)
    print(f"everybody has met after {settled} s, in {folder}", flush=True)
    try:
        leave_letters(town, letters, dice)
        held = round(time.monotonic() - began - settled, 1)
        print(f"{letters} letters are held {each} times after {held} s more", flush=True)
        keep(town)
        done: list[Round] = []
        for number in range(rounds):
            done.append(blow_up(town, dice))
            print(f"round {number + 1}: {done[-1]}", flush=True)
    except ClaimFailed as error:
        sys.exit(f"blow_up with SEED={results.seed()}: {error} The folders are in {folder}.")
    finally:
        stop(town.everybody, kill=True)
    shutil.rmtree(folder)
    unexplained = [one for one in done if one.lost_letters != one.expected_letters]
    figure = {
        "nodes": HOLDERS + READERS + WRITERS,
        "wiped": WIPED,
        "holders_of_each_reader": each,
        "letters": letters,
        "rounds": rounds,
        "readers_in_all_rounds": rounds * READERS,
        "readers_who_missed_something": sum(one.lost_readers for one in done),
        "readers_expected_to": round(rounds * READERS * chances(each)["as_drawn_here"], 2),
        "chance_that_a_reader_loses": chances(each),
        "letters_missed": sum(one.lost_letters for one in done),
        "letters_all_of_whose_holders_were_wiped": sum(one.expected_letters for one in done),
        "missed_with_the_writers_back": 0,  # else we would not be here
        "seconds_to_filed_median": statistics.median(one.seconds_to_filed for one in done),
        "seconds_to_all_with_writers_max": max(one.seconds_to_all for one in done),
        "seconds_to_settle": settled,
        "seconds_to_leave_letters": held,
        "seconds_a_round_median": statistics.median(one.seconds for one in done),
    }
    results.write("blow_up" if each == 8 else f"blow_up_{each}", figure, rounds)
    if unexplained:
        sys.exit("blow_up: letters were missed that surviving holders have.")


if __name__ == "__main__":
    main()
