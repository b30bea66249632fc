"""Lists as a person sees them on a terminal, wide or narrow, and as a pipe gets them."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections import Counter

import pytest

from person import surroundings

ADDRESS = "bora.giodrzd2xwwhpvmi76qht7fxae74ankj@postroad.alt"
PERSON = {
    "name": "Bora", "address": ADDRESS, "seen_at": None, "verified": True, "verified_at": 1.0,
    "blocked": False, "revoked": False,
}  # fmt: skip
FORGED = {**PERSON, "name": "[bold]x[/bold]\x1b[2J", "verified": False}
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
PROGRAM = """
import json, sys
from postroad.app import telling_contacts
telling_contacts.contacts({"contacts": json.loads(sys.argv[1])})
print("rich" in sys.modules)
"""


def on_a_terminal(width: int, **environment: str) -> str:
    """What a terminal of this width gets."""
    command = [sys.executable, "-c", PROGRAM, json.dumps([PERSON, FORGED])]
    ours = {k: v for k, v in surroundings().items() if k not in ("NO_COLOR", "COLUMNS", "CI")}
    reading, writing = pty.openpty()
    fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    done = subprocess.Popen(
        command,
        stdin=writing,
        stdout=writing,
        stderr=writing,
        env=ours | {"TERM": "xterm-256color", **environment},
    )
    os.close(writing)
    seen = b""
    try:
        while octets := os.read(reading, 65536):
            seen += octets
    except OSError:  # it has closed its terminal
        pass
    os.close(reading)
    assert done.wait(30) == 0, seen
    return seen.decode()


@pytest.mark.parametrize("width", [40, 60, 100, 200])
def test_a_list_fits_the_terminal_and_cuts_nothing(width: int) -> None:
    shown = COLOUR.sub("", on_a_terminal(width)).replace("\r\n", "\n")
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown
    if width >= 100:
        assert shown.count(ADDRESS) == 2
    # However narrow it is, each letter of it is there, folded within its column.
    there = Counter(shown)
    wanted = Counter(2 * ADDRESS + "Bora" + "verified" + "notverified" + 2 * "never")
    assert not wanted - there


def test_words_of_others_are_shown_and_not_obeyed() -> None:
    shown = on_a_terminal(200)
    assert "[bold]x[/bold]" in shown
    assert "\x1b[2J" not in shown


def test_there_is_no_colour_for_whoever_wants_none() -> None:
    assert "\x1b[1m" in on_a_terminal(100)
    without = on_a_terminal(100, NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", without)
    assert "\x1b" not in on_a_terminal(100, TERM="dumb")


def test_a_pipe_gets_a_plain_line_each() -> None:
    command = [sys.executable, "-c", PROGRAM, json.dumps([PERSON])]
    done = subprocess.run(command, capture_output=True, text=True, env=surroundings(), check=True)
    assert done.stdout == f"Bora          {ADDRESS}  verified      last seen: never\nFalse\n"
