"""Letters reach people whose computers are on for some hours only, and seldom together.

Whole months are played by benchmarks/soak/months.py; here are short ones, the ten days in which two
never meet, and the three weeks of somebody away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from postroad.base import limits
from simulator import diary, ending, month
from simulator.diary import Diary, Period
from simulator.month import Plan

TESTS = Path(__file__).resolve().parents[1]
HABITS = sorted(path.stem for path in diary.FOLDER.glob("*.toml"))
NOBODYS_FAULT = (
    "no holder met the sender in time",
    "none of its holders was on in the first session",
    "a holder would have had to pass it on to another holder",
)


def daily(days: int, begins: float, ends: float, seed: str, jitter: float = 0.25) -> Diary:
    """On every day between these hours, give or take some minutes."""
    dice = Random(seed)
    return Diary(
        "daily",
        tuple(
            Period(
                (day * 24 + begins + dice.uniform(0, jitter)) * limits.HOUR,
                (day * 24 + ends - dice.uniform(0, jitter)) * limits.HOUR,
                goodbye=dice.random() < 0.5,
            )
            for day in range(days)
        ),
    )


@pytest.mark.parametrize("name", HABITS)
def test_habits_have_reasons_and_no_machine_that_is_always_on(name: str) -> None:
    habits = diary.read(name)
    diaries = diary.draw(habits, 20, 30, Random(1))
    assert diaries == diary.draw(habits, 20, 30, Random(1))
    assert diaries != diary.draw(habits, 20, 30, Random(2))
    for one in diaries:
        assert all(a.ends < b.begins for a, b in zip(one.periods, one.periods[1:], strict=False))
        assert max(a.ends - a.begins for a in one.periods) < 20 * limits.HOUR
        assert one.seconds_on < 30 * limits.DAY * 0.75
    for machine, share in habits.shares.items():
        assert abs(sum(one.machine == machine for one in diaries) - 20 * share) < 1


def test_a_pessimistic_file_is_among_the_habits() -> None:
    pessimistic, mixed = diary.read("pessimistic"), diary.read("mixed")
    assert pessimistic.leaving_a_month > mixed.leaving_a_month
    assert pessimistic.trips_a_month > mixed.trips_a_month
    assert pessimistic.without_a_word > mixed.without_a_word

    def hours(habits: diary.Habits) -> float:
        return sum(one.seconds_on for one in diary.draw(habits, 20, 30, Random(1)))

    assert hours(pessimistic) < 0.85 * hours(mixed)


def test_the_first_session_contains_the_sending_or_begins_after_it() -> None:
    short, long, last = Period(100, 400), Period(1000, 5000), Period(9000, 20000)
    one = Diary("", (short, long, last))
    assert one.first_session(50) == long  # what is too short for reading mail is no session
    assert one.first_session(2000) == long
    assert one.first_session(5000) == last
    assert one.first_session(20000) is None


def test_two_who_are_never_on_together_write_to_each_other_for_ten_days() -> None:
    days = 11  # letters of the tenth arrive on the eleventh
    diaries = {
        "anna": daily(days, 8.0, 11.5, "anna"),
        "bora": daily(days, 13.0, 17.0, "bora"),
        "hana": daily(days, 10.0, 14.0, "hana"),
        "hugo": daily(days, 9.0, 14.5, "hugo"),
        "hedi": daily(days, 11.0, 17.0, "hedi"),
    }
    whole = days * limits.DAY
    assert ending.seconds_together(diaries["anna"], diaries["bora"], 0, whole) == 0
    letters = []
    for day in range(10):
        for sender, recipient in (("anna", "bora"), ("bora", "anna")):
            period = diaries[sender].periods[day]
            at = Random(f"{sender} {day}").uniform(period.begins + 1, period.ends - 1)
            letters.append((at, sender, recipient))
    plan = Plan(1, "by hand", 5, days, 0, contacts=4, travel_days=0)
    report = month.play_diaries(plan, diaries, letters=sorted(letters))
    assert report.broken == []
    assert report.letters == 20
    assert report.late == []
    assert report.in_first_session == 20
    assert report.notices["refused"] == report.notices["expired"] == 0


def test_fifty_letters_wait_for_somebody_who_is_away_for_three_weeks() -> None:
    days = 24
    diaries = {
        name: daily(days, hour, hour + 2, name)
        for name, hour in (("p00", 9.0), ("p01", 8.5), ("p02", 10.0), ("p03", 9.5), ("p04", 8.0))
    }
    diaries["p00"] = diaries["p00"].without_days(1, 22)
    diaries[month.NEWCOMER] = daily(days, 9.0, 10.5, "newcomer")
    plan = Plan(1, "by hand", 5, days, 0, letters_a_day=0.2, contacts=4)
    report = month.play_diaries(plan, diaries, traveller="p00")
    assert report.broken == []
    away = report.traveller
    assert away["days_away"] == 21
    assert away["letters"] == away["filed"] == away["in_first_session"]
    assert int(str(away["letters"])) >= 50
    assert away["from_newcomer"] == away["from_newcomer_filed"] == 1
    assert report.notices["refused"] == report.notices["expired"] == 0


def test_a_letter_that_nobody_could_bring_is_late_and_said_to_be() -> None:
    """The control: the month notices, and knows whose fault it is not."""
    diaries = {
        "anna": daily(3, 8.0, 10.0, "anna"),
        "bora": daily(3, 12.0, 14.0, "bora"),
        "hana": daily(3, 16.0, 18.0, "hana"),
    }
    plan = Plan(1, "by hand", 3, 3, 0, contacts=2, travel_days=0)
    at = diaries["anna"].periods[0].begins + 60
    report = month.play_diaries(plan, diaries, letters=[(at, "anna", "bora")])
    assert report.broken == []  # once both are on together, it arrives
    assert (report.letters, report.in_first_session) == (1, 0)
    assert report.could_be["in_time_by_all_contacts"] == 0
    assert report.late[0]["why"] == "no holder met the sender in time"
    assert report.worst["name"] == "bora"


SHORT = (
    "--people=10",
    "--contacts=6",
    "--days=2",
    "--settling-days=1",
    "--travel-days=0",
    "--letters-a-day=3",
)


def begin(habits: str, hash_seed: int) -> subprocess.Popen[str]:
    """Three days of ten people in an interpreter of its own, where sets have their own order."""
    return subprocess.Popen(
        [sys.executable, "-m", "simulator", "month", "1", "--habits", habits, *SHORT],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTHONHASHSEED": f"{hash_seed}",
        },
        cwd=TESTS,
        stdout=subprocess.PIPE,
        text=True,
    )


def end(played: subprocess.Popen[str]) -> dict[str, Any]:
    told, _ = played.communicate(timeout=600)
    assert told, "the simulator itself failed"
    report: dict[str, Any] = json.loads(told)
    return report


@pytest.mark.parametrize("habits", HABITS)
def test_days_by_these_habits_lose_no_time_and_are_the_same_again(habits: str) -> None:
    first, second = (end(one) for one in [begin(habits, seed) for seed in (1, 101)])
    assert first["broken"] == []
    assert first["digest"] == second["digest"]
    assert first["in_first_session"] == second["in_first_session"]
    assert first["letters"] >= 20
    assert [one for one in first["late"] if one["why"] not in NOBODYS_FAULT] == []
    assert first["notices"]["refused"] == first["notices"]["expired"] == 0
