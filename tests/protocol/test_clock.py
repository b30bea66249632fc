"""Whether the clock may be believed: three voices, a day of running, leaps, and those who lie."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import NOW
from postroad.base import limits
from postroad.protocol.clock import (
    Because,
    Judgement,
    Memory,
    Reading,
    Steady,
    Voice,
    errors_of,
    judge,
    resume,
    watch,
)

START = Reading(NOW, 1000.0)
YEAR = 365.0 * limits.DAY
offsets = st.floats(-2 * YEAR, 2 * YEAR)


def later(seconds: float, *, step: float = 0.0, since: Reading = START) -> Reading:
    """So much later, and the wall clock set by `step`."""
    return Reading(since.now + seconds + step, since.elapsed + seconds)


def voices(*errors: float, at: Reading = START) -> list[Voice]:
    """Of as many people: by how much our clock is ahead of each."""
    return [
        Voice(f"person {number}", replace(at, now=at.now - error))
        for number, error in enumerate(errors)
    ]


def judged(*errors: float, seconds: float = 0.0, was_confirmed: bool = False) -> Judgement:
    now = later(seconds)
    return judge(Steady(START), voices(*errors, at=now), now, was_confirmed=was_confirmed)


def test_it_begins_unconfirmed() -> None:
    assert judged() == Judgement(False, Because.STARTED, 0, 0)
    assert not judged(seconds=limits.CLOCK_UPTIME_SECONDS - 1).confirmed


def test_three_people_who_agree_confirm_it_at_once_and_two_do_not() -> None:
    assert judged(0.0, 100.0, -200.0) == Judgement(True, Because.VOICES, 3, 0)
    assert judged(0.0, 0.0) == Judgement(False, Because.STARTED, 2, 0)


def test_three_who_agree_with_us_and_not_with_each_other_do_not_confirm_it() -> None:
    assert not judged(-550.0, 0.0, 550.0).confirmed
    assert judged(-550.0, 0.0, 550.0, 20.0, 10.0).confirmed


def test_a_day_without_a_leap_confirms_it_for_those_who_have_few_contacts() -> None:
    assert judged(seconds=limits.CLOCK_UPTIME_SECONDS).because is Because.UPTIME
    assert judged(YEAR, seconds=limits.CLOCK_UPTIME_SECONDS).confirmed, "one person may be wrong"


@given(st.lists(offsets, max_size=2), st.floats(0, 2 * limits.DAY), st.booleans())
def test_two_people_neither_confirm_nor_doubt_it_whatever_they_say(
    lies: list[float], seconds: float, was_confirmed: bool
) -> None:
    without = judged(seconds=seconds, was_confirmed=was_confirmed)
    with_them = judged(*lies, seconds=seconds, was_confirmed=was_confirmed)
    assert with_them.confirmed == without.confirmed


@given(st.lists(offsets, max_size=2))
def test_two_who_lie_do_not_keep_three_who_agree_from_confirming_it(lies: list[float]) -> None:
    assert judged(0.0, 1.0, 2.0, *lies).confirmed


def test_three_who_agree_do_not_confirm_it_against_as_many_who_do_not() -> None:
    assert judged(0.0, 1.0, 2.0, YEAR, YEAR, YEAR) == Judgement(False, Because.STARTED, 3, 3)
    four = judged(0.0, 1.0, 2.0, *[YEAR] * 4, seconds=YEAR, was_confirmed=True)
    assert four == Judgement(False, Because.CONTRADICTED, 3, 4)


def test_a_clock_that_most_people_contradict_is_not_confirmed_by_any_uptime() -> None:
    assert judged(YEAR, YEAR, YEAR, seconds=YEAR).because is Because.CONTRADICTED
    assert judged(YEAR, YEAR, YEAR, 0.0, 0.0, 0.0, seconds=YEAR).confirmed


@given(st.lists(st.tuples(offsets, st.integers(0, 2)), max_size=20))
def test_one_person_has_one_voice_however_many_devices_answer(
    said: list[tuple[float, int]],
) -> None:
    heard = [Voice(f"person {who}", replace(START, now=START.now - error)) for error, who in said]
    assert len(errors_of(heard, START)) == len({who for _, who in said})


def test_the_newest_word_of_a_person_counts_for_a_day() -> None:
    old = voices(YEAR)
    new = voices(0.0, at=later(60))
    assert errors_of([*new, *old], later(60)) == [0.0]
    assert errors_of(new, later(60 + limits.CLOCK_VOICE_SECONDS)) == [0.0]
    assert errors_of(new, later(61 + limits.CLOCK_VOICE_SECONDS)) == []


def test_what_was_said_before_the_wall_clock_was_set_judges_it_at_once() -> None:
    heard = voices(0.0, 1.0, 2.0)
    wrong = later(60, step=-YEAR)
    steady = watch(Steady(START), wrong)
    assert judge(steady, heard, wrong, was_confirmed=False).because is Because.CONTRADICTED
    right = later(120)
    steady = watch(steady, right)
    assert judge(steady, heard, right, was_confirmed=False).confirmed


@given(st.floats(0, 40 * limits.DAY), st.floats(-599, 599))
def test_neither_suspend_nor_small_corrections_are_a_step(seconds: float, step: float) -> None:
    steady = Steady(START)
    assert watch(steady, later(seconds, step=step)) is steady


@given(
    st.floats(0, 40 * limits.DAY),
    st.floats(601, 2 * YEAR) | st.floats(-2 * YEAR, -601),
)
def test_a_step_begins_the_day_anew(seconds: float, step: float) -> None:
    now = later(seconds, step=step)
    steady = watch(Steady(START, uptime=YEAR), now)
    assert steady == Steady(now, is_start=False)
    assert judge(steady, [], now, was_confirmed=False).because is Because.STEPPED


def test_small_steps_add_up() -> None:
    steady = Steady(START)
    assert watch(steady, later(10, step=400)) is steady
    assert watch(steady, later(20, step=800)) is not steady


@pytest.mark.parametrize("off", [0.0, 60.0, 20.0 * limits.DAY])
def test_a_restart_in_the_life_of_the_computer_loses_no_uptime(off: float) -> None:
    steady = resume(Memory(START, 5000.0), later(off))
    assert steady.uptime_at(later(off).elapsed) == 5000.0 + off


def test_a_start_of_the_computer_asks_for_an_hour_of_running_at_least() -> None:
    after = Reading(NOW + limits.HOUR, 5.0)  # it was off for an hour or so
    steady = resume(Memory(START, limits.CLOCK_UPTIME_SECONDS), after)

    def confirmed(seconds: float) -> bool:
        now = later(seconds, since=after)
        return judge(steady, [], now, was_confirmed=False).confirmed

    assert not confirmed(limits.CLOCK_RUN_SECONDS - 1)
    assert confirmed(limits.CLOCK_RUN_SECONDS)


@pytest.mark.parametrize("gap", [-1.0, -YEAR, limits.CLOCK_GAP_SECONDS_MAX + 1.0, YEAR])
def test_a_clock_that_went_back_or_far_on_while_it_was_off_begins_its_day_anew(gap: float) -> None:
    after = Reading(NOW + gap, 5.0)
    assert resume(Memory(START, limits.CLOCK_UPTIME_SECONDS), after) == Steady(after)
    assert resume(None, after) == Steady(after)


def test_some_hours_each_day_confirm_it_in_the_end() -> None:
    """A computer that is on for three hours of the day, and whose owner has one contact."""
    memory, days = None, 0
    while True:
        begins = Reading(NOW + days * limits.DAY, 30.0)
        steady, ends = resume(memory, begins), later(3 * limits.HOUR, since=begins)
        if judge(steady, [], ends, was_confirmed=False).confirmed:
            break
        memory, days = Memory(ends, steady.uptime_at(ends.elapsed)), days + 1
    assert days == 7


def test_a_clock_is_a_word_worth_only_when_something_waits_or_after_an_hour() -> None:
    """A new node told its owner three lines about it in its first minute."""

    def is_worth(because: Because, seconds: float, *, something_waits: bool = False) -> bool:
        found = Judgement(False, because, 0, 0, seconds)
        return found.is_worth_a_word(something_waits=something_waits)

    for because in (Because.STARTED, Because.STEPPED):
        assert not is_worth(because, 60)
        assert not is_worth(because, limits.HOUR - 1)
        assert is_worth(because, limits.HOUR)
        assert is_worth(because, 60, something_waits=True)
    assert is_worth(Because.CONTRADICTED, 60)
    assert not Judgement(True, Because.VOICES, 3, 0, limits.DAY).is_worth_a_word(
        something_waits=True
    )


def test_a_judgement_says_for_how_long_the_clock_was_steady() -> None:
    begun = resume(None, Reading(1000.0, 50.0))
    assert judge(begun, (), Reading(1060.0, 110.0), was_confirmed=False).seconds == 60.0
    stepped = watch(begun, Reading(9000.0, 120.0))
    found = judge(stepped, (), Reading(9030.0, 150.0), was_confirmed=False)
    assert (found.because, found.seconds) == (Because.STEPPED, 30.0)
