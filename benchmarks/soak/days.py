"""Forty days of a town of twenty: what holds in every history that was played, and how much passed.

usage: make soak ONLY=days SEED=1 ARGS="days, by default 40"

Each day has a seed of its own, and is played twice, by interpreters whose sets have different
orders: the two traces must have one digest. A day that breaks a promise is named with the command
that plays it again.
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
    done = subprocess.run(
        [sys.executable, "-m", "simulator", str(seed)],
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        cwd=results.ROOT / "tests",
        stdout=subprocess.PIPE,
        text=True,
        timeout=DAY_SECONDS_MAX,
        check=False,
    )
    if not done.stdout:
        return {"seed": seed, "digest": "", "broken": ["the simulator itself failed"], "counts": {}}
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def main() -> None:
    days = int(sys.argv[1]) if sys.argv[1:] else DAYS
    seeds = [results.seed() * 1000 + day for day in range(days)]
    runs = [(seed, hash_seed) for seed in seeds for hash_seed in (1, 2)]
    reports: list[dict[str, Any]] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for report in pool.map(lambda run: play(*run), runs):
            reports.append(report)
            held = "broken" if report["broken"] else "held"
            print(f"{len(reports)} of {len(runs)}: seed {report['seed']} {held}", flush=True)
    firsts, seconds = reports[::2], reports[1::2]
    counts: Counter[str] = Counter()
    for report in firsts:
        counts.update(report["counts"])
    waits = [report["counts"].get("seconds until all was filed", 0) for report in firsts]
    differ = [
        one["seed"]
        for one, other in zip(firsts, seconds, strict=True)
        if one["digest"] != other["digest"]
    ]
    broken = {str(one["seed"]): one["broken"] for one in firsts if one["broken"]}
    del counts["seconds until all was filed"], counts["minutes until all was told"]
    figure = {
        "people": 20,
        "virtual_hours_each": 24,
        "days_that_held": days - len(broken),
        "days_that_differ_in_the_second_run": differ,
        "broken": broken,
        "seconds_until_all_was_filed_max": max(waits),
        "arrivals": sum(report.get("arrivals", 0) for report in firsts),
        "cpu_seconds_median": statistics.median(one.get("cpu_seconds", 0) for one in reports),
        **{name: counts[name] for name in sorted(counts)},
    }
    results.write("days", figure, days)
    for seed in broken:
        print(f"To play it again: cd tests && python -m simulator {seed} --trace /tmp/{seed}.trace")
    if broken or differ:
        sys.exit(1)


if __name__ == "__main__":
    main()
