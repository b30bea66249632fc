"""What a page of the window is, and how the window knows of one that nobody has looked at yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from postroad_tray.facts import Picture
from postroad_tray.window import pieces
from postroad_tray.window.shapes import Glyph


class Page(QWidget):
    """`draw` is called with each picture while the page is seen, once when it comes to be seen, and
    again every few seconds, for the ages in it; never while nobody looks. What the user has
    selected, typed or scrolled to outlives it."""

    said = Signal(str)  # what came of something, in a sentence that is shown below the page
    turned_to = Signal(str)  # the name of another page that is wanted now
    tells_problems = False  # and whether the service answers: nothing need be said above it

    def __init__(self) -> None:
        super().__init__()
        self.column = QVBoxLayout(self)
        gap = pieces.space(self, 0.9)
        self.column.setContentsMargins(gap, gap, gap, gap)
        self.column.setSpacing(pieces.space(self, 0.7))

    def draw(self, picture: Picture, now: float) -> None:
        raise NotImplementedError

    def forget(self) -> None:
        """The window was closed: what was for the eyes of whoever sat there is not in it when it
        comes again."""

    def begin(self, what: str) -> None:
        """Do what one of the entry's `begins` names; the page is drawn already, or soon."""


def nothing_waits(picture: Picture) -> int:
    return 0


def always(picture: Picture) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Entry:
    """A page in the list at the left. `name` is for programs, `title` for people; `waits` counts
    what waits there; an entry that is not `listed` now has no place in the list; `begins` are the
    names (of `deeds.Place`) of what can be begun on it."""

    name: str
    title: str
    glyph: Glyph
    make: Callable[[], Page]
    waits: Callable[[Picture], int] = nothing_waits
    listed: Callable[[Picture], bool] = always
    begins: tuple[str, ...] = ()
