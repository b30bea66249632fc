"""Desktops in a booted system: what its distribution has for a panel, in somebody's own session.

Purpose: X with a window manager and a panel, and GNOME Shell; what is seen and done there is the
same as on a desktop here (tests/tray/hand.py).
"""

from __future__ import annotations

import base64
import json
import shlex
import struct
import zlib
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops

from person import until
from postroad_tray import gnome
from roots import PEOPLE
from system.people import Resident
from tray.hand import HEIGHT, PIXELS, SECONDS_MAX, TITLE, WIDTH, Hand
from tray.panels import COMMANDS, SETTINGS
from whole_system import Done

SHELL = "gnome-shell"
PANEL = "xfce4-panel"
OF_X = ("xvfb", "openbox", "xdotool", PANEL)  # the packages
OF_SHELL = (
    *(SHELL, "gnome-shell-extension-appindicator", "dconf-gsettings-backend", "libgl1-mesa-dri"),
    *("adwaita-icon-theme", "fonts-dejavu-core"),
)
DISPLAY = ":7"
PIXEL_OCTETS = 4
START_SECONDS_MAX = 90.0
GREETED = ("org.gnome.shell", "welcome-dialog-last-shown-version", "999")  # nothing over everything
SOCKET = "wayland-9"
CORNER_OF_SHELL = (WIDTH - 300, 0, WIDTH, 32)
FILE = "screen"  # in the home folder
# A pointer and a keyboard as the compositor itself has them, whose events go the way of all events.
DEVICES = """(() => {
    const kinds = imports.gi.Clutter.InputDeviceType;
    const seat = global.stage.context.get_backend().get_default_seat();
    global.pointer = seat.create_virtual_device(kinds.POINTER_DEVICE);
    global.keys = seat.create_virtual_device(kinds.KEYBOARD_DEVICE);
    return true;
})()"""
BUTTON = """(() => {
    for (const state of [1, 0])
        global.pointer.notify_button(imports.gi.GLib.get_monotonic_time(), $0, state);
    return true;
})()"""
KEY = """(() => {
    for (const state of [1, 0])
        global.keys.notify_keyval(
            imports.gi.GLib.get_monotonic_time(), imports.gi.Clutter.KEY_$0, state);
    return true;
})()"""
MOVE = """(() => {
    global.pointer.notify_absolute_motion(imports.gi.GLib.get_monotonic_time(), $0);
    return true;
})()"""
# Where the lines of the open menu are that can be chosen.
LINES = """Object.entries(Main.panel.statusArea)
    .filter(([name, _]) => name.startsWith('appindicator'))
    .flatMap(([_, one]) => one.menu._getMenuItems())
    .filter(line => line.visible && line.label?.text)
    .map(line => [...line.get_transformed_position(), ...line.get_transformed_size()])"""


class Session(Hand):
    """What runs in it are units of this person's; `variables` are for those that open windows."""

    def __init__(self, person: Resident, keeps: Path, **variables: str) -> None:
        self._person, self.keeps, self._variables = person, keeps, variables
        self._begun: list[str] = []

    def begin(self, *words: str, **variables: str) -> None:
        settings = [f"--setenv={name}={value}" for name, value in variables.items()]
        self._begun.append(words[0])
        unit = ("systemd-run", "--user", "--quiet", "--collect", f"--unit={words[0]}")
        self._person.type(*unit, *settings, *words)

    def begin_host(self, host: str) -> None:
        raise NotImplementedError

    def end_host(self, host: str) -> None:
        self._person.systemctl("stop", f"{host}.service")

    def show_icons(self) -> None:
        """From now on icons are shown, where that is not so from the beginning."""

    def activate(self) -> None:
        """Do with the icon what has the window opened."""
        raise NotImplementedError

    def begin_tray(self) -> None:
        self.begin("postroad-tray", "--background", **self._variables)

    def log(self) -> str:
        number = f"_UID={PEOPLE[self._person.name]}"
        of_units = (f"_SYSTEMD_USER_UNIT={name}.service" for name in self._begun)
        return self._person.system.journal(number, *of_units)

    def _read(self, script: str) -> bytes:
        """The file that a script writes to its end."""
        packed = "gzip --fast --stdout | base64 --wrap=0"
        done = self._person.type("sh", "-c", f"({script}) | {packed}")
        return zlib.decompress(base64.b64decode(done.stdout), wbits=31)


class XSession(Session):
    """An X server, whose screen is a file, and a window manager."""

    def __init__(self, person: Resident, keeps: Path) -> None:
        super().__init__(person, keeps, DISPLAY=DISPLAY)

    def start(self) -> None:
        self._person.type("mkdir", FILE)
        size = f"{WIDTH}x{HEIGHT}x24"
        self.begin(*("Xvfb", DISPLAY, "-screen", "0", size, "-fbdir", f"/home/alice/{FILE}"))
        asked = ("xdotool", "getdisplaygeometry")
        until(lambda: self._run(*asked).returncode == 0, "the screen is there", SECONDS_MAX)
        self.begin("openbox", **self._variables)

    def begin_host(self, host: str) -> None:
        for name, text in SETTINGS.items():
            file = shlex.quote(f".config/{name}")
            script = f'mkdir -p "$(dirname {file})" && cat > {file}'
            self._person.type("sh", "-c", script, stdin=text)
        self.begin(*shlex.split(COMMANDS[host]), **self._variables)

    def shot(self) -> Image.Image:
        dump = self._read(f"cat {FILE}/Xvfb_screen0")
        head = struct.unpack(">25I", dump[:100])  # XWDFileHeader
        begins = head[0] + 12 * head[19]  # behind the colours
        pixels = dump[begins : begins + WIDTH * HEIGHT * PIXEL_OCTETS]
        return Image.frombytes("RGB", (WIDTH, HEIGHT), pixels, "raw", "BGRX")

    def _run(self, *words: str) -> Done:
        return self._person.type("env", f"DISPLAY={DISPLAY}", *words, check=False)

    def activate(self) -> None:
        self.click(1)


class GnomeSession(Session):
    """GNOME Shell with a screen that is nowhere. Its icons are white, so ours is what came."""

    def __init__(self, person: Resident, keeps: Path) -> None:
        self._of_shell = {
            "XDG_SESSION_TYPE": "wayland",
            "XDG_CURRENT_DESKTOP": "GNOME",
            "LIBGL_ALWAYS_SOFTWARE": "1",
        }
        super().__init__(person, keeps, **self._of_shell, WAYLAND_DISPLAY=SOCKET)

    def begin_host(self, host: str) -> None:
        self._person.type("gsettings", "set", *GREETED)
        size = f"{WIDTH}x{HEIGHT}"
        screen = ("--headless", "--virtual-monitor", size, f"--wayland-display={SOCKET}")
        self.begin(host, *screen, "--unsafe-mode", **self._of_shell)

        up = "!Main.layoutManager._startingUp"
        until(lambda: self._call(up).stdout.endswith('"true"]}\n'), "it begins", START_SECONDS_MAX)
        self._asked(DEVICES)
        desktop = "Main.overview.hide(); !Main.overview.visible"
        until(lambda: self._asked(desktop), "the desktop shows", SECONDS_MAX)
        until(lambda: self._corner() == self._corner(), "nothing moves any more", SECONDS_MAX)
        self._before = self._corner()

    def show_icons(self) -> None:
        """As the button of the tray's window has it."""
        call = ("call", gnome.SHELL, gnome.SHELL_PATH, gnome.SHELL_INTERFACE, "EnableExtension")
        told = self._person.type("busctl", "--user", *call, "s", gnome.EXTENSIONS[0])
        assert told.stdout == "b true\n"

    def shot(self) -> Image.Image:
        place = f"/home/alice/{FILE}.png"
        name = "org.gnome.Shell.Screenshot"
        call = f"busctl --user call {name} /org/gnome/Shell/Screenshot {name} Screenshot bbs"
        octets = self._read(f"{call} false false {place} > /dev/null && cat {place}")
        (self.keeps / "seen.png").write_bytes(octets)
        with Image.open(self.keeps / "seen.png") as image:
            return image.convert("RGB")

    def _corner(self) -> Image.Image:
        return self.shot().crop(CORNER_OF_SHELL)

    def icon(self) -> tuple[int, int] | None:
        changed = ImageChops.difference(self._before, self._corner()).convert("L")
        box = changed.getbbox()
        if box is None or sum(changed.histogram()[64:]) < PIXELS:
            return None
        return CORNER_OF_SHELL[0] + (box[0] + box[2]) // 2, (box[1] + box[3]) // 2

    def windows(self) -> list[str]:
        titles = self._asked("global.get_window_actors().map(one => one.meta_window.title)")
        return [one for one in titles if one == TITLE]

    def takes_keys(self) -> bool:
        return bool(self._asked("global.display.focus_window?.title ?? ''") == TITLE)

    def activate(self) -> None:
        """A single click has the menu opened."""
        self.click(1)
        self._click(1)

    def click_at(self, x: int, y: int, button: int = 1) -> None:
        self._move(x, y)
        self._click(button)

    def _click(self, button: int) -> None:
        self._asked(BUTTON.replace("$0", str(button)))

    def _move(self, x: int, y: int) -> None:
        self._asked(MOVE.replace("$0", f"{x}, {y}"))

    def press(self, *keys: str) -> None:
        for key in keys:
            self._asked(KEY.replace("$0", key))

    def choose(self, from_the_bottom: int) -> None:
        left, top, width, height = self._asked(LINES)[-from_the_bottom]
        self.click_at(int(left + width / 2), int(top + height / 2))

    def _call(self, script: str) -> Done:
        where = (gnome.SHELL, gnome.SHELL_PATH, gnome.SHELL, "Eval", "s")
        asked = ("busctl", "--user", "--json=short", "call", *where, script)
        return self._person.type(*asked, check=False)

    def _asked(self, script: str) -> Any:
        """What the shell answers to a line of its own language."""
        is_good, told = json.loads(self._call(script).stdout)["data"]
        assert is_good, told
        return json.loads(told)
