"""A node dies, or its disk fails, at each n-th sync, write, rename and unlink of a letter's way.

    make soak ONLY=crash_points [SEED=7] [ARGS="SAMPLE SCENE"]

Every sync, rename and unlink is tried; of the many writes of each scene a sample, spread evenly and
moved by the seed: SAMPLE (12) says how many, `all` tries each. SCENE plays only the scenes whose
names begin so. What is played is in tests/crash/points.py. On failure the nodes' folders stay.
"""

import itertools
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import results
from crash import harness, points
from crash.points import Fault, Found

SLOT = 60
OFTEN = (points.KILLED_AT_PAGE, points.KILLED_AT_WRITE, points.DISK_FULL)


def main() -> None:
    results.must_be_alone()
    if not points.can_inject():
        sys.exit("This needs strace, and leave to trace: sudo apt-get install -y strace")
    sample = sys.argv[1] if sys.argv[1:] else "12"
    begins = " ".join(sys.argv[2:])
    folder = Path(tempfile.mkdtemp(prefix="postroad-points-"))
    began = time.monotonic()
    print(f"SEED={results.seed()}, in {folder}", flush=True)
    figure: dict[str, dict[str, object]] = {}
    faults: list[str] = []

    def tell(name: str, fault: Fault, found: Found) -> None:
        figure[f"{name}, {fault.name}"] = {
            "points": found.points,
            "calls": found.calls,
            "faults": len(found.faults),
            **_seconds(found.seconds_to_filed),
        }
        faults.extend(found.faults)
        seconds = time.monotonic() - began
        after = _seconds(found.seconds_to_filed) or ""
        print(f"{seconds:5.0f} s  {name}, {fault.name}: {found.points} points {after}", flush=True)
        for one in found.faults:
            print(f"  {one}", flush=True)

    for name, play in (("setting up", points.setting_up), ("first start", points.first_start)):
        for fault in points.FAULTS if name.startswith(begins) else ():
            base = Path(tempfile.mkdtemp(dir=folder))
            tell(name, fault, play(base, SLOT, fault, range(1, points.NEVER), name))
    scenes = {name: one for name, one in points.SCENES.items() if name.startswith(begins)}
    if scenes:
        _play(scenes, folder, sample, tell, faults)
    if faults:
        sys.exit(f"crash_points: {len(faults)} faults with SEED={results.seed()}: {folder}")
    shutil.rmtree(folder)
    total = sum(int(str(one["points"])) for one in figure.values())
    seconds = round(time.monotonic() - began, 1)
    part = "_".join(["crash_points", *begins.split()])
    results.write(part, {"series": figure, "points": total, "seconds": seconds}, total)


def _play(
    scenes: dict[str, points.Scene],
    folder: Path,
    sample: str,
    tell: Callable[[str, Fault, Found], None],
    faults: list[str],
) -> None:
    cast = harness.settle_in(folder, SLOT)
    try:
        stage = points.Stage(cast)
        for name, scene in scenes.items():
            for fault in points.FAULTS:
                wanted: Sequence[int] = range(1, points.NEVER)
                calls = 0
                if fault in OFTEN and sample != "all":
                    calls = stage.count(scene, fault, name, results.seed())
                    wanted = spread(calls, int(sample), f"{name} {fault.name}")
                found = stage.series(scene, fault, wanted, name, results.seed())
                found.calls = max(found.calls, calls)
                tell(name, fault, found)
        faults += stage.close()
    finally:
        harness.kill(*cast.everybody)


def spread(calls: int, sample: int, name: str) -> list[int]:
    """So many points, one in each stretch of equal length."""
    dice = results.dice(name)
    edges = [1 + calls * at // sample for at in range(sample + 1)]
    return sorted(
        {dice.randrange(low, max(high, low + 1)) for low, high in itertools.pairwise(edges)}
    )


def _seconds(taken: list[float]) -> dict[str, float]:
    if not taken:
        return {}
    return {
        "seconds_to_filed_median": round(statistics.median(taken), 1),
        "seconds_to_filed_max": round(max(taken), 1),
    }


if __name__ == "__main__":
    main()
