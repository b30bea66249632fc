"""What a mail program asks for, line by line, each with a button that copies it."""

from __future__ import annotations

from PySide6.QtWidgets import QGridLayout, QLineEdit, QPushButton, QWidget

from postroad_tray.facts import Endpoints
from postroad_tray.window import overview_words, pieces


class DoorsGrid(QGridLayout):
    """The doors, in the order in which most programs ask for them; below them what is added."""

    def __init__(self, around: QWidget) -> None:
        super().__init__()
        self.setColumnStretch(1, 1)
        self.setHorizontalSpacing(pieces.space(around, 0.8))
        self._doors = [self.add_value(one.label) for one in overview_words.doors(Endpoints())]

    def add_value(self, label: str, *, is_secret: bool = False) -> tuple[QLineEdit, QPushButton]:
        """Another line: its field, and the button that copies what is in it."""
        word, value = pieces.words(label, faint=True), pieces.value_field(label)
        word.setWordWrap(False)
        copy = pieces.copy_button(label, value.text, is_secret=is_secret)
        line = self.count() // 3
        for across, widget in enumerate((word, value, copy)):
            self.addWidget(widget, line, across)
        return value, copy

    def show_endpoints(self, endpoints: Endpoints) -> None:
        """A door that is shut says so; there is nothing to copy."""
        found = overview_words.doors(endpoints)
        for (value, copy), door in zip(self._doors, found, strict=True):
            pieces.show_value(value, door.value or door.shut)
            copy.setEnabled(bool(door.value))
