"""Two who are never on at the same time write to each other every day; their contacts hold.

    make netlab ONLY=apart [SEED=7] [ARGS=10]      days

Anna is behind a NAT that keeps its ports, Bora behind one that does not; three contacts of both on
public addresses hold for them. Every day Anna is on, reads what came and writes, and goes off; then
Bora likewise. How many letters of which sizes, the dice say. Each letter has to be filed in the
first session of its recipient after it was sent, byte for byte, and once.
"""

from __future__ import annotations

import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import results
from lab import Kind
from mail_program import incoming, sizes, write_letter
from person import ClaimFailed, Person, until
from town import Town, make_contacts, wait_for_holders

HOLDERS = ("hana", "hugo", "hedi")
LETTERS_A_DAY_MAX = 4


def read_all(person: Person, wanted: list[bytes]) -> float:
    """Wait for letters, and compare them; seconds from the start of the node until the last one."""
    began = time.monotonic()
    person.start()
    if not wanted:
        return 0.0

    def inbox() -> list[bytes]:
        with person.imap() as imap:
            numbers = imap.search(None, "SUBJECT", '"letter "')[1][0].split()
            parts = [imap.fetch(each, "(BODY.PEEK[])")[1][0] for each in numbers[-len(wanted) :]]
            return [part[1] for part in parts if isinstance(part, tuple)]

    with incoming(person):
        until(lambda: ends_with_all(inbox(), wanted), f"{person.title} has {len(wanted)} letters")
    return time.monotonic() - began


def ends_with_all(found: list[bytes], wanted: list[bytes]) -> bool:
    """Trace fields stand on top of what was written."""
    return all(any(each.endswith(letter) for each in found) for letter in wanted)


def write_some(
    sender: Person, to: Person, holders: int, day: int, dice: random.Random
) -> list[bytes]:
    """Submit the letters of a day, and stay on until the holders have them."""
    count = dice.randint(1, LETTERS_A_DAY_MAX)
    letters = [
        write_letter(sender.address, to.address, size, 100 * day + at, dice)
        for at, size in enumerate(sizes(dice, count))
    ]
    before = {one["letter"] for one in sender.postroad("queue")["queue"]}
    for letter in letters:
        sender.submit(to.address, letter)

    def are_held() -> bool:
        queue = [one for one in sender.postroad("queue")["queue"] if one["letter"] not in before]
        return len(queue) == count and all(one["holders"] >= holders for one in queue)

    until(are_held, f"the holders keep {count} letters of {sender.title}'s")
    return letters


def must_have_each_once(person: Person, count: int) -> None:
    with person.imap() as imap:
        found = len(imap.search(None, "SUBJECT", '"letter "')[1][0].split())
    if found != count:
        raise ClaimFailed(f"{person.title} has {found} letters, and {count} were written.")


def play(days: int) -> dict[str, object]:
    dice = results.dice("apart")
    with Town("apart") as town:
        holders = [town.move_in(name) for name in HOLDERS]
        anna, bora = town.move_in("anna", Kind.CONE), town.move_in("bora", Kind.SYMMETRIC)
        town.start(*holders, anna, bora)
        for person in (anna, bora):
            for holder in holders:
                make_contacts(holder, person)
            wait_for_holders(person, len(holders))
        make_contacts(anna, bora)
        anna.stop()
        bora.stop()
        came_seconds: list[float] = []
        counts = {anna.name: 0, bora.name: 0}
        waiting: list[bytes] = []
        for day in range(days):
            for person, other in ((anna, bora), (bora, anna)):
                took = read_all(person, waiting)
                came_seconds += [took] if waiting else []
                counts[person.name] += len(waiting)
                waiting = write_some(person, other, len(holders), day, dice)
                person.stop()
        read_all(anna, waiting)
        counts[anna.name] += len(waiting)
        bora.start()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda one: must_have_each_once(one, counts[one.name]), (anna, bora)))
    return {
        "days": days,
        "letters": sum(counts.values()),
        "lost": 0,  # else we would not be here
        "start_to_last_letter_s_max": round(max(came_seconds), 2),
    }


def main() -> None:
    results.must_be_alone()
    days = int(sys.argv[1]) if sys.argv[1:] else 10
    figure = play(days)
    results.write("netlab_apart", figure, days)


if __name__ == "__main__":
    main()
