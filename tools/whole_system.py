"""A whole system that runs, as whoever works in it has it: as root, and as ordinary users.

Purpose: what is the same however it runs; booted.py and emulated.py say how a command gets into it.
Invariant: every command has an end. Standard library only.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

COMMAND_SECONDS_MAX = 60
LOGOUT_SECONDS_MAX = 20
Words = Sequence[str | Path]
Done = subprocess.CompletedProcess[str]


class WholeSystem:
    """Each way to run one says in `_run` how a command gets into it."""

    slowness = 1
    """How many times longer than in a system that is booted here a command may take."""

    def _run(self, words: Words, stdin: str, seconds: float) -> Done:
        """Run something as root; `seconds` as in a system that is booted here."""
        raise NotImplementedError

    def root(
        self,
        *command: str | Path,
        stdin: str = "",
        seconds: float = COMMAND_SECONDS_MAX,
        check: bool = True,
    ) -> Done:
        """Run something as root. Raises AssertionError with its last words when it fails, unless
        told not to check."""
        return checked(self._run(command, stdin, seconds), check)

    def user(
        self,
        name: str,
        *command: str | Path,
        stdin: str = "",
        seconds: float = COMMAND_SECONDS_MAX,
        check: bool = True,
    ) -> Done:
        """Run something as somebody who has just logged in: PAM, logind, a session and its bus."""
        whole = [*login(name, seconds * self.slowness), *command]
        return checked(self._run(whole, stdin, seconds + LOGOUT_SECONDS_MAX), check)

    def journal(self, *words: str) -> str:
        return self.root("journalctl", "--no-pager", "--quiet", *words, check=False).stdout


def login(name: str, seconds: float) -> list[str]:
    """What runs the words behind it in a session of this user's, for so long at most."""
    session = ["systemd-run", "--quiet", "--pipe", "--wait", "--collect"]
    settings = [
        f"User={name}",
        "PAMName=login",
        "WorkingDirectory=~",
        f"RuntimeMaxSec={seconds:.0f}",
    ]
    for setting in (*settings, "Environment=LANG=C.UTF-8"):
        session += ["--property", setting]
    return [*session, "--"]


def run(command: Words, stdin: str = "", seconds: float = COMMAND_SECONDS_MAX) -> Done:
    return subprocess.run(
        [str(word) for word in command],
        input=stdin,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds,
        check=False,
    )


def checked(done: Done, check: bool = True) -> Done:
    """The same, or AssertionError with its last words if it failed and that is to be checked."""
    words: list[str] = done.args
    shown = " ".join(words[words.index("--") + 1 :] if "--" in words else words)
    assert not check or done.returncode == 0, (
        f"{shown[-300:]}: status {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    )
    return done
