"""A line that loses packets: letters of every size still arrive, each once and whole.

    make netlab ONLY=lossy [SEED=7] [ARGS="20 5 20"]      letters each way, percents lost

Anna and Bora are behind NATs that keep their ports; Hana, on a public address, is a contact of
both. Anna's line loses so many packets, each way, chosen by the kernel's dice. Both write to each
other at once; then a letter of 5 MiB goes each way.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import results
from lab import Kind
from mail_program import Incoming, incoming, outgoing, quantiles, write_letter
from person import Person
from town import MIB, Town, befriend_both, make_contacts, must_have_once, send, try_each

SIZES = (500, 4096, 65_536)


def write_letters(sender: Person, to: Person, count: int, dice: random.Random) -> dict[str, bytes]:
    """Letters by subject; of as many digits each, so that a search for one finds no other."""
    return {
        f"letter {number}": write_letter(
            sender.address, to.address, dice.choice(SIZES), number, dice
        )
        for number in range(100, 100 + count)
    }


def hand_over(
    sender: Person, to: Person, letters: Iterable[bytes], watching: Incoming
) -> list[float]:
    """Seconds of each letter from its dot to the notice in the other's mail program."""
    with outgoing(sender) as door:
        return [door.hand_over(to.address, octets, watching)[1] for octets in letters]


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
            written = [write_letters(sender, to, count, dice) for sender, to, _ in ways]
            writing = [
                pool.submit(hand_over, sender, to, letters.values(), watching)
                for (sender, to, watching), letters in zip(ways, written, strict=True)
            ]
            took = [seconds for each in writing for seconds in each.result()]
            large = [round(send(a, b, 5 * MIB, dice, watching), 1) for a, b, watching in ways]
        for (_, to, _), letters in zip(ways, written, strict=True):
            for subject, octets in letters.items():
                must_have_once(to, subject, octets)
    return {"met_s": met, "letter_ms": quantiles(took), "5_mib_s": large}


def main() -> None:
    results.must_be_alone()
    count, *percents = [int(one) for one in sys.argv[1:]] or (20, 5, 20)
    cases = {f"{percent} %": percent for percent in percents}
    table, failed = try_each(cases, lambda name: play(cases[name], count))
    results.write("netlab_lossy", {"lost": table}, 2 * count * len(percents))
    if failed:
        sys.exit(f"Letters did not arrive with so many packets lost: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
