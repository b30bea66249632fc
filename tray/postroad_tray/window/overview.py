"""The first page: how everything is, what to do next, the last day, and what mail programs need."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from postroad.contract import State
from postroad_tray.client import Answer, Client, Question, Typed
from postroad_tray.facts import Endpoints, Picture, read
from postroad_tray.numbers import Came, Numbers
from postroad_tray.tongue import _
from postroad_tray.window import health_words, overview_words, pieces, telling
from postroad_tray.window.again import Again
from postroad_tray.window.doors import DoorsGrid
from postroad_tray.window.marks import MarkSign
from postroad_tray.window.overview_words import NextStep
from postroad_tray.window.page import Page
from postroad_tray.window.shapes import Mark
from postroad_tray.window.walked_away import WalkedAway

STATISTICS_SECONDS = 60  # after which the numbers of the last day are asked for again
STEPS_SHOWN_MAX = 3


class Overview(Page):
    tells_problems = True

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client
        self._sign = MarkSign(2.4)
        self._sentence = pieces.words(size=1.5)
        self._pause = pieces.words(faint=True)
        head = QHBoxLayout()
        head.setSpacing(pieces.space(self, 0.7))
        head.addWidget(self._sign)
        head.addWidget(self._sentence, 1)
        self._steps = [StepLine(self._do) for _number in range(STEPS_SHOWN_MAX)]
        self._day = DayCard()
        self._address = AddressCard()
        self._doors = DoorsCard(client, self.said.emit)
        self.column.addLayout(head)
        self.column.addWidget(self._pause)
        for line in self._steps:
            self.column.addWidget(line)
        for card in (self._day, self._address, self._doors):
            self.column.addWidget(card)
        self.column.addStretch(1)
        self._again = Again(STATISTICS_SECONDS)
        self._asked_for: object = None
        self._asked: list[NextStep] = []  # their buttons wait for an answer

    def draw(self, picture: Picture, now: float) -> None:
        mark, sentence = telling.headline(picture)
        self._sign.show_mark(mark, sentence)
        pieces.say(self._sentence, sentence)
        pieces.say(self._pause, overview_words.pause_words(picture, now))
        steps = overview_words.steps(picture)
        for number, line in enumerate(self._steps):
            line.show_step(steps[number] if number < len(steps) else None)
        self._show_waiting()
        is_set_up = picture.node.state not in (State.SETUP_NEEDED, State.LOCKED)
        has_address = bool(picture.node.address) and is_set_up
        self._day.setVisible(has_address)
        self._address.show_address(picture.node.address if has_address else "")
        self._doors.show_doors(picture.node.endpoints, is_set_up=has_address)
        self._doors.look(now)
        if has_address and picture.is_there:
            self._ask_for_the_day(picture, now)

    def _ask_for_the_day(self, picture: Picture, now: float) -> None:
        """Now and then, and when letters have come to an end or were written."""
        about = (picture.node.parcels_under_way, picture.node.version)
        if about == self._asked_for and not self._again.is_due(now):
            return
        self._asked_for = about
        self._again.asked(now)
        day = {"Days": Typed("u", 1)}
        self._client.ask(Question("GetStatistics", "a{sv}", (day,)), self._told_of_the_day)

    def _told_of_the_day(self, answer: Answer) -> None:
        if not answer.is_good:
            self._again.failed()
        self._day.show_answer(answer)

    def _do(self, step: NextStep) -> None:
        if step.place is not None:
            self.turned_to.emit(step.place)
        if step.question is None and not step.starts:
            return

        def answered(answer: Answer) -> None:
            self._asked.remove(step)
            self._show_waiting()
            if not answer.is_good:
                self.said.emit(answer.sentence)

        self._asked.append(step)
        self._show_waiting()
        if step.question is not None:
            self._client.ask(step.question, answered)
        else:
            self._client.start_service(answered)

    def _show_waiting(self) -> None:
        """What was asked is not asked again, whatever the lines said in between."""
        for line in self._steps:
            line.wait(line.step in self._asked)


class StepLine(QWidget):
    """One thing to do next, with its button."""

    def __init__(self, do: Callable[[NextStep], None]) -> None:
        super().__init__()
        self.step = NextStep(Mark.OK, "")
        self._sign = MarkSign(1.2)
        self._sentence = pieces.taken_words()
        self._next_step = pieces.taken_words()
        self._button = pieces.button("", lambda: do(self.step))
        lines = QVBoxLayout()
        lines.setSpacing(pieces.space(self, 0.15))
        lines.addWidget(self._sentence)
        lines.addWidget(self._next_step)
        across = QHBoxLayout(self)
        across.setContentsMargins(0, 0, 0, 0)
        across.setSpacing(pieces.space(self, 0.7))
        across.addWidget(self._sign, alignment=Qt.AlignmentFlag.AlignTop)
        across.addLayout(lines, 1)
        across.addWidget(self._button, alignment=Qt.AlignmentFlag.AlignTop)
        self.hide()

    def wait(self, is_waiting: bool) -> None:
        """Whether the button cannot be pressed, since it was."""
        self._button.setEnabled(not is_waiting)
        self._button.setText(self.step.label_meanwhile if is_waiting else self.step.label)

    def show_step(self, step: NextStep | None) -> None:
        self.setVisible(step is not None)
        if step is None or step == self.step:
            return
        self.step = step
        self._sign.show_mark(step.mark, step.sentence)
        pieces.say(self._sentence, step.sentence)
        pieces.say(self._next_step, step.next_step)
        self._button.setVisible(bool(step.label))


class DayCard(pieces.Card):
    """The last 24 hours in five numbers."""

    def __init__(self) -> None:
        super().__init__(_("Letters of the last 24 hours"))
        self._numbers: list[QLabel] = []
        across = QHBoxLayout()
        across.setSpacing(pieces.space(self, 1.5))
        self.inside.addLayout(across)
        self._pace = pieces.words(faint=True)
        self.inside.addWidget(self._pace)
        for figure in overview_words.figures(Numbers(), Came()):
            number, label = pieces.words("–", size=1.8), pieces.words(figure.label, faint=True)
            column = QVBoxLayout()
            column.setSpacing(0)
            column.addWidget(number)
            column.addWidget(label)
            column.addStretch(1)
            across.addLayout(column, 1)
            self._numbers.append(number)

    def show_answer(self, answer: Answer) -> None:
        if not answer.is_good:
            pieces.say(self._pace, answer.sentence)
            return
        wrote, came = read(Numbers, answer.fields), read(Came, answer.fields)
        found = overview_words.figures(wrote, came)
        for number, figure in zip(self._numbers, found, strict=True):
            number.setText(figure.number)
            number.setAccessibleName(f"{figure.number} {figure.label}")
        took = wrote.seconds_to_receipt
        pieces.say(self._pace, health_words.times(took) if took.letters else "")


class AddressCard(pieces.Card):
    def __init__(self) -> None:
        super().__init__(_("Your address"))
        self._address = pieces.value_field(_("Your address"), size=1.1)
        self.inside.addLayout(
            pieces.row(self._address, pieces.copy_button(_("your address"), self._address.text))
        )
        self.hide()

    def show_address(self, address: str) -> None:
        pieces.show_value(self._address, address)
        self.setVisible(bool(address))


class DoorsCard(pieces.Card):
    """What a mail program asks for when it is told of Postroad."""

    def __init__(self, client: Client, said: Callable[[str], object]) -> None:
        super().__init__(_("For your mail program"))
        self._client = client
        self._said = said
        self._now = 0.0
        self._doors = DoorsGrid(self)
        self.inside.addLayout(self._doors)
        self._hint = pieces.words(overview_words.doors_hint(), faint=True)
        self._password = pieces.button(
            _("&New password …"),
            self._ask_for_password,
            _("Make another mailbox password; it is shown once"),
        )
        self.inside.addLayout(pieces.row(self._hint, self._password))
        self.hide()

    def show_doors(self, endpoints: Endpoints, *, is_set_up: bool) -> None:
        self.setVisible(is_set_up)
        self._doors.show_endpoints(endpoints)

    def look(self, now: float) -> None:
        """Whether somebody has walked away from a password."""
        self._now = now
        for dialog in self.findChildren(SecretDialog):
            dialog.walked_away.look(now)

    def _ask_for_password(self) -> None:
        pieces.ask_first(
            self,
            _("Make a new mailbox password?"),
            _(
                "The one before counts no more: each mail program in which it stands will ask for "
                "the new one. It is shown once."
            ),
            _("&Make a new one"),
            lambda: self._client.ask(Question("NewMailboxPassword"), self._answered),
        )

    def _answered(self, answer: Answer) -> None:
        if not answer.is_good or not isinstance(answer.value, str):
            self._said(answer.sentence)
        elif self.window().isVisible():
            SecretDialog(self, answer.value, self._now).open()
        else:
            self._said(
                _(
                    "The window was closed before the new password could be shown. The one before "
                    "counts no more: make another."
                )
            )


class SecretDialog(QDialog):
    """A new password, once; it is gone when this closes: with its window, and after a while."""

    def __init__(self, parent: QWidget, secret: str, now: float) -> None:
        super().__init__(parent)
        self.walked_away = WalkedAway(self, self.reject)
        self.walked_away.begin(now)
        self.setWindowTitle(_("New mailbox password"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._secret = pieces.value_field(_("The new mailbox password"), size=1.4)
        pieces.show_value(self._secret, secret)
        family = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont).family()
        font = self._secret.font()
        font.setFamily(family)
        self._secret.setFont(font)
        column = QVBoxLayout(self)
        column.setSpacing(pieces.space(self, 0.8))
        column.addWidget(
            pieces.words(
                _("Type it into your mail program now. Nobody can show it to you again; you can "
                  "make another at any time.")
            )
        )  # fmt: skip
        column.addLayout(
            pieces.row(
                self._secret, pieces.copy_button(
                    _("the new password"), self._secret.text, is_secret=True
                ),
            )
        )
        buttons = QDialogButtonBox()
        done: QPushButton = buttons.addButton(
            _("&I have it"), QDialogButtonBox.ButtonRole.AcceptRole
        )
        done.setDefault(True)
        buttons.accepted.connect(self.accept)
        column.addWidget(buttons)
        self.finished.connect(lambda *_ignored: self._secret.setText(""))
        self.resize(pieces.space(self, 28), self.sizeHint().height())
