"""What the journals of any booted system say of Postroad that they should not."""

from __future__ import annotations

import json
import re
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from booted import Booted

WARNING = 4
ENTRIES_MIN = 20  # of a system in which people have lived, else it was not looked at
NOTHING = re.compile(r"(?!)")
# Debian 12's systemd does not know how to wait longer each time, and then does not. That of Debian
# 14 misses the controllers of cgroups, which a system that is booted here has not.
ALWAYS = re.compile(
    r"Unknown key '(RestartSteps|RestartMaxDelaySec)'"
    r"|Failed to read pids\.max for control group .*, ignoring: No data available"
)


@dataclass(frozen=True, slots=True)
class Chapter:
    """What one test file does on purpose, from a time on (seconds since 1970) until the next one
    begins. `expected`: what our units and systemd then say of it."""

    name: str
    begins_at: float
    expected: re.Pattern[str] = NOTHING


def tracebacks(system: Booted) -> list[str]:
    return [line for line in system.journal().splitlines() if "Traceback" in line]


def warnings_of_ours(
    system: Booted, chapters: Sequence[Chapter] = (Chapter("", 0.0),)
) -> list[tuple[str, str]]:
    """What our units and systemd said of them, as a warning or worse, but for what was expected
    just then, with the name of the chapter."""
    entries = map(json.loads, system.journal("--output=json").splitlines())
    ours = [
        entry
        for entry in entries
        if "postroad" in str(entry.get("UNIT", entry.get("USER_UNIT", "")))
        or "postroad" in str(entry.get("_SYSTEMD_USER_UNIT", ""))
    ]
    assert len(ours) > ENTRIES_MIN
    begins = [one.begins_at for one in chapters]
    found = []
    for entry in ours:
        said = str(entry["MESSAGE"])
        is_grave = int(entry.get("PRIORITY", 6)) <= WARNING
        if not (is_grave or re.search(r"\b(WARNING|ERROR)\b", said)) or ALWAYS.search(said):
            continue
        at = bisect(begins, int(entry["__REALTIME_TIMESTAMP"]) / 1_000_000)
        chapter = chapters[max(at - 1, 0)]
        if not chapter.expected.search(said):
            found.append((chapter.name, said))
    return found
