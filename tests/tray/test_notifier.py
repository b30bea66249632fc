"""What is asked of the desktop's notifications, and what a click on one does."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from postroad.contract import Severity, State
from postroad_tray.client import Answer, Question, Signal, Typed
from postroad_tray.deeds import Deed, Open, Place
from postroad_tray.facts import Link, Node, Picture, Problem, Request
from postroad_tray.notices import about_icons
from postroad_tray.notifier import NOTIFICATIONS, NOTIFICATIONS_PATH, Notifier, memory_path
from tray.standing_in import StandIn

ONLINE = Picture(Link.THERE, Node(state=State.ONLINE))
EVIL = "<a href='x:'>anna</a> & co"
ASKING = Picture(Link.THERE, Node(state=State.ONLINE), requests=(Request("/r/1", EVIL),))


class Desk:
    """A notifier whose clock is turned by hand."""

    def __init__(self, folder: Path, capabilities: tuple[str, ...] | None) -> None:
        self.now = 1_795_694_400.0
        self.client = StandIn(ONLINE)
        self.done: list[Deed] = []
        self.kept_in = folder / "state" / "told.json"
        self._timers: list[tuple[float, Callable[[], None]]] = []
        absent = Answer(error_name="org.freedesktop.DBus.Error.ServiceUnknown", sentence="No.")
        given = absent if capabilities is None else Answer((list(capabilities),))
        self.client.answers["GetCapabilities"] = given
        self.client.answers["Notify"] = Answer((7,))
        self.shows_names = True
        self.notifier = self.started()

    def started(self) -> Notifier:
        return Notifier(
            self.client,
            self.done.append,
            lambda: self.now,
            self._later,
            self.kept_in,
            lambda: self.shows_names,
        )

    def _later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]:
        timer = (self.now + seconds, call)
        self._timers.append(timer)
        return lambda: self._timers.remove(timer) if timer in self._timers else None

    @property
    def is_waiting(self) -> bool:
        return bool(self._timers)

    def wait(self, seconds: float) -> None:
        ends = self.now + seconds
        while due := [one for one in self._timers if one[0] <= ends]:
            first = min(due, key=lambda one: one[0])
            self._timers.remove(first)
            self.now = max(first[0], self.now)
            first[1]()
        self.now = ends

    def asked(self, member: str) -> list[Question]:
        return [one for one in self.client.asked if one.member == member]

    def say(self, member: str, *values: Any) -> None:
        self.client.say(Signal(NOTIFICATIONS, member, NOTIFICATIONS_PATH, values))


ALL = ("actions", "body", "body-markup")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, ALL)


def test_nothing_is_asked_while_there_is_nothing_to_tell(desk: Desk) -> None:
    desk.wait(1e6)
    assert desk.client.asked == []
    assert not desk.is_waiting


def test_a_notification_is_plain_even_where_markup_is_read(desk: Desk) -> None:
    desk.client.show(ASKING)
    desk.wait(10)
    (question,) = desk.asked("Notify")
    assert question.destination == NOTIFICATIONS
    assert question.signature == "susssasa{sv}i"
    name, replaced, icon, title, body, actions, hints, expires = question.body
    assert (name, replaced, icon, expires) == ("Postroad", 0, "org.postroad.Postroad", -1)
    assert title == "Somebody new has written to you"
    assert "&lt;a href='x:'&gt;anna&lt;/a&gt; &amp; co" in body
    assert "<" not in body
    assert actions == ["default", "Show", "0", "Show"]
    assert hints["desktop-entry"] == Typed("s", "org.postroad.Postroad")


def test_a_daemon_without_markup_and_actions_gets_the_words_as_they_are(tmp_path: Path) -> None:
    desk = Desk(tmp_path, ("body",))
    desk.client.show(ASKING)
    desk.wait(10)
    (question,) = desk.asked("Notify")
    assert EVIL in question.body[4]
    assert question.body[5] == []


def test_a_click_does_what_was_offered_and_nothing_else(desk: Desk) -> None:
    desk.client.show(ASKING)
    desk.wait(10)
    for number, key in ((8, "0"), (7, "1"), (7, "rm"), (0, "default")):
        desk.say("ActionInvoked", number, key)
    desk.say("ActionInvoked", "7", 0)
    assert desk.done == []
    desk.say("ActionInvoked", 7, "0")
    desk.say("ActionInvoked", 7, "default")
    assert desk.done == [Open(Place.REQUESTS)] * 2
    desk.say("NotificationClosed", 7, 2)
    desk.say("ActionInvoked", 7, "0")
    assert len(desk.done) == 2


def test_the_token_of_a_click_on_ours_is_handed_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_ACTIVATION_TOKEN", "")
    desk.client.show(ASKING)
    desk.wait(10)
    desk.say("ActivationToken", 8, "of another")
    assert os.environ["XDG_ACTIVATION_TOKEN"] == ""
    desk.say("ActivationToken", 7, "of ours")
    assert os.environ["XDG_ACTIVATION_TOKEN"] == "of ours"


def test_what_is_true_no_more_is_taken_back(desk: Desk) -> None:
    desk.client.show(ASKING)
    desk.wait(10)
    desk.client.show(ONLINE)
    (question,) = desk.asked("CloseNotification")
    assert question.body == (7,)


def test_a_second_notice_of_a_kind_takes_the_place_of_the_first(desk: Desk) -> None:
    desk.client.show(_failing("one"))
    desk.wait(600)
    desk.client.show(_failing("one", "two"))
    desk.wait(1200)
    assert [one.body[1] for one in desk.asked("Notify")] == [0, 7]


def _failing(*codes: str) -> Picture:
    problems = tuple(Problem(code, Severity.BROKEN, f"About {code}.") for code in codes)
    return Picture(Link.THERE, Node(state=State.ONLINE, problems=problems))


def test_without_a_daemon_nothing_fails_and_the_next_one_is_asked(tmp_path: Path) -> None:
    desk = Desk(tmp_path, None)
    desk.client.show(ASKING)
    desk.wait(10)
    assert desk.asked("Notify") == []
    desk.client.answers["GetCapabilities"] = Answer((list(ALL),))
    desk.client.show(_failing("one"))
    desk.wait(600)
    assert len(desk.asked("Notify")) == 1


def test_the_next_login_tells_only_what_is_new(desk: Desk) -> None:
    desk.client.show(ASKING)
    desk.wait(10)
    desk.notifier.close()
    assert stat.S_IMODE(desk.kept_in.parent.stat().st_mode) == 0o700
    assert EVIL not in desk.kept_in.read_text()
    desk.client.asked.clear()
    desk.started()
    desk.wait(100)
    assert desk.asked("Notify") == []


@pytest.mark.parametrize(
    "kept",
    [
        "",
        "[]",
        "{",
        '{"a": "b", "c": null}',
        "\0" * 400_000,
        '{"x": 1' + "0" * 400 + "}",
        '{"x": NaN, "y": -1}',
        "[" * 100_000,
    ],
)
def test_a_file_that_is_not_ours_any_more_is_no_obstacle(tmp_path: Path, kept: str) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "told.json").write_text(kept)
    desk = Desk(tmp_path, ALL)
    desk.client.show(ASKING)
    desk.wait(10)
    assert len(desk.asked("Notify")) == 1
    assert json.loads(desk.kept_in.read_text()).keys() == {"request /r/1"}


def test_a_folder_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    desk = Desk(tmp_path, ALL)
    desk.client.show(ASKING)
    desk.wait(10)
    assert len(desk.asked("Notify")) == 1


def test_that_there_is_no_icon_is_said_once_ever(desk: Desk) -> None:
    for _time in range(2):
        desk.started().tell_once("no icon", about_icons("It is in the list of programs."))
    (question,) = desk.asked("Notify")
    assert question.body[3] == "Postroad is running without an icon"


def test_a_click_that_failed_is_said_in_the_place_of_the_one_before(desk: Desk) -> None:
    desk.client.show(ASKING)
    desk.wait(10)
    desk.client.answers["Notify"] = Answer((9,))
    desk.notifier.say("Bora & Co did not answer.")
    desk.notifier.say("Nobody <b>answered</b>.")
    first, second = desk.asked("Notify")[1:]
    assert (first.body[1], second.body[1]) == (0, 9)  # what it replaces: no notice of another kind
    assert first.body[3] == "That did not work"
    assert first.body[4] == "Bora &amp; Co did not answer."
    assert second.body[4] == "Nobody &lt;b&gt;answered&lt;/b&gt;."


def test_a_click_that_failed_is_said_as_it_is_where_no_markup_is_read(tmp_path: Path) -> None:
    desk = Desk(tmp_path, ("body",))
    desk.notifier.say("Bora & Co did not answer.")
    (question,) = desk.asked("Notify")
    assert question.body[4:6] == ("Bora & Co did not answer.", [])


def test_whoever_wants_no_names_on_the_screen_reads_none_from_then_on(desk: Desk) -> None:
    desk.shows_names = False
    desk.client.show(ASKING)
    desk.wait(10)
    (question,) = desk.asked("Notify")
    assert question.body[3:5] == (
        "Somebody new has written to you",
        "The letter waits until you have accepted who wrote it.",
    )
    desk.shows_names = True
    desk.client.show(_failing("one"))
    desk.wait(600)
    assert desk.asked("Notify")[1].body[4] == "About one."


def test_what_was_told_is_kept_where_state_is_kept() -> None:
    assert memory_path({"HOME": "/h"}) == Path("/h/.local/state/postroad-tray/told.json")
    assert memory_path({"XDG_STATE_HOME": "/s"}) == Path("/s/postroad-tray/told.json")


def test_a_token_that_no_program_could_inherit_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_ACTIVATION_TOKEN", raising=False)
    desk = Desk(tmp_path, ("actions",))
    desk.client.show(ASKING)
    desk.wait(10)
    for token, taken in (("x" * 200_000, ""), ("a\nb", ""), ("window-7", "window-7")):
        values = (7, token)
        desk.client.say(Signal(NOTIFICATIONS, "ActivationToken", NOTIFICATIONS_PATH, values))
        assert os.environ["XDG_ACTIVATION_TOKEN"] == taken
