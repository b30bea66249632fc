"""What is in the menu of the icon, for each way that a node can be."""

from __future__ import annotations

import dataclasses
import itertools
import os
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad.contract import Health, MessageState, State
from postroad_tray import deeds
from postroad_tray.deeds import (
    UNLOCK,
    Ask,
    Length,
    Open,
    Pause,
    Place,
    Quit,
    StartAtLogin,
    StartService,
)
from postroad_tray.facts import Link, Message, Node, Picture
from postroad_tray.menu import Item, menu
from postroad_tray.state import (
    Sign,
    care_sentence,
    moment,
    queue_sentence,
    sentence,
    sign,
    tooltip,
)
from postroad_tray.window import letter_rows, telling
from tray import pictures

NOON = 1_795_694_400.0  # 26 November 2026, 12:00 UTC
PICTURES = st.builds(
    Picture,
    link=st.sampled_from(Link),
    node=st.builds(
        Node,
        state=st.sampled_from(State),
        health=st.sampled_from(Health),
        paused=st.booleans(),
        paused_until=st.integers(0, 2**53),
        parcels_under_way=st.integers(0, 2**53),
        requests_waiting=st.integers(0, 2**53),
        peers_online=st.integers(0, 2**53),
    ),
)


@pytest.fixture(autouse=True)
def clock_of_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def of(link: Link = Link.THERE, **node: object) -> Picture:
    return Picture(link, Node(**{"state": State.ONLINE, **node}))  # type: ignore[arg-type]


def keys(picture: Picture, **more: bool) -> list[str]:
    return [one.key for one in menu(picture, NOON, **more) if not one.is_separator]


def item(picture: Picture, key: str, **more: bool) -> Item:
    (found,) = [one for one in menu(picture, NOON, **more) if one.key == key]
    return found


def test_a_node_that_is_well_offers_what_one_does_with_it() -> None:
    assert keys(of()) == ["state", "queue", "open", "invite", "accept", "pause", "check", "quit"]
    assert item(of(peers_online=5), "state").text == "Online, connected with 5 nodes"
    assert item(of(), "state").deed is None
    assert item(of(), "queue").deed == Open(Place.QUEUE)
    assert item(of(parcels_under_way=2), "queue").text == "2 letters are under way"
    assert item(of(parcels_under_way=1), "queue").text == "1 letter is under way"
    assert item(of(), "open").deed == Open(Place.OVERVIEW)
    assert item(of(), "check").deed == Open(Place.CONNECTION)
    assert item(of(), "quit").deed == Quit()


def test_a_pause_is_offered_in_three_lengths_and_then_its_end() -> None:
    lengths = item(of(), "pause").items
    assert [one.deed for one in lengths] == [Pause(one) for one in Length]
    paused = of(state=State.PAUSED, paused=True, paused_until=int(NOON) + 5400)
    assert "pause" not in keys(paused)
    resume = item(paused, "resume").deed
    assert isinstance(resume, Ask)
    assert resume.question.member == "Resume"
    assert item(paused, "state").text == "Paused until 13:30"
    assert sentence(of(state=State.PAUSED, paused=True), NOON) == "Paused until you resume"


@pytest.mark.parametrize(
    ("zone", "hour", "hours"),
    [
        ("UTC", 12, 18),
        ("UTC", 23, 7),
        ("UTC", 3, 3),  # still up: the morning that comes
        ("UTC", 4, 26),
        ("Asia/Tokyo", 12, 9),  # there it is 21:00
    ],
)
def test_tomorrow_morning_is_that_of_the_clock_on_the_wall(
    monkeypatch: pytest.MonkeyPatch, zone: str, hour: int, hours: int
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    assert deeds.until_morning(NOON + (hour - 12) * 3600) == hours * 3600


def test_a_night_in_which_the_clocks_change_is_an_hour_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    if time.tzname[0] != "CET":
        pytest.skip("needs the Debian package: tzdata")
    evening = time.mktime((2026, 10, 24, 22, 0, 0, 0, 0, -1))
    assert deeds.until_morning(evening) == 9 * 3600


def test_what_the_service_is_asked_for_a_pause() -> None:
    asked = [deeds.pausing(length, NOON).body for length in Length]
    assert asked == [(3600,), (18 * 3600,), (0,)]


def test_a_service_that_is_off_can_be_started_and_nothing_else_is_offered() -> None:
    off = of(Link.ABSENT)
    assert keys(off) == ["state", "open", "start", "quit"]
    assert item(off, "start").deed == StartService()


@pytest.mark.parametrize("link", [Link.NO_BUS, Link.ASKED, Link.SILENT])
def test_of_a_service_that_does_not_answer_nothing_is_asked(link: Link) -> None:
    assert keys(of(link, requests_waiting=3)) == ["state", "open", "quit"]


def test_before_its_set_up_a_node_offers_just_that() -> None:
    fresh = of(state=State.SETUP_NEEDED, health=Health.ATTENTION)
    assert keys(fresh) == ["state", "open", "first-run", "quit"]
    assert item(fresh, "first-run").deed == Open(Place.FIRST_RUN)


def test_a_locked_node_can_be_unlocked() -> None:
    locked = of(state=State.LOCKED, health=Health.ATTENTION)
    assert keys(locked) == ["state", "open", "unlock", "quit"]


def test_what_waits_for_the_owner_is_said_and_leads_there() -> None:
    wanting = of(health=Health.BROKEN, requests_waiting=2)
    assert item(wanting, "care").text == "Something is broken and needs you"
    assert item(wanting, "requests").deed == Open(Place.REQUESTS)
    assert "2 letters of strangers" in item(wanting, "requests").text


def test_start_at_login_is_a_switch_where_it_is_ours_to_turn() -> None:
    assert "login" not in keys(of())
    on = item(of(), "login", starts_at_login=True)
    assert (on.checked, on.deed) == (True, StartAtLogin(False))
    off = item(of(), "login", starts_at_login=False)
    assert (off.checked, off.deed) == (False, StartAtLogin(True))


@given(PICTURES)
def test_every_picture_has_a_menu_a_sign_and_words(picture: Picture) -> None:
    lines = menu(picture, NOON, starts_at_login=True)
    for some in (lines, *(one.items for one in lines)):
        assert len({one.key for one in some}) == len(some)
        assert all(one.deed is None for one in some if one.items or one.is_separator)
    assert not lines[0].is_separator
    neighbours = itertools.pairwise(lines)
    assert not any(one.is_separator and two.is_separator for one, two in neighbours)
    assert isinstance(sign(picture), Sign)
    assert tooltip(picture, NOON)
    if care_sentence(picture):
        assert sign(picture) is Sign.ATTENTION


LETTER = Message("/1", state=MessageState.WAITING)


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (of(), Sign.OK),
        (of(Link.ABSENT), Sign.OFF),
        (of(Link.NO_BUS), Sign.OFF),
        (of(Link.ASKED), Sign.WORKING),
        (of(Link.SILENT), Sign.ATTENTION),
        (of(state=State.STARTING), Sign.WORKING),
        (of(state=State.OFFLINE), Sign.WAITING),
        (of(state=State.PAUSED, paused=True), Sign.OFF),
        (of(state=State.PAUSED, paused=True, health=Health.BROKEN), Sign.ATTENTION),
        (of(state=State.SETUP_NEEDED), Sign.ATTENTION),
        (of(state=State.LOCKED), Sign.ATTENTION),
        (of(state=State.DEGRADED, health=Health.ATTENTION), Sign.ATTENTION),
        (of(parcels_under_way=1), Sign.WAITING),
    ],
)
def test_each_way_that_a_node_can_be_has_its_sign(picture: Picture, expected: Sign) -> None:
    assert sign(picture) is expected


def test_a_letter_that_has_met_no_obstacle_is_work_and_others_wait() -> None:
    under_way = of(parcels_under_way=1)
    fresh = dataclasses.replace(under_way, messages=(LETTER,))
    assert sign(fresh) is Sign.WORKING
    tried = dataclasses.replace(LETTER, reason="No way to them.")
    assert sign(dataclasses.replace(under_way, messages=(tried,))) is Sign.WAITING
    held = dataclasses.replace(LETTER, state=MessageState.HELD)
    assert sign(dataclasses.replace(under_way, messages=(held,))) is Sign.WAITING


def test_what_was_told_last_decides_nothing_once_the_service_is_silent() -> None:
    last = of(Link.SILENT, health=Health.BROKEN, parcels_under_way=4)
    assert tooltip(last, NOON) == "Postroad: Postroad does not answer"


def test_a_moment_is_told_as_near_as_it_is() -> None:
    assert moment(NOON + 600, NOON) == "12:10"
    assert moment(NOON + 86400, NOON) == "Friday, 12:00"
    assert moment(NOON + 30 * 86400, NOON).endswith(", 12:00")
    assert "26" in moment(NOON + 30 * 86400, NOON)


def test_no_item_carries_words_of_strangers() -> None:
    """Menus of hosts read markup and mnemonics; so what is in ours is ours alone."""
    evil = "<b>&Anna</b>"
    told = of(sentence=evil, address=evil, requests_waiting=1, parcels_under_way=1)
    hostile = dataclasses.replace(told, messages=(Message("/1", reason=evil, recipient=evil),))
    assert evil not in repr([one.text for one in menu(hostile, NOON)]) + tooltip(hostile, NOON)
    assert os.environ["TZ"] == "UTC"


def test_keys_are_unlocked_in_the_time_that_a_person_needs_for_a_password() -> None:
    picture = Picture(Link.THERE, Node(state=State.LOCKED))
    (line,) = [one for one in menu(picture, 0.0) if one.key == "unlock"]
    assert line.deed == Ask(UNLOCK)
    assert UNLOCK.seconds >= 60


@pytest.mark.parametrize("name", pictures.ALL)
def test_menu_and_window_tell_the_same(name: str) -> None:
    picture = pictures.ALL[name]()
    if picture.is_there:
        assert letter_rows.summary(picture) == f"{queue_sentence(picture)}."
    else:
        assert telling.headline(picture)[1].rstrip(".") == sentence(picture, pictures.NOW)
