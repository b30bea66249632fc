"""Above the page: what is wrong. Below it: what came of a click."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QAccessibleEvent, QPalette
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from postroad_tray.tongue import _
from postroad_tray.window import pieces
from postroad_tray.window.marks import MarkSign
from postroad_tray.window.telling import Banner


def announce(widget: QWidget) -> None:
    """Have a screen reader say what has come to be there."""
    QAccessible.updateAccessibility(QAccessibleEvent(widget, QAccessible.Event.Alert))


class BannerBar(QFrame):
    """What is wrong, what to do about it, and a button where one helps."""

    def __init__(self, start: Callable[[], None]) -> None:
        super().__init__()
        self._start = start
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setBackgroundRole(QPalette.ColorRole.AlternateBase)
        self.setAutoFillBackground(True)
        self._sign = MarkSign(1.5)
        self._sentence = pieces.taken_words(bold=True)
        self._next_step = pieces.taken_words()
        self._more = pieces.words(faint=True)
        self._button = pieces.button(
            _("&Start Postroad"), self._clicked, _("Start the service that carries your mail")
        )
        lines = QVBoxLayout()
        lines.setSpacing(pieces.space(self, 0.2))
        for label in (self._sentence, self._next_step, self._more):
            lines.addWidget(label)
        across = QHBoxLayout(self)
        across.setSpacing(pieces.space(self, 0.7))
        across.addWidget(self._sign, alignment=Qt.AlignmentFlag.AlignTop)
        across.addLayout(lines, 1)
        across.addWidget(self._button, alignment=Qt.AlignmentFlag.AlignVCenter)
        self.hide()

    def show_banner(self, banner: Banner | None) -> None:
        is_new = banner is not None and banner.sentence != self.sentence
        if banner is not None:
            self._sign.show_mark(banner.mark, banner.sentence)
            pieces.say(self._sentence, banner.sentence)
            pieces.say(self._next_step, banner.next_step)
            pieces.say(self._more, banner.more)
            self.setAccessibleName(banner.sentence)
            self.setAccessibleDescription(f"{banner.next_step} {banner.more}".strip())
        self._button.setVisible(banner is not None and banner.may_start)
        self.setVisible(banner is not None)
        if is_new:
            announce(self)

    @property
    def sentence(self) -> str:
        return "" if self.isHidden() else self._sentence.text()

    @property
    def button(self) -> QPushButton:
        return self._button

    def _clicked(self) -> None:
        self._button.setEnabled(False)
        self._button.setText(_("Starting …"))
        self._start()

    def start_again(self) -> None:
        """The button can be pressed again."""
        self._button.setText(_("&Start Postroad"))
        self._button.setEnabled(True)


class OutcomeBar(QFrame):
    """What came of what the user did, until they do something else or put it away."""

    def __init__(self) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._words = pieces.taken_words()
        across = QHBoxLayout(self)
        across.addWidget(self._words, 1)
        away = pieces.button(_("&Close"), lambda: self.say(""), _("Put this sentence away"))
        across.addWidget(away, alignment=Qt.AlignmentFlag.AlignTop)
        self.hide()

    @property
    def sentence(self) -> str:
        return self._words.text()

    def say(self, sentence: str) -> None:
        pieces.say(self._words, sentence)
        self.setAccessibleName(sentence)
        self.setVisible(bool(sentence))
        if sentence:
            announce(self)
