"""Months of a town where no machine is always on: who gets their letters in the first session?

    make soak ONLY=months [SEED=7] [ARGS="20 30 mixed pessimistic"]     people, days, habits

For each file of tests/simulator/habits that is named, one month: real nodes on virtual time, after
a week in which they settle. A letter counts as in time when it was filed before the end of the
first session of at least 10 minutes that contains its sending or begins after it. One person is
away for 21 days of the month, and gets 50 letters in them, one from somebody who accepts an
invitation of theirs meanwhile. A month that breaks a promise is named with the command that plays
it again. The months of several habits are played side by side.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import results

MONTH_SECONDS_MAX = 4 * 3600
TARGET_PERCENT = 99.5
LATE_TOLD_MAX = 40


def play(habits: str, people: int, days: int) -> dict[str, Any]:
    """The report of a month, played in an interpreter of its own."""
    words = ["month", str(results.seed()), "--habits", habits]
    words += ["--people", str(people), "--days", str(days)]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "simulator", *words],
            env={**os.environ, "PYTHONHASHSEED": "1"},
            cwd=results.ROOT / "tests",
            stdout=subprocess.PIPE,
            text=True,
            timeout=MONTH_SECONDS_MAX,
            check=False,
        )
        report: dict[str, Any] = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:
        return {"broken": [f"the simulator itself failed: {error}"], "words": words}
    return {**report, "words": words}


def told(report: dict[str, Any], people: int, days: int) -> dict[str, Any]:
    """What of a report is worth keeping."""
    if not report.get("letters"):
        return {"broken": report["broken"]}
    late = report["late"]
    whys = Counter(_kind(one["why"]) for one in late)
    return {
        "people": people,
        "days": days,
        "hours_on_a_day": report["hours_on_a_day"],
        "letters": report["letters"],
        "percent_in_first_session": percent(report),
        "could_be_in_time": report["could_be"],
        "letters_while_settling": report["while_settling"],
        "worst_person": report["worst"],
        "late_by_reason": dict(whys.most_common()),
        "late": late[:LATE_TOLD_MAX],
        "traveller": report["traveller"],
        "notices": report["notices"],
        "expired_for_the_living": report["expired_for_the_living"],
        "broken": report["broken"],
        "virtual_days": report["virtual_days"],
        "arrivals": report["arrivals"],
        "cpu_seconds": report["cpu_seconds"],
        "cpu_seconds_a_virtual_day": round(report["cpu_seconds"] / report["virtual_days"], 1),
        "digest": report["digest"],
    }


def percent(report: dict[str, Any]) -> float:
    return round(100 * float(report["in_first_session"]) / float(report["letters"]), 3)


def _kind(why: str) -> str:
    """The reason without names and minutes."""
    for kind in ("on together", "was on with the recipient", "did not bring it"):
        if kind in why:
            return f"our fault: {kind}"
    return why


def main() -> None:
    people, days = [int(one) for one in sys.argv[1:3]] or (20, 30)
    habits = sys.argv[3:] or ["mixed", "pessimistic"]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        reports = list(pool.map(lambda name: play(name, people, days), habits))
    figures = dict(zip(habits, (told(report, people, days) for report in reports), strict=True))
    results.write("months", figures, sum(report.get("letters", 0) for report in reports))
    failed = False
    for name, report in zip(habits, reports, strict=True):
        if report["broken"]:
            failed = True
            print(f"{name}: {report['broken']}")
        elif percent(report) < TARGET_PERCENT:
            failed = True
            print(f"{name}: {percent(report)} % in the first session, and not {TARGET_PERCENT} %")
        away = report.get("traveller") or {}
        if away.get("letters") != away.get("filed"):
            failed = True
            print(f"{name}: who was away did not get all: {away}")
        if report.get("notices", {}).get("refused") or report.get("expired_for_the_living"):
            failed = True
            expired = report["expired_for_the_living"]
            print(f"{name}: senders were told of failures: {report['notices']}, {expired}")
        if failed:
            print(f"To play it again, in {results.ROOT / 'tests'}:")
            print(f"    PYTHONPATH=../service:. {sys.executable} -m simulator", *report["words"])
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
