"""What the journals of any booted system say of Postroad that they should not."""

from __future__ import annotations

import json
import re

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


def tracebacks(system: Booted) -> list[str]:
    return [line for line in system.journal().splitlines() if "Traceback" in line]


def warnings_of_ours(system: Booted, expected: re.Pattern[str] = NOTHING) -> list[str]:
    """What our units and systemd said of them, as a warning or worse, but for what was expected."""
    entries = map(json.loads, system.journal("--output=json").splitlines())
    ours = [
        entry
        for entry in entries
        if "postroad" in str(entry.get("UNIT", entry.get("USER_UNIT", "")))
        or "postroad" in str(entry.get("_SYSTEMD_USER_UNIT", ""))
    ]
    assert len(ours) > ENTRIES_MIN
    said = [str(one["MESSAGE"]) for one in ours if int(one.get("PRIORITY", 6)) <= WARNING]
    said += [
        str(one["MESSAGE"])
        for one in ours
        if re.search(r"\b(WARNING|ERROR)\b", str(one["MESSAGE"]))
    ]
    return [one for one in said if not ALWAYS.search(one) and not expected.search(one)]
