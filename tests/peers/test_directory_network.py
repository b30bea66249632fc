"""The directory over real links, in several processes: benchmarks/directory.py in short."""

from __future__ import annotations

import contextlib
from random import Random

import pytest

from crowd import Crowd

LOOKUPS = 8


@pytest.mark.usefixtures("quiet_network")
def test_thirty_nodes_find_everything_also_when_a_third_is_killed_at_once() -> None:
    with contextlib.closing(Crowd(Random(1), 6)) as crowd:
        crowd.grow(5)
        for number in range(LOOKUPS):
            stored = crowd.somebody("put", name=f"p{number}", counter=1)
            assert stored["yes"] >= 8
        newer = crowd.somebody("put", name="p0", counter=2)
        assert newer["yes"] >= 8
        counters = [2, *[1] * (LOOKUPS - 1)]
        for _ in range(2):
            for number, counter in enumerate(counters):
                found = crowd.somebody("get", name=f"p{number}", counter=counter)
                assert found["right"] is True, (number, found)
            if crowd.kill(2):
                assert len(crowd.nodes) in (20, 10)
        links = [count for one in crowd.counts() for count in one["links"]]
        assert max(links) <= 64
