"""The tray on the panels that people have, over a real service with a real peer.

Four panels: one that speaks XEmbed, and three that speak StatusNotifierItem, of GTK, of Qt, and on
Wayland. The icon is found in what the screen shows, the menu is opened and used, the window is
opened by a click.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dbus_next.aio
import pytest

import dev
from bus_scene import Scene, scene, wait_for_name
from needed import skip_without
from person import surroundings, until
from postroad import contract
from postroad.timeouts import timeout
from postroad_tray.hosts import SETTLE_SECONDS
from postroad_tray.instance import NAME
from session_bus import PROPERTIES, LibraryClient, closed, connected
from tray.hand import OPEN, QUIT
from tray.panels import COMMANDS, ON_WAYLAND, Desktop, WaylandDesktop, desktop

SECONDS_MAX = 30.0
DOUBLE_CLICK_SECONDS = 0.6  # a click that comes sooner is the second of two, and hides nothing
DISTRIBUTION = "/usr/lib/python3/dist-packages"  # where python3-gi is
WATCHER = "org.kde.StatusNotifierWatcher"
NO_ICON = "Postroad is running without an icon"


@pytest.fixture(scope="module")
def network(quiet_network: None) -> Iterator[Scene]:
    """Anna's node is on the bus, and Bora is her contact."""
    with scene("dbus-next") as found:
        yield found


@pytest.fixture
def place(network: Scene, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desktop]:
    """The desktop on which the panel of this test is at home."""
    named = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    kind = WaylandDesktop if named.get("panel") in ON_WAYLAND else Desktop
    with desktop(tmp_path, network.bus.address, kind) as found:
        found.surroundings["PYTHONPATH"] = surroundings()["PYTHONPATH"]
        yield found


class Tray:
    """`postroad-tray` as a desktop starts it."""

    def __init__(self, place: Desktop, *words: str) -> None:
        self._place = place
        self.process = start(place, *words)
        wait_for_name(NAME)

    def wait_for_its_end(self) -> None:
        self._place.until(lambda: self.process.poll() is not None, "the tray ends")
        assert self.process.returncode == 0, self._place.log()


def start(place: Desktop, *words: str) -> subprocess.Popen[bytes]:
    return place.begin(sys.executable, "-m", "postroad_tray", *words)


def manager(member: str, signature: str = "", *arguments: object) -> None:
    asker = LibraryClient("dbus-next")
    asker.call(contract.ROOT_PATH, contract.MANAGER_INTERFACE, member, signature, *arguments)


@pytest.mark.parametrize("panel", COMMANDS)
def test_the_icon_comes_with_the_panel_and_does_what_it_is_clicked_for(
    place: Desktop, panel: str
) -> None:
    tray = Tray(place, "--background")  # at login it is often there before the panel
    assert place.windows() == []
    host = place.begin_panel(panel)
    place.wait_for_icon_to_stand()
    assert place.windows() == []

    place.click(1)
    place.wait_for_window()
    place.wait_for_keys()
    time.sleep(DOUBLE_CLICK_SECONDS)
    place.click(1)
    place.wait_for_window(open_=False)

    place.open_menu()
    place.choose(OPEN)
    place.wait_for_window()
    place.close_window()

    manager("Pause", "u", 600)  # the letter is grey now
    place.leave()
    place.wait_for_icon(there=False)
    manager("Resume")
    place.wait_for_icon()

    host.kill()  # a panel that crashes
    host.wait(10)
    place.wait_for_icon(there=False)
    assert tray.process.poll() is None
    place.begin_panel(panel)
    place.wait_for_icon_to_stand()

    place.open_menu()
    place.choose(QUIT)
    tray.wait_for_its_end()
    place.wait_for_icon(there=False)


@pytest.mark.parametrize("panel", COMMANDS)
def test_the_light_icon_has_the_same_menu(place: Desktop, panel: str) -> None:
    if not dev.has_indicator():
        pytest.skip(f"needs Debian packages: {', '.join(dev.INDICATOR_PACKAGES)}")
    place.surroundings["PYTHONPATH"] += f":{DISTRIBUTION}"
    place.begin_panel(panel)
    tray = Tray(place, "--light")
    place.wait_for_icon_to_stand()  # its library begins with XEmbed where the panel is still busy
    pause_and_resume(place)  # a line that was never there before closes an open menu in LXQt
    place.open_menu()
    pause_and_resume(place)  # lines go and come beneath somebody who looks
    place.choose(OPEN)  # the window is a program of its own, with Qt
    place.wait_for_window()
    place.close_window()
    place.open_menu()
    place.choose(QUIT)
    tray.wait_for_its_end()
    place.wait_for_icon(there=False)


def pause_and_resume(place: Desktop) -> None:
    manager("Pause", "u", 600)
    place.wait_for_icon(there=False)
    manager("Resume")
    place.wait_for_icon()


def test_without_any_panel_nothing_opens_until_somebody_asks_for_it(place: Desktop) -> None:
    tray = Tray(place, "--background")
    assert place.windows() == []
    second = start(place)  # from the list of programs
    assert second.wait(SECONDS_MAX) == 0
    place.wait_for_window()
    assert tray.process.poll() is None


def test_gnome_without_icons_says_so_and_a_click_opens_the_window(place: Desktop) -> None:
    skip_without("dunst")
    place.surroundings["XDG_CURRENT_DESKTOP"] = "GNOME"
    place.begin("dunst", "-print")
    wait_for_name("org.freedesktop.Notifications")
    Tray(place, "--background")
    until(lambda: NO_ICON in place.log(), f"it is said\n{place.log()}", 2 * SECONDS_MAX)
    assert place.windows() == []
    place.begin("dunstctl", "action", "0")
    place.wait_for_window()


def test_a_host_that_is_ready_late_is_told_of_the_icon_again(place: Desktop) -> None:
    """Its name has been there for a while: a bar that loads slowly, at a login."""

    async def be_ready_late() -> None:
        async with own_host() as host:
            await host.until_told(1)
            await asyncio.sleep(2 * SETTLE_SECONDS)  # by then what its name has begun is over
            before = len(host.told)
            ready = ("/StatusNotifierWatcher", WATCHER, "StatusNotifierHostRegistered")
            await host.bus.send(dbus_next.Message.new_signal(*ready))
            await host.until_told(before + 1)

    Tray(place, "--background")
    asyncio.run(be_ready_late())


def test_a_host_that_was_there_a_moment_before_is_told_of_the_icon_again(place: Desktop) -> None:
    """Of what it is told while it begins, waybar shows nothing in one case of six."""

    async def be_there_before() -> None:
        async with own_host() as host:
            start(place, "--background")
            await host.until_told(2)
            await asyncio.sleep(2 * SETTLE_SECONDS)
            first, second = host.told  # and no third
            await asyncio.to_thread(wait_for_name, second)
            await asyncio.to_thread(wait_for_name, first, owned=False)

    asyncio.run(be_there_before())


LAID = """
import gi
gi.require_version("Gtk", "3.0")
from gi.repository import Gtk
from postroad_tray.deeds import Open
from postroad_tray.light import _Lines
from postroad_tray.menu import Item

clicked = []
shown = Gtk.Menu.new()
lines = _Lines(Gtk, shown, clicked.append)
every = {key: Item(key, key, Open()) for key in "abcd"}
lines.lay((every["a"], every["b"], every["c"]))
laid = shown.get_children()
lines.lay((every["a"], every["c"]))
lines.lay((every["a"], every["b"], every["c"]))
assert shown.get_children() == laid  # hidden, and shown again
for order in ("abc", "ac", "adbc", "cab", "d", "abcd"):
    lines.lay(tuple(every[key] for key in order))
    seen = "".join(line.get_label() for line in shown.get_children() if line.get_visible())
    assert seen == order, (seen, order)
for stands in (True, False, True):
    lines.lay((Item("s", "switch", Open(), checked=stands),))
    assert lines._lines["s"].get_active() == stands
assert clicked == []
lines._lines["s"].activate()
lines._lines["a"].activate()
assert clicked == ["s", "a"]
lines.lay((Item("s", "switch", Open(), checked=True),))  # as a click left it, it was off
assert lines._lines["s"].get_active() and clicked == ["s", "a"]
print("so it is")
"""


def test_the_lines_of_the_light_menu_are_as_they_are_wanted(place: Desktop) -> None:
    if not dev.has_indicator():
        pytest.skip(f"needs Debian packages: {', '.join(dev.INDICATOR_PACKAGES)}")
    ours = {**place.surroundings}
    ours["PYTHONPATH"] += f":{DISTRIBUTION}"
    done = subprocess.run(
        [sys.executable, "-c", LAID], env=ours, capture_output=True, text=True, check=False
    )
    assert done.stdout == "so it is\n", done.stderr


# Its library asks for the bus twice, in threads of GLib's, and never tells a host that it has met
# before the second answer. Here all ten threads read what nobody writes for a while, and GLib adds
# one after the other, some 100 ms apart.
BUS_IS_SLOW = """
import os, sys, threading, time
from gi.repository import Gio
from postroad_tray import light, program

def let_go():
    time.sleep(0.7)
    os.open(os.environ["NOBODY"], os.O_RDWR)

def made_slowly(*words):
    kind.new = new
    threading.Thread(target=let_go).start()
    return new(*words)

for _ in range(10):
    file = Gio.File.new_for_path(os.environ["NOBODY"])
    file.read_async(0, None, lambda *_ignored: None)
light.back_end()
from pystray import _appindicator
kind = _appindicator.AppIndicator.Indicator
new, kind.new = kind.new, made_slowly
sys.exit(program.main())
"""
MET_TOO_EARLY, TRIES = "g_dbus_proxy_new: assertion", 5


def test_a_host_that_the_library_has_met_too_early_is_told_of_the_light_icon(
    place: Desktop,
) -> None:
    if not dev.has_indicator():
        pytest.skip(f"needs Debian packages: {', '.join(dev.INDICATOR_PACKAGES)}")
    place.surroundings["PYTHONPATH"] += f":{DISTRIBUTION}"
    nobody = place.home / "nobody"
    os.mkfifo(nobody)

    async def meet() -> None:
        async with own_host() as host:
            words = (sys.executable, "-c", BUS_IS_SLOW, "--light")
            tray = place.begin(*words, NOBODY=str(nobody))
            await host.until_told(2)  # and again when it has settled
            await asyncio.sleep(2 * SETTLE_SECONDS)
            assert len(host.told) == 2
            told = await asyncio.to_thread(menu_of, host.tellers[-1], host.told[-1])
            assert "Open Postroad" in str(told)
            tray.terminate()
            assert await asyncio.to_thread(tray.wait, SECONDS_MAX) == 0, place.log()

    for _ in range(TRIES):  # a busy machine begins to listen when both answers are there
        asyncio.run(meet())
        if MET_TOO_EARLY in place.log():
            return
    pytest.fail("The library has met no host too early, so nothing was shown.")


def menu_of(teller: str, path: str) -> object:
    asker = LibraryClient("dbus-next")
    menu = f"{path}/Menu"
    interface = "com.canonical.dbusmenu"
    return asker.call(menu, interface, "GetLayout", "iias", 0, -1, [], destination=teller)


@dataclass
class OwnHost:
    """A host of the test. `told`: of which icons, by names of their own on the bus or paths there;
    `tellers`: by whom."""

    bus: Any
    told: list[str] = field(default_factory=list)
    tellers: list[str] = field(default_factory=list)

    def heard(self, message: dbus_next.Message) -> dbus_next.Message | None:
        if message.member == "RegisterStatusNotifierItem":
            self.told.append(message.body[0])
            self.tellers.append(message.sender)
            return dbus_next.Message.new_method_return(message)
        if message.interface == PROPERTIES:  # of what is asked, Qt reads this one alone
            yes = dbus_next.Variant("b", True)
            many = message.member == "GetAll"
            body = {"IsStatusNotifierHostRegistered": yes} if many else yes
            return dbus_next.Message.new_method_return(message, "a{sv}" if many else "v", [body])
        return None

    async def until_told(self, times: int) -> None:
        async with timeout(SECONDS_MAX):
            while len(self.told) < times:
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def own_host() -> AsyncIterator[OwnHost]:
    """With the name of one, and without a panel."""
    host = OwnHost(await connected(dbus_next.aio))
    host.bus.add_message_handler(host.heard)
    await host.bus.request_name(WATCHER)
    try:
        yield host
    finally:
        await closed(host.bus)
