"""A desktop without a person: a screen that nobody sees, a real panel on it, and a hand.

Purpose: start X, a window manager and a panel of the distribution; find our icon in what the screen
shows, and click and type as a person does.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

import dev
from bus_scene import wait_for_name
from person import ClaimFailed, until
from screens import screen

NEEDED = (
    "Xvfb", "import", "openbox", "xdotool", "trayer", "xfce4-panel", "lxqt-panel", "sway", "waybar"
)  # fmt: skip
WIDTH, HEIGHT = 1280, 800
CORNER = (WIDTH - 80, 0, WIDTH, 36)  # where all of them have our icon
ENVELOPE = (0x3A, 0x80, 0xCB)  # the blue of our letter, which is grey where Postroad is off
NEAR = 30  # of 255, for what scaling makes of a colour
PIXELS = 20  # of that colour at least, on the smallest panel
SECONDS_MAX = 30.0
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


def lay_settings(home: Path) -> None:
    """How the panels are arranged: our icon at the top right, and nothing else."""
    sway = SWAY.format(width=WIDTH, height=HEIGHT)
    for name, text in (
        ("xfce4/xfconf/xfce-perchannel-xml/xfce4-panel.xml", XFCE),
        ("lxqt/panel.conf", LXQT),
        ("sway/config", sway),
        ("waybar/config", WAYBAR),
        ("waybar/style.css", "window#waybar { background: #202020; }"),
    ):
        file = home / ".config" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@dataclass
class Desktop:
    """A session on X11: `surroundings` are for what runs in it, `of_screen` for the hand."""

    home: Path
    surroundings: dict[str, str]
    of_screen: dict[str, str]
    _has_settings: bool = False
    _menu: tuple[int, int, int, int] = (0, 0, 0, 0)
    _running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

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

    # --- what is seen ----------------------------------------------------------------------------

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

    def icon(self) -> tuple[int, int] | None:
        """The middle of our letter in the panel, where it shows in its colour."""
        panel = self.shot().crop(CORNER)
        ours = Image.new("L", panel.size, 255)
        for band, wanted in zip(panel.split(), ENVELOPE, strict=True):
            near = [255 if abs(one - wanted) <= NEAR else 0 for one in range(256)]
            ours = ImageChops.multiply(ours, band.point(near))
        box = ours.getbbox()
        if box is None or ours.histogram()[255] < PIXELS:
            return None
        return CORNER[0] + (box[0] + box[2]) // 2, (box[1] + box[3]) // 2

    def wait_for_icon(self, there: bool = True) -> None:
        def holds() -> bool:
            return (self.icon() is not None) == there

        try:
            until(holds, f"the icon {'comes' if there else 'goes'}", SECONDS_MAX)
        except ClaimFailed as failed:
            self.shot().save(self.home / "screen.png")
            raise ClaimFailed(f"{failed} See {self.home}/screen.png.\n{self.log()}") from failed

    def windows(self) -> list[str]:
        """The titles of what is open."""
        found = self._run("xdotool", "search", "--onlyvisible", "--name", "Postroad").stdout.split()
        titles = [self._run("xdotool", "getwindowname", one).stdout.strip() for one in found]
        return [one for one in titles if one == "Postroad"]

    # --- the hand --------------------------------------------------------------------------------

    def click(self, button: int) -> None:
        """On the icon."""
        self.wait_for_icon()
        self.click_at(*(self.icon() or (0, 0)), button)

    def click_at(self, x: int, y: int, button: int = 1) -> None:
        self._move(x, y)
        self._run("xdotool", "click", str(button))

    def _move(self, x: int, y: int) -> None:
        self._run("xdotool", "mousemove", str(x), str(y))

    def leave(self) -> None:
        """The pointer is elsewhere, so that no tooltip lies over anything."""
        self._move(WIDTH // 4, HEIGHT - 20)

    def press(self, *keys: str) -> None:
        for key in keys:
            self._run("xdotool", "key", "--delay", "60", key)

    def type(self, text: str) -> None:
        self._run("xdotool", "type", "--delay", "8", "--", text)

    def open_menu(self) -> None:
        before = self.shot()
        self.click(3)

        def has_opened() -> bool:
            box = ImageChops.difference(before, self.shot()).getbbox()
            self._menu = box or (0, 0, 0, 0)
            return self._menu[2] - self._menu[0] > 150 and self._menu[3] - self._menu[1] > 120

        until(has_opened, f"a menu opens\n{self.log()}", SECONDS_MAX)

    def choose(self, from_the_bottom: int) -> None:
        """That line of the open menu; all below it can be chosen, too."""
        self.press(*["Up"] * from_the_bottom, "Return")


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
        told = self._run("swaymsg", "--socket", self._asked, "-t", "get_tree").stdout
        return [one for one in _names(json.loads(told)) if one == "Postroad"]

    def choose(self, from_the_bottom: int) -> None:
        """With the mouse: a menu of a bar gets no keys here."""
        left, top, right, bottom = self._menu
        height = (bottom - top) / (LINES + SEPARATORS * SEPARATOR_HEIGHT)
        lines_below = from_the_bottom - 0.5 + SEPARATOR_HEIGHT * (from_the_bottom > LINES_AT_BOTTOM)
        self.click_at((left + right) // 2, int(bottom - lines_below * height))


def _names(node: dict[str, Any]) -> Iterator[str]:
    if node.get("pid"):
        yield str(node.get("name"))
    for one in [*node.get("nodes", []), *node.get("floating_nodes", [])]:
        yield from _names(one)


def ended(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@contextlib.contextmanager
def desktop(
    folder: Path,
    bus_address: str,
    kind: type[Desktop] = Desktop,
    needed: Sequence[str] = NEEDED,
) -> Iterator[Desktop]:
    """The session, without a panel yet; `needed`: the programs that are used in it."""
    lacking = [dev.PROGRAMS[program] for program in needed if shutil.which(program) is None]
    if lacking:
        pytest.skip(f"needs Debian packages: {', '.join(lacking)}")
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
