"""Three pictures of numbers, painted by hand: bars by day, spans by day, and hours of the day.

Invariants: nothing is told by its colour alone (filled, striped and crossed; a dot and a line; a
height); lines and letters have the palette's colours; sizes follow the font, so that it is as clear
at 200 %. Each picture has the same in words: `description` for whoever cannot see it, and a
table that its page shows beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from postroad_tray import numbers
from postroad_tray.window.marks import tone
from postroad_tray.window.shapes import Mark

_LINES_HIGH = 9.0
_STRIP_LINES_HIGH = 1.5
_LABEL_EVERY = 5  # days
_HOUR_EVERY = 6
_GRID_SECONDS = (0.001, 1.0, 60.0, 3600.0, 86400.0, 30 * 86400.0)


@dataclass(frozen=True, slots=True)
class Series:
    """What one bar of each group stands for; `pattern` tells it from others without a colour."""

    name: str
    mark: Mark
    pattern: Qt.BrushStyle


@dataclass(frozen=True, slots=True)
class Column:
    """One day: its label, and a number for each series; for spans: median and 95 %, in seconds, or
    nothing."""

    label: str
    values: tuple[float, ...]


class _Plot(QWidget):
    """What the pictures share: room, letters, a frame of lines."""

    lines_high = _LINES_HIGH

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        em = self.fontMetrics().height()
        return QSize(em * 24, round(em * self.lines_high))

    def minimumSizeHint(self) -> QSize:
        em = self.fontMetrics().height()
        return QSize(em * 14, round(em * self.lines_high))

    def describe(self, description: str) -> None:
        if description != self.accessibleDescription():
            self.setAccessibleDescription(description)

    def _letters(self) -> QColor:
        return self.palette().color(QPalette.ColorRole.PlaceholderText)

    def _grid(self) -> QPen:
        colour = self.palette().color(QPalette.ColorRole.WindowText)
        colour.setAlphaF(0.15)
        return QPen(colour, 0)

    def _field(self, left_labels: Sequence[str]) -> QRectF:
        """Where the bars are: right of their labels, and above the days'."""
        metrics = self.fontMetrics()
        left = max((metrics.horizontalAdvance(one) for one in left_labels), default=0)
        em = metrics.height()
        return QRectF(self.rect()).adjusted(left + em * 0.6, em * 0.6, -em * 0.3, -em * 1.5)

    def _draw_days(self, painter: QPainter, field: QRectF, labels: Sequence[str]) -> None:
        painter.setPen(self._letters())
        metrics = self.fontMetrics()
        wide = field.width() / max(len(labels), 1)
        wanted = max(_LABEL_EVERY, math.ceil(metrics.horizontalAdvance("00/00 ") / max(wide, 1)))
        for back, label in enumerate(reversed(labels)):
            if back % wanted == 0:
                middle = field.right() - (back + 0.5) * wide
                half = metrics.horizontalAdvance(label) / 2
                at = min(max(middle - half, 0), self.width() - 2 * half)
                painter.drawText(QPointF(at, self.height() - metrics.descent() - 1), label)

    def _draw_line(self, painter: QPainter, field: QRectF, y: float, label: str) -> None:
        painter.setPen(self._grid())
        painter.drawLine(QPointF(field.left(), y), QPointF(field.right(), y))
        painter.setPen(self._letters())
        metrics = self.fontMetrics()
        left = field.left() - metrics.height() * 0.4 - metrics.horizontalAdvance(label)
        painter.drawText(QPointF(left, y + metrics.ascent() / 2 - 1), label)


class Bars(_Plot):
    """A group of bars for each day."""

    def __init__(self, series: Sequence[Series]) -> None:
        super().__init__()
        self._series = series
        self._columns: Sequence[Column] = ()

    def show_columns(self, columns: Sequence[Column]) -> None:
        if columns != self._columns:
            self._columns = columns
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        top = _round_up(max((max(one.values) for one in self._columns), default=0))
        field = self._field([f"{top:.0f}"])
        for part in (0, 0.5, 1) if top > 1 else (0, 1):
            y = field.bottom() - part * field.height()
            self._draw_line(painter, field, y, f"{top * part:.0f}")
        self._draw_days(painter, field, [one.label for one in self._columns])
        wide = field.width() / max(len(self._columns), 1)
        bar = wide * 0.8 / max(len(self._series), 1)
        for place, column in enumerate(self._columns):
            left = field.left() + place * wide + wide * 0.1
            for number, (series, value) in enumerate(zip(self._series, column.values, strict=True)):
                if value > 0:
                    high = max(value / top * field.height(), 2)
                    x, y = left + number * bar, field.bottom() - high
                    box = QRectF(x, y, max(bar - 1, 1.5), high)
                    paint_sample(painter, box, series, self.palette())


class Spans(_Plot):
    """For each day a dot at the median and a line up to 95 %, on a scale of powers."""

    def __init__(self) -> None:
        super().__init__()
        self._columns: Sequence[Column] = ()

    def show_columns(self, columns: Sequence[Column]) -> None:
        if columns != self._columns:
            self._columns = columns
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        known = [value for one in self._columns for value in one.values]
        low = max((one for one in _GRID_SECONDS if one <= min(known, default=1.0)), default=0.001)
        high = min((one for one in _GRID_SECONDS if one > max(known, default=60.0)), default=1e7)
        grid = [one for one in _GRID_SECONDS if low <= one <= high]
        labels = [numbers.round_span(one) for one in grid]
        field = self._field(labels)

        def y(seconds: float) -> float:
            part = math.log(min(max(seconds, low), high) / low) / math.log(high / low)
            return field.bottom() - part * field.height()

        for one, label in zip(grid, labels, strict=True):
            self._draw_line(painter, field, y(one), label)
        self._draw_days(painter, field, [one.label for one in self._columns])
        wide = field.width() / max(len(self._columns), 1)
        colour = tone(Mark.WORKING, self.palette())
        dot = self.fontMetrics().height() * 0.22
        for place, column in enumerate(self._columns):
            if column.values:
                x = field.left() + (place + 0.5) * wide
                median, most = column.values
                painter.setPen(QPen(colour, dot * 0.6))
                painter.drawLine(QPointF(x, y(median)), QPointF(x, y(most)))
                painter.drawLine(QPointF(x - dot, y(most)), QPointF(x + dot, y(most)))
                painter.setBrush(QBrush(colour))
                painter.drawEllipse(QPointF(x, y(median)), dot, dot)


class HourStrip(_Plot):
    """24 places, filled as high as somebody is mostly on in that hour; a dot where nobody knows."""

    lines_high = _STRIP_LINES_HIGH

    def __init__(self) -> None:
        super().__init__()
        self._hours: Sequence[float | None] = ()

    def show_hours(self, hours: Sequence[float | None]) -> None:
        if hours != self._hours:
            self._hours = hours
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        wide = self.width() / max(len(self._hours), 1)
        bottom, high = self.height() - 2.0, self.height() - 4.0
        colour = tone(Mark.OK, self.palette())
        for hour, part in enumerate(self._hours):
            left = hour * wide
            if hour % _HOUR_EVERY == 0:
                painter.setPen(self._grid())
                painter.drawLine(QPointF(left, 0), QPointF(left, self.height()))
            if part is None:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(self._letters())
                painter.drawEllipse(QPointF(left + wide / 2, bottom - 2), 1.5, 1.5)
            else:
                rise = max(part * high, 1.5)
                painter.fillRect(QRectF(left + 1, bottom - rise, wide - 2, rise), colour)


class HourAxis(_Plot):
    """The hours below strips."""

    lines_high = 1.0

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setPen(self._letters())
        metrics = self.fontMetrics()
        for hour in range(0, numbers.HOURS + 1, _HOUR_EVERY):
            half = metrics.horizontalAdvance(str(hour)) / 2
            at = min(max(self.width() * hour / numbers.HOURS - half, 0), self.width() - 2 * half)
            painter.drawText(QPointF(at, metrics.ascent()), str(hour))


class Sample(QWidget):
    """What a series looks like, for the key beside its name."""

    def __init__(self, series: Series) -> None:
        super().__init__()
        self._series = series
        em = self.fontMetrics().height()
        self.setFixedSize(em, em)

    def paintEvent(self, event: QPaintEvent) -> None:
        box = QRectF(self.rect()).adjusted(2, 2, -2, -2)
        paint_sample(QPainter(self), box, self._series, self.palette())


def paint_sample(painter: QPainter, box: QRectF, series: Series, palette: QPalette) -> None:
    colour = tone(series.mark, palette)
    painter.setPen(QPen(colour, 0))
    painter.setBrush(QBrush(colour, series.pattern))
    painter.drawRect(box)


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 10, 20, 40, ...: whole, and from 2 on its half is, too."""
    steps = (lead * 10.0**power for power in range(13) for lead in (1, 2, 4))
    return next((one for one in steps if one >= value), value)
