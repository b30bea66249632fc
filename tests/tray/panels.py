"""A desktop without a person: a screen that nobody sees, and a real panel on it.

Purpose: start X, a window manager and a panel of the distribution. What is done there: see hand.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from bus_scene import wait_for_name
from needed import skip_without
from person import until
from screens import screen
from tray.hand import HEIGHT, SECONDS_MAX, TITLE, WIDTH, Hand

NEEDED = (
    "Xvfb", "import", "openbox", "xdotool", "trayer", "xfce4-panel", "lxqt-panel", "sway", "waybar"
)  # fmt: skip
XFCE = """<?xml version="1.0"?>
<channel name="xfce4-panel" version="1.0">
 <property name="configver" type="int" value="2"/>
 <property name="panels" type="array"><value type="int" value="1"/>
  <property name="panel-1" type="empty">
   <property name="position" type="string" value="p=6;x=0;y=0"/>
   <property name="length" type="uint" value="100"/>
   <property name="position-locked" type="bool" value="true"/>
   <property name="size" type="uint" value="32"/>
   <property name="plugin-ids" type="array">
    <value type="int" value="1"/><value type="int" value="2"/>
   </property>
  </property>
 </property>
 <property name="plugins" type="empty">
  <property name="plugin-1" type="string" value="separator">
   <property name="expand" type="bool" value="true"/>
  </property>
  <property name="plugin-2" type="string" value="systray"/>
 </property>
</channel>
"""
LXQT = """[General]
__userfile__=true
[panel1]
plugins=statusnotifier
position=Top
panelSize=32
width=100
width-percent=true
[statusnotifier]
type=statusnotifier
alignment=Right
"""
SWAY = """output * mode {width}x{height}
output * bg #3a3a3a solid_color
xwayland disable
default_border none
"""
WAYBAR = (
    '{"layer": "top", "position": "top", "height": 30, "modules-right": ["tray"],'
    ' "tray": {"icon-size": 22, "show-passive-items": true}}'
)
COMMANDS = {
    # XEmbed, the protocol from before D-Bus
    "trayer": "trayer --edge top --align right --widthtype request --height 28",
    # StatusNotifierItem
    "xfce4-panel": "xfce4-panel --disable-wm-check",
    "lxqt-panel": "lxqt-panel",
    # the same, on Wayland
    "waybar": "waybar",
}
# Of the menu of a node that is well (postroad_tray/menu.py), of which the last lines stand apart.
LINES, SEPARATORS, LINES_AT_BOTTOM = 9, 2, 2
SEPARATOR_HEIGHT = 0.4  # of a line
ON_WAYLAND = frozenset({"waybar"})


# How the panels are arranged, by files in ~/.config: our icon at the top right, and nothing else.
SETTINGS = {
    "xfce4/xfconf/xfce-perchannel-xml/xfce4-panel.xml": XFCE,
    "lxqt/panel.conf": LXQT,
    "sway/config": SWAY.format(width=WIDTH, height=HEIGHT),
    "waybar/config": WAYBAR,
    "waybar/style.css": "window#waybar { background: #202020; }",
}


def lay_settings(home: Path) -> None:
    for name, text in SETTINGS.items():
        file = home / ".config" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@dataclass
class Desktop(Hand):
    """A session on X11: `surroundings` are for what runs in it, `of_screen` for the hand."""

    home: Path
    surroundings: dict[str, str]
    of_screen: dict[str, str]
    _has_settings: bool = False
    _running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __post_init__(self) -> None:
        self.keeps = self.home

    def start(self) -> None:
        self.begin("openbox")

    def begin(self, *words: str, **more: str) -> subprocess.Popen[bytes]:
        """It ends with the desktop at the latest."""
        with (self.home / "log").open("ab") as log:
            process = subprocess.Popen(
                words, env={**self.surroundings, **more}, stdout=log, stderr=log, cwd=self.home
            )
        self._running.callback(ended, process)
        return process

    def begin_panel(self, panel: str) -> subprocess.Popen[bytes]:
        if panel == "xfce4-panel" and not self._has_settings:
            # The bus would start it with its own surroundings instead of ours.
            self._has_settings = True
            told = Path("/usr/share/dbus-1/services/org.xfce.Xfconf.service").read_text()
            self.begin(*shlex.split(re.findall(r"(?m)^Exec=(.*)", told)[0]))
            wait_for_name("org.xfce.Xfconf")
        return self.begin(*shlex.split(COMMANDS[panel]))

    def end(self) -> None:
        self._running.close()

    def log(self) -> str:
        return (self.home / "log").read_text(errors="replace")

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, env=self.of_screen, capture_output=True, text=True, check=False, timeout=60
        )

    def shot(self) -> Image.Image:
        done = subprocess.run(
            ["import", "-window", "root", "png:-"],
            env=self.of_screen,
            capture_output=True,
            check=True,
            timeout=60,
        )
        with tempfile.TemporaryFile() as file:
            file.write(done.stdout)
            with Image.open(file) as image:
                return image.convert("RGB")


class WaylandDesktop(Desktop):
    """A session on Wayland, whose screen is a window on X11, so that the hand can reach it."""

    def start(self) -> None:
        # Root is refused; who it is inside of a user namespace, is not.
        other = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
        command = [*(other if os.geteuid() == 0 else []), "sway"]
        self.begin(*command, WLR_BACKENDS="x11", WLR_RENDERER="pixman", **self.of_screen)
        runtime = Path(self.surroundings["XDG_RUNTIME_DIR"])
        until(lambda: [*runtime.glob("sway-ipc.*")], f"sway begins\n{self.log()}", SECONDS_MAX)
        (socket,) = runtime.glob("wayland-?")
        (self._asked,) = map(str, runtime.glob("sway-ipc.*"))
        del self.surroundings["DISPLAY"]
        self.surroundings["WAYLAND_DISPLAY"] = socket.name

    def windows(self) -> list[str]:
        return [one["name"] for one in self._windows()]

    def takes_keys(self) -> bool:
        return any(one["focused"] for one in self._windows())

    def _windows(self) -> list[dict[str, Any]]:
        told = self._run("swaymsg", "--socket", self._asked, "-t", "get_tree").stdout
        return [one for one in _leaves(json.loads(told)) if one.get("name") == TITLE]

    def choose(self, from_the_bottom: int) -> None:
        """With the mouse: a menu of a bar gets no keys here."""
        left, top, right, bottom = self._menu
        height = (bottom - top) / (LINES + SEPARATORS * SEPARATOR_HEIGHT)
        lines_below = from_the_bottom - 0.5 + SEPARATOR_HEIGHT * (from_the_bottom > LINES_AT_BOTTOM)
        self.click_at((left + right) // 2, int(bottom - lines_below * height))


def _leaves(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if node.get("pid"):
        yield node
    for one in [*node.get("nodes", []), *node.get("floating_nodes", [])]:
        yield from _leaves(one)


def ended(process: subprocess.Popen[bytes]) -> None:
    """Panels may end as they like; a tray that is ended ends cleanly, also after all was seen."""
    was_ended = process.poll() is None
    if was_ended:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
    if was_ended and "postroad_tray" in process.args:  # type: ignore[operator]
        assert process.returncode == 0, process.returncode


@contextlib.contextmanager
def desktop(
    folder: Path,
    bus_address: str,
    kind: type[Desktop] = Desktop,
    needed: Sequence[str] = NEEDED,
) -> Iterator[Desktop]:
    """The session, without a panel yet; `needed`: the programs that are used in it."""
    skip_without(*needed)
    home, runtime = folder / "home", folder / "run"
    home.mkdir()
    runtime.mkdir(mode=0o700)
    lay_settings(home)
    named = ("XDG_", "WAYLAND_", "QT_", "GTK_", "DISPLAY", "SWAY")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(named)}
    with screen(folder, f"{WIDTH}x{HEIGHT}") as display:
        ours = {
            **kept,
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(runtime),
            "DISPLAY": display,
            "DBUS_SESSION_BUS_ADDRESS": bus_address,
            "NO_AT_BRIDGE": "1",
            "LC_ALL": "C.UTF-8",
        }
        found = kind(home, ours, dict(ours))
        try:
            found.start()
            yield found
        finally:
            found.end()
