"""What is seen in a window, and how a test's hand types and clicks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import shiboken6
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QLabel,
    QLineEdit,
    QMessageBox,
    QScrollArea,
    QWidget,
)

from postroad_tray.window.frame import Frame

ACTIVE_MS = 10_000


def seen(widget: QWidget) -> list[str]:
    """The texts of labels, fields and buttons that show, from the top of the tree down."""
    texts = []
    for one in widget.findChildren(QWidget):
        if not isinstance(one, QLabel | QLineEdit | QAbstractButton):
            continue
        if one.isVisibleTo(widget) and one.text():
            texts.append(one.text())
    return texts


def shows(widget: QWidget, part: str) -> bool:
    return any(part in text for text in seen(widget))


def narrow_pages(frame: Frame) -> Iterator[str]:
    """Each page in turn, in a window that is no wider than it may be."""
    frame.resize(760, 600)
    for name in frame._entries:
        frame.turn_to(name)
        settle()
        yield name


def cut_off(window: QWidget) -> list[str]:
    """The words that show, but not whole."""
    found = []
    for one in window.findChildren(QWidget):
        if one.isVisibleTo(window) and isinstance(one, QLabel | QAbstractButton):
            is_cut = one.width() < one.minimumSizeHint().width()
            if isinstance(one, QLabel) and one.wordWrap():
                is_cut = is_cut or one.height() < one.heightForWidth(one.width())
            if is_cut:
                found.append(one.text() or one.accessibleName())
    areas = [one for one in window.findChildren(QScrollArea) if one.isVisibleTo(window)]
    if any(one.horizontalScrollBar().isVisible() for one in areas):
        found.append("a page is wider than the window")
    return found


def button(widget: QWidget, name: str) -> QAbstractButton:
    """The one that shows and is called so, by its text or for whoever cannot see."""
    found = [
        one
        for one in widget.findChildren(QAbstractButton)
        if one.isVisibleTo(widget) and name in (one.text().replace("&", ""), one.accessibleName())
    ]
    assert len(found) == 1, f"{len(found)} buttons {name!r} in {seen(widget)}"
    return found[0]


def click(widget: QWidget, at: QPoint | None = None) -> None:
    QTest.mouseClick(
        widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at or QPoint()
    )


def press(widget: QWidget, keys: str) -> None:
    """`Ctrl+2`, `Escape`: to whatever has the focus in it."""
    assert QTest.qWaitForWindowActive(widget.window(), ACTIVE_MS)
    modifiers = Qt.KeyboardModifier.NoModifier
    *held, last = keys.split("+")
    for one in held:
        modifiers |= {
            "Ctrl": Qt.KeyboardModifier.ControlModifier,
            "Shift": Qt.KeyboardModifier.ShiftModifier,
            "Alt": Qt.KeyboardModifier.AltModifier,
        }[one]
    key = getattr(Qt.Key, f"Key_{last}")
    QTest.keyPress(widget, key, modifiers)
    if shiboken6.isValid(widget):  # it may have closed what it was in
        QTest.keyRelease(widget, key, modifiers)


def question() -> QMessageBox:
    """The one that is open now."""
    found = [
        one
        for one in QApplication.topLevelWidgets()
        if isinstance(one, QMessageBox) and one.isVisible()
    ]
    assert len(found) == 1, f"{len(found)} questions are open"
    return found[0]


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Let Qt work until it is so."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not come about"
        QTest.qWait(10)


def settle() -> None:
    """Let what was posted happen."""
    QApplication.processEvents()
