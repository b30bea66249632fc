"""A backup onto real small disks that fill up, that may only be read, and that go away in the
middle: it is told in words, and the backup of before stays whole. Takes root, for mounts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from crash.disks import Disk, small_disk
from mail_to_back_up import Mail
from postroad.base.errors import ConfigurationError


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path, 12, "-m", "0") as made:
        yield made


@pytest.fixture
def stick(disk: Disk) -> Path:
    """The root of that disk."""
    return disk.folder


@pytest.fixture
def mail(tmp_path: Path, stick: Path) -> Mail:
    made = Mail(tmp_path / "data")
    made.add(b"small", b"l" * 100_000)
    made.back_up(stick)
    return made


def test_a_full_disk_is_told_and_after_room_was_made_it_goes_on(mail: Mail, stick: Path) -> None:
    films = stick / "films"
    films.write_bytes(bytes(7 << 20))
    mail.add(*(os.urandom(1 << 20) for _ in range(5)))
    with pytest.raises(ConfigurationError, match="There is no room left in"):
        mail.back_up(stick)
    assert mail.messages_in(stick) == 2
    assert mail.check(stick)["whole"]
    films.unlink()
    assert mail.back_up(stick)["missing"] == []
    assert mail.messages_in(stick) == 7


def test_a_disk_that_may_only_be_read_is_told_and_can_be_checked(
    mail: Mail, disk: Disk, stick: Path
) -> None:
    mail.add(b"one more")
    disk.remount("ro")
    with pytest.raises(ConfigurationError, match=r"cannot be written .*Read-only"):
        mail.back_up(stick)
    assert mail.check(stick)["whole"]
    assert mail.messages_in(stick) == 2
    disk.remount("rw")
    mail.back_up(stick)
    assert mail.messages_in(stick) == 3


def test_a_disk_that_dies_in_the_middle_is_told_and_has_the_backup_of_before(
    mail: Mail, disk: Disk, stick: Path
) -> None:
    mail.add(*(os.urandom(1 << 20) for _ in range(4)))

    def unplug(done: int, total: int) -> None:
        if done > total // 2:
            disk.switch_off()

    with pytest.raises(ConfigurationError, match="Was the disk unplugged"):
        mail.back_up(stick, unplug)
    disk.switch_on()
    assert mail.messages_in(stick) == 2
    mail.back_up(stick)
    assert mail.messages_in(stick) == 6


def test_a_disk_that_is_taken_away_in_the_middle_is_not_where_the_backup_is(
    mail: Mail, disk: Disk, stick: Path
) -> None:
    """What is open goes on working, so only a look at the end tells."""
    mail.add(b"one more")

    def take_away(done: int, total: int) -> None:
        if done == total:
            disk.unmount("--lazy")

    with pytest.raises(ConfigurationError, match="has gone"):
        mail.back_up(stick, take_away)
    disk.mount()
    assert mail.messages_in(stick) in (2, 3)
