"""systemd as a node sees it: what it hears on NOTIFY_SOCKET, and the sockets that it passes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping

from person import Person, surroundings
from postroad.app.service import DOORS

SECONDS_MAX = 30.0

# LISTEN_PID has to be the process itself, so it is set between fork and exec.
_LAUNCHER = """
import os, sys
passed, names, *command = sys.argv[1:]
for at, number in enumerate(passed.split(",") if passed else ()):
    os.dup2(int(number), 3 + at)
if passed:
    os.environ |= {
        "LISTEN_FDS": str(len(passed.split(","))),
        "LISTEN_FDNAMES": names,
        "LISTEN_PID": str(os.getpid()),
    }
os.execv(command[0], command)
"""


class Hearing:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, at: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(b"\0" + at[1:].encode() if at.startswith("@") else at)
        self.socket.settimeout(20)
        self.environment = {"NOTIFY_SOCKET": at, "HOME": "/"}

    def one(self) -> list[str]:
        return self.socket.recv(4096).decode().split("\n")

    def nothing_for(self, seconds: float) -> bool:
        self.socket.settimeout(seconds)
        try:
            self.socket.recv(4096)
        except TimeoutError:
            return True
        return False

    def until(self, line: str) -> list[str]:
        """All lines up to this one; AssertionError when it does not come."""
        heard: list[str] = []
        ends = time.monotonic() + SECONDS_MAX
        while line not in heard:
            self.socket.settimeout(max(ends - time.monotonic(), 0.01))
            try:
                heard += self.one()
            except TimeoutError:
                raise AssertionError(f"{line} was not said, but {heard}") from None
        return heard


class ServiceManager:
    """Starts one person's node as systemd does, with the ports of its doors held here."""

    def __init__(self, person: Person) -> None:
        """`person`: need not be set up. The ports are any, told by `port`."""
        self.person = person
        self.hearing = Hearing(f"{person.folder}/notify")
        self.sockets = [socket.create_server(("127.0.0.1", 0)) for _ in DOORS]
        self.process: subprocess.Popen[bytes] | None = None

    def port(self, door: str) -> int:
        number: int = self.sockets[DOORS.index(door)].getsockname()[1]
        return number

    def start(self, names: str = ":".join(DOORS), more: Mapping[str, str] | None = None) -> None:
        # The launcher moves them to 3, 4 ...: none of them may be there by chance already.
        high = [os.dup(one.fileno()) for one in self.sockets]
        high = [_above(20, one) for one in high]
        log = open(self.person.folder / "log", "ab")  # noqa: SIM115
        try:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-c", _LAUNCHER, ",".join(map(str, high)), names),
                    *(*self.person.command, "run"),
                ],
                stdout=log,
                stderr=log,
                pass_fds=high,
                start_new_session=True,
                env={**surroundings(), **self.hearing.environment, **(more or {})},
            )
        finally:
            log.close()
            for one in high:
                os.close(one)
        self.person.process = self.process

    def heard(self, line: str) -> list[str]:
        return self.hearing.until(line)

    def stop(self) -> float:
        """SIGTERM, and how long it took to end."""
        assert self.process is not None
        began = time.monotonic()
        self.process.terminate()
        assert self.process.wait(SECONDS_MAX) == 0
        return time.monotonic() - began

    def close(self) -> None:
        self.person.kill()
        for one in self.sockets:
            one.close()
        self.hearing.socket.close()


def _above(lowest: int, number: int) -> int:
    import fcntl

    moved = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, lowest)
    os.close(number)
    return moved


def greeting(port: int) -> bytes:
    """All that a door says by itself, until it closes or 0.5 s of silence."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS_MAX) as client:
        while chunk := client.recv(4096):
            said += chunk
            client.settimeout(0.5)
    return said
