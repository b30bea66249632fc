"""Where our icons are, laid out as an icon theme has them, so that packages copy them as they are.

Purpose: the file of an icon by its name, for where the icon theme of the desktop does not have it.
"""

from __future__ import annotations

from pathlib import Path

from postroad_tray.state import APPLICATION

THEME = Path(__file__).parent / "icons" / "hicolor"
_SYMBOLIC = "-symbolic"


def icon_path(name: str) -> Path:
    """`state.icon_name`, or `state.APPLICATION`, with or without `-symbolic`."""
    if name.endswith(_SYMBOLIC):  # the theme that all others fall back to has one folder for these
        return THEME / "symbolic" / "apps" / f"{name}.svg"
    return THEME / "scalable" / ("apps" if name == APPLICATION else "status") / f"{name}.svg"
