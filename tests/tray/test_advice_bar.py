"""The banner about the icon on GNOME, above the pages of the real window."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QGuiApplication

from postroad_tray.gnome import Icons, advice
from postroad_tray.window import open_window
from postroad_tray.window.advice_bar import AdviceBar
from tray import pictures, seeing
from tray.standing_in import StandIn

pytestmark = pytest.mark.usefixtures("qt")


class Scene:
    def __init__(self) -> None:
        self.enabled = 0
        self.frame = open_window(StandIn(pictures.healthy()), now=lambda: pictures.NOW)
        self.bar = AdviceBar(self._enable)
        self.frame.put_above(self.bar)

    def _enable(self) -> None:
        self.enabled += 1


def test_it_is_there_only_where_there_is_something_to_say() -> None:
    scene = Scene()
    assert not scene.bar.isVisible()
    scene.bar.show_advice(advice(Icons.AFTER_LOGIN))
    assert scene.bar.isVisible()
    assert seeing.shows(scene.frame, advice(Icons.AFTER_LOGIN).sentence)
    assert scene.bar.accessibleName() == advice(Icons.AFTER_LOGIN).sentence
    scene.bar.show_advice(None)
    assert not scene.bar.isVisible()


def test_one_button_switches_the_extension_on() -> None:
    scene = Scene()
    scene.bar.show_advice(advice(Icons.TO_ENABLE))
    button = seeing.button(scene.bar, "Switch it on")
    seeing.click(button)
    seeing.click(button)  # a second time does nothing
    assert scene.enabled == 1


def test_where_it_is_to_be_installed_the_line_is_copied() -> None:
    scene = Scene()
    scene.bar.show_advice(advice(Icons.TO_INSTALL))
    seeing.click(seeing.button(scene.bar, "Copy the command"))
    assert QGuiApplication.clipboard().text() == advice(Icons.TO_INSTALL).line
    assert "Copied" in seeing.seen(scene.bar)
    assert scene.enabled == 0


def test_whoever_puts_it_away_is_left_alone() -> None:
    scene = Scene()
    scene.bar.show_advice(advice(Icons.TO_INSTALL))
    seeing.click(seeing.button(scene.bar, "Not now"))
    assert not scene.bar.isVisible()
    scene.bar.show_advice(advice(Icons.TO_INSTALL))
    assert not scene.bar.isVisible()
