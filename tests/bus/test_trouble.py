"""A session bus that is absent, late, dead, frozen or somebody else's: mail does not notice."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bus_scene import folder_of, wait_for_name, write
from needed import skip_without
from person import Person, meet, until
from postroad.app.session_bus import LIBRARY
from postroad.contract import BUS_NAME, CONTACT_PATH, MANAGER_INTERFACE, ROOT_PATH
from postroad.doors.dbus import interfaces
from session_bus import LibraryClient, Monitor, SessionBus, memory_kib

LETTERS = 20
BACK_SECONDS_MAX = 60.0
TAKE_THE_NAME = f"""
import signal
from jeepney import DBusAddress, new_method_call
from jeepney.io.blocking import open_dbus_connection
bus = open_dbus_connection()
daemon = DBusAddress("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus")
bus.send_and_get_reply(new_method_call(daemon, "RequestName", "su", ("{BUS_NAME}", 0)))
signal.pause()
"""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two that know each other. Anna's node is started by the test, where her bus may be."""

    bus: SessionBus
    anna: Person
    bora: Person

    def inboxes(self) -> tuple[int, int]:
        return inbox(self.anna), inbox(self.bora)

    def exchange_letters(
        self, count: int = LETTERS, before: tuple[int, int] | None = None
    ) -> None:
        """Letters there and back; all arrive within the time that a test has patience. `before`
        counts what is there without them, where some are still on their way."""
        before = before or self.inboxes()
        write(self.anna, self.bora, count)
        write(self.bora, self.anna, count)
        until(lambda: inbox(self.bora) == before[1] + count, "Bora has the letters")
        until(lambda: inbox(self.anna) == before[0] + count, "Anna has the letters")

    @property
    def log(self) -> str:
        return (self.anna.folder / "log").read_text()


def inbox(person: Person) -> int:
    with person.imap() as imap:
        return int(imap.select("INBOX")[1][0] or b"0")


@pytest.fixture(params=["dbus-next", "dbus-fast"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    with pair_of(request.param) as made:
        yield made


@contextmanager
def pair_of(library: str) -> Iterator[Pair]:
    skip_without("dbus-daemon")
    folder = folder_of("trouble")
    bus = SessionBus(folder)
    anna, bora = Person("anna", folder, 0), Person("bora", folder, 1)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("XDG_RUNTIME_DIR", raising=False)
            patch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
            for one in (anna, bora):
                one.set_up()
                one.start()
            meet(bora, anna)
            anna.stop()
            patch.setenv(LIBRARY, library)
            patch.setenv("DBUS_SESSION_BUS_ADDRESS", bus.address)
            yield Pair(bus, anna, bora)
            assert "Traceback" not in (anna.folder / "log").read_text()
            assert "Traceback" not in (bora.folder / "log").read_text()
    finally:
        for one in (anna, bora):
            one.kill()
        bus.kill()
        shutil.rmtree(folder)


def test_a_bus_that_is_not_there_yet_is_found_later(pair: Pair) -> None:
    pair.anna.start()
    pair.exchange_letters()
    until(lambda: "The session bus is not there" in pair.log, "the log says that there is no bus")
    pair.bus.start()
    wait_for_name(seconds=BACK_SECONDS_MAX)
    assert pair.log.count("The session bus is not there") == 1


def test_a_bus_that_is_killed_while_letters_go_is_come_back_to(pair: Pair) -> None:
    pair.bus.start()
    pair.anna.start()
    wait_for_name()
    in_anna, in_bora = pair.inboxes()
    write(pair.anna, pair.bora, LETTERS)
    pair.bus.kill()
    pair.exchange_letters(before=(in_anna, in_bora + LETTERS))
    pair.bus.start()
    wait_for_name(seconds=BACK_SECONDS_MAX)
    told = LibraryClient("dbus-next").properties(ROOT_PATH, MANAGER_INTERFACE)
    assert told["ContactCount"] == 1
    pair.exchange_letters(2)


def test_a_bus_that_hangs_costs_no_letter_and_no_memory_and_catches_up(pair: Pair) -> None:
    pair.bus.start()
    pair.anna.start()
    wait_for_name()
    pair.exchange_letters(2)
    assert pair.anna.process is not None
    before = memory_kib(pair.anna.process.pid)
    pair.bus.freeze()
    for _ in range(3):
        pair.exchange_letters(100)
        time.sleep(1.0)  # it is looked at, and nobody takes what is told
    assert memory_kib(pair.anna.process.pid) - before < 20_000
    pair.anna.postroad("contacts", "rename", "bora", "Bora B.")
    pair.bus.thaw()
    asker = LibraryClient("dbus-next")

    def is_told() -> bool:
        found = asker.call(ROOT_PATH, interfaces.OBJECT_MANAGER, "GetManagedObjects")
        (path,) = [one for one in found if one.startswith(CONTACT_PATH)]
        return bool(next(iter(found[path].values()))["Name"] == "Bora B.")

    until(is_told, "what happened meanwhile is shown", 30.0)


def test_a_node_with_a_bus_that_hangs_stops_in_time(pair: Pair) -> None:
    pair.bus.start()
    pair.bus.freeze()
    pair.anna.start()
    pair.exchange_letters(2)
    began = time.monotonic()
    pair.anna.stop()
    assert time.monotonic() - began < 5.0


def test_a_name_that_another_has_is_said_in_words_and_waited_for(pair: Pair) -> None:
    pair.bus.start()
    other = subprocess.Popen([sys.executable, "-c", TAKE_THE_NAME])
    try:
        wait_for_name()
        pair.anna.start()
        until(lambda: f"Another program has the name {BUS_NAME}" in pair.log, "the log says it")
        pair.exchange_letters(2)
    finally:
        other.terminate()
        other.wait()
    until(lambda: "shows the node now" in pair.log, "the name comes to Anna's node")
    told = LibraryClient("dbus-next").properties(ROOT_PATH, MANAGER_INTERFACE)
    assert told["Address"] == pair.anna.address


def test_a_program_that_listens_and_never_reads_costs_the_node_no_memory(pair: Pair) -> None:
    pair.bus.start()
    pair.anna.start()
    wait_for_name()
    with deaf(pair.bus):
        pair.exchange_letters(10)
        assert pair.anna.process is not None
        before = memory_kib(pair.anna.process.pid)
        for _ in range(3):
            pair.exchange_letters(100)
        assert memory_kib(pair.anna.process.pid) - before < 20_000


@contextmanager
def deaf(bus: SessionBus) -> Iterator[None]:
    """A program that wants to hear everything, and reads nothing of it."""
    line = socket.socket(socket.AF_UNIX)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with line:
        line.connect(str(bus.path))
        uid = str(os.getuid()).encode().hex()
        line.sendall(f"\0AUTH EXTERNAL {uid}\r\n".encode())
        assert line.recv(4096).startswith(b"OK")
        line.sendall(b"BEGIN\r\n")
        from jeepney import (  # type: ignore[import-untyped]
            DBusAddress,
            new_method_call,
        )

        daemon = DBusAddress(
            "/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus"
        )
        line.sendall(new_method_call(daemon, "Hello").serialise(serial=1))
        wanted = new_method_call(daemon, "AddMatch", "s", ("type='signal'",))
        line.sendall(wanted.serialise(serial=2))
        yield


def test_no_secret_subject_or_text_is_in_any_signal(pair: Pair, tmp_path: Path) -> None:
    pair.bus.start()
    monitor = Monitor(tmp_path, "type='signal'")
    try:
        pair.anna.start()
        wait_for_name()
        asker = LibraryClient("dbus-next")
        link, _ = asker.call(ROOT_PATH, MANAGER_INTERFACE, "Invite", "a{sv}", {})
        words = asker.call(ROOT_PATH, MANAGER_INTERFACE, "BeginRotation")["Words"]
        old = pair.anna.password
        pair.anna.password = asker.call(ROOT_PATH, MANAGER_INTERFACE, "NewMailboxPassword")
        pair.exchange_letters()
        until(lambda: b"MessageDelivered" in monitor.heard(), "the receipt is on the bus")
        time.sleep(1.0)  # and what is told after it
        heard = monitor.heard()
    finally:
        monitor.end()
    assert b"PropertiesChanged" in heard
    for secret in ("Secret-subject", "Secret-body", link, words, old, pair.anna.password):
        assert secret
        assert secret.encode() not in heard
