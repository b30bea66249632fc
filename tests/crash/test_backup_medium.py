"""A backup onto real small disks that fill up, that may only be read, and that go away in the
middle: it is told in words, and the backup of before stays whole. Takes root, for mounts."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mail_to_back_up import Mail
from postroad.base.errors import ConfigurationError

EXT4_IOC_SHUTDOWN = 0x8004587D
WITHOUT_FLUSH = 2  # EXT4_GOING_FLAGS_NOLOGFLUSH


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=30)


@pytest.fixture
def stick(tmp_path: Path) -> Iterator[Path]:
    """The root of an ext4 of 12 MiB in a file."""
    image, folder = tmp_path / "image", tmp_path / "stick"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(12 << 20)
    where = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    try:
        run(shutil.which("mkfs.ext4", path=where) or "mkfs.ext4", "-q", "-m", "0", str(image))
        run("mount", "-o", "loop", str(image), str(folder))
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"not for those who may not mount a loop device ({error})")
    yield folder
    run("umount", str(folder))


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


def test_a_disk_that_may_only_be_read_is_told_and_can_be_checked(mail: Mail, stick: Path) -> None:
    mail.add(b"one more")
    run("mount", "-o", "remount,ro", str(stick))
    with pytest.raises(ConfigurationError, match=r"cannot be written .*Read-only"):
        mail.back_up(stick)
    assert mail.check(stick)["whole"]
    assert mail.messages_in(stick) == 2
    run("mount", "-o", "remount,rw", str(stick))
    mail.back_up(stick)
    assert mail.messages_in(stick) == 3


def test_a_disk_that_dies_in_the_middle_is_told_and_has_the_backup_of_before(
    mail: Mail, stick: Path
) -> None:
    mail.add(*(os.urandom(1 << 20) for _ in range(4)))

    def unplug(done: int, total: int) -> None:
        if done > total // 2:
            handle = os.open(stick, os.O_RDONLY)
            fcntl.ioctl(handle, EXT4_IOC_SHUTDOWN, struct.pack("I", WITHOUT_FLUSH))
            os.close(handle)

    with pytest.raises(ConfigurationError, match="Was the disk unplugged"):
        mail.back_up(stick, unplug)
    run("umount", str(stick))
    run("mount", "-o", "loop", str(stick.parent / "image"), str(stick))
    assert mail.messages_in(stick) == 2
    mail.back_up(stick)
    assert mail.messages_in(stick) == 6


def test_a_disk_that_is_taken_away_in_the_middle_is_not_where_the_backup_is(
    mail: Mail, stick: Path
) -> None:
    """What is open goes on working, so only a look at the end tells."""
    mail.add(b"one more")

    def take_away(done: int, total: int) -> None:
        if done == total:
            run("umount", "--lazy", str(stick))

    with pytest.raises(ConfigurationError, match="has gone"):
        mail.back_up(stick, take_away)
    run("mount", "-o", "loop", str(stick.parent / "image"), str(stick))
    assert mail.messages_in(stick) in (2, 3)
