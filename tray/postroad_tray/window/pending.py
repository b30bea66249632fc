"""Lines with buttons, below a title: who wants to write, what was proposed, what still works."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPoint, QRect, QSize
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QWidget

from postroad_tray.window import pieces

_PLACES_TO_BREAK = re.compile(r"[\s\u200b]+")


@dataclass(frozen=True, slots=True)
class Pending:
    """A sentence and what may be done about it; known by its key. `short`: the same for where an
    address has no room."""

    key: str
    sentence: str
    short: str
    buttons: Sequence[tuple[str, Callable[[], None]]]


class PendingCard(pieces.Card):
    """Nothing is seen where there are none."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self._shown: dict[str, PendingRow] = {}
        self.hide()

    def show_all(self, pending: Sequence[Pending]) -> None:
        """What stays keeps its widgets, and with them the focus."""
        wanted = {one.key: one for one in pending}
        for key in [key for key in self._shown if key not in wanted]:
            widget = self._shown.pop(key)
            self.inside.removeWidget(widget)
            widget.hide()
            widget.deleteLater()
        for key, line in wanted.items():
            if key not in self._shown:
                self._shown[key] = PendingRow(line.buttons)
                self.inside.addWidget(self._shown[key])
            self._shown[key].say(line)
        self.setVisible(bool(wanted))


class PendingRow(QWidget):
    """What it says changes with time; its buttons stay. They are beside the words where both have
    room, else below; an address that has no room even then is shortened, and whole in the tooltip
    and for whoever hears it. Laid by hand: a layout would know of the turn one step too late."""

    def __init__(self, buttons: Sequence[tuple[str, Callable[[], None]]]) -> None:
        super().__init__()
        self._line = Pending("", "", "", ())
        self._longest = 0  # of the parts between two places to break
        self._words: QLabel = pieces.taken_words()
        self._buttons = [pieces.button(text, does) for text, does in buttons]
        self._row = QWidget()
        across = pieces.row(*self._buttons, stretch_first=False)
        across.setContentsMargins(0, 0, 0, 0)
        self._row.setLayout(across)
        for one in (self._words, self._row):
            one.setParent(self)
        policy = self.sizePolicy()
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def say(self, line: Pending) -> None:
        self._line = line
        parts = _PLACES_TO_BREAK.split(pieces.breakable(line.sentence))
        self._longest = max(map(self._words.fontMetrics().horizontalAdvance, parts))
        self._words.setAccessibleName(line.sentence)
        for button in self._buttons:
            button.setAccessibleDescription(line.sentence)
        self._lay()
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        return QSize(self._width_beside(), self.heightForWidth(self._width_beside()))

    def minimumSizeHint(self) -> QSize:
        """As if the buttons were below, where they go before anything is cut."""
        buttons = self._row.sizeHint()
        return QSize(max(self._words.minimumSizeHint().width(), buttons.width()), buttons.height())

    def heightForWidth(self, width: int) -> int:
        buttons = self._row.sizeHint()
        if self._is_beside(width):
            words = self._words.heightForWidth(width - buttons.width() - self._gap())
            return max(words, buttons.height())
        return self._words.heightForWidth(width) + self._gap() + buttons.height()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._lay()

    def _lay(self) -> None:
        is_whole = self._longest <= self.width()
        pieces.say(self._words, self._line.sentence if is_whole else self._line.short)
        pieces.tip(self._words, "" if is_whole else self._line.sentence)
        buttons = QRect(QPoint(), self._row.sizeHint())
        words = self.rect()
        if self._is_beside(self.width()):
            words.setWidth(self.width() - buttons.width() - self._gap())
            buttons.moveCenter(self.rect().center())
        else:
            words.setHeight(self.height() - buttons.height() - self._gap())
            buttons.moveBottom(self.rect().bottom())
        buttons.moveRight(self.rect().right())
        self._words.setGeometry(words)
        self._row.setGeometry(buttons)

    def _is_beside(self, width: int) -> bool:
        return self._width_beside() <= width

    def _width_beside(self) -> int:
        return self._longest + self._gap() + self._row.sizeHint().width()

    def _gap(self) -> int:
        return pieces.space(self, 0.5)
