"""Kill nodes at random while letters pass between them.

Purpose: several mail programs of Anna's submit letters of mixed sizes while a killer throws
kill -9 at sender, holders and recipient: at one, at several, at a node that is just starting, and
while Bora is away so that her letters are held. One seed is one course of blows.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from crash import oracle
from crash.harness import SUBMIT_SECONDS_MAX, Cast, Door, Ledger, revive, write
from person import ClaimFailed, Person

AT_ONCE = 4  # mail programs of Anna's


def some_size(dice: random.Random) -> int:
    """Mostly small, some that become files (above 64 KiB), a few large ones."""
    chance = dice.random()
    if chance < 0.01:
        return dice.randrange(1_000_000, 2_000_000)
    return dice.randrange(70_000, 130_000) if chance < 0.06 else dice.randrange(400, 9_000)


class Submitters:
    """Several mail programs of Anna's at once; `allow` says how many letters may go by now."""

    def __init__(self, cast: Cast, letters: int, seed: str) -> None:
        self.ledger = Ledger()
        self.letters = letters
        self.failed: list[Exception] = []
        self._cast = cast
        self._seed = seed
        self._numbers = iter(range(letters))
        self._lock = threading.Lock()
        self._allowed = threading.Semaphore(0)
        self._given = 0
        self._threads = [
            threading.Thread(target=self._work, name=f"mail program {at}", daemon=True)
            for at in range(AT_ONCE)
        ]
        for thread in self._threads:
            thread.start()

    def allow(self, part: float) -> None:
        """Let this part of all letters go, those before counted in."""
        more = min(round(part * self.letters), self.letters) - self._given
        if more > 0:
            self._given += more
            self._allowed.release(more)

    def finish(self) -> None:
        """Let the rest go, and wait until each has its answer."""
        self.allow(1)
        self._allowed.release(AT_ONCE)  # each learns that there is nothing left
        for thread in self._threads:
            thread.join(SUBMIT_SECONDS_MAX * 2)
            if thread.is_alive():
                raise ClaimFailed("A letter got no answer from Anna's door.")
        if self.failed:
            raise self.failed[0]

    def _work(self) -> None:
        door = Door(self._cast.anna, self._cast.bora, self.ledger)
        try:
            while True:
                self._allowed.acquire()
                with self._lock:
                    number = next(self._numbers, None)
                if number is None:
                    return
                dice = random.Random(f"{self._seed} letter {number}")
                subject = f"letter {number}"
                octets = write(self._cast.anna, self._cast.bora, subject, some_size(dice), dice)
                door.submit(subject, octets, alive=lambda: True)
        except Exception as error:
            self.failed.append(error)
        finally:
            door.hang_up()


class Killer:
    """Throws kill -9 at nodes, as its dice say, and starts them again."""

    def __init__(self, cast: Cast, dice: random.Random) -> None:
        self.kills: Counter[str] = Counter()
        self.blows: Counter[str] = Counter()
        self.slowest_start = 0.0
        self._cast = cast
        self._dice = dice

    def strike(self) -> None:
        """One blow; all nodes are up again when it returns."""
        blow = self._dice.choices(
            (self._one, self._several, self._while_starting, self._while_bora_is_away),
            (50, 20, 18, 12),
        )[0]
        self.blows[blow.__name__.strip("_").replace("_", " ")] += 1
        # Half of them while the letters that were just allowed come in at the door.
        self._wait(self._dice.choice((0.08, 0.8)))
        blow()

    def _wait(self, seconds_max: float) -> None:
        time.sleep(self._dice.uniform(0, seconds_max))

    def _kill(self, *people: Person) -> None:
        for person in people:
            person.kill()
            role = {self._cast.anna: "sender", self._cast.bora: "recipient"}.get(person, "holder")
            self.kills[role] += 1

    def _revive(self, *people: Person) -> None:
        began = time.monotonic()
        revive(*people)
        self.slowest_start = max(self.slowest_start, time.monotonic() - began)

    def _one(self) -> None:
        cast = self._cast
        (who,) = self._dice.choices(
            (cast.anna, cast.bora, self._dice.choice(cast.holders)), (4, 4, 3)
        )
        self._kill(who)
        self._revive(who)

    def _several(self) -> None:
        some = self._dice.sample(self._cast.everybody, self._dice.choice((2, 2, 3, 5)))
        self._kill(*some)
        self._revive(*some)

    def _while_starting(self) -> None:
        who = self._dice.choice(self._cast.everybody)
        self._kill(who)
        for _ in range(self._dice.choice((1, 1, 2))):
            who.begin_start()
            self._wait(1.0)
            self._kill(who)
        self._revive(who)

    def _while_bora_is_away(self) -> None:
        cast = self._cast
        self._kill(cast.bora)
        self._wait(3.0)
        other = self._dice.choice((cast.anna, *cast.holders))
        self._kill(other)
        if self._dice.random() < 0.5:
            self._revive(other)
        self._revive(cast.bora, other)


@dataclass(frozen=True, slots=True)
class Figures:
    kills: dict[str, int]
    blows: dict[str, int]
    accepted: int
    unknown: int
    refused: int
    settle_seconds: float
    slowest_start_seconds: float
    left_lying: int
    storm_seconds: float


def storm(
    cast: Cast, kills: int, letters: int, seed: int, say: Callable[[str], None] = print
) -> Figures:
    """Kill nodes while letters pass, and insist that none is lost and none filed twice.

    All nodes are off when it returns."""
    before = oracle.look_around(cast)
    began = told = time.monotonic()
    submitters = Submitters(cast, letters, f"kill9 {seed}")
    killer = Killer(cast, random.Random(f"kill9 {seed}"))
    ledger = submitters.ledger
    while (done := killer.kills.total()) < kills:
        submitters.allow((done + 1) / kills)
        killer.strike()
        if time.monotonic() - told > 5:
            told = time.monotonic()
            say(
                f"{told - began:5.0f} s  {killer.kills.total()} kills {dict(killer.kills)}, "
                f"{len(ledger.accepted)} letters accepted, {len(ledger.unknown)} unknown"
            )
    submitters.finish()
    storm_seconds = time.monotonic() - began
    say(f"{storm_seconds:5.0f} s  the last kill is over; waiting until all is filed")
    settle_seconds = oracle.wait_until_settled(cast)
    say(f"all is filed {settle_seconds:.1f} s later")
    faults = oracle.faults_in_mail(cast, ledger, before) + oracle.faults_in_quarantine(cast)
    for person in cast.everybody:
        person.stop()
        faults += oracle.faults_in_log(person, before) + oracle.faults_in_store(person)
    oracle.insist(faults, cast)
    return Figures(
        dict(killer.kills),
        dict(killer.blows),
        len(ledger.accepted),
        len(ledger.unknown),
        len(ledger.refused),
        round(settle_seconds, 1),
        round(killer.slowest_start, 1),
        oracle.left_lying(cast),
        round(storm_seconds, 1),
    )
