"""A table that changes under the eyes of whoever reads it.

Invariants: a row is known by its key. Whoever has selected rows, or scrolled, finds them so after
each change: rows are changed, put in and taken out one by one, and never all anew. A row costs
nothing while it says the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from PySide6.QtCore import (
    QAbstractTableModel,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPointF,
    QRectF,
    Qt,
)
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPalette, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from postroad_tray.window.cells import Column, Row
from postroad_tray.window.marks import paint_mark, tone
from postroad_tray.window.pieces import tip_text

Index = QModelIndex | QPersistentModelIndex
CELL_ROLE = Qt.ItemDataRole.UserRole + 1
WIDTHS_OF_ROWS = 60  # that columns are made as wide as
WIDTH_MAX_LETTERS = 34  # of a column, unless its reader draws it wider
SIDE_LINES = 0.3  # room at both sides of a cell, in lines of its font


class Rows(QAbstractTableModel):
    """The model; `show` it what there is now."""

    def __init__(self, columns: Sequence[Column], sorted_by: int = 0) -> None:
        super().__init__()
        self.columns = tuple(columns)
        self._rows: list[Row] = []
        self._places: dict[str, int] = {}
        self.sorted_by = sorted_by
        self._order = Qt.SortOrder.AscendingOrder

    def show(self, rows: Iterable[Row]) -> None:
        wanted = {one.key: one for one in rows}
        self._take_out(wanted.keys())
        self._put_in([one for key, one in wanted.items() if key not in self._places])
        self._change(wanted)

    def row(self, number: int) -> Row:
        return self._rows[number]

    def place(self, key: str) -> int | None:
        return self._places.get(key)

    def _take_out(self, kept: Iterable[str]) -> None:
        staying = set(kept)
        gone = [n for n, one in enumerate(self._rows) if one.key not in staying]
        while gone:
            last = first = gone.pop()
            while gone and gone[-1] == first - 1:
                first = gone.pop()
            self.beginRemoveRows(QModelIndex(), first, last)
            del self._rows[first : last + 1]
            self.endRemoveRows()
        self._place_all()

    def _put_in(self, new: list[Row]) -> None:
        if not new:
            return
        first = len(self._rows)
        self.beginInsertRows(QModelIndex(), first, first + len(new) - 1)
        self._rows += new
        self._place_all()
        self.endInsertRows()

    def _change(self, wanted: dict[str, Row]) -> None:
        changed = [n for n, one in enumerate(self._rows) if wanted[one.key] != one]
        for number in changed:
            self._rows[number] = wanted[self._rows[number].key]
        if changed:
            last = len(self.columns) - 1
            self.dataChanged.emit(self.index(changed[0], 0), self.index(changed[-1], last))
        self._arrange()

    def _arrange(self) -> None:
        """Bring them into their order, where they are not in it."""
        column, is_down = self.sorted_by, self._order is Qt.SortOrder.DescendingOrder
        ordered = sorted(
            self._rows, key=lambda one: (one.cells[column].rank, one.key), reverse=is_down
        )
        if ordered == self._rows:
            return
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        keys = [self._rows[one.row()].key for one in before]
        self._rows = ordered
        self._place_all()
        after = [
            self.index(self._places[key], one.column())
            for key, one in zip(keys, before, strict=True)
        ]
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def _place_all(self) -> None:
        self._places = {one.key: n for n, one in enumerate(self._rows)}

    # --- as Qt asks ------------------------------------------------------------------------------

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.columns)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        cell = self._rows[index.row()].cells[index.column()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return "" if cell.points else cell.text
            case Qt.ItemDataRole.AccessibleTextRole:
                return cell.spoken or cell.text
            case Qt.ItemDataRole.ToolTipRole:
                return tip_text(cell.spoken or cell.text)
            case _:
                return cell if role == CELL_ROLE else None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if orientation is Qt.Orientation.Vertical or section >= len(self.columns):
            return None
        column = self.columns[section]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return column.title
            case Qt.ItemDataRole.ToolTipRole:
                return tip_text(column.explained)
            case Qt.ItemDataRole.TextAlignmentRole:
                return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
            case _:
                return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self.sorted_by, self._order = column, order
        self._arrange()


class Table(QTableView):
    """The view of `Rows`: whole lines are selected, a click on a title sorts."""

    def __init__(self, rows: Rows, name: str, *, many: bool = False) -> None:
        super().__init__()
        self.rows = rows
        self.setModel(rows)
        self.setAccessibleName(name)
        self.setItemDelegate(CellDelegate(self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        mode = QAbstractItemView.SelectionMode
        self.setSelectionMode(mode.ExtendedSelection if many else mode.SingleSelection)
        self.setAlternatingRowColors(True)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)  # Tab goes on to the buttons
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.horizontalHeader().setHighlightSections(False)
        sorted_by = rows.sorted_by
        self.setSortingEnabled(True)  # sorts at once, by whatever
        self.sortByColumn(sorted_by, Qt.SortOrder.AscendingOrder)
        self._is_fitted = False

    def show_rows(self, rows: Iterable[Row]) -> None:
        read = self._read_from()
        self.rows.show(rows)
        self._read_on(read)
        if not self._is_fitted and self.rows.rowCount():
            self._is_fitted = True
            self._fit()

    def _read_from(self) -> list[tuple[str, int]]:
        """The rows that are seen, from the top down, and how far below the top each is; none where
        nobody has scrolled: whoever is at the top stays there, and sees what comes."""
        if not self.verticalScrollBar().value():
            return []
        first, last = self.rowAt(0), self.rowAt(self.viewport().height() - 1)
        if last < 0:
            last = self.rows.rowCount() - 1
        return [
            (self.rows.row(number).key, self.rowViewportPosition(number))
            for number in range(max(first, 0), last + 1)
        ]

    def _read_on(self, read: list[tuple[str, int]]) -> None:
        """What stays together of them is where it was, whatever came and went above; one that has
        another place among the rows takes nobody along."""
        self.executeDelayedItemsLayout()
        moved = [
            self.rowViewportPosition(number) - below_top
            for key, below_top in read
            if (number := self.rows.place(key)) is not None
        ]
        if moved:
            bar = self.verticalScrollBar()
            bar.setValue(bar.value() + sorted(moved)[(len(moved) - 1) // 2])

    def chosen(self) -> list[str]:
        """The keys of the selected rows, from the top down."""
        selected = self.selectionModel().selectedRows()
        return [self.rows.row(n).key for n in sorted(one.row() for one in selected)]

    def choose(self, keys: Iterable[str]) -> None:
        model = self.selectionModel()
        flags = QItemSelectionModel.SelectionFlag
        model.clearSelection()
        for key in keys:
            number = self.rows.place(key)
            if number is not None:
                index = self.rows.index(number, 0)
                model.setCurrentIndex(index, flags.Select | flags.Rows)

    def _fit(self) -> None:
        """Columns as wide as what is in them; not asked of Qt, which would look at each row."""
        metrics = self.fontMetrics()
        self.verticalHeader().setDefaultSectionSize(round(metrics.height() * 1.9))
        header = self.horizontalHeader()
        header.setMinimumSectionSize(metrics.height() * 3)
        letter = metrics.averageCharWidth()
        first = [self.rows.row(n) for n in range(min(self.rows.rowCount(), WIDTHS_OF_ROWS))]
        for number, column in enumerate(self.rows.columns):
            widths = [metrics.horizontalAdvance(one.cells[number].text) for one in first]
            has_mark = any(one.cells[number].mark for one in first)
            width = max(widths, default=0) + (1.7 * metrics.height() if has_mark else 0)
            width = min(max(width, column.letters * letter), WIDTH_MAX_LETTERS * letter)
            title = metrics.horizontalAdvance(column.title) + 2.2 * metrics.height()
            width += (2 * SIDE_LINES + 0.6) * metrics.height()
            header.resizeSection(number, round(max(width, title)))
            if column.stretches:
                header.setSectionResizeMode(number, QHeaderView.ResizeMode.Stretch)


class CellDelegate(QStyledItemDelegate):
    """Text with a mark in front of it, where it has one; or a line in its place."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        cell = index.data(CELL_ROLE)
        self.initStyleOption(option, index)
        option.text = ""
        control = QStyle.ControlElement.CE_ItemViewItem
        option.widget.style().drawControl(control, option, painter, option.widget)
        is_chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        roles = QPalette.ColorRole
        ink = option.palette.color(roles.HighlightedText if is_chosen else roles.Text)
        paper = option.palette.color(roles.Highlight if is_chosen else roles.Base)
        metrics = QFontMetrics(option.font)
        gap = SIDE_LINES * metrics.height()
        place = QRectF(option.rect).adjusted(gap, 0, -gap, 0)
        painter.save()
        if cell.mark is not None:
            field = QRectF(0, 0, metrics.height(), metrics.height())
            field.moveCenter(place.center())
            field.moveLeft(place.left())
            colour = ink if is_chosen else tone(cell.mark, option.palette)
            paint_mark(painter, field, cell.mark, colour, paper)
            place.setLeft(field.right() + gap)
        if cell.points:
            _paint_line(painter, place, metrics.height(), cell.points, ink)
        else:
            text = metrics.elidedText(cell.text, Qt.TextElideMode.ElideRight, int(place.width()))
            aligned = Qt.AlignmentFlag.AlignRight if cell.is_number else Qt.AlignmentFlag.AlignLeft
            painter.setFont(option.font)
            painter.setPen(ink)
            painter.drawText(place, Qt.AlignmentFlag.AlignVCenter | aligned, text)
        painter.restore()


def _paint_line(
    painter: QPainter,
    place: QRectF,
    height: int,
    points: Sequence[tuple[float, float]],
    ink: QColor,
) -> None:
    place = place.adjusted(0, 0.35 * height, -height / 8, -0.35 * height)
    along, up = place.width(), place.height()
    drawn = [QPointF(place.left() + x * along, place.bottom() - y * up) for x, y in points]
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(ink, height / 12))
    painter.drawPolyline(drawn)
    painter.setBrush(ink)
    painter.drawEllipse(drawn[-1], height / 8, height / 8)
