"""Who can meet whom: each kind of connection with each, a third person being on a public address.

    make netlab ONLY=pairs [SEED=7] [ARGS="cone-cone open-symmetric"]      only these pairs

Hana has a public address, and is a contact of both; where somebody's UDP is blocked, she is a box
with `postroad helper` on it, which serves both. Anna and Bora meet, write a letter each way, and
one of 1 MiB shows which way their packets go. Which pairs can be direct at all is physics: one end
must be reachable, or both NATs keep their ports.
"""

from __future__ import annotations

import itertools
import sys
import time

import results
from lab import Kind
from person import ClaimFailed
from town import Town, befriend_both, make_contacts, way_of_a_letter, write_both_ways

KINDS = (Kind.OPEN, Kind.CONE, Kind.SYMMETRIC, Kind.UDP_BLOCKED)
PAIRS = {f"{a.value}-{b.value}": (a, b) for a, b in itertools.product(KINDS, KINDS)}


def expected_way(a: Kind, b: Kind) -> str:
    if Kind.UDP_BLOCKED in (a, b):
        return "relayed"
    if Kind.OPEN in (a, b) or a is b is Kind.CONE:
        return "direct"
    return "relayed"


def meet_and_write(a: Kind, b: Kind) -> dict[str, object]:
    """One pair; ClaimFailed when a letter does not arrive or goes another way."""
    dice = results.dice(f"pairs {a.value} {b.value}")
    with Town("pairs") as town:
        anna, bora = town.move_in("anna", a), town.move_in("bora", b)
        town.start(anna, bora)
        hana = befriend_both(town, anna, bora)
        met = make_contacts(anna, bora)
        took = write_both_ways(anna, bora, 4096, dice)
        ways = [way_of_a_letter(town, anna, bora, hana), way_of_a_letter(town, bora, anna, hana)]
    if set(ways) != {expected_way(a, b)}:
        raise ClaimFailed(f"{a.value}-{b.value}: {ways}, and not {expected_way(a, b)}")
    return {"met_s": met, "letter_s": took, "way": ways[0]}


def main() -> None:
    results.must_be_alone()
    chosen = sys.argv[1:] or list(PAIRS)
    chosen = results.dice("pairs").sample(chosen, len(chosen))
    table: dict[str, object] = {}
    failed = []
    for name in chosen:
        began = time.monotonic()
        try:
            table[name] = meet_and_write(*PAIRS[name])
        except ClaimFailed as error:
            table[name] = {"failed": str(error)}
            failed.append(name)
        print(f"{name}: {table[name]} ({time.monotonic() - began:.1f} s)", flush=True)
    results.write("netlab_pairs", {"pairs": dict(sorted(table.items()))}, len(table))
    if failed:
        sys.exit(f"These pairs did not do what they should: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
