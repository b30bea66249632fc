"""Above the pages, where a desktop shows no icons: what to do about it, and one button."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtGui import QGuiApplication, QPalette
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton

from postroad_tray.gnome import Advice
from postroad_tray.tongue import _
from postroad_tray.window import pieces


class AdviceBar(QFrame):
    """Until it is put away; whoever puts it away sees it again with the next start."""

    def __init__(self, enable: Callable[[], None]) -> None:
        super().__init__()
        self._enable = enable
        self._line = ""
        self._is_put_away = False
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setBackgroundRole(QPalette.ColorRole.AlternateBase)
        self.setAutoFillBackground(True)
        self._sentence = pieces.taken_words()
        self._button = QPushButton()
        self._button.clicked.connect(lambda *_ignored: self._clicked())
        away = pieces.button(_("Not &now"), self._put_away, _("Put this advice away"))
        across = QHBoxLayout(self)
        across.setSpacing(pieces.space(self, 0.7))
        across.addWidget(self._sentence, 1)
        across.addWidget(self._button)
        across.addWidget(away)
        self.hide()

    def show_advice(self, advice: Advice | None) -> None:
        if advice is not None:
            pieces.say(self._sentence, advice.sentence)
            self.setAccessibleName(advice.sentence)
            self._line = advice.line
            self._button.setText(advice.button)
            self._button.setEnabled(True)
            self._button.setVisible(bool(advice.button))
            pieces.tip(self._button, advice.line)
        self.setVisible(advice is not None and not self._is_put_away)

    def _clicked(self) -> None:
        if self._line:
            QGuiApplication.clipboard().setText(self._line)
            self._button.setText(_("Copied"))
            return
        self._button.setEnabled(False)
        self._enable()

    def _put_away(self) -> None:
        self._is_put_away = True
        self.hide()
