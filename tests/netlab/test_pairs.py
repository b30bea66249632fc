"""Real nodes meet across real NATs: a few pairs of `make netlab ONLY=pairs`, which has them all."""

import random

import pytest

from lab import Kind
from meeting import expected_way, meet_and_write

PAIRS = [
    (Kind.CONE, Kind.CONE),
    (Kind.UDP_BLOCKED, Kind.UDP_BLOCKED),
]


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_two_meet_and_their_letters_go_the_shortest_way_there_is(a: Kind, b: Kind) -> None:
    met = meet_and_write(a, b, random.Random(1))
    assert met["way"] == expected_way(a, b)
