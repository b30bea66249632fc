"""The tables of docs/protocol/*.md: structures, numbers, limits, and what must be refused.

The frames of the wire are read by these tables, so nothing about them can stand in a page that is
not so. A table is known by its head:

    | tag | NAME | is | bytes | ...      a structure of fields
    | kind | WORD | ...                  numbers and their names; so with refusal, verdict
    | limit | value | ...
    | vector | why |                     what must be refused
    | string | ...                       what keeps signatures and hashes apart
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PAGES = Path(__file__).parents[2] / "docs" / "protocol"
_ROW = re.compile(r"^\|(.*)\|$")
_LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")
_TIMES = re.compile(r"(.*), (\d+) to (\d+) times")


@dataclass(frozen=True)
class Field:
    """`form`: bytes, number, flag or text, else the name of a structure."""

    tag: int
    name: str
    form: str
    size_min: int
    size_max: int
    count_min: int
    count_max: int


@dataclass(frozen=True)
class Table:
    """A head and rows, as they stand there, without their marks."""

    page: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@cache
def tables() -> tuple[Table, ...]:
    """Every table of every page."""
    found = []
    for path in sorted(PAGES.glob("*.md")):
        rows: list[tuple[str, ...]] = []
        for line in [*path.read_text().splitlines(), ""]:
            row = _ROW.match(line)
            if row is not None:
                rows.append(tuple(_plain(cell) for cell in row[1].split("|")))
            elif rows:
                found.append(Table(path.stem, rows[0], tuple(rows[2:])))
                rows = []
    return tuple(found)


def _plain(cell: str) -> str:
    return _LINK.sub(r"\1", cell).replace("`", "").strip()


@cache
def structures(page: str) -> dict[str, tuple[Field, ...]]:
    """The structures of one page by their names."""
    found = {}
    for table in tables():
        if table.page == page and table.head[0] == "tag" and table.head[2:4] == ("is", "bytes"):
            assert table.head[1] not in found, f"{page}.md has two tables of {table.head[1]}"
            found[table.head[1]] = tuple(_field(row) for row in table.rows)
    return found


def _field(row: tuple[str, ...]) -> Field:
    tag, name, form, size = row[:4]
    count_min = count_max = 1
    if times := _TIMES.fullmatch(form):
        form, count_min, count_max = times[1], int(times[2]), int(times[3])
    elif form.endswith(", optional"):
        form, count_min = form.removesuffix(", optional"), 0
    low, _, high = size.partition(" to ")
    return Field(int(tag), name, form, int(low), int(high or low), count_min, count_max)


def numbers(page: str, word: str) -> dict[int, str]:
    """What a page's numbers mean: the table whose second cell is this word, or first, where the
    word is that of the number itself (refusal, verdict)."""
    for table in tables():
        if table.page == page and word in table.head[:2]:
            return {int(row[0]): row[1] for row in table.rows}
    return {}


def rows(page: str, *head: str) -> tuple[tuple[str, ...], ...]:
    """The rows of a page's table whose head begins so."""
    (found,) = [one for one in tables() if one.page == page and one.head[: len(head)] == head]
    return found.rows


def limits() -> list[tuple[str, str, float]]:
    """Page, name and value of each limit that stands in a page."""
    return [
        (table.page, row[0], float(row[1].replace(",", "")))
        for table in tables()
        if table.head[:2] == ("limit", "value")
        for row in table.rows
    ]


def refused(page: str) -> dict[str, str]:
    """The vectors that must be refused, and why."""
    return {
        row[0]: row[1]
        for table in tables()
        if table.page == page and table.head == ("vector", "why")
        for row in table.rows
    }


def strings() -> set[str]:
    """The strings that keep signatures, keys and hashes apart."""
    return {row[0] for table in tables() if table.head[0] == "string" for row in table.rows}
