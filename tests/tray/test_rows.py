"""A table that changes under the eyes of whoever reads it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester

from postroad_tray.window.cells import Cell, Column, Row
from postroad_tray.window.rows import Rows, Table
from tray import seeing

pytestmark = pytest.mark.usefixtures("qt")
COLUMNS = (Column("Name"), Column("Size"))


def row(key: str, size: float = 0.0) -> Row:
    return Row(key, (Cell(f"<b>{key}</b> & more", key), Cell(str(size), size)))


def keys(rows: Rows) -> list[str]:
    return [rows.row(n).key for n in range(rows.rowCount())]


def table(some: Sequence[Row]) -> Table:
    made = Table(Rows(COLUMNS), "Things", many=True)
    made.show_rows(some)
    made.resize(300, 200)
    made.show()
    return made


@given(st.lists(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 3)), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_whatever_comes_and_goes_qt_agrees_with_what_it_was_told(
    steps: list[dict[str, int]],
) -> None:
    rows = Rows(COLUMNS)
    fatal = QAbstractItemModelTester.FailureReportingMode.Fatal
    tester = QAbstractItemModelTester(rows, fatal)
    rows.sort(1, Qt.SortOrder.DescendingOrder)
    for step in steps:
        rows.show(row(key, size) for key, size in step.items())
        by_size = sorted(step, key=lambda key: (step[key], key), reverse=True)
        assert keys(rows) == by_size
    tester.deleteLater()


def test_what_was_chosen_stays_chosen_through_changes() -> None:
    made = table([row(key) for key in "bdfh"])
    made.choose(["d", "h"])
    made.show_rows([row(key, 2.0) for key in "acdeh"])
    assert keys(made.rows) == ["a", "c", "d", "e", "h"]
    assert made.chosen() == ["d", "h"]
    made.sortByColumn(0, Qt.SortOrder.DescendingOrder)
    assert made.chosen() == ["h", "d"]
    made.show_rows([row("a")])
    assert made.chosen() == []


def test_a_table_stays_scrolled_where_it_was() -> None:
    many = [row(f"{n:04d}") for n in range(500)]
    made = table(many)
    seeing.settle()
    made.verticalScrollBar().setValue(2000)
    made.show_rows([row(one.key, 3.0) for one in many[:-20]])
    seeing.settle()
    assert made.verticalScrollBar().value() == 2000


def test_who_reads_in_the_middle_is_not_moved_by_what_comes_and_goes_above() -> None:
    many = [row(f"{n:04d}") for n in range(500)]
    made = table(many)
    seeing.settle()
    made.verticalScrollBar().setValue(2005)
    first = top(made)
    made.show_rows(many[30:])
    seeing.settle()
    assert top(made) == first
    made.show_rows([row("0000 new"), *many[10:]])
    seeing.settle()
    assert top(made) == first
    gone = [one for one in many if one.key != first[0]]
    second = made.rows.row(made.rowAt(0) + 1).key
    made.show_rows(gone)
    seeing.settle()
    assert place_of(made, second) == first[1] + made.rowHeight(0)


def test_a_row_that_goes_elsewhere_takes_no_reader_along() -> None:
    many = [row(f"{n:04d}") for n in range(500)]
    made = table(many)
    made.sortByColumn(1, Qt.SortOrder.AscendingOrder)
    seeing.settle()
    made.verticalScrollBar().setValue(2005)
    first = top(made)
    second = made.rows.row(made.rowAt(0) + 1).key
    made.show_rows(row(one.key, 9.0) if one.key == first[0] else one for one in many)
    seeing.settle()
    assert made.rows.place(first[0]) == 499
    assert place_of(made, second) == first[1] + made.rowHeight(0)


def test_who_is_at_the_top_sees_what_comes_there() -> None:
    many = [row(f"{n:04d}") for n in range(1, 500)]
    made = table(many)
    seeing.settle()
    made.show_rows([row("0000"), *many])
    seeing.settle()
    assert top(made) == ("0000", 0)


def top(made: Table) -> tuple[str, int]:
    """The row that is read first, and how far below the edge."""
    number = made.rowAt(0)
    return made.rows.row(number).key, made.rowViewportPosition(number)


def place_of(made: Table, key: str) -> int:
    number = made.rows.place(key)
    assert number is not None
    return made.rowViewportPosition(number)


def test_what_says_the_same_costs_nothing() -> None:
    made = table([row("a"), row("b")])
    changes: list[tuple[int, int]] = []
    made.rows.dataChanged.connect(lambda first, last: changes.append((first.row(), last.row())))
    made.show_rows([row("a"), row("b")])
    assert not changes
    made.show_rows([row("a"), row("b", 1.0)])
    assert changes == [(1, 1)]


def test_a_click_on_a_title_sorts_and_a_second_one_turns_it_round() -> None:
    made = table([row("a", 2.0), row("b", 1.0)])
    header = made.horizontalHeader()
    across = header.sectionViewportPosition(1) + header.sectionSize(1) // 2
    middle = header.viewport().rect().center()
    middle.setX(across)
    seeing.click(header.viewport(), middle)
    assert keys(made.rows) == ["b", "a"]
    seeing.click(header.viewport(), middle)
    assert keys(made.rows) == ["a", "b"]


def test_a_cell_is_text_for_eyes_ears_and_tooltips() -> None:
    made = table([row("a")])
    index = made.rows.index(0, 0)
    assert index.data() == "<b>a</b> & more"
    assert index.data(Qt.ItemDataRole.AccessibleTextRole) == "<b>a</b> & more"
    assert index.data(Qt.ItemDataRole.ToolTipRole) == "<p>&lt;b&gt;a&lt;/b&gt; &amp; more</p>"
