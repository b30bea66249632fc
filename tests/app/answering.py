"""Somebody at the control socket who stands in for a node, and the command line that asks them."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import AF_UNIX, socket

from click.testing import CliRunner, Result

from person import Person
from postroad.app import cli

LOOKS = 3  # of a computer that others keep busy
DOCTOR_SECONDS_MAX = 10.0 + 5.0  # as it promises, and a start of Python on a busy machine


@contextmanager
def set_up() -> Iterator[Path]:
    """The configuration of somebody who is set up, as far as the command line looks."""
    folder = Path(tempfile.mkdtemp(prefix="pr-"))  # a socket's path is short
    (folder / "run").mkdir()
    (folder / "data").mkdir()
    (folder / "data" / "keys").write_bytes(b"some")
    path = folder / "config.toml"
    path.write_text(f'data = "{folder}/data"\nruntime = "{folder}/run"\nlink = "tls"\n')
    yield path
    shutil.rmtree(folder)


def control(config: Path) -> Path:
    return config.parent / "run" / "control"


def doctor(person: Person, *words: str) -> subprocess.CompletedProcess[str]:
    """`postroad doctor`, again where it says that this computer was too busy for one of its looks,
    or the node for an answer."""
    for tries_left in reversed(range(LOOKS)):
        began = time.monotonic()
        done = person.type("doctor", *words)
        assert time.monotonic() - began < DOCTOR_SECONDS_MAX
        is_busy = "it took longer than" in done.stdout or "is very busy" in done.stdout
        if not (is_busy and tries_left):
            return done
    raise AssertionError


def typed(config: Path, *words: str) -> Result:
    return CliRunner().invoke(cli.main, ["--config", str(config), *words])


@contextmanager
def node_that_says(
    config: Path, *answers: bytes, again_after: float | None = None
) -> Iterator[Sequence[bytes]]:
    """Each who connects is said the next of these; the last connection stays open, and a letter
    more comes on it now and then. What was asked is in the list."""
    control(config).unlink(missing_ok=True)
    over = threading.Event()
    asked: list[bytes] = []

    def serve() -> None:
        for number, octets in enumerate(answers, 1):
            with listening.accept()[0] as client, client.makefile("rb") as lines:
                asked.append(lines.readline())
                client.sendall(octets)
                if number == len(answers):
                    with suppress(BrokenPipeError):  # the asker gave it up, as it may
                        while again_after is not None and not over.wait(again_after):
                            client.sendall(b" ")
                    over.wait()

    with socket(AF_UNIX) as listening:
        listening.bind(str(control(config)))
        listening.listen()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield asked
        finally:
            over.set()
            thread.join(30)
