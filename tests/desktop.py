"""A desktop session's bus and keyring without a desktop, and a monitor of what crosses the bus."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from needed import skip_without
from postroad.base.errors import NotToBeHad
from postroad.machine.desktop_keyring import DesktopKeyring

PASSWORD = "of the login"
PROGRAMS = ("dbus-daemon", "dbus-monitor", "gnome-keyring-daemon")
SECONDS_MAX = 20.0


class Desktop:
    """`traffic`: a file of all messages on the bus, octet for octet."""

    def __init__(self, folder: Path, cleanup: ExitStack, patch: pytest.MonkeyPatch) -> None:
        self._cleanup = cleanup
        self._keyring: subprocess.Popen[bytes] | None = None
        self.traffic = folder / "traffic"
        self.surroundings = {
            **os.environ,
            "HOME": str(folder),
            "XDG_DATA_HOME": str(folder / "desktop"),
            "XDG_RUNTIME_DIR": str(folder / "r"),
        }
        (folder / "r").mkdir(mode=0o700)
        bus = self._begin(["dbus-daemon", "--session", "--nofork", "--print-address=1"])
        assert bus.stdout is not None
        address = bus.stdout.readline().decode().strip()
        assert address, "the bus did not come up"
        self.surroundings["DBUS_SESSION_BUS_ADDRESS"] = address
        patch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        with self.traffic.open("wb") as file:
            self._begin(["dbus-monitor", "--binary"], stdout=file.fileno())
        self.log_in()

    def _begin(self, command: list[str], stdout: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=subprocess.DEVNULL,
            env=self.surroundings,
        )
        self._cleanup.callback(_end, process)
        return process

    def log_in(self) -> None:
        """The keyring is unlocked by the password of the login, as PAM does it."""
        if self._keyring is not None:
            _end(self._keyring)
        keyring = ["gnome-keyring-daemon", "--foreground", "--components=secrets", "--unlock"]
        self._keyring = self._begin(keyring)
        assert self._keyring.stdin is not None
        self._keyring.stdin.write(PASSWORD.encode())
        self._keyring.stdin.close()
        ends = time.monotonic() + SECONDS_MAX
        while not self._answers():
            assert time.monotonic() < ends, "the keyring did not come up"
            time.sleep(0.05)

    def _answers(self) -> bool:
        # Asked before it is there, the bus would start another one, which is locked and stays.
        from jeepney import DBusAddress, new_method_call  # type: ignore[import-untyped]
        from secretstorage import dbus_init

        connection = dbus_init()
        bus = DBusAddress("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus")
        asked = new_method_call(bus, "NameHasOwner", "s", ("org.freedesktop.secrets",))
        (is_there,) = connection.send_and_get_reply(asked).body
        connection.close()
        if not is_there:
            return False
        try:
            DesktopKeyring().forget("nothing")
        except NotToBeHad:
            return False
        return True

    def lock(self) -> None:
        """As a screen lock or a logout does; nobody is there to be asked for the password."""
        from secretstorage import dbus_init, get_default_collection

        connection = dbus_init()
        get_default_collection(connection).lock()
        connection.close()

    def hang(self) -> None:
        """The keyring takes what it is asked, and answers nothing."""
        assert self._keyring is not None
        self._keyring.send_signal(signal.SIGSTOP)

    def heard(self) -> bytes:
        """All that has crossed the bus so far."""
        time.sleep(0.5)  # the monitor writes behind
        return self.traffic.read_bytes()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


@contextmanager
def session(folder: Path) -> Iterator[Desktop]:
    """Our own process, and what it starts, is in this session while it lasts."""
    skip_without(*PROGRAMS)
    with pytest.MonkeyPatch.context() as patch, ExitStack() as cleanup:
        yield Desktop(folder, cleanup, patch)
