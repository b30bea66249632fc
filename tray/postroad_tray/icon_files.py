"""Where our icons are, laid out as an icon theme has them, so that packages copy them as they are.

Purpose: the file of an icon by its name, for where the icon theme of the desktop does not have it.
"""

from __future__ import annotations

from pathlib import Path

from postroad_tray.state import APPLICATION

THEME = Path(__file__).parent / "icons" / "hicolor"
_SYMBOLIC = "-symbolic"


def coloured_path(name: str) -> Path:
    """The same in colours of its own, for where nobody gives a symbolic one the panel's."""
    return icon_path(name.removesuffix(_SYMBOLIC))


def icon_path(name: str) -> Path:
    """`state.icon_name`, or `state.APPLICATION`, with or without `-symbolic`."""
    if name.endswith(_SYMBOLIC):  # the theme that all others fall back to has one folder for these
        return THEME / "symbolic" / "apps" / f"{name}.svg"
    return THEME / "scalable" / ("apps" if name == APPLICATION else "status") / f"{name}.svg"
