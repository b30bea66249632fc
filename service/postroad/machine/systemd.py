"""Tell the service manager how we are: sd_notify(3) in a datagram, and nothing of its library.

Purpose: READY=1 when the doors are served, STATUS= in words, a watchdog that is fed only while the
node really answers. Where nobody listens, as with `postroad run` in a terminal, all of it is quiet.
Own code, because it is one sendto(): the libraries for it bring no more than that, and would see
the environment before we do.
Invariant: what systemd told us in the environment is taken out of it, so that no program which we
start speaks in our name. A manager that does not listen costs a line of the log, never the node.
The sockets that systemd holds for us come in by `machine.listeners`.
See: sd_notify(3), sd_watchdog_enabled(3), systemd.service(5).
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, MutableMapping

from postroad.base.errors import PostroadError

log = logging.getLogger(__name__)
STATUS_LETTERS_MAX = 300  # a line for a person
EXTEND_SECONDS = 30.0  # by so much a start may take longer, each time something has moved
EXTEND_AGAIN_SECONDS = 5.0


class Manager:
    """The service manager, if one started this process and wants to hear of it."""

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        self._at = _address(environment.pop("NOTIFY_SOCKET", ""))
        self.watchdog_seconds = _watchdog_seconds(
            environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
        )
        self._said = ""
        self._extended = -EXTEND_AGAIN_SECONDS

    @property
    def listens(self) -> bool:
        """Whether somebody starts us again, and shows what we say."""
        return self._at is not None

    def ready(self, status: str) -> None:
        """We serve whoever comes; also after `reloading`."""
        self._tell("READY=1", self._status(status))

    def status(self, text: str) -> None:
        """How we are, in a line; said only when it is another one than before."""
        if not self.has_said(text):
            self._tell(self._status(text))

    def has_said(self, text: str) -> bool:
        return self._status(text) == self._said

    def reloading(self) -> None:
        """The configuration is read anew; `ready` ends it."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell("RELOADING=1", f"MONOTONIC_USEC={now}")

    def stopping(self) -> None:
        self._tell("STOPPING=1", self._status("stopping"))

    def alive(self) -> None:
        self._tell("WATCHDOG=1")

    def still_starting(self) -> None:
        """The start takes long, and something has moved: give us more time."""
        now = time.monotonic()
        if now - self._extended >= EXTEND_AGAIN_SECONDS:
            self._extended = now
            self._tell(f"EXTEND_TIMEOUT_USEC={round(EXTEND_SECONDS * 1e6)}", "WATCHDOG=1")

    def _status(self, text: str) -> str:
        line = "".join(one if one.isprintable() else " " for one in text)
        return f"STATUS={line[:STATUS_LETTERS_MAX]}"

    def _tell(self, *lines: str) -> None:
        if self._at is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
                to.setblocking(False)
                to.sendto("\n".join(lines).encode("utf-8", "replace"), self._at)
        except OSError as error:
            log.warning("the service manager does not listen: %s", error.strerror or error)
            return
        self._said = next((line for line in lines if line.startswith("STATUS=")), self._said)


async def feed_watchdog(manager: Manager, ask: Callable[[], Awaitable[object]]) -> None:
    """Say that we are alive, each half of the time that the manager waits for it, until cancelled.

    It is said by the event loop, after `ask` has answered: with a loop or a database thread that
    hangs, nothing is said, and the manager starts us again. An error is an answer, too."""
    if manager.watchdog_seconds is None:
        return
    while True:
        try:
            await ask()
        except PostroadError as error:
            log.debug("the watchdog's question failed: %s", error)
        manager.alive()
        await asyncio.sleep(manager.watchdog_seconds / 2)


def _address(text: str) -> str | bytes | None:
    if text.startswith("@"):  # an abstract socket: it has no file
        return b"\0" + os.fsencode(text[1:])
    if text.startswith("/"):
        return text
    if text:
        log.warning("NOTIFY_SOCKET=%s is not understood", text)
    return None


def _watchdog_seconds(microseconds: str, process: str) -> float | None:
    if not microseconds.isdecimal() or not int(microseconds):
        return None
    if process and process != str(os.getpid()):  # meant for whoever started us
        return None
    return int(microseconds) / 1e6
