"""A restoration is killed at every so many writes, and typed again, it goes on to the end."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from crash import points
from crash.points import Fault
from crash.test_backup import begin, killed
from person import Person, surroundings
from postroad.app import config as configuration
from postroad.app.backing_up import back_up
from postroad.app.setting_up import RESTORING
from postroad.base.ids import Instant

pytestmark = pytest.mark.skipif(
    not points.can_inject(), reason="needs Debian packages: strace (and leave to trace)"
)
SLOT = 56
# All of them, when it says so: RESTORE_POINTS=1000.
POINTS_MAX = int(os.environ.get("RESTORE_POINTS", "8"))


@pytest.mark.parametrize(
    "fault",
    [points.KILLED_AT_WRITE, points.KILLED_AT_PAGE, points.KILLED_AT_SYNC, points.KILLED_AT_NAME],
    ids=lambda fault: fault.name,
)
def test_whenever_it_is_killed_the_same_command_goes_on_to_the_end(
    tmp_path: Path, fault: Fault
) -> None:
    anna = Person("anna", tmp_path, SLOT)
    words, using = begin(anna)
    backup = tmp_path / "stick"
    back_up(configuration.load(anna.config), backup, using, Instant(1_000.0))
    told = tmp_path / "told"

    def restoring(name: str) -> tuple[Person, list[str]]:
        other = Person(name, tmp_path, SLOT + 1)
        return other, [*other.command, "setup", "--restore", str(backup), "--json"]

    other, command = restoring("counted")
    assert not killed(fault, points.NEVER, told, command, words)
    calls = sum(line.count("(") > 0 for line in told.read_text().splitlines())
    assert calls > 5
    before_keys = 0
    for n in range(1, calls + 1, max(1, calls // POINTS_MAX)):
        other, command = restoring(f"other{n}")
        came = killed(fault, n, told, command, words)
        data = other.folder / "data"
        if came and not (data / "keys").exists():
            before_keys += 1
            # Killed again on its way on, somewhere near.
            killed(fault, n + 2, told, command, words)
        if not (data / "keys").exists():
            done = subprocess.run(
                command, input=words, capture_output=True, text=True, timeout=90, check=False,
                env=surroundings(),
            )  # fmt: skip
            assert done.returncode == 0, (n, done)
            assert json.loads(done.stdout)["missing"] == [], n
            assert RESTORING not in os.listdir(data)
        found = other.postroad("store", "check")
        assert (found["whole"], found["read_bytes"]) == (True, 100_005), (n, found)
    assert before_keys > 1
    # And the node of the last one starts, and ends what was left of it.
    other.imap_port = configuration.load(other.config).imap_port
    try:
        other.begin_start()
        other.end_start()
    finally:
        other.stop()
    assert not {name for name in os.listdir(other.folder / "data") if RESTORING in name}
