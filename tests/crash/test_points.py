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
FAULTS = (points.KILLED_AT_SYNC, points.KILLED_AT_PAGE, points.SYNC_FAILS)


@pytest.mark.parametrize("name", ["sender", "holder", "recipient"])
def test_a_node_that_dies_or_whose_disk_fails_loses_nothing(cast: Cast, name: str) -> None:
    dice = results.dice(f"points {name}")
    # Where the owner's program hears of a failed disk at once; others try again some time later.
    fault = dice.choice(FAULTS[: 3 if name == "sender" else 2])
    stage, scene = points.Stage(cast), points.SCENES[name]
    calls = stage.count(scene, fault, name, results.seed())
    n = dice.randrange(1, max(calls * 3 // 4, 2))  # some works share a commit, some days more
    print(f"SEED={results.seed()}: {name}, {fault.name} {n} of about {calls}")
    found = stage.series(scene, fault, [n], name, results.seed())
    assert found.faults == []
    assert found.points == 1, "a point that is not reached proves nothing"
    oracle.insist(oracle.faults_in_mail(cast, stage.ledger, stage.before), cast)


@pytest.mark.parametrize(
    ("play", "fault", "calls"),
    [
        (points.first_start, points.KILLED_AT_SYNC, 8),
        (points.setting_up, points.KILLED_AT_WRITE, 4),
    ],
)
def test_a_first_start_or_a_set_up_that_was_broken_off_can_be_made_again(
    tmp_path: Path, quiet_network: None, play: Play, fault: Fault, calls: int
) -> None:
    n = results.dice(f"points {play.__name__}").randrange(1, calls)
    print(f"SEED={results.seed()}: {play.__name__} {fault.name} {n}")
    found = play(tmp_path, SLOT, fault, [n], play.__name__)
    assert (found.points, found.faults) == (1, [])
