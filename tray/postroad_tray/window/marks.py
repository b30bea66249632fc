"""Small pictures that say a state or name a page: painted, so that they are sharp at any size.

Invariants: each state has a shape of its own, so that it is told without its colour; lines are of
the palette's colours, or of tones that stand out on it, light or dark.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from postroad_tray.window.shapes import Glyph, Mark

# On a light window and on a dark one; contrast of 4.5 to 1 and more with both of Qt's own.
_TONES: Mapping[Mark, tuple[str, str]] = {
    Mark.OK: ("#1b6e34", "#7fd69a"),
    Mark.WORKING: ("#1a5fb4", "#99c1f1"),
    Mark.WAITING: ("#1a5fb4", "#99c1f1"),
    Mark.ATTENTION: ("#8f4e00", "#ffbe6f"),
    Mark.BROKEN: ("#a51d2d", "#ff9a8f"),
    Mark.OFF: ("#5e5c64", "#c0bfbc"),
}


def is_dark(palette: QPalette) -> bool:
    return palette.color(QPalette.ColorRole.Window).lightness() < 128


def tone(mark: Mark, palette: QPalette) -> QColor:
    light, dark = _TONES[mark]
    return QColor(dark if is_dark(palette) else light)


def paint_mark(
    painter: QPainter, place: QRectF, mark: Mark, colour: QColor, paper: QColor
) -> None:
    """Fill a square with it; `paper` shines through where it has a picture inside."""
    with_units(painter, place, lambda: _MARKS[mark](painter, colour, paper))


def paint_glyph(painter: QPainter, place: QRectF, glyph: Glyph, colour: QColor) -> None:
    def draw() -> None:
        pen = QPen(colour, 1.4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap)
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        _GLYPHS[glyph](painter)

    with_units(painter, place, draw)


def with_units(painter: QPainter, place: QRectF, draw: Callable[[], None]) -> None:
    """Draw where 16 units are as long as the place's shorter side."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    side = min(place.width(), place.height())
    painter.translate(place.center() - QPointF(side / 2, side / 2))
    painter.scale(side / 16, side / 16)
    draw()
    painter.restore()


def _lines(painter: QPainter, *points: tuple[float, float]) -> None:
    painter.drawPolyline([QPointF(*one) for one in points])


def _filled(painter: QPainter, colour: QColor, path: QPainterPath) -> None:
    painter.fillPath(path, colour)


def _inner_pen(painter: QPainter, colour: QColor, width: float = 1.8) -> None:
    pen = QPen(colour, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)


def _disc() -> QPainterPath:
    path = QPainterPath()
    path.addEllipse(QRectF(1, 1, 14, 14))
    return path


def _ok(painter: QPainter, colour: QColor, paper: QColor) -> None:
    _filled(painter, colour, _disc())
    _inner_pen(painter, paper)
    _lines(painter, (4.6, 8.4), (7, 10.8), (11.4, 5.6))


def _working(painter: QPainter, colour: QColor, paper: QColor) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    for across in (3.0, 8.0, 13.0):
        painter.drawEllipse(QPointF(across, 8), 1.9, 1.9)


def _waiting(painter: QPainter, colour: QColor, paper: QColor) -> None:
    _inner_pen(painter, colour, 1.7)
    painter.drawEllipse(QRectF(1.9, 1.9, 12.2, 12.2))
    _lines(painter, (8, 4.6), (8, 8.2), (10.6, 9.8))


def _attention(painter: QPainter, colour: QColor, paper: QColor) -> None:
    path = QPainterPath(QPointF(8, 1.2))
    path.lineTo(15.4, 14.4)
    path.lineTo(0.6, 14.4)
    path.closeSubpath()
    _filled(painter, colour, path)
    _inner_pen(painter, paper)
    _lines(painter, (8, 5.8), (8, 9.6))
    painter.drawPoint(QPointF(8, 12.1))


def _broken(painter: QPainter, colour: QColor, paper: QColor) -> None:
    path = QPainterPath(QPointF(5, 1))
    for point in ((11, 1), (15, 5), (15, 11), (11, 15), (5, 15), (1, 11), (1, 5)):
        path.lineTo(*point)
    path.closeSubpath()
    _filled(painter, colour, path)
    _inner_pen(painter, paper)
    _lines(painter, (5.4, 5.4), (10.6, 10.6))
    _lines(painter, (10.6, 5.4), (5.4, 10.6))


def _off(painter: QPainter, colour: QColor, paper: QColor) -> None:
    _inner_pen(painter, colour, 1.7)
    painter.drawEllipse(QRectF(1.9, 1.9, 12.2, 12.2))
    _lines(painter, (5, 8), (11, 8))


_MARKS: Mapping[Mark, Callable[[QPainter, QColor, QColor], None]] = {
    Mark.OK: _ok,
    Mark.WORKING: _working,
    Mark.WAITING: _waiting,
    Mark.ATTENTION: _attention,
    Mark.BROKEN: _broken,
    Mark.OFF: _off,
}


def _overview(painter: QPainter) -> None:  # an envelope
    painter.drawRoundedRect(QRectF(1.5, 3.5, 13, 9.5), 1, 1)
    _lines(painter, (2, 4.5), (8, 9), (14, 4.5))


def _peers(painter: QPainter) -> None:  # three that know each other
    _lines(painter, (8, 4.2), (3.5, 11.8))
    _lines(painter, (8, 4.2), (12.5, 11.8))
    _lines(painter, (5, 12), (11, 12))
    for at in ((8.0, 3.6), (3.2, 12.2), (12.8, 12.2)):
        painter.setBrush(painter.pen().color())
        painter.drawEllipse(QPointF(*at), 1.5, 1.5)


def _queue(painter: QPainter) -> None:  # a pile, and out of it
    _lines(painter, (1.5, 4), (9, 4))
    _lines(painter, (1.5, 8), (6.5, 8))
    _lines(painter, (1.5, 12), (9, 12))
    _lines(painter, (8.5, 8), (14.5, 8))
    _lines(painter, (12, 5.5), (14.5, 8), (12, 10.5))


def _health(painter: QPainter) -> None:  # a beat
    _lines(painter, (1, 9), (4.5, 9), (6.5, 3.5), (9.5, 13), (11.2, 9), (15, 9))


def _contacts(painter: QPainter) -> None:  # somebody
    painter.drawEllipse(QPointF(8, 5.2), 3, 3)
    path = QPainterPath(QPointF(2.2, 14))
    path.cubicTo(QPointF(2.8, 8.6), QPointF(13.2, 8.6), QPointF(13.8, 14))
    painter.drawPath(path)


def _setup(painter: QPainter) -> None:  # three sliders
    for down, knob in ((4.0, 10.5), (8.0, 5.0), (12.0, 9.0)):
        _lines(painter, (1.5, down), (14.5, down))
        painter.setBrush(painter.pen().color())
        painter.drawEllipse(QPointF(knob, down), 1.4, 1.4)


_GLYPHS: Mapping[Glyph, Callable[[QPainter], None]] = {
    Glyph.OVERVIEW: _overview,
    Glyph.PEERS: _peers,
    Glyph.QUEUE: _queue,
    Glyph.HEALTH: _health,
    Glyph.CONTACTS: _contacts,
    Glyph.SETUP: _setup,
}


class MarkSign(QWidget):
    """A mark beside the sentence that says the same; as tall as `lines` of its text."""

    def __init__(self, lines: float = 1.2, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lines = lines
        self._mark = Mark.OFF
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    @property
    def mark(self) -> Mark:
        return self._mark

    def show_mark(self, mark: Mark, words: str) -> None:
        """`words`: what it means, for whoever cannot see it."""
        self.setAccessibleName(words)
        if mark is not self._mark:
            self._mark = mark
            self.update()

    def sizeHint(self) -> QSize:
        side = round(self.fontMetrics().height() * self._lines)
        return QSize(side, side)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        palette = self.palette()
        paper = palette.color(self.backgroundRole())
        paint_mark(painter, QRectF(self.rect()), self._mark, tone(self._mark, palette), paper)
        painter.end()
