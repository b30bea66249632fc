"""A node dies, or its disk fails, at its n-th system call: a few of the points.

The whole is `make soak ONLY=crash_points`.
"""

from pathlib import Path

import pytest

import results
from crash import oracle, points
from crash.harness import Cast

pytestmark = pytest.mark.skipif(
    not points.can_inject(), reason="needs Debian packages: strace (and leave to trace)"
)
SLOT = 40
# About as many as were counted in these scenes; a point that is not reached proves nothing.
CALLS = {points.KILLED_AT_SYNC: 14, points.KILLED_AT_PAGE: 74, points.SYNC_FAILS: 14}


@pytest.mark.parametrize("name", ["sender", "holder", "recipient"])
def test_a_node_that_dies_or_whose_disk_fails_loses_nothing(cast: Cast, name: str) -> None:
    dice = results.dice(f"points {name}")
    # Where the owner's program hears of a failed disk at once; others try again some time later.
    faults = list(CALLS)[: 3 if name == "sender" else 2]
    fault = dice.choice(faults)
    n = dice.randrange(CALLS[fault] // 4, CALLS[fault])
    print(f"SEED={results.seed()}: {name}, {fault.name} {n}")
    stage = points.Stage(cast)
    found = stage.series(points.SCENES[name], fault, [n], name, results.seed())
    assert found.faults == []
    oracle.insist(oracle.faults_in_mail(cast, stage.ledger, stage.before), cast)


def test_a_node_that_dies_at_its_first_start_starts_again(
    tmp_path: Path, quiet_network: None
) -> None:
    n = results.dice("points first start").randrange(1, 40)
    print(f"SEED={results.seed()}: page write {n}")
    found = points.first_start(tmp_path, SLOT, points.KILLED_AT_PAGE, [n], "first start")
    assert found.faults == []


def test_a_set_up_that_was_broken_off_can_be_made_again(
    tmp_path: Path, quiet_network: None
) -> None:
    n = results.dice("points setting up").randrange(1, 5)
    print(f"SEED={results.seed()}: write {n}")
    found = points.setting_up(tmp_path, SLOT, points.KILLED_AT_WRITE, [n], "setting up")
    assert found.faults == []
