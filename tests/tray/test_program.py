"""`postroad-tray` as it is typed: one in each session, silent at login, and a clean end.

The screen is Qt's own that nobody sees; that the window is there is seen by what the program asks
of the service, which it does only while somebody looks at a window.
"""

from __future__ import annotations

import importlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bus_scene import folder_of, impostor
from dev import QT_PACKAGES
from needed import skip_without
from person import until
from postroad import __version__
from postroad_tray import instance
from session_bus import LibraryClient, Said, SessionBus

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS_MAX = 30.0
QUIET_SECONDS = 2.0
DAEMON = "org.freedesktop.DBus"
UNSET = ("DISPLAY", "WAYLAND_DISPLAY", "XDG_CURRENT_DESKTOP", "XDG_ACTIVATION_TOKEN")


class Session:
    """What a desktop session gives to a program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bus = SessionBus(folder)
        self.variables = {
            **{name: value for name, value in os.environ.items() if name not in UNSET},
            "PYTHONPATH": os.pathsep.join([str(ROOT / "service"), str(ROOT / "tray")]),
            "QT_QPA_PLATFORM": "offscreen",
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
            "DBUS_SESSION_BUS_ADDRESS": self.bus.address,
        }
        (folder / "run").mkdir(mode=0o700)

    def type(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "postroad_tray", *words],
            env={**self.variables, **variables},
            capture_output=True,
            text=True,
            timeout=START_SECONDS_MAX,
            check=False,
        )

    @contextmanager
    def begun(self, *words: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
        """It runs, and in the end it is killed if it has not ended; no traceback was shown."""
        command = [sys.executable, "-m", "postroad_tray", *words]
        process = subprocess.Popen(
            command, env={**self.variables, **variables}, stderr=subprocess.PIPE, text=True
        )
        try:
            yield process
        finally:
            process.kill()
            _nothing, said = process.communicate()
            assert "Traceback" not in said
            assert "Error" not in said

    def has_name(self, name: str = instance.NAME) -> bool:
        asker = LibraryClient("dbus-fast")
        path = "/org/freedesktop/DBus"
        return bool(asker.call(path, DAEMON, "NameHasOwner", "s", name, destination=DAEMON))

    def wait_for_it(self) -> None:
        until(self.has_name, "the tray is on the bus", START_SECONDS_MAX)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    skip_without("dbus-daemon")
    try:
        importlib.import_module("PySide6.QtWidgets")
    except ImportError:
        pytest.skip(f"needs the Debian packages: {' '.join(QT_PACKAGES)}")
    folder = folder_of("program")
    found = Session(folder)
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", found.bus.address)
    found.bus.start()
    yield found
    found.bus.kill()
    shutil.rmtree(folder)


class Service:
    """Somebody with the name of the service, who tells when he is looked at."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self._file = process.stdout.fileno()

    def is_looked_at(self, seconds: float) -> bool:
        """Whether he was asked for a sign of life within this time."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            if select.select([self._file], [], [], left)[0] and os.read(self._file, 1000):
                return True
        return False


@pytest.fixture
def service(session: Session) -> Iterator[Service]:
    with impostor("honest", **session.variables) as process:
        yield Service(process)


def test_a_start_shows_the_window_and_one_at_login_does_not(
    session: Session, service: Service
) -> None:
    with session.begun("--background"):
        session.wait_for_it()
        assert not service.is_looked_at(QUIET_SECONDS)
    with session.begun():
        assert service.is_looked_at(START_SECONDS_MAX)


def test_a_second_start_shows_the_window_of_the_first(session: Session, service: Service) -> None:
    with session.begun("--background") as first:
        session.wait_for_it()
        at_login = session.type("--background")
        assert (at_login.returncode, at_login.stderr) == (0, "")
        assert not service.is_looked_at(QUIET_SECONDS)
        second = session.type("--page", "queue")
        assert (second.returncode, second.stderr) == (0, "")
        assert service.is_looked_at(5.0)
        assert first.poll() is None


def test_any_program_may_call_it_and_does_no_harm(session: Session, service: Service) -> None:
    with session.begun("--background") as process:
        session.wait_for_it()
        asker = LibraryClient("dbus-fast")
        path, name = instance.OBJECT_PATH, instance.NAME
        refused = [
            (path, "Activate", "s", ["queue"], "InvalidArgs"),
            (path, "Activate", "v", [asker.Variant("s", "queue")], "InvalidArgs"),
            (path, "Format", "", [], "UnknownMethod"),
            ("/", "Activate", "sa{sv}", ["queue", {}], "UnknownObject"),
        ]
        for where, member, signature, body, error in refused:
            with pytest.raises(Said) as said:
                asker.call(where, name, member, signature, *body, destination=name)
            assert said.value.name == f"{DAEMON}.Error.{error}"
        assert not service.is_looked_at(0.5)
        for page in ("attic", "", "queue", "\u202e" * 40, "a" * 10_000):
            options = {
                "activation-token": asker.Variant("s", "of a click"),
                page: asker.Variant("u", 1),
            }
            asker.call(path, name, "Activate", "sa{sv}", page, options, destination=name)
        assert service.is_looked_at(5.0)
        assert process.poll() is None


def test_without_an_icon_the_window_comes_when_it_is_asked_for(
    session: Session, service: Service
) -> None:
    with session.begun("--no-icon", "--background"):
        session.wait_for_it()
        assert not service.is_looked_at(QUIET_SECONDS)
        assert session.type().returncode == 0
        assert service.is_looked_at(5.0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize(("words", "after"), [((), 0.0), ((), 1.5), (("--background",), 0.3)])
def test_a_signal_ends_it_cleanly(
    session: Session, number: signal.Signals, words: tuple[str, ...], after: float
) -> None:
    with session.begun(*words) as process:
        session.wait_for_it()
        time.sleep(after)
        process.send_signal(number)
        assert process.wait(10) == 0
    assert not session.has_name()
    with session.begun("--background"):  # the next one finds the place free
        session.wait_for_it()


# A signal comes while a row is painted.
SIGNALLED_WHILE_IT_PAINTS = """
import os, signal, sys
from postroad_tray import program, window

def load():
    as_before()
    from postroad_tray.window.page_list import PageDelegate
    paint = PageDelegate.paint

    def paint_and_hear(self, painter, option, index):
        os.kill(os.getpid(), signal.SIGTERM)
        paint(self, painter, option, index)

    PageDelegate.paint = paint_and_hear

window.load, as_before = load, window.load
sys.exit(program.main([]))
"""


def test_a_signal_that_comes_while_a_window_is_painted_ends_it_cleanly(session: Session) -> None:
    """The window goes with it, and what is painted on must not, before the painter has."""
    for _ in range(5):  # it crashed now and then
        process = subprocess.run(
            [sys.executable, "-c", SIGNALLED_WHILE_IT_PAINTS],
            env=session.variables,
            capture_output=True,
            text=True,
            timeout=START_SECONDS_MAX,
            check=False,
        )
        assert process.returncode == 0, process.stderr
        assert "Traceback" not in process.stderr


def test_the_end_of_the_display_is_the_end_of_the_tray(session: Session) -> None:
    skip_without("Xvfb")
    screen = subprocess.Popen(
        ["Xvfb", "-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert screen.stdout is not None
        display = f":{screen.stdout.readline().strip()}"
        with session.begun(QT_QPA_PLATFORM="xcb", DISPLAY=display) as process:
            session.wait_for_it()
            time.sleep(1.0)
            assert process.poll() is None
            screen.kill()
            process.wait(10)
        assert not session.has_name()
    finally:
        screen.kill()
        screen.communicate()


def test_a_first_one_that_hangs_is_told_of(session: Session) -> None:
    with session.begun("--background") as first:
        session.wait_for_it()
        first.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        second = session.type()
        assert (second.returncode, "does not answer" in second.stderr) == (1, True)
        assert time.monotonic() - began < 15.0


def test_without_a_bus_there_is_one_too_and_it_is_found_once_there_is_a_bus(
    session: Session,
) -> None:
    session.bus.kill()
    with session.begun("--background") as first:
        lock = session.folder / "run"
        until(lambda: list(lock.glob("postroad-tray-*.lock")), "it has its lock")
        time.sleep(1.0)
        second = session.type()
        assert (second.returncode, second.stderr.count("\n")) == (1, 1)
        assert session.type("--background").returncode == 0
        assert first.poll() is None
        session.bus.start()
        session.wait_for_it()
        assert session.type().returncode == 0


def test_without_a_folder_for_locks_the_name_on_the_bus_counts(session: Session) -> None:
    nowhere = str(session.folder / "nowhere")
    with session.begun("--background", XDG_RUNTIME_DIR=nowhere) as first:
        session.wait_for_it()
        with session.begun(XDG_RUNTIME_DIR=nowhere) as second:
            assert second.wait(START_SECONDS_MAX) == 0
        assert first.poll() is None


def test_another_session_of_the_same_person_has_its_own(session: Session) -> None:
    inner = folder_of("inner")
    other = SessionBus(inner)
    other.start()
    try:
        with session.begun("--background") as first:
            session.wait_for_it()
            address = {"DBUS_SESSION_BUS_ADDRESS": other.address}
            with session.begun("--background", **address) as second:
                locks = session.folder / "run"
                until(lambda: len(list(locks.glob("*.lock"))) == 2, "both have locks")
                time.sleep(1.0)
                assert (first.poll(), second.poll()) == (None, None)
    finally:
        other.kill()
        shutil.rmtree(inner)


@pytest.mark.parametrize(
    ("words", "variables", "status", "said"),
    [
        (("--version",), {}, 0, ""),
        (("--page", "attic"), {}, 2, "invalid choice"),
        (("--light", "--no-icon"), {}, 2, "leave one"),
        (("--no-icon",), {"QT_QPA_PLATFORM": ""}, 1, "no desktop session"),
        (("--no-icon",), {"QT_QPA_PLATFORM": "", "DISPLAY": ":4711"}, 1, "cannot open the display"),
        (("--window",), {"QT_QPA_PLATFORM": "sideways"}, 1, "cannot open the display"),
        ((), {"POSTROAD_DBUS_LIBRARY": "another"}, 1, "is another, and can be dbus-next"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    session: Session, words: tuple[str, ...], variables: dict[str, str], status: int, said: str
) -> None:
    done = session.type(*words, **variables)
    assert (done.returncode, said in done.stderr) == (status, True), done.stderr
    assert "Traceback" not in done.stderr
    if words == ("--version",):
        assert done.stdout == f"postroad-tray {__version__}\n"
    assert status == 2 or done.stderr.count("\n") <= 1


def test_where_qt_cannot_be_the_light_icon_takes_its_place(session: Session) -> None:
    """This Python has no GTK, so that in the end it says what to install."""
    for variables in ({"QT_QPA_PLATFORM": ""}, {"QT_QPA_PLATFORM": "sideways"}):
        done = session.type("--background", **variables)
        first, last = done.stderr.splitlines()
        assert (done.returncode, "light icon takes its place" in first) == (1, True)
        assert "sudo apt install" in last
