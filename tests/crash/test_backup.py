"""A backup and a restoration are killed at their n-th sync, rename and write: what was whole stays
whole, and the same command goes on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from crash import points
from crash.points import Fault
from mail_to_back_up import add
from person import Person, surroundings
from postroad.app import config as configuration
from postroad.app.backing_up import Opener, back_up, check
from postroad.base.ids import Instant
from postroad.machine.disk import FolderDisk
from postroad.sealing import backup
from postroad.sealing.keys import identity_from_words
from postroad.store import keyring

pytestmark = pytest.mark.skipif(
    not points.can_inject(), reason="needs Debian packages: strace (and leave to trace)"
)
SLOT = 52
POINTS_MAX = 60


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person("anna", tmp_path, SLOT)


def begin(person: Person) -> tuple[str, Opener]:
    """Set up, with a letter in a row and one in a file."""
    words = person.postroad("setup", "--name", "anna")["words"]
    add(person.folder / "data", b"small", b"l" * 100_000)
    identity = identity_from_words(words)
    disk = FolderDisk(person.folder / "data")
    kept = keyring.for_backup(keyring.load(disk))
    disk.close()
    return words, Opener(backup.mark(identity), backup.mail_key(identity), kept, running=False)


def killed(fault: Fault, n: int, told: Path, command: Sequence[str], stdin: str = "") -> bool:
    """Run it, killed at its n-th call of this kind; whether it came so far."""
    done = subprocess.run(
        [*fault.under(n, told), *command],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=surroundings(),
    )
    assert done.returncode <= 0, done
    return done.returncode < 0


@pytest.mark.parametrize(
    "fault", [points.KILLED_AT_SYNC, points.KILLED_AT_NAME], ids=lambda fault: fault.name
)
def test_a_killed_backup_leaves_the_one_of_before_and_goes_on(
    person: Person, tmp_path: Path, fault: Fault
) -> None:
    _, using = begin(person)
    config = configuration.load(person.config)
    folder = tmp_path / "stick"
    back_up(config, folder, using, Instant(1_000.0))
    counts = set()
    for n in range(1, POINTS_MAX):
        add(person.folder / "data", b"number %d" % n, b"%d" % n * 80_000)
        came = killed(
            fault, n, tmp_path / "told", [*person.command, "backup", "to", str(folder), "--json"]
        )
        found = check(folder, using.sealer, using.mark)
        assert found["database_is_whole"], n
        assert found["damaged_files"] == [], n
        counts.add(found["messages"] - 2 * n)
        if not came:
            break
        assert back_up(config, folder, using, Instant(1_000.0))["messages"] == 2 + 2 * n
        assert check(folder, using.sealer, using.mark)["whole"], n
    else:
        pytest.fail("the faults do not end")
    assert n > 3
    assert counts == {0, 2}, "the one of before and the new one were both seen"


@pytest.mark.parametrize(
    "fault", [points.KILLED_AT_SYNC, points.KILLED_AT_NAME], ids=lambda fault: fault.name
)
def test_a_killed_restoration_goes_on_and_nobody_is_set_up_before(
    person: Person, tmp_path: Path, fault: Fault
) -> None:
    words, using = begin(person)
    folder = tmp_path / "stick"
    back_up(configuration.load(person.config), folder, using, Instant(1_000.0))
    for n in range(1, POINTS_MAX):
        other = Person(f"other{n}", tmp_path, SLOT + 1)
        restore = [*other.command, "setup", "--restore", str(folder), "--json"]
        came = killed(fault, n, tmp_path / "told", restore, words)
        data = other.folder / "data"
        if came and not (data / "keys").exists():
            done = subprocess.run(
                restore, input=words, capture_output=True, text=True, timeout=90, check=False,
                env=surroundings(),
            )  # fmt: skip
            assert done.returncode == 0, done
            assert json.loads(done.stdout)["missing"] == []
        found = other.postroad("store", "check")
        assert found["whole"], found
        assert found["read_bytes"] == 100_005
        if not came:
            break
    else:
        pytest.fail("the faults do not end")
    assert n > 3
