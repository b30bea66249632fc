"""A text as a code for a camera: always black on white, whatever the window looks like.

Invariants: it is worked out beside the thread that draws, since a long one takes a fifth of a
second; who was shown another text meanwhile, or is gone, hears nothing of it. A text that is too
long for a code has none.
"""

from __future__ import annotations

import importlib
import threading
from contextlib import suppress
from functools import cache
from typing import Any

from PySide6.QtCore import QCoreApplication, QObject, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from postroad_tray import lean

OCTETS_MAX = 2000  # beyond, a camera would have to be very near, and very good
QUIET = 4  # modules of white around the code (ISO/IEC 18004)
_SHADES = bytes([255, 0]) + bytes(254)  # white is nought in a code, and 255 in a picture


@cache
def _encoder() -> Any:
    """It is large, and mostly not wanted."""
    with lean.parts_of("segno"):  # which would load what it can write pictures and web pages with
        return importlib.import_module("segno.encoder")


def picture(text: str) -> QImage:
    """A dot for each module; none where there is no code for it. It takes long."""
    if len(text.encode(errors="replace")) > OCTETS_MAX:
        return QImage()
    try:
        modules = _encoder().encode(text, micro=False).matrix
    except ValueError:
        return QImage()
    rows = [bytes(row).translate(_SHADES) for row in modules]
    wide, high = len(rows[0]), len(rows)
    shades = QImage(b"".join(rows), wide, high, wide, QImage.Format.Format_Grayscale8)
    return shades.copy()  # the octets are Python's


class _Maker(QObject):
    """One for all: a widget may go while its code is made."""

    made = Signal(str, QImage)

    def make(self, text: str) -> None:
        _encoder()  # Qt's binding and another thread shall not load at once
        threading.Thread(target=self._make, args=(text,), name="qr-code", daemon=True).start()

    def _make(self, text: str) -> None:
        made = picture(text)
        with suppress(RuntimeError):  # the program is at its end
            self.made.emit(text, made)


@cache
def _maker() -> _Maker:
    return _Maker(QCoreApplication.instance())


class QrCode(QWidget):
    """It shows once the code is there; `shown` tells whoever must make room for it."""

    shown = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._text = ""
        self._picture = QImage()
        _maker().made.connect(self._made, Qt.ConnectionType.QueuedConnection)
        self.hide()

    def show_text(self, text: str, spoken: str) -> None:
        self._text = text
        self.setAccessibleName(spoken)
        self.hide()
        _maker().make(text)

    def _made(self, text: str, made: QImage) -> None:
        if text != self._text or made.isNull():
            return
        self._picture = made
        self.updateGeometry()
        self.show()
        self.update()
        self.shown.emit()

    def sizeHint(self) -> QSize:
        side = self._module() * (self._picture.width() + 2 * QUIET)
        return QSize(side, side)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def _module(self) -> int:
        return max(self.fontMetrics().height() // 4, 3)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        side, modules = self._module(), self._picture.width()
        across = side * (modules + 2 * QUIET)
        left, edge = (self.width() - across) // 2, QUIET * side
        painter.fillRect(QRectF(left, 0, across, across), Qt.GlobalColor.white)
        dark = QRectF(left + edge, edge, side * modules, side * modules)
        painter.drawImage(dark, self._picture)
