"""A disk of its own whose power can be cut: what was not flushed is gone then, as it is not after a
kill -9. It takes root and a loop device.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
from pathlib import Path

from crash import harness
from person import Person

EXT4_IOC_SHUTDOWN = 0x8004587D
WITHOUT_FLUSH = 2  # EXT4_GOING_FLAGS_NOLOGFLUSH: not even the journal
MEBIBYTES = 256


class Disk:
    """A small ext4 in a file, whose power can be cut."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "mnt"
        self._image = folder / "image"
        self.folder.mkdir()

    def make(self) -> None:
        with self._image.open("wb") as file:
            file.truncate(MEBIBYTES << 20)
        where = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
        run(shutil.which("mkfs.ext4", path=where) or "mkfs.ext4", "-q", str(self._image))
        self.mount()

    def mount(self) -> None:
        run("mount", "-o", "loop", str(self._image), str(self.folder))

    def unmount(self) -> None:
        run("umount", str(self.folder))

    def cut(self, *people: Person) -> None:
        """Nothing reaches the disk from now on; then everything is switched on again."""
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, EXT4_IOC_SHUTDOWN, struct.pack("I", WITHOUT_FLUSH))
        finally:
            os.close(handle)
        harness.kill(*people)
        self.unmount()
        self.mount()


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=30)
