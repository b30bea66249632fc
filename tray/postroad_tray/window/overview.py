"""The first page: how everything is, in one sentence, and what to do next."""

from __future__ import annotations

from PySide6.QtCore import Qt

from postroad_tray.client import Client
from postroad_tray.facts import Picture
from postroad_tray.window import pieces, telling
from postroad_tray.window.marks import MarkSign
from postroad_tray.window.page import Page


class Overview(Page):
    tells_problems = True

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client
        self._sign = MarkSign(2.4)
        self._sentence = pieces.words(size=1.5)
        self._next_step = pieces.taken_words()
        head = pieces.row(self._sentence)
        head.insertWidget(0, self._sign, alignment=Qt.AlignmentFlag.AlignTop)
        head.setSpacing(pieces.space(self, 0.7))
        self.column.addLayout(head)
        self.column.addWidget(self._next_step)
        self.column.addStretch(1)

    def draw(self, picture: Picture, now: float) -> None:
        mark, sentence = telling.headline(picture)
        self._sign.show_mark(mark, sentence)
        pieces.say(self._sentence, sentence)
        banner = telling.problem_banner(picture)
        parts = (banner.sentence, banner.next_step) if banner else ()
        pieces.say(self._next_step, "\n".join(parts))
