"""How fast each peer answered in the last hour, and in which words ages are told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postroad_tray.ages import ago, ahead, lasting
from postroad_tray.facts import Link, Picture
from postroad_tray.trails import Trails
from postroad_tray.window import peer_rows
from tray import pictures

NOW = pictures.NOW


def told(milliseconds: float, *, online: bool = True) -> Picture:
    one = replace(pictures.peer(0), round_trip_milliseconds=milliseconds, online=online)
    return Picture(Link.THERE, peers=(one,))


PATH = pictures.peer(0).object_path


def test_an_hour_is_kept_a_value_a_minute() -> None:
    trails = Trails()
    for second in range(0, 7200, 20):
        trails.note(told(float(second + 1)), NOW + second)
    kept = trails.of(PATH, NOW + 7180)
    assert len(kept) == 60
    assert kept[-1].milliseconds == 7181.0
    assert kept[0].at > NOW + 7180 - 3600
    assert trails.of(PATH, NOW + 20_000) == ()


def test_a_peer_that_is_away_leaves_a_gap_and_one_that_went_is_forgotten() -> None:
    trails = Trails()
    trails.note(told(5.0), NOW)
    trails.note(told(0.0, online=False), NOW + 60)
    trails.note(Picture(Link.SILENT), NOW + 90)
    trails.note(told(7.0), NOW + 120)
    assert [one.milliseconds for one in trails.of(PATH, NOW + 120)] == [5.0, 7.0]
    trails.note(Picture(Link.THERE), NOW + 180)
    assert trails.of(PATH, NOW + 180) == ()


def test_the_line_of_the_hour_says_the_same_in_words() -> None:
    trails = Trails()
    for minute, value in enumerate((20.0, 10.0, 30.0)):
        trails.note(told(value), NOW - 1800 + 60 * minute)
    trail = trails.of(PATH, NOW)
    assert peer_rows.trend(trail) == "In the last hour between 10 ms and 30 ms, half below 20 ms."
    points = peer_rows.line(trail, NOW)
    assert [round(x, 2) for x, _y in points] == [0.5, 0.52, 0.53, 1.0]
    assert [y for _x, y in points] == [0.5, 0.0, 1.0, 1.0]
    assert peer_rows.trend(()) == "Nothing was measured in the last hour."


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (3600, "1 h"), (47 * 3600, "47 h"),
     (49 * 3600, "2 days")],
)  # fmt: skip
def test_a_length_of_time_is_told_in_one_unit(seconds: float, said: str) -> None:
    assert lasting(seconds) == said


def test_ages_are_told_as_a_person_would() -> None:
    assert [ago(at, NOW) for at in (0, NOW + 5, NOW - 5, NOW - 130)] == [
        "never", "just now", "just now", "2 min ago",
    ]  # fmt: skip
    assert [ahead(at, NOW) for at in (0, NOW - 5, NOW + 90, 2**53)] == ["", "now", "in 1 min", ""]


def test_what_was_measured_before_a_clock_was_set_back_is_not_of_this_hour() -> None:
    trails = Trails()
    for minute in range(60):
        trails.note(told(5.0), NOW + 60 * minute)
    for minute in range(3):
        trails.note(told(7.0), NOW - 86400 + 60 * minute)
    assert [one.milliseconds for one in trails.of(PATH, NOW - 86400 + 180)] == [7.0] * 3
    assert [one.milliseconds for one in trails.of(PATH, NOW + 1800)] == []
