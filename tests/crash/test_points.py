"""A node dies, or its disk fails, at its n-th system call: a few of the points.

The whole is `make soak ONLY=crash_points`.
"""

from pathlib import Path

import pytest

import results
from crash import oracle, points
from crash.harness import Cast
from crash.points import Fault

pytestmark = pytest.mark.skipif(
    not points.can_inject(), reason="needs Debian packages: strace (and leave to trace)"
)
SLOT = 40
CALLS = {"sender": (15, 88), "holder": (15, 74), "recipient": (19, 112)}
"""Syncs, and writes of pages, that were counted in each scene: where to throw the dice."""


@pytest.mark.parametrize("name", CALLS)
def test_a_node_that_dies_or_whose_disk_fails_loses_nothing(cast: Cast, name: str) -> None:
    dice = results.dice(f"points {name}")
    syncs, pages = CALLS[name]
    stage = points.Stage(cast)
    tries: list[tuple[Fault, int]] = [
        (points.KILLED_AT_SYNC, dice.randrange(4, syncs)),
        (points.KILLED_AT_PAGE, dice.randrange(20, pages)),
        (points.SYNC_FAILS, dice.randrange(4, syncs)),
    ]
    for fault, n in tries:
        print(f"SEED={results.seed()}: {name}, {fault.name} {n}")
        found = stage.series(points.SCENES[name], fault, [n], name, results.seed())
        assert found.faults == []
    oracle.insist(oracle.faults_in_mail(cast, stage.ledger, stage.before), cast)


def test_a_node_that_dies_at_its_first_start_starts_again(
    tmp_path: Path, quiet_network: None
) -> None:
    dice = results.dice("points first start")
    for fault in (points.KILLED_AT_PAGE, points.DISK_FULL):
        found = points.first_start(tmp_path, SLOT, fault, [dice.randrange(1, 40)], "first start")
        assert found.faults == []


def test_a_set_up_that_was_broken_off_can_be_made_again(
    tmp_path: Path, quiet_network: None
) -> None:
    dice = results.dice("points setting up")
    for fault in (points.KILLED_AT_SYNC, points.KILLED_AT_WRITE, points.SYNC_FAILS):
        found = points.setting_up(tmp_path, SLOT, fault, [dice.randrange(1, 5)], "setting up")
        assert found.faults == []
