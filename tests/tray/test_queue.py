"""The queue, with the real widgets."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from postroad import contract
from postroad_tray import errors
from postroad_tray.client import Answer
from postroad_tray.facts import Link, Picture
from postroad_tray.window import letter_rows, open_window
from postroad_tray.window.frame import Frame
from postroad_tray.window.queue import Queue
from tray import pictures, seeing
from tray.standing_in import StandIn

pytestmark = pytest.mark.usefixtures("qt")
NOW = pictures.NOW


def opened(client: StandIn) -> tuple[Frame, Queue]:
    frame = open_window(client, page="queue", now=lambda: NOW)
    assert isinstance(frame.page, Queue)
    return frame, frame.page


def asked(client: StandIn) -> list[tuple[str, str]]:
    return [(one.member, one.object_path) for one in client.asked]


def until_it_is_done(page: Queue) -> None:
    seeing.until(lambda: not page._errands.is_running)


def choose(page: Queue, *numbers: int) -> None:
    """Click on the lines of these letters, with Ctrl."""
    for number in numbers:
        place = page._table.rows.place(pictures.letter(number).object_path)
        assert place is not None
        index = page._table.rows.index(place, 2)
        page._table.scrollTo(index)
        QTest.mouseClick(
            page._table.viewport(),
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.ControlModifier,
            page._table.visualRect(index).center(),
        )


def test_a_letter_is_told_in_words_the_oldest_first() -> None:
    _frame, page = opened(StandIn(pictures.trouble()))
    assert seeing.shows(page, "9 letters are under way.")
    rows = page._table.rows
    assert [cell.text for cell in rows.row(0).cells] == [
        f"ines.{pictures.fingerprint(8)[:6]}…", "2 days",
        "Nobody takes it in at Ines's: their computer is off.", "3", "in 1 min",
    ]  # fmt: skip
    ages = [rows.row(n).cells[1].rank for n in range(rows.rowCount())]
    assert ages == sorted(ages)
    choose(page, 0)
    assert seeing.shows(
        page,
        "To Anna, 4 min ago. Nobody takes it in at Anna's: their computer is off. No node keeps "
        "it yet: it is on this computer alone. Tried again in 30 s. It was tried once.",
    )


def test_chosen_letters_are_tried_now_one_after_the_other() -> None:
    client = StandIn(pictures.trouble())
    frame, page = opened(client)
    assert not seeing.button(page, "Try now").isEnabled()
    choose(page, 1, 4)
    assert seeing.shows(page, "2 letters are chosen.")
    seeing.click(seeing.button(page, "Try now"))
    until_it_is_done(page)
    wanted = {("Retry", pictures.letter(n).object_path) for n in (1, 4)}
    assert set(asked(client)) == wanted
    assert client.asked[0].interface == contract.MESSAGE_INTERFACE
    assert frame.outcome == "2 letters are tried now."


def test_giving_up_is_asked_first_and_return_means_no() -> None:
    client = StandIn(pictures.trouble())
    frame, page = opened(client)
    choose(page, 2)
    seeing.press(page._table, "Delete")
    box = seeing.question()
    assert box.text() == "Give up the letter to Carla?"
    assert box.informativeText() == letter_rows.cancel_warning()
    assert letter_rows.cancel_warning() == (
        "Where a holder has it already, it may still be delivered."
    )
    seeing.press(box, "Return")
    assert not asked(client)
    seeing.click(seeing.button(page, "Give up …"))
    seeing.click(seeing.button(seeing.question(), "Give up"))
    until_it_is_done(page)
    assert asked(client) == [("Cancel", pictures.letter(2).object_path)]
    assert frame.outcome == "1 letter is given up."


def test_it_is_told_which_letters_had_left_already() -> None:
    client = StandIn(pictures.trouble())
    client.answers["Cancel"] = Answer(({"HasLeft": True, "Holders": 2},))
    frame, page = opened(client)
    choose(page, 1)
    seeing.press(page._table, "Delete")
    seeing.click(seeing.button(seeing.question(), "Give up"))
    until_it_is_done(page)
    assert frame.outcome == (
        "1 letter is given up. 1 had left this computer, and may still be delivered."
    )


def test_what_is_refused_is_told_with_what_went_well() -> None:
    client = StandIn(pictures.trouble())
    client.answers["Cancel"] = Answer((), contract.BusError.NO_SUCH_MESSAGE, "It has gone.")
    frame, page = opened(client)
    choose(page, 0, 1)
    seeing.click(seeing.button(page, "Give up …"))
    assert seeing.question().text() == "Give up 2 letters?"
    seeing.click(seeing.button(seeing.question(), "Give up"))
    until_it_is_done(page)
    assert frame.outcome == "It has gone."


def test_a_service_that_is_busy_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postroad_tray.window.errands.BUSY_MS", 1)
    client = BusyAtFirst(pictures.trouble())
    frame, page = opened(client)
    choose(page, 0)
    seeing.click(seeing.button(page, "Try now"))
    until_it_is_done(page)
    assert len(client.asked) == 4
    assert frame.outcome == "1 letter is tried now."


class BusyAtFirst(StandIn):
    def ask(self, question, then=lambda _: None) -> None:  # type: ignore[no-untyped-def]
        super().ask(question)
        is_busy = len(self.asked) < 4
        then(Answer((), contract.BusError.BUSY, "Try again.") if is_busy else Answer())


def test_all_are_tried_with_one_question() -> None:
    client = StandIn(pictures.crowded())
    client.answers["RetryAll"] = Answer((1000,))
    frame, page = opened(client)
    seeing.click(seeing.button(page, "Try all now"))
    assert asked(client) == [("RetryAll", contract.ROOT_PATH)]
    assert frame.outcome == "1000 letters are tried now."


def test_who_reads_in_a_thousand_letters_is_not_disturbed() -> None:
    client = StandIn(pictures.crowded())
    _frame, page = opened(client)
    seeing.settle()
    choose(page, 500, 510)
    assert page._table.verticalScrollBar().value() > 0
    read = page._table.rows.row(page._table.rowAt(0)).key
    kept = pictures.crowded()
    client.show(Picture(kept.link, kept.node, kept.peers, kept.messages[:-30], kept.contacts))
    seeing.settle()
    assert set(page._table.chosen()) == {pictures.letter(n).object_path for n in (500, 510)}
    assert page._table.rows.row(page._table.rowAt(0)).key == read
    assert page._table.rows.rowCount() == 970
    assert seeing.shows(page, "The oldest 970 are shown.")


def test_an_empty_queue_says_so_and_offers_nothing() -> None:
    _frame, page = opened(StandIn(pictures.empty()))
    assert seeing.seen(page) == ["No letter of yours is under way."]


def test_nothing_is_asked_of_a_service_that_does_not_answer() -> None:
    client = StandIn(pictures.silent())
    _frame, page = opened(client)
    choose(page, 0)
    assert not seeing.button(page, "Try now").isEnabled()
    seeing.press(page._table, "Delete")
    seeing.press(page._table, "F5")
    assert not client.asked


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (pictures.OWN_ADDRESS, "anna.k7q2m5…"),
        ("odd", "odd"),
        ("a.b@c", "a.b@c"),
        ("", ""),
    ],
)
def test_an_address_is_shown_as_far_as_it_tells_people_apart(address: str, shown: str) -> None:
    assert letter_rows.short(address) == shown


@pytest.mark.parametrize("link", [one for one in Link if one is not Link.THERE])
def test_of_letters_that_nobody_can_be_asked_about_nothing_is_claimed(link: Link) -> None:
    for picture in (Picture(link), replace(pictures.trouble(), link=link)):
        assert letter_rows.summary(picture) == (
            "What is under way is not known while Postroad does not answer."
        )


def test_where_nobody_is_there_to_ask_the_others_are_not_asked_about() -> None:
    client = StandIn(pictures.trouble())
    client.answers["Retry"] = Answer((), errors.NO_REPLY, "It did not answer.")
    frame, page = opened(client)
    choose(page, 0, 1, 2)
    seeing.click(seeing.button(page, "Try now"))
    until_it_is_done(page)
    assert len(asked(client)) == 1
    assert frame.outcome == "It did not answer."
    assert seeing.button(page, "Try now").isEnabled()
