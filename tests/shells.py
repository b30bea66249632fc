"""Real shells on a terminal, as a person has them before them, with our completions in them."""

from __future__ import annotations

import os
import pty
import re
import select
import sys
import time
from pathlib import Path

from person import surroundings

SECONDS_MAX = 60.0
SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
BEGIN = {
    "bash": "source {file}\n",
    "zsh": "autoload -Uz compinit; compinit -u -D; source {file}\n",
    "fish": "source {file}\n",
}


def begun(shell: str, completion: Path, folder: Path) -> str:
    """What to type first, so that TAB completes; `postroad` is put into the folder."""
    program = folder / "postroad"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m postroad "$@"\n')
    program.chmod(0o755)
    return BEGIN[shell].format(file=completion) + "echo rea''dy\n"


class Terminal:
    """One of them, with the folder of `begun` in its path."""

    def __init__(self, shell: str, folder: Path) -> None:
        self._command = SHELLS[shell]
        self._environment = surroundings() | {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "HOME": str(folder),
            "TERM": "dumb" if shell == "zsh" else "xterm",
            "PS1": "$ ",
            "LC_ALL": "C.UTF-8",
        }
        self._seen = ""
        self.before = ""  # what was shown before what was waited for last

    def __enter__(self) -> Terminal:
        self._child, self._terminal = pty.fork()
        if self._child == 0:
            os.execvpe(self._command[0], self._command, self._environment)
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self._child, 9)
        os.close(self._terminal)
        os.waitpid(self._child, 0)

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def read_until(self, wanted: str) -> None:
        """Read until this was shown, after what was read before."""
        ends = time.monotonic() + SECONDS_MAX
        while wanted not in self._seen:
            assert time.monotonic() < ends, f"{wanted!r} is not in {self._seen[-2000:]!r}"
            if select.select([self._terminal], [], [], 0.5)[0]:
                text = os.read(self._terminal, 65536).decode(errors="replace")
                self._seen += re.sub(r"\x1b[\[(][0-9;?]*[A-Za-z]", "", text)
        self.before, _, self._seen = self._seen.partition(wanted)
