#!/usr/bin/env python3
"""Run tests/system in every suite, side by side, and tests/together in all of them at once:
`make test-system`.

Purpose: build the package, boot the systems, tell what could not be run. Invariants: where systems
cannot be booted, through no fault of ours, nothing fails; a failed test does; and all of it has an
end. Standard library only.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import booted
import deb
import lab
import roots
from environment import CACHE, Stopped, environment, say

ROOT = Path(__file__).resolve().parent.parent
SECONDS_MAX = 1200
TOGETHER = "together"  # not a suite: one system of each, which write to one another
UBUNTU = "apparmor"  # neither: its own kernel, see emulated.py
FOLDERS = {TOGETHER: "tests/together", UBUNTU: "tests/apparmor"}
NOTHING_CHOSEN = 5  # pytest's status where ARGS leave no test
JOURNALS = CACHE / "journals"


@dataclass(frozen=True, slots=True)
class Told:
    """What the tests of one folder came to. `name`: of a suite, TOGETHER or UBUNTU."""

    name: str
    status: int
    text: str
    seconds: float

    def count(self, word: str) -> int:
        """Of pytest's closing line, like `31 passed, 2 failed in 70.1s`."""
        closing = self.text.strip().splitlines()[-1:] or [""]
        found = re.search(rf"(\d+) {word}", closing[0])
        return int(found[1]) if found else 0


def run(suites: list[str], arguments: list[str]) -> int:
    if why := booted.lacking():
        return not_run(suites, why)
    if packages := deb.lacking():
        return not_run(suites, f"building it needs: sudo apt-get install -y {' '.join(packages)}")
    # Half of the work of building is the tray's.
    package = deb.build(with_tray=not arguments or any("tray" in each for each in arguments))
    needed = list(roots.SUITES) if TOGETHER in suites else suites
    with ThreadPoolExecutor(len(needed)) as pool:
        ready = dict(zip(needed, pool.map(made, needed), strict=True))
    if TOGETHER in suites:
        ready[TOGETHER] = lab.lacking() or next(filter(None, ready.values()), "")
    ready = {suite: ready[suite] for suite in suites}
    for suite, reason in ready.items():
        if reason:
            say(f"{suite}: not run: {reason}")
    able = [suite for suite, reason in ready.items() if not reason]
    if not able:
        return not_run(suites, "no system could be made.")
    begun = time.monotonic()
    with ThreadPoolExecutor(len(able)) as pool:
        told = list(pool.map(lambda suite: tried(suite, package, arguments), able))
    for each in told:
        say(f"\n== {each.name}, {each.seconds:.0f} s\n{each.text.rstrip()}")
    reds = {each.status for each in told} - {0}
    if reds == {NOTHING_CHOSEN} and any(each.count("passed") for each in told):
        reds = set()  # ARGS chose tests of the others
    missing = f" (not run: {', '.join(set(suites) - set(able))})" if len(able) < len(suites) else ""
    say(f"\nSystems: {', '.join(able)}{missing}; {time.monotonic() - begun:.0f} s.")
    if reds:
        say(f"Their journals are in {JOURNALS}")
    say(closing(told))
    return int(bool(reds))


def closing(told: Sequence[Told]) -> str:
    """What all of it came to; what could not be run is no failure, and is told."""
    passed, failed, error, skipped = (
        sum(each.count(word) for each in told) for word in ("passed", "failed", "error", "skipped")
    )
    left_out = f", {skipped} could not run here: see SKIPPED" if skipped else ""
    return f"{passed} passed, {failed + error} failed{left_out}"


def not_run(suites: list[str], why: str) -> int:
    """Nothing failed, and nothing was shown, which is said."""
    say(f"Tests in booted systems: 0 suites run, {len(suites)} not run: {why}")
    return 0


def made(suite: str) -> str:
    """Why this suite's system cannot be had; empty: it is there."""
    try:
        roots.root(suite)
    except roots.Unavailable as why:
        return str(why)
    return ""


def tried(name: str, package: Path, arguments: list[str]) -> Told:
    """Run the tests of a suite, or what FOLDERS has by this name."""
    rooms = [str(ROOT / name) for name in ("service", "tray", "tests", "tools")]
    ours = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(rooms),
        "POSTROAD_SUITE": "" if name in FOLDERS else name,
        "POSTROAD_TOGETHER": "yes" if name == TOGETHER else "",
        "POSTROAD_PACKAGE": str(package),
        "POSTROAD_JOURNALS": str(JOURNALS / name),
    }
    tests_of = FOLDERS.get(name, "tests/system")
    command = [str(environment("dev")), "-m", "pytest", tests_of, "--tb=short"]
    command += ["-p", "no:cacheprovider"]
    begun = time.monotonic()
    with subprocess.Popen(
        [*command, *arguments],
        cwd=ROOT,
        env=ours,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as tests:
        try:
            text, _ = tests.communicate(timeout=SECONDS_MAX)
        except subprocess.TimeoutExpired:
            tests.terminate()  # with it goes all that it booted
            text, _ = tests.communicate()
            text += f"\nNot done in {SECONDS_MAX} s.\n1 failed"
        except KeyboardInterrupt:
            tests.wait()  # it heard it, too, and tidies up
            raise
    return Told(name, tests.returncode, text, time.monotonic() - begun)


def main() -> int:
    only, all_of_them = os.environ.get("ONLY", ""), [*roots.SUITES, TOGETHER]
    if only and only not in (known := [*all_of_them, *roots.COMING]):
        say(f"There is no suite {only!r}; there is {', '.join(known)}.")
        return 2
    suites = [only] if only else all_of_them
    try:
        return run(suites, shlex.split(os.environ.get("ARGS", "")))
    except Stopped as stopped:
        say(f"\n{stopped}")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
