"""Anna, whose node is on a session bus of the test's own, and Bora, a contact of hers."""

from __future__ import annotations

import os
import shutil
import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from person import Person, meet, until
from postroad.app.session_bus import LIBRARY
from postroad.contract import BUS_NAME
from session_bus import LibraryClient, Said, SessionBus, session_bus

DAEMON = "org.freedesktop.DBus"
ROOT = Path(__file__).resolve().parents[1]
IMPOSTOR = ROOT / "tests" / "tray" / "impostor.py"


@dataclass(frozen=True, slots=True)
class Scene:
    bus: SessionBus
    anna: Person
    bora: Person
    folder: Path


def folder_of(name: str) -> Path:
    """A short one: the path of a socket is short."""
    folder = Path("/tmp") / f"pr-{os.getpid()}-{name}"
    folder.mkdir(mode=0o700)
    return folder


def wait_for_name(
    name: str = BUS_NAME,
    *,
    owned: bool = True,
    seconds: float = 30.0,
    address: str | None = None,
) -> None:
    """Until a node (or another service) has its name on the bus, or none has."""
    asker = LibraryClient("dbus-next", address)

    def holds() -> bool:
        path = "/org/freedesktop/DBus"
        return bool(
            asker.call(path, DAEMON, "NameHasOwner", "s", name, destination=DAEMON) == owned
        )

    until(holds, f"the name {name} {'comes' if owned else 'goes'}", seconds)


@contextmanager
def scene(library: str, *, met: bool = True) -> Iterator[Scene]:
    """Both nodes run; Anna's alone is on the bus, with this library."""
    folder = folder_of(f"bus-{library[-4:]}")
    anna, bora = Person("anna", folder, 0), Person("bora", folder, 1)
    try:
        anna.set_up()
        bora.set_up()
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("XDG_RUNTIME_DIR", raising=False)
            patch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
            bora.start()
            patch.setenv(LIBRARY, library)
            with session_bus(folder) as bus:
                anna.start()
                wait_for_name()
                if met:
                    meet(bora, anna)
                yield Scene(bus, anna, bora, folder)
                assert "Traceback" not in (anna.folder / "log").read_text()
    finally:
        for one in (anna, bora):
            one.kill()
        shutil.rmtree(folder)


@contextmanager
def impostor(what: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A program that has the name of the service (tests/tray/impostor.py). It is nice to whom it
    plays before, since some of them do all that they can."""
    rooms = os.pathsep.join(str(ROOT / room) for room in ("service", "tray", "tests", "tools"))
    process = subprocess.Popen(
        ["nice", sys.executable, str(IMPOSTOR), what],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables, "PYTHONPATH": rooms},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def write(author: Person, to: Person, count: int, subject: str = "Secret-subject") -> None:
    """Hand over so many letters in one SMTP session."""
    with smtplib.SMTP("127.0.0.1", author.smtp_port, timeout=60) as door:
        door.login(author.address, author.password)
        for number in range(count):
            door.sendmail(
                author.address,
                [to.address],
                f"From: {author.address}\r\nTo: {to.address}\r\nSubject: {subject}-{number}\r\n"
                f"Message-ID: <{time.time_ns()}@test>\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
                "\r\nSecret-body.\r\n",
            )


def error_of(work: object, *arguments: object) -> Said:
    """The error that a call brings."""
    assert callable(work)
    with pytest.raises(Said) as caught:
        work(*arguments)
    return caught.value
