"""Two people with any two kinds of connection meet, a third one being on a public address.

Purpose: one cell of the table that benchmarks/netlab/pairs.py makes, and tests/netlab/ in part.
"""

from __future__ import annotations

import itertools
import random

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


def meet_and_write(a: Kind, b: Kind, dice: random.Random) -> dict[str, object]:
    """One pair; ClaimFailed when a letter does not arrive or goes another way."""
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
