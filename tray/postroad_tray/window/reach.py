"""How others reach this computer, as it was found: the same on page Health as in the first run.

Invariant: a word for a state that we do not know is shown as the gravest one.
"""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from postroad_tray import facts, plain
from postroad_tray.client import Answer, Question
from postroad_tray.facts import tables
from postroad_tray.tongue import _
from postroad_tray.window import pieces
from postroad_tray.window.marks import MarkSign
from postroad_tray.window.shapes import Mark

NETCHECK = Question("Netcheck", seconds=60.0)
FINDINGS_MAX = 20
_MARKS: Mapping[str, Mark] = {
    "good": Mark.OK,
    "limited": Mark.ATTENTION,
    "unknown": Mark.OFF,
}


class Findings(QWidget):
    """Of each a sign, how it is, and what may be done about it; or why there are none."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = QVBoxLayout(self)
        self._lines.setContentsMargins(0, 0, 0, 0)

    def say(self, sentence: str) -> None:
        """This in place of findings."""
        pieces.empty(self._lines)
        if sentence:
            self._lines.addWidget(pieces.taken_words(sentence))

    def show_answer(self, answer: Answer) -> None:
        """What `NETCHECK` brought."""
        if not answer.is_good:
            self.say(plain.paragraph(answer.sentence))
            return
        found = tables(answer.fields.get("Findings"), FINDINGS_MAX)
        self.say("" if found else _("Nothing to tell: nobody could be asked."))
        for one in found:
            self._lines.addLayout(_finding(one))


def _finding(told: Mapping[str, object]) -> QHBoxLayout:
    """What was found, behind the sign that says how it is."""
    summary = facts.retold(told, "Summary")
    step = facts.retold(told, "NextStep")
    sign = MarkSign(1.2)
    sign.show_mark(_MARKS.get(plain.line(told.get("State")), Mark.BROKEN), summary)
    across = QHBoxLayout()
    across.addWidget(sign, alignment=Qt.AlignmentFlag.AlignTop)
    across.addWidget(pieces.taken_words(f"{summary}\n{step}".strip()), 1)
    return across
