"""Files of the owner's that the node reads or writes: opened here, for the node may not see them.

Purpose: the command line's end of what `doors.control` says about files.
Invariants: a file that is written is there whole, durable and under its name, or not at all; one
that is there already is not written over.
"""

import json
import socket
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from postroad.app.durable import OpenFolder
from postroad.base import limits
from postroad.base.errors import ConfigurationError, PostroadError

SECONDS_MAX = 600.0  # until the node's next word: it may have many letters to seal first


class WrittenFile:
    """A new file, open for the node to fill; gone again unless it was kept."""

    def __init__(self, path: Path) -> None:
        """ConfigurationError when it cannot be made there, or there is one already."""
        self._path = path
        self.check_is_new(path)
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(OpenFolder(path.parent))
                self._draft = stack.enter_context(folder.draft(path.name))
            except OSError as error:
                raise _in_words(path, "written", error) from error
            self._open = stack.pop_all()

    @staticmethod
    def check_is_new(path: Path) -> None:
        """Raise ConfigurationError when there is one already."""
        if path.exists():
            raise ConfigurationError(
                f"There is a file {path} already. Choose another name, or remove it first."
            )

    def __enter__(self) -> "WrittenFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._open.close()

    def take(self, octets: bytes) -> None:
        try:
            self._draft.write(octets)
        except OSError as error:
            raise _in_words(self._path, "written", error) from error

    def give(self) -> bytes:
        raise AssertionError("a file that is written is not read")

    def keep(self) -> None:
        """Durable under its name when this returns."""
        try:
            self._draft.keep(over=False)
        except OSError as error:
            raise _in_words(self._path, "written", error) from error


class ReadFile:
    """A file that is there, open for the node to read."""

    def __init__(self, path: Path) -> None:
        """ConfigurationError when it cannot be read."""
        self._path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise _in_words(path, "read", error) from error

    def __enter__(self) -> "ReadFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._file.close()

    def take(self, octets: bytes) -> None:
        raise AssertionError("a file that is read is not written")

    def give(self) -> bytes:
        try:
            return self._file.read(limits.BUNDLE_PIECE_BYTES)
        except OSError as error:
            raise _in_words(self._path, "read", error) from error

    def keep(self) -> None:
        raise AssertionError("a file that is read is not written")


def converse(
    connection: socket.socket, request: bytes, file: WrittenFile | ReadFile
) -> dict[str, Any]:
    """Ask the node, and do with the file what it says, until it answers."""
    connection.settimeout(SECONDS_MAX)
    connection.sendall(request)
    with connection.makefile("rb") as heard:
        while True:
            said = json.loads(heard.readline())
            if not isinstance(said, dict):
                raise ValueError(said)
            if "octets" in said:
                file.take(_exactly(heard, int(said["octets"])))
            elif "more" in said:
                octets = file.give()
                connection.sendall(len(octets).to_bytes(4, "big") + octets)
            elif "keep" in said:
                file.keep()
                connection.sendall(bytes(4))
            else:
                return said


def _exactly(heard: BinaryIO, size: int) -> bytes:
    octets = heard.read(size)
    if len(octets) != size:
        raise ValueError("cut short")
    return octets


def _in_words(path: Path, done: str, error: OSError) -> PostroadError:
    return ConfigurationError(f"{path} cannot be {done}: {error.strerror}.")
