"""Two people with any two kinds of connection meet, a third one being on a public address.

Purpose: one cell of the table that benchmarks/netlab/pairs.py makes, and tests/netlab/ in part.
"""

from __future__ import annotations

import itertools
import random
import time

from lab import Kind
from person import ClaimFailed, Person
from town import HelperBox, Town, befriend_both, make_contacts, way_of_a_letter, write_both_ways

UPGRADE_SECONDS_MAX = 20.0  # from a relay to the direct way
KINDS = (Kind.OPEN, Kind.CONE, Kind.SYMMETRIC, Kind.UDP_BLOCKED)
PAIRS = {f"{a.value}-{b.value}": (a, b) for a, b in itertools.product(KINDS, KINDS)}


def expected_way(a: Kind, b: Kind) -> str:
    if Kind.UDP_BLOCKED in (a, b):
        return "relayed"
    if Kind.OPEN in (a, b) or a is b is Kind.CONE:
        return "direct"
    return "relayed"


def meet_and_write(a: Kind, b: Kind, dice: random.Random) -> dict[str, object]:
    """One pair; ClaimFailed when a letter does not arrive, or letters go another way in the end."""
    with Town("pairs") as town:
        anna, bora = town.move_in("anna", a), town.move_in("bora", b)
        town.start(anna, bora)
        hana = befriend_both(town, anna, bora)
        met = make_contacts(anna, bora)
        took = write_both_ways(anna, bora, 4096, dice)
        expected = expected_way(a, b)
        settled = settle_ways(town, anna, bora, hana, expected)
        ping = anna.postroad("peers", "ping", "bora")
    if ping["direct"] != (expected == "direct"):
        raise ClaimFailed(f"The packets went {expected}, but Anna's node says: {ping}")
    found = {"met_s": met, "letter_s": took, "way": expected, "settled_s": settled}
    return {**found, "ping_ms": ping["milliseconds"]}


def settle_ways(
    town: Town, anna: Person, bora: Person, hana: Person | HelperBox, expected: str
) -> float:
    """Seconds until a letter of 1 MiB each way had gone the expected way, these two included."""
    began = time.monotonic()
    for sender, to in ((anna, bora), (bora, anna)):
        while (way := way_of_a_letter(town, sender, to, hana)) != expected:
            if way == "direct" or time.monotonic() > began + UPGRADE_SECONDS_MAX:
                raise ClaimFailed(f"{sender.title} to {to.title}: {way}, and not {expected}")
    return round(time.monotonic() - began, 1)
