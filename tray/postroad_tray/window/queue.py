"""The queue: letters on their way, why they wait, and what their owner may do about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtGui import QKeySequence, QShortcut

from postroad_tray import plain
from postroad_tray.client import Answer, Client, Question, question_about
from postroad_tray.facts import Message, Picture
from postroad_tray.tongue import _, many
from postroad_tray.window import letter_rows, pieces
from postroad_tray.window.errands import Errands
from postroad_tray.window.page import Page
from postroad_tray.window.rows import Rows, Table


class Queue(Page):
    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client
        self._errands = Errands(client)
        self._letters: dict[str, Message] = {}
        self._names: Mapping[str, str] = {}
        self._now = 0.0
        self._is_there = False
        self._summary = pieces.words(size=1.3)
        self._left_out = pieces.words(faint=True)
        self._table = Table(Rows(letter_rows.columns(), sorted_by=1), _("Letters"), many=True)
        self._chosen = pieces.taken_words()
        self._retry = pieces.button(
            _("&Try now"), self._try_chosen, _("Try the chosen letters now (F5)")
        )
        self._cancel = pieces.button(
            _("&Give up …"), self._give_up, _("Do not send the chosen letters (Delete)")
        )
        self._retry_all = pieces.button(
            _("Try &all now"), self._try_all, _("Try every letter now, also those not shown")
        )
        for widget in (self._summary, self._left_out):
            self.column.addWidget(widget)
        self.column.addWidget(self._table, 1)
        self.column.addWidget(self._chosen)
        buttons = pieces.row(self._retry, self._cancel, stretch_first=False)
        buttons.addStretch(1)
        buttons.addWidget(self._retry_all)
        self.column.addLayout(buttons)
        self._table.selectionModel().selectionChanged.connect(lambda *_ignored: self._tell())
        for keys, does in (("F5", self._try_chosen), ("Delete", self._give_up)):
            QShortcut(QKeySequence(keys), self).activated.connect(does)

    def draw(self, picture: Picture, now: float) -> None:
        self._now = now
        self._is_there = picture.is_there
        self._letters = {one.object_path: one for one in picture.messages}
        self._names = letter_rows.names_of(picture)
        pieces.say(self._summary, letter_rows.summary(picture))
        pieces.say(self._left_out, letter_rows.left_out(picture))
        self._table.show_rows(
            letter_rows.row(one, self._names, now) for one in picture.messages
        )
        has_some = bool(picture.messages)
        for widget in (self._table, self._retry, self._cancel, self._retry_all):
            widget.setVisible(has_some)
        self._tell()

    def _tell(self) -> None:
        chosen = self._chosen_letters()
        said = ""
        if len(chosen) == 1:
            said = letter_rows.sentence(chosen[0], self._names, self._now)
        elif chosen:
            said = many("{n} letter is chosen.", "{n} letters are chosen.", len(chosen))
        pieces.say(self._chosen, said)
        is_free = self._is_there and not self._errands.is_running
        self._retry.setEnabled(bool(chosen) and is_free)
        self._cancel.setEnabled(bool(chosen) and is_free)
        self._retry_all.setEnabled(is_free)

    def _chosen_letters(self) -> list[Message]:
        return [self._letters[key] for key in self._table.chosen() if key in self._letters]

    # --- what its owner may do -------------------------------------------------------------------

    def _try_chosen(self) -> None:
        self._ask_for_each("Retry", self._chosen_letters(), _tried)

    def _try_all(self) -> None:
        def answered(answer: Answer) -> None:
            count = answer.value if isinstance(answer.value, int) else 0
            self.said.emit(letter_rows.tried(count) if answer.is_good else answer.sentence)

        self._client.ask(Question("RetryAll"), answered)

    def _give_up(self) -> None:
        chosen = self._chosen_letters()
        if not chosen or not self._cancel.isEnabled():
            return
        pieces.ask_first(
            self,
            letter_rows.cancel_question(len(chosen), letter_rows.whom(chosen[0], self._names)),
            letter_rows.cancel_warning(),
            _("&Give up"),
            lambda: self._ask_for_each("Cancel", chosen, _cancelled),
        )

    def _ask_for_each(
        self, member: str, letters: list[Message], said: Callable[[list[Answer]], str]
    ) -> None:
        if not letters or not self._is_there or self._errands.is_running:
            return

        def step(number: int) -> None:
            if len(letters) > 1:
                self.said.emit(_("{n} of {all} …").format(n=number, all=len(letters)))

        def done(good: list[Answer], sentence: str) -> None:
            told = said(good) if good or not sentence else ""
            self.said.emit(f"{told} {plain.apart(sentence)}".strip())
            self._tell()

        self._errands.run(
            [question_about(one, member) for one in letters],
            done,
            step,
        )
        self._tell()


def _tried(good: list[Answer]) -> str:
    return letter_rows.tried(len(good))


def _cancelled(good: list[Answer]) -> str:
    had_left = sum(one.fields.get("HasLeft") is True for one in good)
    return letter_rows.cancelled(len(good), had_left)
