"""A disk of its own whose power can be cut: what was not flushed is gone then, as it is not after a
kill -9. It takes root and a loop device.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from crash import harness
from person import Person

EXT4_IOC_SHUTDOWN = 0x8004587D
WITHOUT_FLUSH = 2  # EXT4_GOING_FLAGS_NOLOGFLUSH: not even the journal


class Disk:
    """A small ext4 in a file, whose power can be cut."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "mnt"
        self._image = folder / "image"
        self.folder.mkdir()

    def make(self, mebibytes: int, *options: str) -> None:
        """`options`: of mkfs.ext4."""
        with self._image.open("wb") as file:
            file.truncate(mebibytes << 20)
        where = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
        run(shutil.which("mkfs.ext4", path=where) or "mkfs.ext4", "-q", *options, str(self._image))
        self.mount()

    def mount(self) -> None:
        run("mount", "-o", "loop", str(self._image), str(self.folder))

    def remount(self, how: str) -> None:
        run("mount", "-o", f"remount,{how}", str(self.folder))

    def unmount(self, *options: str) -> None:
        run("umount", *options, str(self.folder))

    def switch_off(self) -> None:
        """Nothing reaches the disk from now on."""
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, EXT4_IOC_SHUTDOWN, struct.pack("I", WITHOUT_FLUSH))
        finally:
            os.close(handle)

    def switch_on(self) -> None:
        """It is there again with what had reached it. Nobody may have a file of it open.

        Whoever entered a mount namespace of their own meanwhile still has it mounted, so the same
        image would be found as the file system that is shut down: its octets get another file."""
        self.unmount()
        before = self._image.rename(self._image.with_name("switched off"))
        run("cp", "--sparse=always", str(before), str(self._image))
        before.unlink()
        self.mount()

    def cut(self, *people: Person) -> None:
        """The power goes off, and comes back."""
        self.switch_off()
        harness.kill(*people)
        self.switch_on()


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=30)


@contextlib.contextmanager
def small_disk(folder: Path, mebibytes: int, *options: str) -> Iterator[Disk]:
    made = Disk(folder)
    try:
        made.make(mebibytes, *options)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"not for those who may not mount a loop device ({error})")
    try:
        yield made
    finally:
        made.unmount()
