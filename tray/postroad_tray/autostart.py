"""Whether the desktop starts this program at login, and turning that on and off.

Purpose: the user's own word beside what the package brought for everybody.
Invariants: only the file of this user is written, and only ours; what the system has for all users
is overruled, never changed. Nothing is left behind by turning it back to what the system has.
See: Desktop Application Autostart Specification 0.5.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from postroad_tray import folders
from postroad_tray.state import APPLICATION

NAME = f"{APPLICATION}.desktop"
COMMAND = "postroad-tray --background"  # at login no window comes
READ_BYTES_MAX = 64 * 1024
_ENTRY = f"""[Desktop Entry]
Type=Application
Name=Postroad
Icon={APPLICATION}
Exec={COMMAND}
"""
_REFUSED = "Hidden=true\n"


class Autostart:
    def __init__(self, variables: Mapping[str, str] = os.environ) -> None:
        system = variables.get("XDG_CONFIG_DIRS") or "/etc/xdg"
        self._ours = folders.configuration(variables) / "autostart" / NAME
        self._system = [Path(one) / "autostart" / NAME for one in system.split(":") if one]

    def is_on(self) -> bool:
        """What a desktop would do at the next login."""
        for file in (self._ours, *self._system):  # the first one counts
            if file.is_file():
                return not _is_hidden(file)
        return False

    def turn(self, on: bool) -> bool:
        """Whether it stands so now."""
        by_system = any(file.is_file() and not _is_hidden(file) for file in self._system)
        try:
            if on == by_system:
                self._ours.unlink(missing_ok=True)
            else:
                self._ours.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._ours.write_text(_ENTRY + ("" if on else _REFUSED), encoding="utf-8")
        except OSError:
            return False
        return self.is_on() == on


def _is_hidden(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            text = opened.read(READ_BYTES_MAX).decode(errors="replace")
    except OSError:
        return True  # nor can a desktop read it
    keys = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return keys.get("Hidden", "").strip() == "true"
