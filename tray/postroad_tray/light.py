"""The light icon: the same menu, drawn with GTK by pystray, where Qt is absent or not wanted.

Purpose: icon and menu for a panel that knows application indicators, at no cost in packages but
GTK's binding of the distribution.
Invariants: never pystray's `xorg` back end, which loses clicks and has no menu. What is missing is
said in a sentence with the line to type. No icon is written anywhere. Words change in place; the
menu is laid anew only when a line comes or goes, which closes it where somebody looks at it.
See: docs/adr/0029-tray.md. pystray is pinned in our lock: `_Icon` replaces three methods of its
GTK back end, which write each icon to a file, and ask for the notification daemon and wait for it.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

from postroad_tray.client import Client
from postroad_tray.deeds import Do
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
        self._pystray = back_end()
        self._glib = importlib.import_module("gi.repository.GLib")
        self._gtk = importlib.import_module("gi.repository.Gtk")
        self._client = client
        self._do = do
        self._now = now
        self._starts_at_login = starts_at_login
        self._items: dict[str, Item] = {}
        self._icon = _of(self._pystray)(
            APPLICATION, self._told(icon_name(sign(client.picture))), "Postroad"
        )
        client.watch(self._draw)

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
        login = self._starts_at_login()
        items = menu(picture, self._now(), starts_at_login=login)
        before, self._items = self._items, {one.key: one for one in _all(items)}
        if [_shape(one) for one in before.values()] == [_shape(one) for one in _all(items)]:
            self._icon.amend(items)
        else:
            self._icon.menu = self._menu(items)

    def _told(self, name: str) -> str:
        """As a panel is told it: by its name where the theme has it, else by its file."""
        if self._gtk.IconTheme.get_default().has_icon(name):
            return name
        return str(coloured_path(name))

    def _menu(self, items: tuple[Item, ...]) -> Any:
        return self._pystray.Menu(*(self._line(one) for one in items))

    def _line(self, item: Item) -> Any:
        if item.is_separator:
            return self._pystray.Menu.SEPARATOR
        if item.items:
            return self._pystray.MenuItem(item.text, self._menu(item.items))
        key = item.key
        is_checked = item.checked is True
        return self._pystray.MenuItem(
            lambda _line: self._items[key].text if key in self._items else "",
            lambda: self._clicked(key),
            checked=None if item.checked is None else lambda _line: is_checked,
            enabled=item.deed is not None,
        )

    def _clicked(self, key: str) -> None:
        item = self._items.get(key)
        if item is not None and item.deed is not None:
            self._do(item.deed)


def _all(items: tuple[Item, ...]) -> list[Item]:
    """With those inside of others; a key is unique among all."""
    return [one for item in items for one in (item, *_all(item.items))]


def _shape(item: Item) -> tuple[object, ...]:
    """What cannot be changed in a line that is there."""
    return item.key, item.checked, item.deed is None


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
        def amend(self, items: tuple[Item, ...]) -> None:
            """Say what these say, in the lines that are there."""
            lines = self._menu_handle.get_children() if self._menu_handle is not None else []
            for line, item in zip(lines, items, strict=False):  # it may be about to be laid anew
                if item.text and line.get_label() != item.text:
                    line.set_label(item.text)

        def _initialize(self) -> None:
            self._notifier = _Silent()
            self._mark_ready()

        def _update_fs_icon(self) -> None:
            self._icon_path = self.icon
            self._icon_valid = True

        def _remove_fs_icon(self) -> None:
            self._icon_valid = False

    return _Icon
