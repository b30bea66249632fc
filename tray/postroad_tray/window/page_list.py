"""The list at the left of the window: each page with its picture and how much waits there."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPalette
from PySide6.QtWidgets import (
    QFrame,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
)

from postroad_tray.tongue import _, many
from postroad_tray.window.marks import paint_glyph
from postroad_tray.window.page import Entry

COUNT_SHOWN_MAX = 999
Index = QModelIndex | QPersistentModelIndex
_GLYPH_ROLE = Qt.ItemDataRole.UserRole + 1
_COUNT_ROLE = Qt.ItemDataRole.UserRole + 2
_NAME_ROLE = Qt.ItemDataRole.UserRole + 3


class PageList(QListWidget):
    """Titles with their pictures and counts, one of them chosen."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName(_("Pages"))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setItemDelegate(PageDelegate(self))
        self._shown: list[tuple[str, int]] = []

    def fill(self, entries: Sequence[tuple[Entry, int]]) -> None:
        """Show these with how much waits there; the one that was chosen stays so."""
        shown = [(one.name, count) for one, count in entries]
        if shown == self._shown:
            return
        if [name for name, _count in shown] != [name for name, _count in self._shown]:
            self._make(entries)
        self._shown = shown
        for row, (one, count) in enumerate(entries):
            item = self.item(row)
            item.setData(_COUNT_ROLE, count)
            words = many("{title}, {n} waits", "{title}, {n} wait", count)
            spoken = words.format(title=one.title) if count else one.title
            item.setData(Qt.ItemDataRole.AccessibleTextRole, spoken)
            item.setToolTip(_("Ctrl+{number}").format(number=row + 1))
        self.setFixedWidth(self.sizeHintForColumn(0) + 2 * self.frameWidth())

    def _make(self, entries: Sequence[tuple[Entry, int]]) -> None:
        chosen = self.chosen()
        self.blockSignals(True)
        self.clear()
        for one, _count in entries:
            item = QListWidgetItem(one.title)
            item.setData(_NAME_ROLE, one.name)
            item.setData(_GLYPH_ROLE, one.glyph)
            self.addItem(item)
        names = [one.name for one, _count in entries]
        self.setCurrentRow(names.index(chosen) if chosen in names else 0)
        self.blockSignals(False)

    def choose(self, name: str) -> None:
        for row in range(self.count()):
            if self.item(row).data(_NAME_ROLE) == name:
                self.setCurrentRow(row)  # whoever hears of it may fill the list anew
                return

    def choose_row(self, row: int) -> None:
        if row < self.count():
            self.setCurrentRow(row)

    def chosen(self) -> str:
        row = self.currentRow()
        return str(self.item(row).data(_NAME_ROLE)) if row >= 0 else ""

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self.setFixedWidth(self.sizeHintForColumn(0) + 2 * self.frameWidth())


class PageDelegate(QStyledItemDelegate):
    """A row: glyph, title, and in a rounded field how many wait."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        height = _height(option)
        text = option.fontMetrics.horizontalAdvance(str(index.data()))
        count = option.fontMetrics.horizontalAdvance(f"{COUNT_SHOWN_MAX}+")
        return QSize(round(text + count + 4.2 * height), round(2.2 * height))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        self.initStyleOption(option, index)
        title, option.text = option.text, ""
        option.widget.style().drawControl(
            QStyle.ControlElement.CE_ItemViewItem, option, painter, option.widget
        )
        is_chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        role = QPalette.ColorRole.HighlightedText if is_chosen else QPalette.ColorRole.Text
        colour = option.palette.color(role)
        height = _height(option)
        place = QRectF(option.rect).adjusted(0.8 * height, 0, -0.6 * height, 0)
        glyph = QRectF(0, 0, 1.15 * height, 1.15 * height)
        glyph.moveCenter(QPointF(place.left() + glyph.width() / 2, place.center().y()))
        painter.save()
        paint_glyph(painter, glyph, index.data(_GLYPH_ROLE), colour)
        painter.setPen(colour)
        painter.setFont(option.font)
        after = place.adjusted(glyph.width() + 0.6 * height, 0, 0, 0)
        painter.drawText(after, Qt.AlignmentFlag.AlignVCenter, title)
        count = index.data(_COUNT_ROLE)
        if count:
            self._paint_count(painter, option, place, int(count))
        painter.restore()

    def _paint_count(
        self, painter: QPainter, option: QStyleOptionViewItem, place: QRectF, count: int
    ) -> None:
        text = str(count) if count <= COUNT_SHOWN_MAX else f"{COUNT_SHOWN_MAX}+"
        height = _height(option)
        width = max(option.fontMetrics.horizontalAdvance(text) + 0.7 * height, 1.2 * height)
        field = QRectF(0, 0, width, 1.2 * height)
        field.moveCenter(QPointF(place.right() - width / 2, place.center().y()))
        is_chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        ground, ink = QPalette.ColorRole.Highlight, QPalette.ColorRole.HighlightedText
        if is_chosen:
            ground, ink = ink, ground
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(option.palette.color(ground))
        painter.drawRoundedRect(field, field.height() / 2, field.height() / 2)
        painter.setPen(option.palette.color(ink))
        painter.drawText(field, Qt.AlignmentFlag.AlignCenter, text)


def _height(option: QStyleOptionViewItem) -> int:
    return QFontMetrics(option.font).height()
