"""The 24 words of a first run, and whoever walks away from them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QLineEdit, QWidget

from postroad.contract import State
from postroad_tray.client import Answer
from postroad_tray.window import first_run, open_window
from postroad_tray.window.first_run import FirstRun
from postroad_tray.window.frame import Frame
from tray import pictures, seeing
from tray.standing_in import StandIn

pytestmark = pytest.mark.usefixtures("qt")
WORDS = tuple(f"secret{chr(ord('a') + n)}" for n in range(24))
DRAFTED = Answer(({"Words": " ".join(WORDS), "Asked": [3, 11, 20]},))


def begun(now: Callable[[], float] = lambda: pictures.NOW) -> tuple[Frame, FirstRun, StandIn]:
    client = StandIn(pictures.not_set_up())
    client.answers["Setup"] = DRAFTED
    frame = open_window(client, page="first-run", stays=lambda: True, now=now)
    page = frame.page
    assert isinstance(page, FirstRun)
    page.name.field.setText("anna")
    return frame, page, client


def at_the_words(
    now: Callable[[], float] = lambda: pictures.NOW,
) -> tuple[Frame, FirstRun, StandIn]:
    frame, page, client = begun(now)
    seeing.click(page.name.go_on)
    assert page.step is page.words
    return frame, page, client


def left_in(frame: QWidget) -> list[str]:
    """Where a word is, seen or not."""
    found = []
    for one in frame.findChildren(QWidget):
        texts = [one.accessibleName(), one.accessibleDescription(), one.toolTip()]
        if isinstance(one, QLabel | QLineEdit):
            texts.append(one.text())
        found += [text for text in texts if "secret" in text]
    return found


def test_they_go_when_the_window_is_closed_and_whoever_has_them_goes_on() -> None:
    frame, page, client = at_the_words()
    assert left_in(frame)
    frame.close()
    assert left_in(frame) == []
    frame.come()
    assert page.step is page.words
    assert seeing.shows(page, "They are not shown any more")
    seeing.click(page.words.go_on)
    for field, number in zip(page.asked.fields, (3, 11, 20), strict=True):
        field.setText(WORDS[number - 1])
    seeing.click(page.asked.go_on)
    assert client.asked[-1].body == [["secretc", "secretk", "secrett"]]


def test_what_was_typed_of_them_goes_too() -> None:
    frame, page, _ = at_the_words()
    seeing.click(page.words.go_on)
    for field in page.asked.fields:
        QTest.keyClicks(field, WORDS[2])
    assert left_in(page.asked)
    frame.close()
    for field in page.asked.fields:
        field.undo()
    assert left_in(frame) == []
    frame.come()
    assert page.step is page.asked
    seeing.click(page.asked.back)
    assert seeing.shows(page, "They are not shown any more")


def test_they_go_though_another_page_was_looked_at_last() -> None:
    frame, _, _ = at_the_words()
    frame.turn_to("overview")
    assert left_in(frame)
    frame.close()
    assert left_in(frame) == []


def test_whoever_has_them_not_begins_anew_with_others() -> None:
    frame, page, client = at_the_words()
    assert not page.words.anew.isVisibleTo(page)
    frame.close()
    frame.come()
    seeing.click(page.words.anew)
    assert page.step is page.name
    client.answers["Setup"] = Answer(({"Words": "other " * 24, "Asked": [1, 2, 3]},))
    seeing.click(page.name.go_on)
    assert seeing.shows(page, "24 other")
    assert not seeing.shows(page, "They are not shown any more")
    assert not page.words.anew.isVisibleTo(page)


def test_they_go_after_a_while_in_which_nobody_took_a_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(first_run, "WORDS_SHOWN_MS", 1)
    frame, page, _ = at_the_words()
    seeing.until(lambda: not left_in(frame))
    assert page.step is page.words
    assert seeing.shows(page, "They are not shown any more")
    assert not page._walked_away.isActive()


@pytest.mark.parametrize("asleep_seconds", [15 * 60, -3600])
def test_a_computer_that_slept_meanwhile_shows_them_no_more(asleep_seconds: int) -> None:
    clock = [pictures.NOW]
    frame, page, client = at_the_words(lambda: clock[0])
    clock[0] += 14 * 60
    client.show(client.picture)
    assert left_in(frame)
    seeing.click(page.words.go_on)
    page.asked.fields[0].setText(WORDS[2])
    clock[0] += 14 * 60
    client.show(client.picture)
    assert left_in(page.asked)
    clock[0] += asleep_seconds
    client.show(client.picture)
    assert left_in(frame) == []
    assert not page._walked_away.isActive()
    seeing.click(page.asked.back)
    assert seeing.shows(page, "They are not shown any more")


def test_words_that_come_when_the_window_is_closed_are_for_nobody() -> None:
    frame, page, client = begun()
    client.is_slow = True
    seeing.click(page.name.go_on)
    frame.close()
    client.answer()
    assert left_in(frame) == []
    frame.come()
    assert page.step is page.words
    assert seeing.shows(page, "They are not shown any more")
    assert page.words.anew.isVisibleTo(page)


def test_words_that_come_while_another_page_is_looked_at_wait_there() -> None:
    frame, page, client = begun()
    client.is_slow = True
    seeing.click(page.name.go_on)
    frame.turn_to("overview")
    client.answer()
    frame.turn_to("first-run")
    assert page.step is page.words
    assert seeing.shows(page, WORDS[0])


def words_typed(page: FirstRun, client: StandIn) -> None:
    """The words were written down and are typed; what is told next has the password."""
    made = {"Address": pictures.OWN_ADDRESS, "Password": "secret-abcd"}
    client.answers["FinishSetup"] = Answer((made,))
    page.network.come = lambda: None  # type: ignore[method-assign]  # it would start a program
    seeing.click(page.words.go_on)
    for field in page.asked.fields:
        field.setText("word")


def test_a_password_that_comes_when_the_window_is_closed_is_for_nobody() -> None:
    frame, page, client = at_the_words()
    words_typed(page, client)
    client.is_slow = True
    seeing.click(page.asked.go_on)
    frame.close()
    client.answer()
    assert left_in(frame) == []
    frame.come()
    seeing.click(page.network.go_on)
    assert seeing.shows(page, "on the page Overview, click on New password.")


def test_the_while_begins_with_each_step_and_ends_with_the_words() -> None:
    _, page, client = at_the_words()
    assert page._walked_away.isActive()
    page._walked_away.stop()
    seeing.click(page.words.go_on)
    assert page._walked_away.isActive()
    made = {"Address": pictures.OWN_ADDRESS, "Password": "abcd"}
    client.answers["FinishSetup"] = Answer((made,))
    page.network.come = lambda: None  # type: ignore[method-assign]  # it would start a program
    for field in page.asked.fields:
        field.setText("word")
    seeing.click(page.asked.go_on)
    assert page.step is page.network
    assert not page._walked_away.isActive()


def test_the_password_goes_when_the_window_is_closed_and_it_says_how_to_get_another() -> None:
    frame, page, client = at_the_words()
    words_typed(page, client)
    seeing.click(page.asked.go_on)
    seeing.click(page.network.go_on)
    assert page.step is page.mail
    copy = seeing.button(page, "Copy: Password")
    assert seeing.shows(page, "secret-abcd")
    assert copy.isEnabled()
    frame.close()
    assert left_in(frame) == []
    frame.come()
    assert page.step is page.mail
    assert seeing.shows(page, "on the page Overview, click on New password.")
    assert not copy.isEnabled()


def test_a_window_that_is_made_small_keeps_them() -> None:
    frame, _, _ = at_the_words()
    frame.showMinimized()
    seeing.settle()
    frame.showNormal()
    seeing.settle()
    assert left_in(frame)


def test_before_there_were_any_nothing_is_said_to_be_hidden() -> None:
    client = StandIn(pictures.not_set_up())
    frame = open_window(client, page="first-run", stays=lambda: True)
    frame.close()
    frame.come()
    page = frame.page
    assert isinstance(page, FirstRun)
    assert client.picture.node.state is State.SETUP_NEEDED
    assert not page.words._hidden.isVisibleTo(page.words)
