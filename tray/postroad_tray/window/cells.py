"""What a table says: its columns, and each row cell by cell. Pure; `rows` shows it."""

from __future__ import annotations

from dataclasses import dataclass

from postroad_tray.window.shapes import Mark


@dataclass(frozen=True, slots=True)
class Cell:
    """`spoken` is for whoever cannot see it, and its tooltip; `rank` what rows are sorted by;
    `points` are drawn as a line in place of the text: how far along, how high, both up to 1."""

    text: str
    rank: float | str = ""
    spoken: str = ""
    mark: Mark | None = None
    points: tuple[tuple[float, float], ...] = ()
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    key: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    explained: str = ""
    letters: int = 0  # as wide as so many, whatever is in it; 0: as its text
    stretches: bool = False
