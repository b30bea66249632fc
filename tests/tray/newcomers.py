"""People who have just installed Postroad: nodes not set up yet, each on a bus of its own."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bus_scene import folder_of
from person import Person
from postroad.app.session_bus import LIBRARY
from service_manager import ServiceManager
from session_bus import SessionBus


@dataclass(frozen=True, slots=True)
class Newcomer:
    """`commands`: the folder for their PATH in which `postroad` is, as if it were installed."""

    person: Person
    bus: SessionBus
    home: Path
    commands: Path

    def has(self, subject: str) -> bool:
        """One letter whose subject has this in it, and no second one."""
        with self.person.imap() as imap:
            return len(imap.search(None, "SUBJECT", f'"{subject}"')[1][0].split()) == 1


@contextmanager
def newcomers(purpose: str, *names: str) -> Iterator[list[Newcomer]]:
    folder = folder_of(purpose)
    try:
        with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
            patch.delenv("XDG_RUNTIME_DIR", raising=False)
            patch.setenv(LIBRARY, "dbus-next")
            yield [
                stack.enter_context(_newcomer(folder, name, slot))
                for slot, name in enumerate(names)
            ]
    finally:
        shutil.rmtree(folder)


@contextmanager
def _newcomer(folder: Path, name: str, slot: int) -> Iterator[Newcomer]:
    home = folder / name[0]
    home.mkdir()
    bus = SessionBus(home)
    person = Person(name, home, slot)
    manager = ServiceManager(person)
    person.smtp_port, person.imap_port = manager.port("smtp"), manager.port("imap")
    commands = home / "bin"
    commands.mkdir()
    (commands / "postroad").write_text(f'#!/bin/sh\nexec {shlex.join(person.command)} "$@"\n')
    (commands / "postroad").chmod(0o700)
    bus.start()
    try:
        manager.start(more={"DBUS_SESSION_BUS_ADDRESS": bus.address})
        yield Newcomer(person, bus, home, commands)
        assert "Traceback" not in (person.folder / "log").read_text()
    finally:
        manager.close()
        bus.kill()
