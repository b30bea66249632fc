"""The recipient returns: from the start of its process until a letter that waited is in the INBOX.

    make bench ONLY=wake [SEED=7] [LINK=tls] [ARGS=12]      times

Twice: with three holders and the sender off; and with no other holder, the sender on, whose node
has to notice the return. Visible means that IMAP tells of it: a session that logs in as soon as the
door opens, and waits in IDLE.
"""

from __future__ import annotations

import statistics
import sys
import time
from contextlib import suppress

import results
from mail_program import incoming, write_letter
from person import START_SECONDS_MAX, ClaimFailed, Person, meet, people, until

HOLDERS = ("hana", "hugo", "hedi")


def come_back(bora: Person, wanted: int) -> tuple[float, float]:
    """Start Bora's node; seconds from then, and from its open door, until so many letters show."""
    began = time.perf_counter()
    bora.begin_start()
    while time.perf_counter() - began < START_SECONDS_MAX:
        with suppress(ConnectionRefusedError), incoming(bora) as watching:
            opened = time.perf_counter()
            watching.wait_for(wanted)
            now = time.perf_counter()
            return now - began, now - opened
        time.sleep(0.005)
    raise ClaimFailed(f"Bora's door did not open:\n{bora.last_words()}")


def count(bora: Person) -> int:
    with incoming(bora) as watching:
        return watching.count


def is_placed(anna: Person, holders: int) -> bool:
    """Whether her newest letter waits where it should: at the holders, or at hers with a reason.

    She may not have heard yet what became of those before it."""
    newest = anna.postroad("queue")["queue"][-1]
    return bool(newest["holders"] == holders and newest["reason"])


def from_holders(anna: Person, bora: Person, times: int) -> list[tuple[float, float]]:
    found = []
    for number in range(times):
        wanted = count(bora) + 1
        bora.stop()
        anna.start()
        submit(anna, bora, f"holders {number}")
        until(lambda: is_placed(anna, len(HOLDERS)), "the holders keep the letter")
        anna.stop()
        found.append(come_back(bora, wanted))
    return found


def from_sender(anna: Person, bora: Person, times: int) -> list[tuple[float, float]]:
    found = []
    for number in range(times):
        wanted = count(bora) + 1
        bora.stop()
        submit(anna, bora, f"sender {number}")
        until(lambda: is_placed(anna, 0), "the sender knows that nobody is there")
        found.append(come_back(bora, wanted))
        until(lambda: not anna.postroad("queue")["queue"], "the sender has the receipt")
    return found


def submit(anna: Person, bora: Person, name: str) -> None:
    dice = results.dice(f"wake {name}")
    size = dice.randrange(500, 50_000)
    anna.submit(bora.address, write_letter(anna.address, bora.address, size, 0, dice))


def play(times: int) -> dict[str, object]:
    with people("wake", "anna", "bora", "clara", "doro", *HOLDERS) as everybody:
        anna, bora, clara, doro, *holders = everybody
        for holder in holders:
            meet(bora, holder)
        until(lambda: bora.postroad("status")["holders"] == len(holders), "three hold for Bora")
        meet(bora, anna)
        meet(doro, clara)
        anna.stop()
        return {
            "3 holders, sender off": told(from_holders(anna, bora, times)),
            "no holder, sender on": told(from_sender(clara, doro, times)),
        }


def told(found: list[tuple[float, float]]) -> dict[str, object]:
    def of(seconds: list[float]) -> dict[str, float]:
        ordered = sorted(seconds)
        return {
            "p50": round(statistics.median(ordered), 3),
            "p90": round(ordered[min(int(0.9 * len(ordered)), len(ordered) - 1)], 3),
            "max": round(ordered[-1], 3),
        }

    return {
        "from_spawn_s": of([spawn for spawn, _ in found]),
        "from_open_door_s": of([door for _, door in found]),
    }


def main() -> None:
    results.must_be_alone()
    times = int(sys.argv[1]) if sys.argv[1:] else 12
    results.write("wake", play(times), times)


if __name__ == "__main__":
    main()
