"""IPv6: who meets over it, and how letters go between two who have no version of IP in common.

    make netlab ONLY=versions [SEED=7] [ARGS="v6-v6"]      only these cases

Hana has a public address of each version, and is a contact of both. IPv6 is not translated, but the
routers' firewalls let nobody in uncalled: both ends have to call at once. Anna and Bora meet, write
a letter each way, and one of 1 MiB each way shows which way their packets go.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import results
from lab import Kind
from meeting import settle_ways
from person import ClaimFailed
from town import Town, make_contacts, try_each, write_both_ways


@dataclass(frozen=True, slots=True)
class Case:
    """`without`: the version of IP that Anna and that Bora does not have."""

    kind: Kind
    without: tuple[int | None, int | None]
    way: str


CASES = {
    "v6-v6": Case(Kind.CONE, (4, 4), "direct"),
    "v6-both": Case(Kind.CONE, (4, None), "direct"),
    "symmetric-both": Case(Kind.SYMMETRIC, (None, None), "direct"),  # over IPv6, past the NATs
    "v6-v4": Case(Kind.CONE, (4, 6), "held"),
    "v6-v4-open": Case(Kind.OPEN, (4, 6), "held"),
}


def play(name: str) -> dict[str, object]:
    case = CASES[name]
    with Town("versions", v6=True) as town:
        anna = town.move_in("anna", case.kind, without=case.without[0])
        bora = town.move_in("bora", case.kind, without=case.without[1])
        hana = town.move_in("hana")
        town.start(anna, bora, hana)
        for person in (anna, bora):
            make_contacts(hana, person)
        met = make_contacts(anna, bora)
        took = write_both_ways(anna, bora, 4096, results.dice(f"versions {name}"))
        settled = settle_ways(town, anna, bora, hana, case.way)
        if case.way == "direct" and not (ping := anna.postroad("peers", "ping", "bora"))["direct"]:
            raise ClaimFailed(f"The packets went directly, but Anna's node says: {ping}")
    return {"met_s": met, "letter_s": took, "way": case.way, "settled_s": settled}


def main() -> None:
    results.must_be_alone()
    table, failed = try_each(sys.argv[1:] or CASES, play)
    results.write("netlab_versions", {"cases": table}, len(table))
    if failed:
        sys.exit(f"These did not do what they should: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
