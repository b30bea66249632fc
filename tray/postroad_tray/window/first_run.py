"""The first run: a name, 24 words, the node in order, a mail program, the first person to write to.

Invariants: the words are shown once and never kept: they go when the window is closed, or after
WORDS_SHOWN_MS in which no step was taken; an answer that comes when the window is closed shows
nothing. Whoever has them on paper can go on then, whoever has not
begins anew. Nothing is written before three of them were given back; what is done stays done.
It is longer than most: six steps that are read in their order, each on its own short.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QProcess, QStandardPaths, Qt
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from postroad.contract import State
from postroad_tray import plain
from postroad_tray.client import Answer, Client, Question, Typed
from postroad_tray.deeds import Place
from postroad_tray.facts import Endpoints, Picture
from postroad_tray.tongue import _
from postroad_tray.window import first_run_words, pieces, walked_away
from postroad_tray.window.command import Command, CommandAnswer
from postroad_tray.window.doors import DoorsGrid
from postroad_tray.window.first_run_words import Draft, Run
from postroad_tray.window.page import Page
from postroad_tray.window.reach import NETCHECK, Findings
from postroad_tray.window.trial_letter import TrialLetter
from postroad_tray.window.walked_away import WalkedAway

SETUP_SECONDS = 60.0
WORDS_IN_A_LINE = 4
WORDS_SHOWN_MS = walked_away.SHOWN_MS


class FirstRun(Page):
    tells_problems = True

    def __init__(self, client: Client, run: Run) -> None:
        super().__init__()
        self._run = run
        self._steps = QStackedWidget()
        self.name = NameStep(client, self._drafted)
        self.words = WordsStep(self._begin_anew, lambda: self._go(self.asked))
        self.asked = AskedStep(
            client, self._begin_anew, lambda: self._go(self.words), self._made
        )
        self.network = NetworkStep(client, lambda: self._go(self.mail))
        self.mail = MailStep(client, lambda: self._go(self.people))
        self.people = PeopleStep(self._ends)
        for step in (self.name, self.words, self.asked, self.network, self.mail, self.people):
            self._steps.addWidget(step)
        self.column.addWidget(self._steps, 1)
        self._walked_away = WalkedAway(self, self.forget, WORDS_SHOWN_MS)
        self._now = 0.0

    @property
    def step(self) -> QWidget | None:
        return self._steps.currentWidget()

    def draw(self, picture: Picture, now: float) -> None:
        self._now = now
        self._walked_away.look(now)
        self.mail.show_endpoints(picture.node.endpoints)
        self.network.draw(picture)
        if self.step is self.asked and self.asked.is_over(picture):
            self._made("")
            self.mail.miss_secret()

    def forget(self) -> None:
        """The words, shown or typed; and the password of the mailbox."""
        self._walked_away.stop()
        self.words.hide_words()
        self.asked.clear()
        self.mail.hide_secret()

    def _go(self, step: Step) -> None:
        self._steps.setCurrentWidget(step)
        step.come()
        if step in (self.words, self.asked):
            self._walked_away.begin(self._now)
        else:
            self._walked_away.stop()

    def _forget_unless_watched(self) -> None:
        """The window was closed before the answer came, and whoever asked sits there no more."""
        if not self.window().isVisible():
            self.forget()

    def _drafted(self, draft: Draft) -> None:
        self._run.is_open = True
        self.words.show_words(draft.words)
        self.asked.ask_for(draft.asked)
        self._go(self.words)
        self._forget_unless_watched()

    def _begin_anew(self) -> None:
        self.words.show_words(())
        self.asked.ask_for(())
        self._go(self.name)

    def _made(self, password: str) -> None:
        self.words.show_words(())
        self.mail.show_secret(password)
        self._go(self.network)
        self._forget_unless_watched()

    def _ends(self, place: Place) -> None:
        self._run.is_open = False
        self.mail.show_secret("")
        self._go(self.name)  # should it ever be needed again
        self.turned_to.emit(place)


class Step(QWidget):
    """A headline, what belongs to it, an outcome, and the buttons below."""

    def __init__(self, title: str, explained: str) -> None:
        super().__init__()
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.column.setSpacing(pieces.space(self, 0.8))
        self.column.addWidget(pieces.words(title, size=1.5))
        self.column.addWidget(pieces.words(explained))
        self.outcome = pieces.taken_words()
        self.setAccessibleName(title)

    def end_column(self, *buttons: QPushButton) -> None:
        pieces.say(self.outcome, "")
        self.column.addWidget(self.outcome)
        self.column.addStretch(1)
        across = QHBoxLayout()
        across.addStretch(1)
        for one in buttons:
            across.addWidget(one)
        self.column.addLayout(across)

    def come(self) -> None:
        """It is seen from now on."""


class NameStep(Step):
    def __init__(self, client: Client, then: Callable[[Draft], None]) -> None:
        super().__init__(
            _("Welcome to Postroad"),
            _(
                "Email with no mail server: your letters go sealed from this computer to those of "
                "your contacts, or wait with people whom they chose. It takes two minutes."
            ),
        )
        self._client = client
        self._then = then
        self._is_asking = False
        self.field = QLineEdit()
        self.field.setMaxLength(first_run_words.NAME_LENGTH_MAX)
        label = pieces.field_label(_("Your &name in your address, like anna:"), self.field)
        self.hint = pieces.words(faint=True)
        self.go_on = pieces.button(_("&Continue"), self._go)
        self.go_on.setDefault(True)
        self.field.returnPressed.connect(self._go)
        self.field.textChanged.connect(lambda *_ignored: self._changed())
        for widget in (label, self.field, self.hint):
            self.column.addWidget(widget)
        self.end_column(self.go_on)
        self._changed()

    def _name(self) -> str:
        return self.field.text().strip().lower()

    def _changed(self) -> None:
        wrong = first_run_words.what_is_wrong_with(self._name())
        pieces.say(self.hint, wrong or first_run_words.example(self._name()))
        self.go_on.setEnabled(not wrong and not self._is_asking)

    def _go(self) -> None:
        if not self.go_on.isEnabled():
            return
        self._is_asking = True
        self._changed()
        options = {"Name": Typed("s", self._name())}
        question = Question("Setup", "a{sv}", [options], seconds=SETUP_SECONDS)
        self._client.ask(question, self._told)

    def _told(self, answer: Answer) -> None:
        self._is_asking = False
        self._changed()
        draft = first_run_words.draft(answer.fields) if answer.is_good else None
        if draft is None:
            why = answer.sentence or _("The service gave an answer that cannot be read.")
            pieces.say(self.outcome, plain.paragraph(why))
            return
        pieces.say(self.outcome, "")
        self._then(draft)


class WordsStep(Step):
    def __init__(self, anew: Callable[[], None], then: Callable[[], None]) -> None:
        super().__init__(
            _("Your 24 words"),
            _(
                "Write them on paper, in this order. They are the only way back to your address if "
                "this computer is lost, and whoever has them can be you. They are shown this once."
            ),
        )
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(pieces.space(self, 1.5))
        self._labels: list[QLabel] = []
        font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        font.setPointSizeF(self.font().pointSizeF() * 1.1)
        for number in range(first_run_words.WORD_COUNT):
            label = QLabel()
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setFont(font)
            self._labels.append(label)
            self._grid.addWidget(label, number // WORDS_IN_A_LINE, number % WORDS_IN_A_LINE)
        self.column.addLayout(self._grid)
        self._hidden = pieces.words(
            _(
                "They are not shown any more: the window was closed, or nobody did anything for a "
                "while. If all of them are on your paper, go on. If not, begin anew: you get "
                "other words, and these are worth nothing."
            )
        )
        self.column.addWidget(self._hidden)
        self.anew = pieces.button(_("&Begin anew"), anew, _("With another name, and other words"))
        self.go_on = pieces.button(_("I have &written them down"), then)
        self.go_on.setDefault(True)
        self.end_column(self.anew, self.go_on)
        self.show_words(())

    def show_words(self, words: Sequence[str]) -> None:
        for number, label in enumerate(self._labels):
            said = words[number] if number < len(words) else ""
            spoken = _("Word {n}: {word}").format(n=number + 1, word=said)
            label.setText(f"{number + 1:2} {said}" if said else "")
            label.setAccessibleName(spoken if said else "")
            label.setVisible(bool(said))
        self._hidden.hide()
        self.anew.hide()

    def hide_words(self) -> None:
        """Those that are shown; and say how to go on without them."""
        if any(label.text() for label in self._labels):
            self.show_words(())
            self._hidden.show()
            self.anew.show()

    def come(self) -> None:
        self.go_on.setFocus()


class AskedStep(Step):
    """Three of them back, to see that they are on paper."""

    def __init__(
        self,
        client: Client,
        anew: Callable[[], None],
        back: Callable[[], None],
        then: Callable[[str], None],
    ) -> None:
        super().__init__(_("Three of your words"), _("Read them from your paper."))
        self._client = client
        self._then = then
        self._is_asking = False
        self.fields: list[QLineEdit] = []
        self._lines = QVBoxLayout()
        self.column.addLayout(self._lines)
        self.back = pieces.button(_("&Show the words again"), back)
        self.go_on = pieces.button(_("&Make my address"), self._go)
        self.go_on.setDefault(True)
        # The service keeps no draft over its own end: there must be a way back.
        self.anew = pieces.button(_("&Begin anew"), anew, _("With another name, and other words"))
        across = pieces.row(self.anew, stretch_first=False)
        across.addStretch(1)
        self.column.addLayout(across)
        self.end_column(self.back, self.go_on)

    def ask_for(self, numbers: Sequence[int]) -> None:
        pieces.say(self.outcome, "")
        while (item := self._lines.takeAt(0)) is not None:
            old = item.widget()
            if old is not None:
                old.hide()
                old.deleteLater()
        self.fields = []
        for number in numbers:
            field = QLineEdit()
            label = pieces.field_label(_("Word {n}:").format(n=number), field)
            field.setAccessibleName(label.text())
            field.textChanged.connect(lambda *_ignored: self._changed())
            field.returnPressed.connect(self._go)
            self._lines.addWidget(label)
            self._lines.addWidget(field)
            self.fields.append(field)
        self._changed()

    def come(self) -> None:
        if self.fields:
            self.fields[0].setFocus()

    def clear(self) -> None:
        for one in self.fields:
            one.setText("")  # what clear() takes away, Ctrl+Z brings back

    def is_over(self, picture: Picture) -> bool:
        """There is an address, and nobody told us: the answer was lost on its way."""
        return picture.is_there and bool(picture.node.address) and not self._is_asking

    def _changed(self) -> None:
        is_full = bool(self.fields) and all(one.text().strip() for one in self.fields)
        self.go_on.setEnabled(is_full and not self._is_asking)
        self.anew.setEnabled(not self._is_asking)

    def _go(self) -> None:
        if not self.go_on.isEnabled():
            return
        self._is_asking = True
        self._changed()
        pieces.say(self.outcome, _("Making keys and address …"))
        words = [one.text().strip().lower() for one in self.fields]
        self._client.ask(
            Question("FinishSetup", "as", [words], seconds=SETUP_SECONDS), self._told
        )

    def _told(self, answer: Answer) -> None:
        self._is_asking = False
        self._changed()
        password = answer.fields.get("Password")
        if not answer.is_good or not isinstance(password, str):
            pieces.say(self.outcome, plain.paragraph(answer.sentence) or _("It was not taken."))
            return
        self.clear()
        self._then(plain.line(password))


class NetworkStep(Step):
    """The node starts by itself from now on, and is asked how others reach it."""

    def __init__(self, client: Client, then: Callable[[], None]) -> None:
        super().__init__(
            _("Your node"),
            _("It carries your mail while you are logged in, and needs no window for it."),
        )
        self._client = client
        self._command = Command(self)
        self._is_checked = False
        self.service = pieces.taken_words()
        self.reach = Findings()
        for widget in (self.service, self.reach):
            self.column.addWidget(widget)
        self.go_on = pieces.button(_("&Continue"), then)
        self.go_on.setDefault(True)
        self.end_column(self.go_on)

    def come(self) -> None:
        self._is_checked = False
        self._command.stop()
        pieces.say(self.service, _("It is made to start by itself …"))
        self.reach.say(_("It begins …"))
        self._command.enable_service(self._enabled)
        self.go_on.setFocus()

    def draw(self, picture: Picture) -> None:
        """The check begins once the node is on the network."""
        is_seen = self.isVisible()
        is_on = picture.node.state not in (State.SETUP_NEEDED, State.STARTING)
        if is_seen and picture.is_there and is_on and not self._is_checked:
            self._is_checked = True
            self.reach.say(_("Others are asked how they see this computer …"))
            self._client.ask(NETCHECK, self.reach.show_answer)

    def _enabled(self, outcome: CommandAnswer) -> None:
        good = first_run_words.enabled(outcome.answer)
        bad = _("It could not be made to start by itself: {why}").format(
            why=plain.apart(outcome.sentence)
        )
        pieces.say(self.service, good if outcome.is_good else bad)


class MailStep(Step):
    """The mail program that is there, what it wants to know, and a letter to see that it works."""

    def __init__(self, client: Client, then: Callable[[], None]) -> None:
        super().__init__(_("Your mail program"), _("Keep the one that you like."))
        for one, path in first_run_words.found_programs(QStandardPaths.findExecutable):
            self._add_program(one, path)
        self._add_program(first_run_words.MAIL_PROGRAMS[-1], "")
        card = pieces.Card(_("What it asks for"))
        self._doors = DoorsGrid(card)
        self.password, self._copy = self._doors.add_value(_("Password"), is_secret=True)
        card.inside.addLayout(self._doors)
        self.column.addWidget(card)
        self.letter = TrialLetter(client, self.outcome, _("&Send me a test letter")).button
        self.go_on = pieces.button(_("&Continue"), then)
        self.go_on.setDefault(True)
        self.end_column(self.letter, self.go_on)

    def _add_program(self, one: first_run_words.MailProgram, path: str) -> None:
        steps = pieces.words(one.steps())
        if not path:
            self.column.addWidget(steps)
            return
        opens = pieces.button(
            _("Open {program}").format(program=one.title),
            lambda: self._open(path),
        )
        self.column.addLayout(pieces.row(steps, opens))

    def _open(self, path: str) -> None:
        started, _pid = QProcess.startDetached(path, [], "")
        if not started:
            pieces.say(self.outcome, _("It could not be started."))

    def show_endpoints(self, endpoints: Endpoints) -> None:
        self._doors.show_endpoints(endpoints)

    def miss_secret(self) -> None:
        pieces.say(
            self.outcome,
            _(
                "Your address was made, but its password did not come through. Make another: on "
                "the page Overview, click on New password."
            ),
        )

    def show_secret(self, password: str) -> None:
        """It is shown as long as this run lasts and its window is open, and nowhere after that."""
        pieces.show_value(self.password, password)
        self.password.setVisible(bool(password))
        self._copy.setEnabled(bool(password))

    def hide_secret(self) -> None:
        """If it is shown; and say how to go on without it."""
        if self.password.text():
            self.show_secret("")
            pieces.say(
                self.outcome,
                _(
                    "The password is not shown any more: the window was closed. If your mail "
                    "program has it, go on. If not, make another: on the page Overview, click on "
                    "New password."
                ),
            )


class PeopleStep(Step):
    def __init__(self, ends: Callable[[Place], None]) -> None:
        super().__init__(
            _("The first person"),
            _(
                "Postroad carries letters between people who know each other. Invite somebody, or "
                "accept an invitation that you were sent. The more contacts keep letters for each "
                "other, the safer is everybody's mail."
            ),
        )
        self.invite = pieces.button(_("&Invite someone …"), lambda: ends(Place.INVITE))
        self.accept = pieces.button(_("&Accept an invitation …"), lambda: ends(Place.ACCEPT))
        self.skip = pieces.button(_("&Later"), lambda: ends(Place.OVERVIEW))
        self.end_column(self.skip, self.accept, self.invite)
