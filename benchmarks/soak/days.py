"""Forty days of a town of twenty: what holds in every history that was played, and how much passed.

    make soak ONLY=days [SEED=7] [ARGS="40 40"]      days, and how many of them twice

Each day has a seed of its own. Days that are played twice are so by interpreters whose sets have
different orders: the two traces must have one digest. A day that breaks a promise is named with the
command that plays it again.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import results

DAYS = 40
DAY_SECONDS_MAX = 1800


def play(seed: int, hash_seed: int) -> dict[str, Any]:
    """The report of a day, played in an interpreter of its own."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "simulator", str(seed)],
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
            cwd=results.ROOT / "tests",
            stdout=subprocess.PIPE,
            text=True,
            timeout=DAY_SECONDS_MAX,
            check=False,
        )
        report: dict[str, Any] = json.loads(done.stdout)
        return report
    except (subprocess.TimeoutExpired, ValueError) as error:
        broken = [f"the simulator itself failed: {error}"]
        return {"seed": seed, "digest": "", "broken": broken, "counts": {}}


def main() -> None:
    days, twice = [int(one) for one in sys.argv[1:]] or (DAYS, DAYS)
    seeds = [results.seed() * 1000 + day for day in range(days)]
    runs = [(seed, 1) for seed in seeds] + [(seed, 2) for seed in seeds[:twice]]
    reports: list[dict[str, Any]] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for report in pool.map(lambda run: play(*run), runs):
            reports.append(report)
            held = "broken" if report["broken"] else "held"
            print(f"{len(reports)} of {len(runs)}: seed {report['seed']} {held}", flush=True)
    firsts, seconds = reports[:days], reports[days:]
    counts: Counter[str] = Counter()
    for report in firsts:
        counts.update(report["counts"])
    differ = [
        one["seed"]
        for one, other in zip(firsts, seconds, strict=False)
        if one["digest"] != other["digest"]
    ]
    broken = {str(one["seed"]): one["broken"] for one in reports if one["broken"]}
    figure = {
        "people": 20,
        "virtual_hours_each": 24,
        "days_that_held": days - len(broken),
        "days_played_twice": twice,
        "days_that_differ_in_the_second_run": differ,
        "broken": broken,
        "seconds_until_all_was_filed_max": max(one.get("filed_seconds", 0) for one in firsts),
        "arrivals": sum(report.get("arrivals", 0) for report in firsts),
        "cpu_seconds_median": statistics.median(one.get("cpu_seconds", 0) for one in reports),
        **{name: counts[name] for name in sorted(counts)},
    }
    results.write("days", figure, days)
    for seed in broken:
        print(f"To play it again, in {results.ROOT / 'tests'}:")
        print(f"    PYTHONPATH=../service:. {sys.executable} -m simulator {seed} --trace FILE")
    if broken or differ:
        sys.exit(1)


if __name__ == "__main__":
    main()
