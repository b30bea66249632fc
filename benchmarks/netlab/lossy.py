"""A line that loses packets: letters of every size still arrive, each once and whole.

    make netlab ONLY=lossy [SEED=7] [ARGS="20 5 20"]      letters each way, percents lost

Anna and Bora are behind NATs that keep their ports; Hana, on a public address, is a contact of
both. Anna's line loses so many packets, each way, chosen by the kernel's dice. Both write to each
other at once; then a letter of 5 MiB goes each way.
"""

from __future__ import annotations

import random
import sys
from concurrent.futures import ThreadPoolExecutor

import results
from lab import Kind
from mail_program import Incoming, incoming, outgoing, quantiles, write_letter
from person import ClaimFailed, Person
from town import MIB, Town, befriend_both, make_contacts, send

SIZES = (500, 4096, 65_536)


def numbers(count: int) -> range:
    """Of as many digits each: a search for one finds no other."""
    return range(100, 100 + count)


def write_in_turn(
    sender: Person, to: Person, count: int, dice: random.Random, watching: Incoming
) -> list[float]:
    """Seconds of each letter from its dot to the notice in the other's mail program."""
    took = []
    with outgoing(sender) as door:
        for number in numbers(count):
            octets = write_letter(sender.address, to.address, dice.choice(SIZES), number, dice)
            took.append(door.hand_over(to.address, octets, watching)[1])
    return took


def must_have_each_once(person: Person, count: int) -> None:
    with person.imap() as imap:
        for number in numbers(count):
            found = imap.search(None, "SUBJECT", f'"letter {number}"')[1][0].split()
            if len(found) != 1:
                raise ClaimFailed(f"{person.title} has letter {number} {len(found)} times.")


def play(percent: int, count: int) -> dict[str, object]:
    dice = results.dice(f"lossy {percent}")
    with Town("lossy") as town:
        anna, bora = town.move_in("anna", Kind.CONE), town.move_in("bora", Kind.CONE)
        town.start(anna, bora)
        befriend_both(town, anna, bora)
        town.lab.lose(town.host_of(anna), percent)
        met = make_contacts(anna, bora)
        with incoming(anna) as to_anna, incoming(bora) as to_bora, ThreadPoolExecutor(2) as pool:
            ways = ((anna, bora, to_bora), (bora, anna, to_anna))
            seeds = [random.Random(dice.random()) for _ in ways]
            writing = [
                pool.submit(write_in_turn, sender, to, count, one, watching)
                for (sender, to, watching), one in zip(ways, seeds, strict=True)
            ]
            took = [seconds for each in writing for seconds in each.result()]
            large = [round(send(a, b, 5 * MIB, dice, watching), 1) for a, b, watching in ways]
        for person in (anna, bora):
            must_have_each_once(person, count)
    return {"met_s": met, "letter_ms": quantiles(took), "5_mib_s": large}


def main() -> None:
    results.must_be_alone()
    count, *percents = [int(one) for one in sys.argv[1:]] or (20, 5, 20)
    table: dict[str, object] = {}
    failed = []
    for percent in percents:
        try:
            table[f"{percent} %"] = play(percent, count)
        except ClaimFailed as error:
            table[f"{percent} %"] = {"failed": str(error)}
            failed.append(f"{percent} %")
        print(f"{percent} %: {table[f'{percent} %']}", flush=True)
    results.write("netlab_lossy", {"lost": table}, 2 * count * len(percents))
    if failed:
        sys.exit(f"Letters did not arrive with so many packets lost: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
