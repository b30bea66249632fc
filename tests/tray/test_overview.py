"""The first page, with the real widgets."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QDialog, QLabel, QLineEdit

from postroad.contract import State
from postroad_tray.client import Answer, Typed
from postroad_tray.deeds import Place
from postroad_tray.facts import Endpoints, Picture
from postroad_tray.numbers import statistics
from postroad_tray.window import health_words, open_window, overview_words, telling
from postroad_tray.window.again import AFTER_FAILURE_SECONDS
from postroad_tray.window.frame import Frame
from postroad_tray.window.overview import Overview, SecretDialog
from postroad_tray.window.shapes import Mark
from tray import pictures, seeing
from tray.standing_in import StandIn

pytestmark = pytest.mark.usefixtures("qt")
NOW = pictures.NOW
DAY = {
    "Accepted": 14, "Delivered": 11, "UnderWay": 2, "Late": 0, "Failed": 1, "FromContacts": 9,
    "FromStrangers": 1, "SecondsToReceipt": {"Letters": 11, "Median": 1.24, "Percentile95": 42.0},
}  # fmt: skip


def opened(client: StandIn, now: Callable[[], float] = lambda: NOW) -> tuple[Frame, Overview]:
    frame = open_window(client, page="overview", now=now)
    assert isinstance(frame.page, Overview)
    return frame, frame.page


def dialogs() -> list[QDialog]:
    return [
        one
        for one in QApplication.topLevelWidgets()
        if isinstance(one, SecretDialog) and one.isVisible()
    ]


def test_all_is_said_in_one_sentence_with_a_shape() -> None:
    _frame, page = opened(StandIn(pictures.healthy()))
    assert page._sentence.text() == "Your node is online: letters come and go."
    assert page._sign.mark is Mark.OK
    assert page._sign.accessibleName() == page._sentence.text()


@pytest.mark.parametrize(
    ("picture", "mark"),
    [
        (pictures.trouble(), Mark.BROKEN),
        (pictures.crowded(), Mark.ATTENTION),
        (pictures.offline(), Mark.WAITING),
        (pictures.paused(), Mark.OFF),
        (pictures.off(), Mark.OFF),
        (pictures.silent(), Mark.ATTENTION),
        (Picture(), Mark.WORKING),
    ],
)
def test_each_state_has_its_shape(picture: Picture, mark: Mark) -> None:
    assert telling.headline(picture)[0] is mark


def test_every_state_of_the_service_has_a_sentence_that_is_ours() -> None:
    for state in State:
        picture = replace(pictures.hostile(), node=pictures.node(state=state, sentence="<b>"))
        mark, sentence = telling.headline(picture)
        assert sentence == telling.state_sentence(state)
        assert isinstance(mark, Mark)


def test_what_to_do_next_has_a_button_that_leads_there() -> None:
    client = StandIn(pictures.crowded())
    frame, page = opened(client)
    assert seeing.shows(page, pictures.LATE.summary)
    seeing.click(seeing.button(page, "Look at the queue"))
    assert frame.page_name == "queue"


def test_the_connection_is_checked_with_one_click() -> None:
    client = StandIn(pictures.offline())
    known = client.picture.node.problems[0]
    blocked = replace(known, code="nobody-answers")
    client.show(replace(client.picture, node=replace(client.picture.node, problems=(blocked,))))
    frame, page = opened(client)
    seeing.click(seeing.button(page, "Check the connection …"))
    assert frame.page_name == "health"
    assert [one.member for one in client.asked].count("Netcheck") == 1
    assert frame.page is not None
    found = seeing.button(frame.page, "Check now")
    seeing.until(lambda: not found.visibleRegion().isEmpty())


@pytest.mark.parametrize(
    ("picture", "place", "member"),
    [
        (pictures.empty(), Place.INVITE, None),
        (pictures.healthy(), Place.INVITE, None),
        (pictures.with_people(7, requests=2), Place.REQUESTS, None),
        (pictures.offline(), None, None),
        (pictures.not_set_up(), Place.FIRST_RUN, None),
        (pictures.locked(), None, "Unlock"),
        (pictures.paused(), None, "Resume"),
    ],
)
def test_the_next_step(picture: Picture, place: Place | None, member: str | None) -> None:
    step = overview_words.steps(picture)[0]
    assert step.place == place
    assert (step.question.member if step.question else None) == member
    assert step.sentence


def test_a_service_that_is_off_is_started_here() -> None:
    client = StandIn(pictures.off())
    frame, page = opened(client)
    assert seeing.shows(page, "Postroad is off: no letter comes or goes.")
    assert frame._banner.isHidden()
    client.answers["StartServiceByName"] = Answer((), "x.Failed", "It is not installed.")
    seeing.click(seeing.button(page, "Start Postroad"))
    assert [one.member for one in client.asked] == ["StartServiceByName"]
    assert frame.outcome == "It is not installed."
    assert seeing.button(page, "Start Postroad").isEnabled()


@pytest.mark.parametrize(
    ("picture", "label", "meanwhile", "member"),
    [
        (pictures.locked(), "Unlock", "Unlocking …", "Unlock"),
        (pictures.paused(), "Resume", "Resuming …", "Resume"),
        (pictures.off(), "Start Postroad", "Starting …", "StartServiceByName"),
    ],
)
def test_a_second_click_on_a_step_is_no_second_question(
    picture: Picture, label: str, meanwhile: str, member: str
) -> None:
    client = StandIn(picture)
    client.is_slow = True
    frame, page = opened(client)
    found = seeing.button(page, label)
    for _time in range(2):
        seeing.click(found)
    client.show(pictures.silent())  # the step goes, and comes back while its answer is away
    client.show(picture)
    assert not seeing.button(page, meanwhile).isEnabled()
    seeing.click(seeing.button(page, meanwhile))
    asked = [one.member for one in client.asked if one.member != "GetStatistics"]
    assert asked == [member]
    client.answers[member] = Answer(error_name="x", sentence="It could not be.")
    client.answer()
    assert seeing.button(page, label).isEnabled()
    seeing.click(seeing.button(page, label))
    client.answer()
    assert frame.outcome == "It could not be."


def test_another_step_does_not_wait_for_the_answer_to_one() -> None:
    client = StandIn(pictures.locked())
    client.is_slow = True
    _frame, page = opened(client)
    seeing.click(seeing.button(page, "Unlock"))
    client.show(pictures.paused())
    assert seeing.button(page, "Resume").isEnabled()


def test_a_clock_that_was_set_back_does_not_end_the_asking_for_the_day() -> None:
    client = StandIn(pictures.healthy())
    _frame, page = opened(client)
    page.draw(client.picture, NOW + 30)
    assert len(client.asked) == 1
    page.draw(client.picture, NOW - pictures.DAY)
    assert [one.member for one in client.asked] == ["GetStatistics"] * 2


def test_a_pause_can_be_ended_here() -> None:
    client = StandIn(pictures.paused())
    frame, page = opened(client)
    assert seeing.shows(page, "It is back on the network in 1 h.")
    client.answers["Resume"] = Answer((), "x.Failed", "It does not want to.")
    seeing.click(seeing.button(page, "Resume"))
    assert client.asked[-1].member == "Resume"
    assert frame.outcome == "It does not want to."


def test_the_last_day_is_counted_now_and_then() -> None:
    client = StandIn(pictures.healthy())
    client.answers["GetStatistics"] = Answer((DAY,))
    moment = [float(NOW)]
    frame, page = opened(client, now=lambda: moment[0])
    assert client.asked[-1].body == ({"Days": Typed("u", 1)},)
    for number, label in (("14", "written"), ("11", "arrived"), ("10", "received")):
        found = [one for one in page.findChildren(QLabel) if one.text() == number]
        assert found[0].accessibleName() == f"{number} {label}"
    assert seeing.shows(page, "Half of them arrived within 1.2 s, 95 of 100 within 42 s.")
    asked = len(client.asked)
    frame._draw()
    assert len(client.asked) == asked
    moment[0] += 61
    frame._draw()
    assert len(client.asked) == asked + 1
    client.show(pictures.with_people(7, letters=3))
    assert len(client.asked) == asked + 2


def test_numbers_that_cannot_be_had_say_why() -> None:
    client = StandIn(pictures.healthy())
    client.answers["GetStatistics"] = Answer((), "x.Busy", "Try again.")
    _frame, page = opened(client)
    assert seeing.shows(page, "Try again.")
    client.answers["GetStatistics"] = Answer((DAY,))
    page.draw(client.picture, NOW + AFTER_FAILURE_SECONDS)
    assert not seeing.shows(page, "Try again.")
    assert page._day._numbers[0].text() == "14"


@pytest.mark.parametrize("odd", [math.inf, -math.inf, math.nan, "x", True, -3, [1], None])
def test_numbers_that_are_none_are_shown_as_none(odd: object) -> None:
    client = StandIn(pictures.healthy())
    times = {"Letters": 3, "Median": odd, "Percentile95": odd}
    counted = dict.fromkeys(("Accepted", "Delivered", "Requested", "FromContacts"), odd)
    client.answers["GetStatistics"] = Answer(({**counted, "SecondsToReceipt": times},))
    frame, page = opened(client)
    said = "Half of them arrived within 0 ms, 95 of 100 within 0 ms."
    assert seeing.shows(page, said)
    assert [one.accessibleName() for one in page._day._numbers][:2] == ["0 written", "0 arrived"]
    frame.turn_to("health")
    assert seeing.shows(frame, said)


def test_both_pages_say_the_same_of_the_same_letters() -> None:
    client = StandIn(pictures.healthy())
    today = {
        "Accepted": 14, "Delivered": 8, "Requested": 3, "FromContacts": 9, "FromStrangers": 2,
        "SecondsToReceipt": {"Letters": 11, "Median": 100.0, "Percentile95": 900.0},
    }  # fmt: skip
    by_day = {"Day": datetime.fromtimestamp(NOW, UTC).date().isoformat(), **today}
    told = {**today, "ByDay": [by_day], "IncomingByDay": [by_day]}
    client.answers["GetStatistics"] = Answer((told,))
    frame, page = opened(client)
    said = "Half of them arrived within 100 s, 95 of 100 within 15 min."
    assert seeing.shows(page, said)
    assert [one.text() for one in page._day._numbers] == ["14", "11", "0", "0", "11"]
    frame.turn_to("health")
    assert seeing.shows(frame, said)
    assert seeing.shows(frame, "11 of your 14 letters")
    row = health_words.fate_rows(statistics(told, NOW, 1).days, date.isoformat)[0]
    assert (row[1], row[2], row[5]) == ("14", "11", "11")


def test_what_a_mail_program_asks_for_can_be_copied() -> None:
    _frame, page = opened(StandIn(pictures.healthy()))
    seeing.click(seeing.button(page, "Copy: your address"))
    assert QGuiApplication.clipboard().text() == pictures.OWN_ADDRESS
    seeing.click(seeing.button(page, "Copy: Outgoing mail, SMTP"))
    assert QGuiApplication.clipboard().text() == "127.0.0.1:10587"
    assert seeing.shows(page, "Copied")


def test_a_door_that_is_shut_says_so() -> None:
    client = StandIn(pictures.healthy())
    _frame, page = opened(client)
    closed = replace(client.picture.node, endpoints=Endpoints(imap=10143, user_name="anna"))
    client.show(replace(client.picture, node=closed))
    seeing.settle()
    assert len([text for text in seeing.seen(page) if text == "shut"]) == 2
    assert not [text for text in seeing.seen(page) if "10587" in text]


def test_a_new_password_is_made_after_a_yes_shown_once_and_forgotten() -> None:
    client = StandIn(pictures.healthy())
    client.answers["NewMailboxPassword"] = Answer(("correct-horse",))
    _frame, page = opened(client)
    seeing.click(seeing.button(page, "New password …"))
    seeing.press(seeing.question(), "Escape")
    assert "NewMailboxPassword" not in {one.member for one in client.asked}
    seeing.click(seeing.button(page, "New password …"))
    seeing.click(seeing.button(seeing.question(), "Make a new one"))
    shown = dialogs()[0]
    assert seeing.shows(shown, "correct-horse")
    seeing.click(seeing.button(shown, "Copy: the new password"))
    assert QGuiApplication.clipboard().text() == "correct-horse"
    field = shown.findChild(QLineEdit)
    assert field is not None
    seeing.click(seeing.button(shown, "I have it"))
    assert not dialogs()
    assert field.text() == ""


def at_the_password(client: StandIn, now: Callable[[], float] = lambda: NOW) -> Frame:
    client.answers["NewMailboxPassword"] = Answer(("correct-horse",))
    frame, page = opened(client, now)
    seeing.click(seeing.button(page, "New password …"))
    seeing.click(seeing.button(seeing.question(), "Make a new one"))
    return frame


def test_a_new_password_goes_with_its_window() -> None:
    frame = at_the_password(StandIn(pictures.healthy()))
    (shown,) = dialogs()
    field = shown.findChild(QLineEdit)
    assert field is not None
    frame.showMinimized()
    seeing.settle()
    frame.showNormal()
    assert field.text() == "correct-horse"
    frame.close()
    assert not dialogs()
    assert field.text() == ""


def test_a_question_is_withdrawn_with_its_window() -> None:
    client = StandIn(pictures.healthy())
    frame, page = opened(client)
    seeing.click(seeing.button(page, "New password …"))
    asked = seeing.question()
    frame.close()
    assert not asked.isVisible()
    assert "NewMailboxPassword" not in {one.member for one in client.asked}


def test_a_new_password_that_comes_when_the_window_is_closed_is_for_nobody() -> None:
    client = StandIn(pictures.healthy())
    client.is_slow = True
    frame = at_the_password(client)
    frame.close()
    client.answer()
    assert not frame.findChildren(SecretDialog)
    frame.come()
    assert frame.outcome.endswith("The one before counts no more: make another.")


def test_a_new_password_goes_after_a_while_though_the_computer_slept() -> None:
    clock = [NOW]
    client = StandIn(pictures.healthy())
    frame = at_the_password(client, lambda: clock[0])
    (limit,) = (one.walked_away for one in frame.findChildren(SecretDialog))
    assert limit.isActive()
    clock[0] += 14 * 60
    client.show(client.picture)
    assert dialogs()
    clock[0] += 60
    client.show(client.picture)
    assert not dialogs()


def test_where_no_password_could_be_made_it_says_why() -> None:
    client = StandIn(pictures.healthy())
    client.answers["NewMailboxPassword"] = Answer((), "x.NotPermitted", "The policy forbids it.")
    frame, page = opened(client)
    seeing.click(seeing.button(page, "New password …"))
    seeing.click(seeing.button(seeing.question(), "Make a new one"))
    assert not dialogs()
    assert frame.outcome == "The policy forbids it."


def test_before_there_is_an_address_nothing_else_is_offered() -> None:
    client = StandIn(pictures.not_set_up())
    _frame, page = opened(client)
    assert seeing.seen(page) == [
        "Postroad is not set up yet: you have no address.",
        "You choose a name, and write down 24 words. It takes a few minutes.",
        "&Set up Postroad …",
    ]
    assert not client.asked
