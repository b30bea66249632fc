"""The button that has a letter put into the mailbox, to see that a mail program reads it."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel

from postroad_tray import plain
from postroad_tray.client import Answer, Client, Question
from postroad_tray.tongue import _
from postroad_tray.window import pieces


class TrialLetter:
    """`button`, and what came of it in `outcome`. A second click is no second letter."""

    def __init__(self, client: Client, outcome: QLabel, text: str) -> None:
        self._client = client
        self._outcome = outcome
        self._is_allowed = True
        self._is_asking = False
        self.button = pieces.button(
            text,
            self._write,
            _("Postroad puts a letter into your mailbox: your mail program should show it"),
        )

    def allow(self, allowed: bool) -> None:
        self._is_allowed = allowed
        self.button.setEnabled(allowed and not self._is_asking)

    def _write(self) -> None:
        self._is_asking = True
        self.allow(self._is_allowed)
        self._client.ask(Question("WriteTestLetter"), self._told)

    def _told(self, answer: Answer) -> None:
        self._is_asking = False
        self.allow(self._is_allowed)
        good = _("A letter is in your mailbox now. Does your mail program show it?")
        pieces.say(self._outcome, good if answer.is_good else plain.paragraph(answer.sentence))
