"""How mail went: how long letters take, what became of them, who is on when, what holders cost;
and how others reach this computer.

Asked when the page comes to be seen, and again while it is, once in a while: nothing of it is told
by signals. How others reach it is asked when its owner wants to know, for others have to look.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

from PySide6.QtCore import QDate, QDateTime, QLocale, Qt, QTimer
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QGridLayout,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QWidget,
)

from postroad_tray import plain
from postroad_tray.client import Answer, Client, Question, Typed
from postroad_tray.deeds import Place
from postroad_tray.facts import Picture
from postroad_tray.numbers import Presence, Statistics, statistics
from postroad_tray.tongue import _, many
from postroad_tray.window import health_words, pieces
from postroad_tray.window.again import Again
from postroad_tray.window.page import Page
from postroad_tray.window.plots import Bars, Column, HourAxis, HourStrip, Sample, Series, Spans
from postroad_tray.window.reach import NETCHECK, Findings
from postroad_tray.window.shapes import Mark

ASKED_AGAIN_SECONDS = 60
SPANS_OF_DAYS = (7, 30, 90)
DAYS = 30
STRIPS_MAX = 50
STRIPS_AT_ONCE = 10
_TABLE_LINES = 9


class Health(Page):
    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client
        self._again = Again(ASKED_AGAIN_SECONDS)
        self._now = 0.0
        self._shown: Statistics | None = None
        self._headline = pieces.taken_words(size=1.3)
        self._days = _choice_of_days(self._chosen)
        self.column.addLayout(pieces.row(self._headline, self._days))
        self._times = TimesCard()
        self._fates = FatesCard()
        self._hours = HoursCard()
        self._outages = pieces.Card(_("When holders fail"))
        self._outage_words = pieces.taken_words()
        self._outages.inside.addWidget(self._outage_words)
        self._reach = ReachCard(client)
        for card in (self._times, self._fates, self._outages, self._hours, self._reach):
            self.column.addWidget(card)
        self.column.addStretch(1)
        self._show_nothing(_("Asking …"))

    def draw(self, picture: Picture, now: float) -> None:
        self._now = now
        if picture.is_there and self._again.is_due(now):
            self._ask()
        elif not picture.is_there and self._shown is None:
            self._show_nothing(_("There is nothing to show while Postroad does not answer."))
        self._reach.may_check(picture.is_there)

    def begin(self, what: str) -> None:
        if what == Place.CONNECTION:
            self._reach.check()
            pieces.bring_into_view(self._reach)

    def _chosen(self) -> None:
        self._ask()

    def _ask(self) -> None:
        self._again.asked(self._now)
        days = int(self._days.currentData())
        question = Question("GetStatistics", "a{sv}", [{"Days": Typed("u", days)}])

        def told(answer: Answer) -> None:
            if days != self._days.currentData():
                return  # another span was chosen meanwhile, and asked for
            if answer.is_good:
                self._show(statistics(answer.fields, self._now, days))
            else:
                self._again.failed()
                if self._shown is None:
                    self._show_nothing(plain.line(answer.sentence))

        self._client.ask(question, told)

    def _show_nothing(self, why: str) -> None:
        pieces.say(self._headline, why)
        for card in (self._times, self._fates, self._outages, self._hours):
            card.hide()

    def _show(self, found: Statistics) -> None:
        if found == self._shown:
            return
        self._shown = found
        pieces.say(self._headline, health_words.headline(found))
        self._times.show_statistics(found)
        self._fates.show_statistics(found)
        pieces.say(self._outage_words, health_words.outages(found.outages))
        self._outages.show()
        self._hours.show_people(found.people)


def _choice_of_days(chosen: Callable[[], None]) -> QComboBox:
    box = QComboBox()
    box.setAccessibleName(_("Of how many days"))
    for days in SPANS_OF_DAYS:
        box.addItem(many("{n} day", "{n} days", days), days)
    box.setCurrentIndex(SPANS_OF_DAYS.index(DAYS))
    box.currentIndexChanged.connect(lambda *_ignored: chosen())
    return box


class Pictured(pieces.Card):
    """A sentence, a picture, and behind a button the same as a table."""

    def __init__(self, title: str, plot: QWidget, heads: Sequence[str]) -> None:
        super().__init__(title)
        self._words = pieces.taken_words()
        self._plot = plot
        plot.setAccessibleName(title)
        self._heads = heads
        self._rows: Sequence[health_words.Row] = ()
        self._table: QTableWidget | None = None
        self._switch = QToolButton()
        self._switch.setText(_("As a table"))
        self._switch.setAccessibleName(_("{title}, as a table").format(title=title))
        self._switch.setCheckable(True)
        self._switch.setArrowType(Qt.ArrowType.RightArrow)
        self._switch.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._switch.toggled.connect(self._turn)
        self.inside.addWidget(self._words)
        self.inside.addWidget(plot)
        self.inside.addWidget(self._switch, alignment=Qt.AlignmentFlag.AlignLeft)

    def say(self, sentence: str, rows: Sequence[health_words.Row]) -> None:
        pieces.say(self._words, sentence)
        self._rows = rows
        self._switch.setVisible(bool(rows))
        self._plot.setVisible(bool(rows))
        self._fill()
        self.show()

    def _turn(self, on: bool) -> None:
        self._switch.setArrowType(Qt.ArrowType.DownArrow if on else Qt.ArrowType.RightArrow)
        if on and self._table is None:
            self._table = _table(self._heads)
            self._table.setAccessibleName(self._switch.accessibleName())
            self.inside.addWidget(self._table)
        self._fill()

    def _fill(self) -> None:
        if self._table is None:
            return
        self._table.setVisible(self._switch.isChecked() and bool(self._rows))
        if self._table.isVisibleTo(self):
            self._table.setRowCount(len(self._rows))
            for number, row in enumerate(self._rows):
                for column, text in enumerate(row):
                    self._table.setItem(number, column, QTableWidgetItem(text))
            em = pieces.space(self)
            self._table.setFixedHeight(em * 2 * (min(len(self._rows), _TABLE_LINES) + 1))


def _table(heads: Sequence[str]) -> QTableWidget:
    table = QTableWidget(0, len(heads))
    table.setHorizontalHeaderLabels(list(heads))
    table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    table.verticalHeader().hide()
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setTabKeyNavigation(False)
    return table


class TimesCard(Pictured):
    def __init__(self) -> None:
        self._spans = Spans()
        heads = (_("Day"), _("Letters"), _("Half within"), _("95 % within"))
        super().__init__(_("How long letters take"), self._spans, heads)

    def show_statistics(self, found: Statistics) -> None:
        self._spans.show_columns(
            [
                Column(
                    _short_date(one.day),
                    (took.median, took.percentile_95)
                    if (took := one.wrote.seconds_to_receipt).letters
                    else (),
                )
                for one in found.days
            ]
        )
        sentence = health_words.times(found.total.seconds_to_receipt)
        self._spans.describe(
            _("For each day a dot at the median and a line up to 95 %. {sentence}").format(
                sentence=sentence
            )
        )
        self.say(sentence, health_words.time_rows(found.days, _whole_date))


class FatesCard(Pictured):
    def __init__(self) -> None:
        series = (
            Series(_("delivered"), Mark.OK, Qt.BrushStyle.SolidPattern),
            Series(_("late"), Mark.ATTENTION, Qt.BrushStyle.BDiagPattern),
            Series(_("failed"), Mark.BROKEN, Qt.BrushStyle.DiagCrossPattern),
        )
        self._bars = Bars(series)
        heads = (_("Day"), _("Written"), _("Delivered"), _("Late"), _("Failed"), _("Came in"))
        super().__init__(_("What became of them"), self._bars, heads)
        legend = pieces.row(stretch_first=False)
        for one in series:
            legend.addWidget(Sample(one))
            legend.addWidget(_word(one.name))
        legend.addStretch(1)
        self.inside.insertLayout(2, legend)

    def show_statistics(self, found: Statistics) -> None:
        self._bars.show_columns(
            [
                Column(
                    _short_date(one.day),
                    tuple(map(float, (one.wrote.arrived, one.wrote.late, one.wrote.failed))),
                )
                for one in found.days
            ]
        )
        sentence = health_words.fates(found)
        self._bars.describe(
            _("For each day bars for what was delivered, late, and failed. {sentence}").format(
                sentence=sentence
            )
        )
        self.say(sentence, health_words.fate_rows(found.days, _whole_date))


class HoursCard(pieces.Card):
    """When each contact is mostly on; holders who are on at unlike hours are the best. Of many
    people some come in each turn: laid out at once they would take as long as all the rest."""

    def __init__(self) -> None:
        super().__init__(_("When your contacts are on"))
        self._words = pieces.words(
            _("By the hours of the day, learnt from what happens anyway; nothing is sent for it."),
            faint=True,
        )
        self.inside.addWidget(self._words)
        self._grid = QGridLayout()
        self._grid.setColumnStretch(1, 1)
        self.inside.addLayout(self._grid)
        self._people: Sequence[Presence] = ()
        self._line = 0  # of the next one
        self._more = QTimer(self)
        self._more.setSingleShot(True)
        self._more.timeout.connect(self._show_some)

    def show_people(self, people: Sequence[Presence]) -> None:
        self.setVisible(bool(people))
        if people == self._people:
            return
        self._people = people
        pieces.empty(self._grid)
        self._grid.addWidget(HourAxis(), STRIPS_MAX, 1)
        self._line = 0
        self._show_some()

    def _show_some(self) -> None:
        offset = round(QDateTime.currentDateTime().offsetFromUtc() / 3600)
        ends = min(self._line + STRIPS_AT_ONCE, len(self._people), STRIPS_MAX)
        for line in range(self._line, ends):
            one, strip = self._people[line], HourStrip()
            strip.show_hours(health_words.shifted(one.hours, offset))
            name, said = plain.apart(one.name), health_words.hours(one, offset)
            strip.setAccessibleName(_("{name}: {hours}").format(name=name, hours=said))
            self._grid.addWidget(_word(one.name), line, 0)
            self._grid.addWidget(strip, line, 1)
            self._grid.addWidget(_word(said), line, 2)
        self._line = ends
        if ends < min(len(self._people), STRIPS_MAX):
            self._more.start(0)


class ReachCard(pieces.Card):
    """What is open between this computer and others; looked at when its owner asks."""

    def __init__(self, client: Client) -> None:
        super().__init__(_("How others reach this computer"))
        self._client = client
        self._may_check = True
        self._is_checking = False
        words = pieces.words(
            _("Others are asked how they see this computer. It takes some seconds.")
        )
        self._button = pieces.button("", self.check)
        self._findings = Findings()
        self.inside.addLayout(pieces.row(words, self._button))
        self.inside.addWidget(self._findings)
        self._show_button()

    def may_check(self, allowed: bool) -> None:
        self._may_check = allowed
        self._show_button()

    def check(self) -> None:
        """Begin, unless it is at work or there is nobody to ask."""
        if self._may_check and not self._is_checking:
            self._is_checking = True
            self._show_button()
            self._client.ask(NETCHECK, self._told)

    def _told(self, answer: Answer) -> None:
        self._is_checking = False
        self._show_button()
        self._findings.show_answer(answer)

    def _show_button(self) -> None:
        self._button.setText(_("Checking …") if self._is_checking else _("&Check now"))
        self._button.setEnabled(self._may_check and not self._is_checking)


def _short_date(day: date) -> str:
    return QLocale().toString(QDate(day.year, day.month, day.day), _("d MMM"))


def _whole_date(day: date) -> str:
    return QLocale().toString(QDate(day.year, day.month, day.day), QLocale.FormatType.ShortFormat)


def _word(text: str) -> QLabel:
    """One that does not break, for the columns of a grid."""
    label = pieces.words(text)
    label.setWordWrap(False)
    return label
