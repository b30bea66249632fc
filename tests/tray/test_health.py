"""How mail went, in numbers: what is read of them, what is said, and the page that draws them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QComboBox, QTableWidget, QToolButton

from postroad_tray import numbers
from postroad_tray.client import Answer
from postroad_tray.numbers import HOURS, Outages, Presence, statistics
from postroad_tray.window import health, health_words, open_window
from postroad_tray.window.again import AFTER_FAILURE_SECONDS
from postroad_tray.window.frame import Frame
from postroad_tray.window.health import STRIPS_AT_ONCE, STRIPS_MAX
from postroad_tray.window.plots import Bars, HourAxis, HourStrip, Spans
from tray import pictures, seeing
from tray.standing_in import StandIn
from tray.test_facts import ANYTHING

TODAY = datetime.fromtimestamp(pictures.NOW, UTC).date()
SOME_HOURS = [0.0] * 8 + [2.0] * 10 + [0.0] * 6


def told(**changed: Any) -> dict[str, Any]:
    """As the service tells it: today and the day before yesterday."""
    times = {"Letters": 3, "Median": 0.4, "Percentile95": 7200.0}
    first = {"Day": TODAY.isoformat(), "Accepted": 4, "Delivered": 3, "UnderWay": 1, "Late": 1}
    second = {"Day": (TODAY - timedelta(days=2)).isoformat(), "Accepted": 1, "Failed": 1}
    return {
        "Accepted": 5,
        "Delivered": 3,
        "Failed": 1,
        "Late": 1,
        "UnderWay": 1,
        "SecondsToReceipt": times,
        "ByDay": [second, {**first, "SecondsToReceipt": times}],
        "IncomingByDay": [{"Day": TODAY.isoformat(), "FromContacts": 6}],
        "Outages": {"HoldersFailed": 2, "Letters": 3, "Survived": 3, "SlowestSeconds": 3.2},
        "HoursByContact": [
            {"Name": "Bora", "Seen": SOME_HOURS, "Missed": [2.0 - one for one in SOME_HOURS]}
        ],
        **changed,
    }


@given(
    st.dictionaries(
        st.sampled_from(["ByDay", "Outages", "HoursByContact", "Accepted", "SecondsToReceipt"]),
        ANYTHING | st.lists(st.dictionaries(st.sampled_from(["Day", "Seen", "Name"]), ANYTHING)),
    )
)
def test_whatever_is_told_of_letters_can_be_read_and_said(odd: dict[str, Any]) -> None:
    found = statistics(odd, pictures.NOW, 30)
    assert len(found.days) == 30
    assert all(len(one.hours) == HOURS for one in found.people)
    for say in (health_words.headline, health_words.fates):
        assert say(found)
    assert health_words.times(found.total.seconds_to_receipt)
    assert health_words.outages(found.outages)


def test_each_day_has_its_place_and_today_is_the_last() -> None:
    found = statistics(told(), pictures.NOW, 7)
    assert [one.day for one in found.days] == [TODAY - timedelta(days=n) for n in range(6, -1, -1)]
    assert [one.wrote.accepted for one in found.days] == [0, 0, 0, 0, 1, 0, 4]
    assert found.days[-1].came.from_contacts == 6
    assert found.days[-1].wrote.seconds_to_receipt.percentile_95 == pytest.approx(7200.0)


def test_it_is_said_in_sentences() -> None:
    found = statistics(told(), pictures.NOW, 30)
    assert health_words.headline(found) == (
        "3 of your 5 letters of the last 30 days arrived; 1 came back to you."
    )
    said = "Half of them arrived within 400 ms, 95 of 100 within 2.0 h."
    assert health_words.times(found.total.seconds_to_receipt) == said
    assert health_words.outages(found.outages) == (
        "2 holders did not answer when they were needed; 3 letters met that, 3 arrived all the "
        "same, and none was lost. The slowest was safe after 3.2 s."
    )
    assert "1 expired" in health_words.outages(replace(found.outages, lost=1))
    assert health_words.outages(Outages()) == "No holder failed when it was needed."
    assert health_words.headline(statistics({}, pictures.NOW, 1)) == (
        "You wrote no letters in the last 1 day."
    )


@pytest.mark.parametrize(
    ("on", "offset", "said"),
    [
        (range(8, 18), 0, "mostly on 8-18 h"),
        (range(8, 18), 2, "mostly on 10-20 h"),
        (range(8, 18), 10, "mostly on 0-4 h, 18-24 h"),
        (range(24), 5, "nearly always on"),
        (range(0), 5, "seldom on"),
    ],
)
def test_hours_are_told_by_our_own_clock(on: range, offset: int, said: str) -> None:
    hours = tuple(1.0 if hour in on else 0.0 for hour in range(HOURS))
    assert health_words.hours(Presence("Bora", hours), offset) == said


def test_of_hours_that_nobody_tried_nothing_is_claimed() -> None:
    assert health_words.hours(Presence("Bora", (None,) * HOURS), 0) == "not known yet"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.08, "80 ms"), (1.5, "1.5 s"), (300, "5.0 min"), (180000, "2.1 days")]
)
def test_a_span_has_the_digits_that_matter(seconds: float, said: str) -> None:
    assert numbers.span(seconds) == said


def opened(**changed: Any) -> tuple[Frame, StandIn, health.Health]:
    client = StandIn(pictures.healthy())
    client.answers["GetStatistics"] = Answer((told(**changed),))
    frame = open_window(client, page="health", now=lambda: pictures.NOW)
    assert isinstance(frame.page, health.Health)
    return frame, client, frame.page


def row(table: QTableWidget, number: int) -> list[str]:
    return [str(table.model().index(number, n).data()) for n in range(table.columnCount())]


@pytest.mark.usefixtures("qt")
class TestPage:
    def test_every_picture_has_the_same_in_words_and_as_a_table(self) -> None:
        _, _, page = opened()
        seeing.settle()
        for kind in (Spans, Bars, HourStrip):
            (plot,) = page.findChildren(kind)
            assert plot.isVisibleTo(page)
            assert plot.accessibleName()
        assert "arrived within 400 ms" in page.findChildren(Spans)[0].accessibleDescription()
        assert page.findChildren(HourStrip)[0].accessibleName().startswith("Bora: mostly on")
        for switch in page.findChildren(QToolButton):
            switch.setFocus()
            seeing.press(switch, "Space")
        taken, became = page.findChildren(QTableWidget)
        assert row(taken, 0)[1:] == ["3", "400 ms", "2.0 h"]
        assert row(became, 1)[1:] == ["1", "0", "0", "1", "0"]

    def test_it_asks_when_it_is_seen_and_once_in_a_while(self) -> None:
        frame, client, page = opened()
        assert [one.member for one in client.asked] == ["GetStatistics"]
        page.draw(client.picture, pictures.NOW + 30)
        assert len(client.asked) == 1
        page.draw(client.picture, pictures.NOW + 61)
        assert len(client.asked) == 2
        frame.hide()
        client.show(pictures.trouble())
        assert len(client.asked) == 2

    def test_a_clock_that_was_set_back_does_not_end_the_asking(self) -> None:
        _, client, page = opened()
        page.draw(client.picture, pictures.NOW - pictures.DAY)
        assert len(client.asked) == 2
        page.draw(client.picture, pictures.NOW - pictures.DAY + 30)
        assert len(client.asked) == 2

    def test_another_span_is_asked_for(self) -> None:
        _, client, page = opened()
        box = page.findChildren(QComboBox)[0]
        box.setFocus()
        seeing.press(box, "Down")
        assert client.asked[-1].body[0]["Days"].value == 90

    def test_a_service_that_cannot_say_is_told_and_asked_again(self) -> None:
        client = StandIn(pictures.healthy())
        client.answers["GetStatistics"] = Answer(error_name="x.Busy", sentence="Try again.\u202e")
        frame = open_window(client, page="health", now=lambda: pictures.NOW)
        assert seeing.shows(frame, "Try again.")
        assert not any(one.isVisibleTo(frame) for one in frame.findChildren(Spans))
        client.answers["GetStatistics"] = Answer((told(),))
        client.asked.clear()
        for _picture in range(10):  # as many as come in a second
            client.show(pictures.healthy())
        assert client.asked == []
        assert isinstance(frame.page, health.Health)
        frame.page.draw(client.picture, pictures.NOW + AFTER_FAILURE_SECONDS)
        assert seeing.shows(frame, "3 of your 5 letters")

    def test_a_check_is_made_when_its_owner_wants_it(self) -> None:
        frame, client, _ = opened()
        assert "Netcheck" not in [one.member for one in client.asked]
        found = [
            {"State": "good", "Summary": "Others reach you.", "NextStep": ""},
            {"State": "dire", "Summary": "<b>UDP</b> is shut.", "NextStep": "Open a port."},
        ]
        client.answers["Netcheck"] = Answer(({"Findings": found},))
        seeing.click(seeing.button(frame, "Check now"))
        seeing.settle()
        assert seeing.shows(frame, "Others reach you.")
        assert seeing.shows(frame, "<b>UDP</b> is shut.\nOpen a port.")
        assert seeing.button(frame, "Check now").isEnabled()

    def test_of_many_people_some_come_in_each_turn_and_all_in_the_end(self) -> None:
        people = [
            {"Name": pictures.name(number), "Seen": SOME_HOURS, "Missed": [0.0] * HOURS}
            for number in range(STRIPS_MAX + 5)
        ]
        _, client, page = opened(HoursByContact=people)
        strips = page.findChildren(HourStrip)
        assert len(strips) == STRIPS_AT_ONCE
        client.answers["GetStatistics"] = Answer((told(HoursByContact=people[::-1]),))
        page.findChildren(QComboBox)[0].setCurrentIndex(0)  # asked anew while some were to come
        seeing.until(lambda: len(page.findChildren(HourStrip)) >= STRIPS_MAX)
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        seeing.settle()
        strips = sorted(page.findChildren(HourStrip), key=lambda one: one.y())
        said = [one.accessibleName().partition(":")[0] for one in strips]
        assert said == [one["Name"] for one in people[::-1]][:STRIPS_MAX]
        (axis,) = page.findChildren(HourAxis)
        assert axis.y() > strips[-1].y()

    def test_nothing_is_told_twice_to_a_page_without_letters(self) -> None:
        frame, _, page = opened(
            Accepted=0, ByDay=[], IncomingByDay=[], HoursByContact=[], SecondsToReceipt={}
        )
        assert seeing.shows(frame, "You wrote no letters in the last 30 days.")
        assert not any(one.isVisibleTo(page) for one in page.findChildren(QTableWidget))
        switches = page.findChildren(QToolButton)
        assert not [one for one in switches if one.isVisibleTo(page) and one.text() == "As a table"]

    def test_the_pictures_are_drawn_at_any_size(self) -> None:
        frame, _, page = opened()
        for font_size in (8, 24):
            font = page.font()
            font.setPointSize(font_size)
            page.setFont(font)
            frame.resize(500, 400)
            for kind in (Spans, Bars, HourStrip):
                drawn = page.findChildren(kind)[0].grab().toImage()
                middle = drawn.height() // 2
                colours = {drawn.pixel(x, middle) for x in range(drawn.width())}
                assert len(colours) > 1
