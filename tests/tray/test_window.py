"""The window around the pages, with the real widgets: what it says, and when it says nothing."""

from __future__ import annotations

import gettext
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QColor, QImage, QPalette, QPixmap, QPixmapCache
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QHeaderView,
    QLabel,
    QPushButton,
    QWidget,
)

from postroad_tray import tongue
from postroad_tray.client import Answer
from postroad_tray.facts import Picture
from postroad_tray.window import open_window, pieces
from postroad_tray.window.frame import Frame
from postroad_tray.window.marks import MarkSign, tone
from postroad_tray.window.page import Entry, Page
from postroad_tray.window.shapes import Glyph, Mark
from tray import pictures, seeing
from tray.standing_in import StandIn

pytestmark = pytest.mark.usefixtures("qt")


def test_a_word_without_an_end_is_spoken_as_one_word() -> None:
    label = pieces.words("a path: /" + "x" * 70)
    spoken = QAccessible.queryAccessibleInterface(label)
    assert "\u200b" in label.text()
    assert spoken.text(QAccessible.Text.Name) == "a path: /" + "x" * 70
    pieces.say(label, "a path")
    assert spoken.text(QAccessible.Text.Name) == "a path"


class Noted(Page):
    """A page that counts how often it is drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[tuple[Picture, float]] = []

    def draw(self, picture: Picture, now: float) -> None:
        self.drawn.append((picture, now))


def two_pages() -> list[Entry]:
    return [
        Entry("one", "One & all", Glyph.OVERVIEW, Noted),
        Entry(
            "two", "Two", Glyph.QUEUE, Noted, waits=lambda picture: picture.node.parcels_under_way
        ),
        Entry("hidden", "Hidden", Glyph.SETUP, Noted, listed=lambda picture: not picture.is_there),
    ]


def opened(client: StandIn, **more: Callable[[], bool] | Callable[[], None]) -> Frame:
    return open_window(client, now=lambda: pictures.NOW, entries=two_pages(), **more)  # type: ignore[arg-type]


def is_looked_at(client: StandIn) -> bool:
    return client.is_looked_at


def noted(frame: Frame) -> Noted:
    assert isinstance(frame.page, Noted)
    return frame.page


@pytest.mark.parametrize("name", pictures.ALL)
def test_whatever_is_told_the_window_shows_it_as_text(name: str) -> None:
    frame = open_window(StandIn(pictures.ALL[name]()), now=lambda: pictures.NOW)
    assert seeing.seen(frame)
    for label in frame.findChildren(QLabel):
        assert label.textFormat() is Qt.TextFormat.PlainText
    assert not frame.grab().isNull()


def test_only_the_page_that_is_seen_is_made_and_drawn() -> None:
    client = StandIn(pictures.healthy())
    frame = opened(client)
    first = noted(frame)
    assert len(first.drawn) == 1
    frame.turn_to("two")
    second = noted(frame)
    assert second is not first
    client.show(pictures.trouble())
    assert (len(first.drawn), len(second.drawn)) == (1, 2)
    assert second.drawn[-1] == (client.picture, pictures.NOW)


def test_nothing_is_drawn_or_asked_while_nobody_looks() -> None:
    client = StandIn(pictures.healthy())
    frame = opened(client, stays=lambda: True)
    assert is_looked_at(client)
    frame.close()
    assert not is_looked_at(client)
    assert not frame._timer.isActive()
    count = len(noted(frame).drawn)
    client.show(pictures.trouble())
    assert len(noted(frame).drawn) == count
    frame.come()
    assert is_looked_at(client)
    assert noted(frame).drawn[-1][0] is client.picture


def test_a_minimised_window_is_not_looked_at() -> None:
    client = StandIn(pictures.healthy())
    frame = opened(client)
    frame.showMinimized()
    assert not is_looked_at(client)
    frame.come()
    assert is_looked_at(client)


def test_closing_hides_where_an_icon_stays_and_ends_where_none_is() -> None:
    left: list[str] = []
    for stays in (True, False):
        frame = opened(
            StandIn(pictures.healthy()),
            stays=lambda stays=stays: stays,
            leave=lambda: left.append("left"),
        )
        seeing.press(frame, "Escape")
        assert not frame.isVisible()
        assert left == ([] if stays else ["left"])


def test_of_a_window_that_is_closed_no_picture_is_kept_and_it_looks_the_same_again() -> None:
    client = StandIn(pictures.with_people(3))
    frame = open_window(client, page="peers", now=lambda: pictures.NOW, stays=lambda: True)

    def seen() -> QImage:
        seeing.settle()
        return frame.screen().grabWindow(frame.winId()).toImage()

    before = seen()
    assert before.size() == frame.size()
    QPixmapCache.insert("a glyph", QPixmap(9, 9))
    frame.close()
    assert not QPixmapCache.find("a glyph", QPixmap())  # nor for Qt to wake up for
    assert frame.backingStore().size().width() == 1
    frame.come()
    assert seen() == before


def test_keys_turn_pages_close_and_quit() -> None:
    left: list[str] = []
    frame = opened(
        StandIn(pictures.healthy()), stays=lambda: True, leave=lambda: left.append("left")
    )
    seeing.press(frame, "Ctrl+2")
    assert frame.page_name == "two"
    seeing.press(frame, "Ctrl+1")
    assert frame.page_name == "one"
    seeing.press(frame, "Ctrl+W")
    assert not frame.isVisible()
    assert not left
    frame.come("two")
    assert frame.page_name == "two"
    seeing.press(frame, "Ctrl+Q")
    assert left == ["left"]


def test_a_count_says_what_waits_and_a_page_can_leave_the_list() -> None:
    client = StandIn(pictures.healthy())
    frame = opened(client)
    spoken = Qt.ItemDataRole.AccessibleTextRole
    assert frame._list.count() == 2
    assert frame._list.item(1).data(spoken) == "Two, 2 wait"
    frame.turn_to("two")
    client.show(pictures.off())
    assert frame._list.count() == 3
    assert frame.page_name == "two"
    assert frame._list.item(1).data(spoken) == "Two"
    frame.turn_to("hidden")
    client.show(pictures.healthy())
    assert frame.page_name == "one"


def test_size_and_page_are_remembered() -> None:
    client = StandIn(pictures.healthy())
    frame = opened(client)
    frame.resize(611, 502)
    frame.turn_to("two")
    frame.close()
    again = opened(client)
    assert (again.width(), again.height()) == (611, 502)
    assert again.page_name == "two"


def test_what_is_remembered_is_in_a_folder_of_the_trays_own(tmp_path: Path) -> None:
    frame = opened(StandIn(pictures.healthy()))
    frame.close()
    frame._settings.sync()
    kept = {one.parent.name for one in (tmp_path / "settings").rglob("*.conf")}
    assert kept == {"postroad-tray"}  # that of the service holds its configuration


def test_a_service_that_is_off_can_be_started() -> None:
    client = StandIn(pictures.off())
    frame = opened(client)
    assert frame._banner.sentence == "Postroad is off: no letter comes or goes."
    client.answers["StartServiceByName"] = Answer((), "x.Failed", "It is not installed.")
    seeing.click(seeing.button(frame, "Start Postroad"))
    assert [one.member for one in client.asked] == ["StartServiceByName"]
    assert frame.outcome == "It is not installed."
    assert seeing.button(frame, "Start Postroad").isEnabled()
    client.show(pictures.healthy())
    assert frame._banner.sentence == ""


def test_the_worst_problem_stands_above_the_page_with_what_to_do() -> None:
    frame = opened(StandIn(pictures.trouble()))
    assert frame._banner.sentence == pictures.DOOR_SHUT.summary
    assert seeing.shows(frame, pictures.DOOR_SHUT.next_step)
    assert seeing.shows(frame, "and 1 more")
    assert frame._banner.accessibleName() == pictures.DOOR_SHUT.summary


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        (pictures.silent(), "Postroad does not answer."),
        (pictures.no_bus(), "This session has no message bus, so Postroad cannot be asked."),
        (Picture(), "Asking Postroad how it is …"),
    ],
)
def test_what_is_not_there_is_said_and_goes_when_it_is_there(
    picture: Picture, sentence: str
) -> None:
    client = StandIn(picture)
    frame = opened(client)
    assert frame._banner.sentence == sentence
    client.show(pictures.healthy())
    assert frame._banner.sentence == ""


def test_marks_and_faint_words_stand_out_on_light_and_dark() -> None:
    for ground in ("#efefef", "#ffffff", "#323232", "#1b1b1b"):
        palette = QPalette(QColor(ground))
        palette.setColor(QPalette.ColorRole.Window, QColor(ground))
        for mark in Mark:
            assert contrast(tone(mark, palette).name(), ground) >= 4.5, (mark, ground)
        faint = pieces.faint_ink(palette).name()
        assert contrast(faint, ground) >= 4.5, ground
        assert contrast(faint, palette.color(QPalette.ColorRole.Base).name()) >= 4.5, ground


def test_faint_words_follow_from_light_to_dark(qt: QApplication) -> None:
    card = pieces.Card("A card")
    label = pieces.words("faint", faint=True)
    card.inside.addWidget(label)
    card.show()
    before = qt.palette()
    try:
        for ground in ("#efefef", "#323232"):
            qt.setPalette(QPalette(QColor(ground)))
            seeing.settle()
            shown = label.palette().color(label.foregroundRole())
            assert shown == pieces.faint_ink(card.palette())
            assert shown != card.palette().color(QPalette.ColorRole.Text)
    finally:
        qt.setPalette(before)


def contrast(one: str, other: str) -> float:
    """WCAG 2.1: the ratio of two relative luminances."""
    lights = sorted((luminance(one) + 0.05, luminance(other) + 0.05))
    return lights[1] / lights[0]


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


class Longer(gettext.NullTranslations):
    """A language whose words are half as long again."""

    def gettext(self, message: str) -> str:
        return message + "ẞ" * (len(message) // 2)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


@pytest.mark.parametrize("name", ["healthy", "trouble", "paused", "off", "hostile"])
def test_in_a_language_of_long_words_nothing_is_cut_off(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tongue, "_said", Longer())
    frame = open_window(StandIn(pictures.ALL[name]()), now=lambda: pictures.NOW)
    for entry in seeing.narrow_pages(frame):
        assert not seeing.cut_off(frame), entry


def test_everything_is_reached_and_told_without_a_mouse() -> None:
    """Whatever can be clicked takes the focus by Tab, and says what it is."""
    frame = open_window(StandIn(pictures.trouble()), now=lambda: pictures.NOW)
    for entry in frame._entries:
        frame.turn_to(entry)
        seeing.settle()
        assert frame.page is not None
        reached: set[QWidget] = set()
        one = frame.page.nextInFocusChain()
        while one is not None and one is not frame.page:
            if one.focusPolicy() & Qt.FocusPolicy.TabFocus and one.isVisibleTo(frame):
                reached.add(one)
            one = one.nextInFocusChain()
        for each in frame.page.findChildren(QWidget):
            is_active = isinstance(each, QAbstractButton | QAbstractItemView)
            if is_active and each.isVisibleTo(frame) and not isinstance(each, QHeaderView):
                corner = "QTableCornerButton" in each.metaObject().className()
                assert corner or each in reached, (entry, each)
        for button in frame.page.findChildren(QPushButton):
            is_named = bool(button.accessibleName() or button.text())
            assert is_named or not button.isVisibleTo(frame), entry
        for sign in frame.page.findChildren(MarkSign):
            assert sign.accessibleName() or not sign.isVisibleTo(frame), entry
