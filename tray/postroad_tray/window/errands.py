"""The same asked of many, one after the other: the service hears at most eight calls at once.

Invariants: there is one answer in the end, however many were asked; what the service had no time
for is asked again a little later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject, QTimer

from postroad.contract import BusError
from postroad_tray import errors
from postroad_tray.client import Answer, Client, Question

BUSY_MS = 500
NOBODY_THERE = (errors.NO_REPLY, errors.NO_OWNER, errors.DISCONNECTED)
BUSY_TIMES_MAX = 20


class Errands(QObject):
    """`done(good, answers, sentence)`: the answers that were good, and what the first other one
    said. `step(n)` after each."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client
        self._left: list[Question] = []

    @property
    def is_running(self) -> bool:
        return bool(self._left)

    def run(
        self,
        questions: Sequence[Question],
        done: Callable[[list[Answer], str], None],
        step: Callable[[int], None] = lambda number: None,
    ) -> None:
        assert not self._left, "one at a time"
        self._left = list(questions)
        good: list[Answer] = []
        sentences: list[str] = []
        busy = 0

        def ask() -> None:
            self._client.ask(self._left[0], answered)

        def answered(answer: Answer) -> None:
            nonlocal busy
            if answer.error_name == BusError.BUSY and busy < BUSY_TIMES_MAX:
                busy += 1
                QTimer.singleShot(BUSY_MS, self, ask)
                return
            busy = 0
            good.extend([answer] if answer.is_good else [])
            sentences.extend([] if answer.is_good else [answer.sentence])
            del self._left[0]
            if answer.error_name in NOBODY_THERE:
                self._left.clear()  # nor would it answer the others
            step(len(questions) - len(self._left))
            if self._left:
                QTimer.singleShot(0, self, ask)
            else:
                done(good, sentences[0] if sentences else "")

        if self._left:
            ask()
