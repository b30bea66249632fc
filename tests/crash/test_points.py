"""A node dies, or its disk fails, at its n-th system call: a few of the points.

The whole is `make soak ONLY=crash_points`.
"""

from pathlib import Path

import pytest

import results
from crash import oracle, points
from crash.harness import Cast
from crash.points import Fault, Play

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


@pytest.mark.parametrize(
    ("play", "fault", "calls"),
    [
        (points.first_start, points.KILLED_AT_PAGE, 40),
        (points.setting_up, points.KILLED_AT_WRITE, 5),
    ],
)
def test_a_first_start_or_a_set_up_that_was_broken_off_can_be_made_again(
    tmp_path: Path, quiet_network: None, play: Play, fault: Fault, calls: int
) -> None:
    n = results.dice(f"points {play.__name__}").randrange(1, calls)
    print(f"SEED={results.seed()}: {play.__name__} {fault.name} {n}")
    assert play(tmp_path, SLOT, fault, [n], play.__name__).faults == []
