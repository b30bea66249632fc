"""The light icon: the same menu, drawn with GTK by pystray, where Qt is absent or not wanted.

Purpose: icon and menu for a panel that knows application indicators, at no cost in packages but
GTK's binding of the distribution.
Invariants: never pystray's `xorg` back end, which loses clicks and has no menu. What is missing is
said in a sentence with the line to type. No icon is written anywhere. A menu changes in place: one
that was laid anew would close where somebody looks at it. An icon that no host was told of is made
anew.
See: docs/adr/0029-tray.md. pystray is pinned in our lock: `_Icon` replaces four methods of its GTK
back end, which write each icon to a file, ask for the notification daemon and wait for it, and lay
the menu anew.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from functools import partial
from typing import Any

from postroad_tray import hosts
from postroad_tray.client import Client
from postroad_tray.deeds import Deed, Do
from postroad_tray.facts import Picture
from postroad_tray.gnome import is_gnome
from postroad_tray.icon_files import coloured_path
from postroad_tray.menu import Item, menu
from postroad_tray.state import APPLICATION, icon_name, sign, tooltip
from postroad_tray.tongue import _

BACK_END = "appindicator"
PACKAGES = ("python3-gi", "gir1.2-ayatanaappindicator3-0.1")


class Lacking(Exception):
    """There can be no light icon here: a sentence, and the line to type if there is one."""

    def __init__(self, sentence: str, line: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.line = line


def back_end() -> Any:
    """pystray, with the back end that works; `Lacking` says why not."""
    os.environ["PYSTRAY_BACKEND"] = BACK_END
    try:
        importlib.import_module("gi")
    except ImportError as error:
        raise _lacking_packages() from error
    try:
        return importlib.import_module("pystray")
    except ValueError as error:  # what `gi` says of a library that it does not find
        raise _lacking_packages() from error
    except ImportError as error:
        if error.name is not None:  # a module; otherwise it is GTK that could not begin
            raise Lacking(
                _("The light icon cannot be shown: the Python package {name} is missing.").format(
                    name=error.name
                )
            ) from error
        raise Lacking(
            _("There is no display on which an icon could be shown. Log in to a desktop.")
        ) from error


def _lacking_packages() -> Lacking:
    return Lacking(
        _("The light icon needs GTK's binding and application indicators."),
        f"sudo apt install {' '.join(PACKAGES)}",
    )


class LightIcon:
    """`run` it in the main thread."""

    def __init__(
        self,
        client: Client,
        do: Do,
        now: Callable[[], float],
        *,
        starts_at_login: Callable[[], bool | None] = lambda: None,
    ) -> None:
        pystray = back_end()
        self._glib = importlib.import_module("gi.repository.GLib")
        self._gtk = importlib.import_module("gi.repository.Gtk")
        self._client = client
        self._do = do
        self._now = now
        self._starts_at_login = starts_at_login
        self._deeds: dict[str, Deed | None] = {}
        shown = self._gtk.Menu.new()
        self._lines = _Lines(self._gtk, shown, self._clicked)
        self._icon = _of(pystray)(self._told(icon_name(sign(client.picture))), shown)
        client.watch(self._draw)
        self._call_off_settling: Callable[[], None] = lambda: None
        gio = importlib.import_module("gi.repository.Gio")
        gio.bus_watch_name(
            gio.BusType.SESSION,
            hosts.REGISTER_AT,
            gio.BusNameWatcherFlags.NONE,
            lambda *_ignored: self._let_hosts_settle(hosts.SETTLE_SECONDS),
            lambda *_ignored: self._call_off_settling(),
        )

    def run(self) -> None:
        """Until `stop`."""
        self._icon.run()

    def stop(self) -> None:
        self._icon.stop()

    def post(self, deliver: Callable[[], None]) -> None:
        """Have it called in the thread of `run`, from any thread."""
        self._glib.idle_add(_once(deliver))

    def later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]:
        """Have it called there in so many seconds; what comes back calls it off."""
        fired = False

        def fire() -> bool:
            nonlocal fired
            fired = True
            call()
            return False

        timer = self._glib.timeout_add(int(seconds * 1000) + 1, fire)

        def call_off() -> None:
            nonlocal fired
            if not fired:
                fired = True
                self._glib.source_remove(timer)

        return call_off

    def _draw(self, picture: Picture) -> None:
        icon = self._told(icon_name(sign(picture), symbolic=is_gnome()))
        if icon != self._icon.icon:
            self._icon.icon = icon
        self._icon.title = tooltip(picture, self._now())
        self._lay()

    def _lay(self) -> None:
        login = self._starts_at_login()
        items = menu(self._client.picture, self._now(), starts_at_login=login)
        self._deeds = {one.key: one.deed for one in _all(items)}
        self._lines.lay(items)

    def _let_hosts_settle(self, seconds: float) -> None:
        self._call_off_settling()
        self._call_off_settling = self.later(seconds, partial(self._hosts_have_settled, seconds))

    def _hosts_have_settled(self, seconds: float) -> None:
        """Where the bus was slow, the library has met hosts before its own line to the bus, and
        then tells none of them, ever (libayatana-appindicator 0.5.92, `name_appeared_handler`)."""
        if self._icon.has_met_hosts:
            self._icon.tell_again()  # the name of a host may be there before it listens
        else:
            self._icon.make_anew()
            self._let_hosts_settle(2 * seconds)

    def _told(self, name: str) -> str:
        """As a panel is told it: by its name where the theme has it, else by its file."""
        if self._gtk.IconTheme.get_default().has_icon(name):
            return name
        return str(coloured_path(name))

    def _clicked(self, key: str) -> None:
        self.post(self._lay)  # GTK has turned a switch that was clicked; it stands as things are
        deed = self._deeds.get(key)
        if deed is not None:
            self._do(deed)


def _all(items: tuple[Item, ...]) -> list[Item]:
    """With those inside of others; a key is unique among all."""
    return [one for item in items for one in (item, *_all(item.items))]


class _Lines:
    """The lines of one menu, or of one inside it. What is not wanted is hidden: some hosts close
    the menu of another program when a line comes or goes (LXQt), but not when one shows or hides,
    so that this happens for each line once at most."""

    def __init__(self, gtk: Any, shown: Any, clicked: Callable[[str], None]) -> None:
        self._gtk = gtk
        self._shown = shown
        self._clicked = clicked
        self._lines: dict[str, Any] = {}
        self._inner: dict[str, _Lines] = {}
        self._is_laying = False

    def lay(self, items: tuple[Item, ...]) -> None:
        """Have these, in this order."""
        self._is_laying = True
        try:
            place = 0
            for item in items:
                if self._place(item.key) < place:
                    self._make(item, place)
                place = self._place(item.key) + 1
                self._amend(item)
            for key in self._lines.keys() - {one.key for one in items}:
                self._lines[key].set_visible(False)
        finally:
            self._is_laying = False

    def _place(self, key: str) -> int:
        """Counted from the top; -1: it is not there."""
        return self._shown.get_children().index(self._lines[key]) if key in self._lines else -1

    def _make(self, item: Item, place: int) -> None:
        if item.key in self._lines:  # it is above a line that it comes after
            self._lines.pop(item.key).destroy()
            place -= 1
        if item.is_separator:
            line = self._gtk.SeparatorMenuItem.new()
        elif item.checked is not None:
            line = self._gtk.CheckMenuItem.new_with_label(item.text)
        else:
            line = self._gtk.MenuItem.new_with_label(item.text)
        if item.items:
            inner = self._gtk.Menu.new()
            line.set_submenu(inner)
            self._inner[item.key] = _Lines(self._gtk, inner, self._clicked)
        else:
            line.connect("activate", lambda _line: self._was_clicked(item.key))
        self._lines[item.key] = line
        line.set_visible(True)  # hosts are told of it as it is when it comes
        self._shown.insert(line, place)

    def _amend(self, item: Item) -> None:
        line = self._lines[item.key]
        line.set_visible(True)
        if not item.is_separator and line.get_label() != item.text:
            line.set_label(item.text)
        line.set_sensitive(bool(item.deed or item.items))
        if item.checked is not None and line.get_active() != item.checked:
            line.set_active(item.checked)
        if item.items:
            self._inner[item.key].lay(item.items)

    def _was_clicked(self, key: str) -> None:
        if not self._is_laying:  # GTK also takes it for a click that a switch is turned by us
            self._clicked(key)


def _once(deliver: Callable[[], None]) -> Callable[[], bool]:
    def delivered() -> bool:
        deliver()
        return False

    return delivered


def _of(pystray: Any) -> Any:
    """Its icon, whose image is a name or a file, and which notifies nobody (`notifier` does)."""

    class _Silent:
        def hide(self) -> None: ...

    class _Icon(pystray.Icon):  # type: ignore[misc]
        _appindicator: Any

        def __init__(self, image: str, shown: Any) -> None:
            super().__init__(APPLICATION, image, "Postroad")
            self._menu_handle = shown

        @property
        def has_met_hosts(self) -> bool:
            """Whether its library knows whom it tells of it, or has told."""
            return bool(self._appindicator.get_property("connected"))

        def tell_again(self) -> None:
            """Set so, and not by `set_icon`, its library tells hosts of it once more."""
            self._appindicator.set_property("icon-name", self._icon_path)

        def make_anew(self) -> None:
            before: Any = self._appindicator
            # It has lost count of who holds it, so nobody else would give back what it has on the
            # bus. It would give its menu back with each time, and there can be a second.
            before.set_property("dbus-menu-server", None)
            before.run_dispose()
            self._appindicator = type(before).new(self.name, "", before.get_category())
            self._show()

        def _update_menu(self) -> None: ...

        def _initialize(self) -> None:
            self._notifier = _Silent()
            self._mark_ready()

        def _update_fs_icon(self) -> None:
            self._icon_path = self.icon
            self._icon_valid = True

        def _remove_fs_icon(self) -> None:
            self._icon_valid = False

    return _Icon
