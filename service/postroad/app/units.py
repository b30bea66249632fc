"""The files of systemd that are ours: their texts, and where they lie.

Invariant: only what begins with our own line is written anew or removed.
"""

import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import resources
from pathlib import Path

from postroad.app import config as configuration
from postroad.app import durable
from postroad.base.errors import ConfigurationError

SERVICE, SOCKET = "postroad.service", "postroad.socket"
PACKAGED_PROGRAM = "/usr/bin/postroad"  # as the units have it
OURS = "# Written by `postroad service enable`, and removed by `postroad service disable`.\n"


def folder() -> Path:
    return configuration.default_path().parent.parent / "systemd" / "user"


def of_service(name: str) -> Path:
    """A drop-in of the service's."""
    return folder() / f"{SERVICE}.d" / name


def text(name: str) -> str:
    """As this program brings it."""
    return resources.files("postroad").joinpath("units", name).read_text("utf-8")


def for_program(name: str) -> str:
    """The same, for the very program that was typed."""
    return text(name).replace(PACKAGED_PROGRAM, quoted(program()))


def program() -> list[str]:
    """How to start the very program that was typed."""
    own = Path(sys.argv[0]).absolute()
    if own.name == "__main__.py":
        return [sys.executable, "-m", "postroad"]
    return [str(own)]


def lay(path: Path, content: str) -> bool:
    """Have a file of ours say this; whether it said something else before."""
    if path.exists() and not is_ours(path):
        raise ConfigurationError(
            f"{path} is not of Postroad's making. Move it away, then try again."
        )
    if said_by(path) == content:
        return False
    write(path, content)
    return True


def take_away(path: Path) -> bool:
    """Whether there was one of ours; a folder for drop-ins that is empty then goes with it."""
    if not is_ours(path):
        return False
    path.unlink()
    if path.parent.suffix == ".d":
        with suppress(OSError):  # something of its owner's is in there
            path.parent.rmdir()
    return True


def write(path: Path, content: str) -> None:
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        durable.write(path, f"{OURS}{content}".encode(), 0o666)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from error


def said_by(path: Path) -> str | None:
    """What we wrote there; None when nothing of ours is there."""
    try:
        found = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return found.removeprefix(OURS) if found.startswith(OURS) else None


def is_ours(path: Path) -> bool:
    return said_by(path) is not None


def quoted(words: Sequence[str]) -> str:
    """As a command line of systemd; the first word is a path, or what is found in it."""
    escaped = (word.replace("\\", "\\\\").replace('"', '\\"') for word in words)
    return " ".join(
        f'"{word}"' if any(one in word for one in " \t\"'") else word
        for word in (one.replace("%", "%%").replace("$", "$$") for one in escaped)
    )


def quoted_path(path: Path) -> str:
    """As a folder that is bound where it is there; what is not there is no error."""
    said = str(path)
    if not said.isprintable():
        raise ConfigurationError(f"systemd cannot be told of a folder with this name: {said!r}")
    escaped = said.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"-{escaped}"'
