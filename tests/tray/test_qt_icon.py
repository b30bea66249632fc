"""The icon and its menu, as Qt has them, where there is no tray at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAction
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu, QSystemTrayIcon

from postroad.contract import Health, MessageState, State
from postroad_tray.deeds import Deed, Length, Open, OpenOrHide, Pause, Place, StartAtLogin
from postroad_tray.facts import Link, Message, Node, Picture
from postroad_tray.menu import Item
from postroad_tray.qt_icon import DrawnMenu, TrayIcon
from tray.standing_in import StandIn

ONLINE = Picture(Link.THERE, Node(state=State.ONLINE))
NOW = 1_795_694_400.0


class Scene:
    """An icon over a stand-in, and what was done with it."""

    def __init__(self, picture: Picture) -> None:
        self.client = StandIn(picture)
        self.done: list[Deed] = []
        self.looks: list[bool] = []
        self.starts_at_login = False
        self.icon = TrayIcon(
            self.client,
            self.done.append,
            lambda: NOW,
            look=self.looks.append,
            starts_at_login=lambda: self.starts_at_login,
        )

    @property
    def tray(self) -> QSystemTrayIcon:
        (tray,) = self.icon.findChildren(QSystemTrayIcon)
        return tray

    @property
    def menu(self) -> QMenu:
        menu = self.tray.contextMenu()
        assert isinstance(menu, QMenu)
        return menu

    def texts(self) -> list[str]:
        return [one.text() for one in self.menu.actions() if not one.isSeparator()]

    def action(self, text: str) -> QAction:
        (found,) = [one for one in self.menu.actions() if one.text() == text]
        return found

    def open(self) -> None:
        self.menu.popup(QPoint(0, 0))
        assert self.menu.isVisible()


@pytest.fixture
def scene(qt: QApplication) -> Scene:
    return Scene(ONLINE)


def test_without_a_tray_nothing_opens_and_nothing_fails(scene: Scene, qt: QApplication) -> None:
    assert not scene.icon.is_shown()
    assert not [one for one in qt.topLevelWidgets() if one.isVisible()]
    assert scene.done == []


def test_the_icon_and_its_words_follow_the_picture(scene: Scene) -> None:
    well = scene.tray.icon().cacheKey()
    assert scene.tray.toolTip() == "Postroad: Online"
    scene.client.show(Picture(Link.ABSENT))
    assert scene.tray.icon().cacheKey() != well
    assert scene.tray.toolTip() == "Postroad: Postroad is off: no letter comes or goes"
    scene.client.show(ONLINE)
    assert scene.tray.icon().cacheKey() == well


def test_every_sign_has_an_icon_that_can_be_drawn(scene: Scene) -> None:
    waiting = Node(state=State.ONLINE, parcels_under_way=1)
    pictures = [
        ONLINE,
        Picture(Link.ABSENT),
        Picture(Link.SILENT),
        Picture(Link.THERE, waiting),
        Picture(Link.THERE, waiting, messages=(Message("/1", state=MessageState.WAITING),)),
    ]
    seen = set()
    for picture in pictures:
        scene.client.show(picture)
        drawn = scene.tray.icon().pixmap(22, 22).toImage()
        assert not drawn.isNull()
        seen.add(bytes(drawn.constBits()))
    assert len(seen) == 5


def test_a_click_opens_the_window_and_the_other_kinds_of_click_do_not(scene: Scene) -> None:
    reasons = QSystemTrayIcon.ActivationReason
    for reason in (reasons.Context, reasons.DoubleClick, reasons.MiddleClick, reasons.Unknown):
        scene.tray.activated.emit(reason)
    assert scene.done == []
    scene.tray.activated.emit(reasons.Trigger)
    assert scene.done == [OpenOrHide()]


def test_a_line_of_the_menu_does_what_it_says(scene: Scene) -> None:
    scene.action("Invite someone …").trigger()
    assert scene.done == [Open(Place.INVITE)]
    pause = scene.action("Pause").menu()
    assert isinstance(pause, QMenu)
    assert pause.actions()[0].text() == "For 1 hour"
    pause.actions()[0].trigger()
    assert scene.done[-1] == Pause(Length.HOUR)
    assert not scene.action("Online").isEnabled()


def test_a_line_is_chosen_with_the_mouse(scene: Scene) -> None:
    scene.open()
    place = scene.menu.actionGeometry(scene.action("Invite someone …")).center()
    QTest.mouseMove(scene.menu, place)
    QTest.mouseClick(scene.menu, Qt.MouseButton.LeftButton, pos=place)
    assert scene.done == [Open(Place.INVITE)]


def test_a_menu_that_is_open_keeps_its_lines_under_the_pointer(scene: Scene) -> None:
    scene.open()
    before = scene.menu.actions()
    busy = Node(state=State.PAUSED, paused=True, parcels_under_way=3, health=Health.BROKEN)
    scene.client.show(Picture(Link.THERE, busy))
    assert scene.menu.actions() == before
    assert scene.action("Paused until you resume") is before[0]
    assert scene.action("3 letters are under way").isEnabled()
    assert not scene.action("Pause").isEnabled()  # it is paused
    scene.menu.close()
    QTest.qWait(1)
    assert "Resume" in scene.texts()
    assert "Something is broken and needs you" in scene.texts()
    assert "Pause" not in scene.texts()


def test_what_can_be_done_no_more_is_grey_at_once(scene: Scene) -> None:
    scene.open()
    scene.client.show(dataclasses.replace(ONLINE, link=Link.SILENT))
    assert not scene.action("Invite someone …").isEnabled()
    scene.action("Invite someone …").trigger()
    assert scene.done == []


def test_a_menu_that_is_closed_follows_at_once(scene: Scene) -> None:
    kept = scene.action("Open Postroad")
    scene.client.show(Picture(Link.ABSENT))
    assert "Start Postroad" in scene.texts()
    assert scene.action("Open Postroad") is kept


def test_the_service_is_looked_at_closely_while_the_menu_is_open(scene: Scene) -> None:
    assert scene.looks == []
    scene.open()
    assert scene.looks == [True]
    scene.menu.close()
    assert scene.looks == [True, False]


def test_a_switch_stands_as_things_are_and_not_as_it_was_clicked(scene: Scene) -> None:
    switch = scene.action("Show this icon at login")
    assert not switch.isChecked()
    switch.trigger()
    assert scene.done == [StartAtLogin(True)]
    assert not switch.isChecked()  # whoever carries it out has not done so
    scene.starts_at_login = True
    scene.open()
    assert switch.isChecked()


def test_words_with_an_ampersand_are_shown_as_they_are(qt: QApplication) -> None:
    shown = QMenu()
    nothing: Callable[[Deed], None] = lambda _deed: None  # noqa: E731
    DrawnMenu(shown, nothing, lambda: (Item("one", "Rock & roll"),))
    assert shown.actions()[0].text() == "Rock && roll"
