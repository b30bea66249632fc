"""One tray in each session, and a second start that shows the first one's window.

Purpose: a lock that the kernel keeps for as long as the program lives, and a name on the bus under
which the first one can be asked.
Invariants: whoever has the lock is alive; whoever cannot get it is the second. The lock is for one
session bus, so that a session inside another one has a tray of its own.
See: docs/adr/0029-tray.md.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from postroad_tray.client import Answer, Client, Offer, Question, Typed

NAME = "org.postroad.Tray1"
OBJECT_PATH = "/org/postroad/Tray1"
ACTIVATE_SECONDS = 3.0
PAGE_LENGTH_MAX = 50
TOKEN = "activation-token"  # noqa: S105  (of the desktop: which click this window is the answer to)
TOKEN_LENGTH_MAX = 500


class Lock:
    """Held from `taken` on until the program ends."""

    def __init__(self, file: int | None) -> None:
        self._file = file

    @classmethod
    def taken(cls, bus_address: str, variables: Mapping[str, str] = os.environ) -> Lock | None:
        """None: somebody has it. Where there is no folder for it, everybody gets one."""
        runtime = variables.get("XDG_RUNTIME_DIR")
        if not runtime or not Path(runtime).is_dir():
            return cls(None)
        which = f"{zlib.crc32(os.fsencode(bus_address)):08x}"
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            file = os.open(Path(runtime) / f"postroad-tray-{which}.lock", flags, 0o600)
        except OSError:  # it is full, or not ours: the name on the bus is what counts then
            return cls(None)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            return None
        return cls(file)

    def free(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def offer(name: str, activate: Callable[[str, str], None]) -> Offer:
    """What the first one does for the second: `activate` gets a page (or nothing) and the token of
    the click, if there was one."""

    def activated(body: Sequence[Any]) -> None:
        page, options = body
        activate(page[:PAGE_LENGTH_MAX], token_of(options.get(TOKEN, "")))

    return Offer(name, OBJECT_PATH, NAME, {"Activate": ("sa{sv}", activated)})


def token_of(told: object) -> str:
    """It, where it can be one; it goes into our environment, which each program inherits that we
    start, and none can be started with one that is too long."""
    is_token = isinstance(told, str) and len(told) <= TOKEN_LENGTH_MAX and told.isprintable()
    return str(told) if is_token else ""


def ask_first(
    client: Client, name: str, page: str, token: str, then: Callable[[Answer], None]
) -> None:
    """Have the first one show its window."""
    options = {TOKEN: Typed("s", token)} if token else {}
    client.ask(
        Question("Activate", "sa{sv}", (page, options), OBJECT_PATH, NAME, name, ACTIVATE_SECONDS),
        then,
    )
