"""Every command of docs/dbus.md is typed, as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from bus_objects import below
from bus_scene import scene
from needed import skip_without
from person import until
from postroad.contract import CONTACT_PATH, BusError
from session_bus import LibraryClient

PAGE = Path(__file__).resolve().parents[2] / "docs" / "dbus.md"


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_every_command_works_as_it_stands_there() -> None:
    skip_without("busctl", "gdbus")
    assert len(commands()) > 8
    with scene("dbus-next"):
        asker = LibraryClient("dbus-next")
        until(lambda: below(asker, CONTACT_PATH), "the contact is shown")
        (path,) = below(asker, CONTACT_PATH)
        for command in commands():
            done = subprocess.run(
                ["bash", "-c", command],
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
                env={**os.environ, "CONTACT": path},
            )
            assert done.returncode == 0, (command, done.stderr)
            assert done.stdout or "Resume" in command or "Pause" in command


def test_the_page_names_every_error() -> None:
    text = PAGE.read_text()
    for one in BusError:
        assert f"`{one.rpartition('.')[2]}`" in text
