"""Files of the owner's that are there whole or as they were before: drafted, synced, then named.

Purpose: the one way in which `app` writes what has to outlive a power cut, and opens what somebody
else may have put there.
Invariants: a file gets its name when all of it is durable, and is kept when the name is, too; no
link is followed and nothing but a plain file is opened, so whoever can write to a folder can
neither send us elsewhere nor have us wait.
"""

import errno
import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

_DRAFT = re.compile(r"\.(.+)\.\d+\.part", re.ASCII | re.DOTALL)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_IS_NO_FILE = (errno.ELOOP, errno.ENXIO)  # of a link; of a socket, or a pipe nobody reads
_NO_SUCH_THING = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)  # to sync a folder, on some systems


class NoPlainFile(OSError):
    """A link, a folder, a pipe, a device: whatever it is, none of ours."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EINVAL, "it is no plain file", str(path))


class OpenFolder:
    """A folder that is open: its names are looked up in it, wherever its path leads meanwhile.

    `handle`: of the folder where it is open already. OSError, as of everything here."""

    def __init__(self, path: Path, handle: int | None = None) -> None:
        self.path = path
        self._handle = os.open(path, _FOLDER) if handle is None else handle

    def __enter__(self) -> "OpenFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        os.close(self._handle)

    def folder(self, name: str) -> "OpenFolder":
        """One in it, made where there is none; never a link."""
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=self._handle)
        handle = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=self._handle)
        return OpenFolder(self.path / name, handle)

    def names(self) -> list[str]:
        return sorted(os.listdir(self._handle))

    def open(self, name: str, flags: int) -> int:
        """A handle of a plain file in it."""
        return open_plain(self.path / name, flags, lambda more: self._open(name, more))

    def _open(self, name: str, flags: int) -> int:
        return os.open(name, flags, 0o600, dir_fd=self._handle)

    def draft(self, name: str, mode: int = 0o600) -> "Draft":
        return Draft(self, name, mode)

    def write(self, name: str, octets: bytes, mode: int = 0o600) -> None:
        """Whole and durable under this name, or as it was before."""
        with self.draft(name, mode) as draft:
            draft.write(octets)
            draft.keep()

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._handle)

    def size(self, name: str) -> int:
        return os.stat(name, dir_fd=self._handle, follow_symlinks=False).st_size

    def sync(self) -> None:
        """The names in it are durable."""
        try:
            os.fsync(self._handle)
        except OSError as error:
            if error.errno not in _NO_SUCH_THING:
                raise

    def expect_at_its_path(self) -> None:
        """FileNotFoundError where the path leads elsewhere by now: what it was on has gone."""
        if os.stat(self.path).st_dev != os.fstat(self._handle).st_dev:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path))


class Draft:
    """A file that has not got its name yet; gone again unless it was kept."""

    def __init__(self, folder: OpenFolder, name: str, mode: int) -> None:
        self._folder = folder
        self._name = name
        self._draft = f".{name}.{os.getpid()}.part"
        self.path = folder.path / self._draft
        folder.remove(self._draft)  # of a killed process that had our number
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._handle = os.open(self._draft, flags, mode, dir_fd=folder._handle)
        self._is_kept = False

    def __enter__(self) -> "Draft":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        os.close(self._handle)
        if not self._is_kept:
            with suppress(OSError):  # what failed before is what there is to tell
                self._folder.remove(self._draft)

    def write(self, octets: bytes) -> None:
        left = memoryview(octets)
        while left:
            left = left[os.write(self._handle, left) :]

    def keep(self, *, over: bool = True) -> None:
        """Durable under its name when this returns; not `over` what has that name already."""
        os.fsync(self._handle)
        inside = {"src_dir_fd": self._folder._handle, "dst_dir_fd": self._folder._handle}
        if over:
            os.rename(self._draft, self._name, **inside)
        else:
            os.link(self._draft, self._name, **inside, follow_symlinks=False)
            self._folder.remove(self._draft)
        self._is_kept = True
        self._folder.sync()


def write(
    path: Path, octets: bytes, mode: int = 0o600, check: Callable[[Path], None] = lambda _: None
) -> None:
    """Whole and durable under this name, or as it was before. `check` looks at the draft, and
    raises if it shall not be kept."""
    with OpenFolder(path.parent) as folder, folder.draft(path.name, mode) as draft:
        draft.write(octets)
        check(draft.path)
        draft.keep()


def sync(path: Path) -> None:
    """The names in this folder are durable."""
    with OpenFolder(path) as folder:
        folder.sync()


def read_plain(path: Path) -> BinaryIO:
    """A plain file, open to be read."""
    return os.fdopen(open_plain(path, os.O_RDONLY, lambda flags: os.open(path, flags)), "rb")


def open_plain(path: Path, flags: int, opening: Callable[[int], int]) -> int:
    """What `opening` opens with these flags; NoPlainFile where that is something else."""
    try:
        # Without a wait for whoever should write into a pipe.
        handle = opening(flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _IS_NO_FILE:
            raise NoPlainFile(path) from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise NoPlainFile(path)
    return handle


def drafted_name(name: str) -> str | None:
    """The name that this draft would have got; None for what is no draft."""
    found = _DRAFT.fullmatch(name)
    return None if found is None else found[1]
