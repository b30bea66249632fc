"""A node is upgraded to the next release, and the change of its store is cut off half-way.

That release is another program (tests/next_release.py), whose migration rewrites every row.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import next_release
import person
from crash import oracle
from crash.disks import Disk
from person import Person, meet, until
from system.inside import store

SLOT = 100
SERVICE = person.ROOT / "service" / "postroad"
ROWS = 300_000
BEGUN_BYTES = 2_000_000  # of what SQLite writes down in the midst of a change
SUBJECTS = ["one of before", "another one of before"]


class Upgraded(Person):
    """Somebody whose node is that of the next release once `sources` names them."""

    sources: Path | None = None

    @property
    def command(self) -> list[str]:
        if self.sources is None:
            return super().command
        named = ["env", f"PYTHONPATH={self.sources}", sys.executable, "-m", "postroad"]
        return [*named, "--config", str(self.config)]

    def write(self, to: Person, subject: str) -> None:
        head = f"From: {self.address}\r\nTo: {to.address}\r\nSubject: {subject}\r\n"
        self.submit(to.address, f"{head}\r\nThis is {subject}.\r\n".encode())

    def wait_for(self, subject: str) -> None:
        until(lambda: self.find(subject) is not None, f"{subject} reaches {self.name}")

    @property
    def store(self) -> str:
        return f"{self.folder}/data/{store.FILE}"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The modules of the next release."""
    return next_release.changed_service(SERVICE, tmp_path_factory.mktemp("next"))


def with_letters_of_years(folder: Path) -> Upgraded:
    """Somebody with mail, whose node of this release was stopped."""
    anna = Upgraded("anna", folder, SLOT)
    anna.set_up()
    anna.start()
    try:
        for subject in SUBJECTS:
            anna.write(anna, subject)
            anna.wait_for(subject)
    finally:
        anna.stop()
    grown = store.grow({"store": anna.store, "rows": ROWS})
    assert grown == {
        "format": 1, "rows": ROWS, "whole": True, "begun": False, "rewritten": 0, "counted": 0
    }  # fmt: skip
    return anna


def begin_migration(anna: Upgraded, sources: Path, size: int) -> None:
    """Start the next release, and return in the midst of its change of the store."""
    anna.sources = sources
    anna.begin_start()
    store.until_log_holds(anna.store, size)


def expect_untouched(anna: Upgraded) -> None:
    """The store is what this release has left there."""
    found = store.look({"store": anna.store})
    assert found["whole"]
    assert (found["format"], found["begun"], found["rows"]) == (1, False, ROWS)


def expect_whole(anna: Upgraded) -> None:
    anna.start()
    found = store.look({"store": anna.store})
    assert found["whole"]
    assert found["format"] == next_release.FORMAT
    assert found["rows"] == found["rewritten"] == found["counted"] == ROWS
    assert all(anna.find(subject) for subject in SUBJECTS)
    assert anna.postroad("version")["postroad"] == next_release.VERSION


def test_a_migration_that_is_killed_again_and_again_starts_again_whole(
    tmp_path: Path, sources: Path, quiet_network: None
) -> None:
    anna = with_letters_of_years(tmp_path)
    try:
        for size in (1, 2, 4):
            begin_migration(anna, sources, size * BEGUN_BYTES)
            anna.kill()
        expect_untouched(anna)
        expect_whole(anna)
        anna.stop()
        assert oracle.faults_in_store(anna) == []
    finally:
        anna.kill()


def test_a_power_cut_in_a_migration_leaves_the_store_as_it_was_and_then_it_starts_again_whole(
    disk: Disk, sources: Path, quiet_network: None
) -> None:
    anna = with_letters_of_years(disk.folder)
    try:
        begin_migration(anna, sources, 2 * BEGUN_BYTES)
        disk.cut(anna)
        expect_untouched(anna)
        expect_whole(anna)
    finally:
        anna.kill()


def test_whoever_goes_back_is_told_and_nothing_is_touched(
    tmp_path: Path, sources: Path, quiet_network: None
) -> None:
    anna = with_letters_of_years(tmp_path)
    try:
        anna.sources = sources
        anna.start()
        anna.stop()
        anna.sources = None
        refused = anna.type("run")
        assert refused.returncode == 1
        assert "newer Postroad (format 2, this one knows 1)" in refused.stdout + refused.stderr
        assert "Traceback" not in refused.stdout + refused.stderr
        anna.sources = sources
        expect_whole(anna)
    finally:
        anna.kill()


def test_two_releases_write_to_one_another(
    tmp_path: Path, sources: Path, quiet_network: None
) -> None:
    """Promise M14."""
    people = [Upgraded(name, tmp_path, SLOT + at) for at, name in enumerate(("anna", "bora"))]
    anna, bora = people
    try:
        for one in people:
            one.set_up()
        anna.sources = sources
        for one in people:
            one.start()
        meet(anna, bora)
        for number, (writer, reader) in enumerate(((anna, bora), (bora, anna))):
            subject = f"from release to release {number}"
            writer.write(reader, subject)
            reader.wait_for(subject)
    finally:
        for one in people:
            one.kill()
