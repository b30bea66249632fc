"""The icon in the tray, and its menu, drawn with Qt.

Purpose: show what `state` and `menu` say of each picture, and pass on what is clicked.
Invariants: an icon that no host shows is no error, and opens nothing; it appears as soon as there
is one. A menu that somebody looks at keeps its lines: their words change in place, and what cannot
be done any more is greyed; lines come and go before it is opened and after it was closed. While it
is closed nothing here runs.
See: docs/adr/0029-tray.md. Hosts differ: a left click may open the menu, or be two events; a right
click is also told as `activated(Context)` where the host is one of XEmbed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import SLOT, QObject, QTimer, Slot
from PySide6.QtDBus import QDBusConnection, QDBusServiceWatcher
from PySide6.QtGui import QAction, QIcon
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from postroad_tray import hosts
from postroad_tray.client import Client
from postroad_tray.deeds import Do, OpenOrHide
from postroad_tray.facts import Picture
from postroad_tray.gnome import is_gnome
from postroad_tray.icon_files import coloured_path
from postroad_tray.menu import Item, menu
from postroad_tray.state import icon_name, sign, tooltip

LOOK_MS = 30_000  # at a menu; some hosts never tell that it was closed
Reason = QSystemTrayIcon.ActivationReason


class TrayIcon(QObject):
    def __init__(
        self,
        client: Client,
        do: Do,
        now: Callable[[], float],
        *,
        look: Callable[[bool], None] = lambda wanted: None,
        starts_at_login: Callable[[], bool | None] = lambda: None,
        host_changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`look` is told while somebody has the menu open; `host_changed`, that `is_shown` may say
        something else now."""
        super().__init__()
        self._client = client
        self._do = do
        self._now = now
        self._starts_at_login = starts_at_login
        self._host_changed = host_changed
        self._icons: dict[str, QIcon] = {}
        self._menu = QMenu()
        self._drawn = DrawnMenu(self._menu, do, self._items, look)
        self._tray = self._made()
        self._settling = QTimer(self, singleShot=True, interval=int(1000 * hosts.SETTLE_SECONDS))
        self._settling.timeout.connect(self._hosts_have_settled)
        watcher = QDBusServiceWatcher(hosts.REGISTER_AT, QDBusConnection.sessionBus(), parent=self)
        watcher.serviceOwnerChanged.connect(self._hosts_came_or_went)
        QDBusConnection.sessionBus().connect(  # type: ignore[call-overload]  # of a SLOT, too
            hosts.REGISTER_AT,
            hosts.REGISTER_AT_PATH,
            hosts.REGISTER_AT,
            "StatusNotifierHostRegistered",
            self,
            SLOT("_a_host_registered()"),
        )
        if self._hosts_can_register():  # one may have begun just now: waybar 0.9 shows five of six
            self._settling.start()
        client.watch(self._draw)

    @staticmethod
    def _hosts_can_register() -> bool:
        """Asked once, and the bus is waited for: as Qt itself does when it makes an icon."""
        bus = QDBusConnection.sessionBus().interface()  # None where there is no bus
        return bool(bus) and bus.isServiceRegistered(hosts.REGISTER_AT).value()

    @staticmethod
    def is_shown() -> bool:
        """Whether there is a host that shows icons."""
        return QSystemTrayIcon.isSystemTrayAvailable()

    def hide(self) -> None:
        self._tray.hide()

    def _made(self) -> QSystemTrayIcon:
        tray = QSystemTrayIcon(self)
        tray.setContextMenu(self._menu)
        tray.activated.connect(self._activated)
        self._dress(tray, self._client.picture)
        tray.show()
        return tray

    def _hosts_came_or_went(self, _name: str, _before: str, _after: str) -> None:
        self._settling.start()

    @Slot()
    def _a_host_registered(self) -> None:
        # Where there is much to do at login, that is seconds after the name came: see below.
        self._settling.start()

    def _hosts_have_settled(self) -> None:
        # Made anew: on X11 Qt decides when an icon is made for which kind of host it is, and keeps
        # to that; and a bar that has just begun (waybar) misses whoever has been there before it.
        self._tray.hide()
        self._tray.deleteLater()
        self._tray = self._made()
        self._host_changed()

    def _draw(self, picture: Picture) -> None:
        self._dress(self._tray, picture)
        self._drawn.draw()

    def _dress(self, tray: QSystemTrayIcon, picture: Picture) -> None:
        name = icon_name(sign(picture), symbolic=is_gnome())  # its panel is of one colour
        if tray.icon().cacheKey() != self._icon(name).cacheKey():
            tray.setIcon(self._icon(name))
        words = tooltip(picture, self._now())
        if tray.toolTip() != words:
            tray.setToolTip(words)

    def _icon(self, name: str) -> QIcon:
        if name not in self._icons:
            self._icons[name] = load(name)
        return self._icons[name]

    def _items(self) -> tuple[Item, ...]:
        login = self._starts_at_login()
        return menu(self._client.picture, self._now(), starts_at_login=login)

    def _activated(self, reason: Reason) -> None:
        if reason == Reason.Trigger:  # a second click of two tells of itself as another one
            self._do(OpenOrHide())


def load(name: str) -> QIcon:
    """From the theme, where it has it: hosts are then told the name, and take the size and, of a
    symbolic one, the colour that they want."""
    if QIcon.hasThemeIcon(name):
        return QIcon.fromTheme(name)
    return QIcon(str(coloured_path(name)))


class DrawnMenu:
    """A QMenu that is kept as the items say."""

    def __init__(
        self,
        shown: QMenu,
        do: Do,
        items: Callable[[], tuple[Item, ...]],
        look: Callable[[bool], None] = lambda wanted: None,
    ) -> None:
        self._lines = Lines(shown, do)
        self._items = items
        self._look = look
        self._is_open = False
        self._closing = QTimer(shown, singleShot=True, interval=LOOK_MS)
        self._closing.timeout.connect(partial(look, False))
        shown.aboutToShow.connect(self._opens)
        shown.aboutToHide.connect(self._closes)
        self.draw()

    def draw(self) -> None:
        if self._is_open:
            self._lines.amend(self._items())
        else:
            self._lines.lay(self._items())

    def _opens(self) -> None:
        self._lines.lay(self._items())
        self._is_open = True
        self._look(True)
        self._closing.start()

    def _closes(self) -> None:
        self._is_open = False
        if self._closing.isActive():
            self._closing.stop()
            self._look(False)
        # What was clicked is told after this: it must be there still.
        QTimer.singleShot(0, self._lines.menu, self.draw)


class Lines:
    """The lines of one menu, or of one inside it."""

    def __init__(self, shown: QMenu, do: Do) -> None:
        self.menu = shown
        self._do = do
        self._items: dict[str, Item] = {}
        self._actions: dict[str, QAction] = {}
        self._inner: dict[str, Lines] = {}

    def lay(self, items: tuple[Item, ...]) -> None:
        """Have these, in this order."""
        if [one.key for one in items] != list(self._actions):
            self._arrange(items)
        self.amend(items)
        for one in items:
            if one.items:
                self._inner[one.key].lay(one.items)

    def _arrange(self, items: tuple[Item, ...]) -> None:
        before = self._actions
        self._actions = {one.key: before.get(one.key) or self._made(one) for one in items}
        for action in self.menu.actions():
            self.menu.removeAction(action)
        self.menu.addActions(list(self._actions.values()))
        for key in before.keys() - self._actions.keys():
            before[key].deleteLater()
            if key in self._inner:
                self._inner.pop(key).menu.deleteLater()

    def _made(self, item: Item) -> QAction:
        if item.items:
            inner = QMenu(self.menu)
            self._inner[item.key] = Lines(inner, self._do)
            action = inner.menuAction()
        else:
            action = QAction(self.menu)
            action.triggered.connect(partial(self._clicked, item.key))
        action.setSeparator(item.is_separator)
        action.setMenuRole(QAction.MenuRole.NoRole)
        return action

    def amend(self, items: tuple[Item, ...]) -> None:
        """Say what these say, in the lines that are there."""
        self._items = {one.key: one for one in items}
        for key, action in self._actions.items():
            item = self._items.get(key)
            if item is None:
                action.setEnabled(action.isSeparator())
                continue
            action.setText(item.text.replace("&", "&&"))
            action.setEnabled(bool(item.deed or item.items) or item.is_separator)
            action.setCheckable(item.checked is not None)
            action.setChecked(item.checked is True)
            if item.items:
                self._inner[key].amend(item.items)

    def _clicked(self, key: str, _checked: bool = False) -> None:
        item = self._items.get(key)
        if item is None or item.deed is None:
            return
        if item.checked is not None:  # Qt has turned it, but it stands as things are
            self._actions[key].setChecked(item.checked)
        self._do(item.deed)
