"""What the page Health says, in words: the sentence above each picture, and the rows of its table.

Pure: from the numbers to texts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

from postroad_tray.numbers import Day, Outages, Presence, Statistics, Times, span
from postroad_tray.tongue import _, many

Row = tuple[str, ...]


def headline(found: Statistics) -> str:
    total, days = found.total, len(found.days)
    if not total.accepted:
        return many(
            "You wrote no letters in the last {n} day.",
            "You wrote no letters in the last {n} days.",
            days,
        )
    if total.failed:
        failed = many("{n} came back to you", "{n} came back to you", total.failed)
    else:
        failed = _("none came back")
    return _("{arrived} of your {count} letters of the last {days} days arrived; {failed}.").format(
        arrived=total.arrived, count=total.accepted, days=days, failed=failed
    )


def times(took: Times) -> str:
    if not took.letters:
        return _("No letter has arrived yet, so there is no time to tell.")
    return _("Half of them arrived within {median}, 95 of 100 within {most}.").format(
        median=span(took.median), most=span(took.percentile_95)
    )


def fates(found: Statistics) -> str:
    total = found.total
    said = [
        many("{n} delivered", "{n} delivered", total.arrived),
        many("{n} late", "{n} late", total.late),
        many("{n} failed", "{n} failed", total.failed),
    ]
    if total.under_way:
        said.append(many("{n} on its way", "{n} on their way", total.under_way))
    return _("{list}. Late is what took more than a day, whatever became of it.").format(
        list=", ".join(said)
    )


def outages(found: Outages) -> str:
    if not found.holders_failed:
        return _("No holder failed when it was needed.")
    failed = many(
        "{n} holder did not answer when it was needed",
        "{n} holders did not answer when they were needed",
        found.holders_failed,
    )
    met = many("{n} letter met that", "{n} letters met that", found.letters)
    lost = (
        many("{n} expired without an answer", "{n} expired without an answer", found.lost)
        if found.lost
        else _("none was lost")
    )
    survived = many("{n} arrived all the same", "{n} arrived all the same", found.survived)
    sentence = _("{failed}; {met}, {survived}, and {lost}.").format(
        failed=failed, met=met, survived=survived, lost=lost
    )
    if found.slowest_seconds:
        sentence += " " + _("The slowest was safe after {time}.").format(
            time=span(found.slowest_seconds)
        )
    return sentence


def hours(one: Presence, offset_hours: int) -> str:
    """When somebody is mostly on, in hours of our own clock."""
    local = shifted(one.hours, offset_hours)
    known = [part for part in local if part is not None]
    if not known:
        return _("not known yet")
    on = [hour for hour, part in enumerate(local) if part is not None and part >= 0.5]
    if len(on) == len(local):
        return _("nearly always on")
    if not on:
        return _("seldom on")
    said = ", ".join(_("{since}-{until} h").format(since=a, until=b) for a, b in _runs(on))
    return _("mostly on {hours}").format(hours=said)


def shifted(of_utc: Sequence[float | None], offset_hours: int) -> tuple[float | None, ...]:
    """By the hours of a clock that is so many ahead of UTC."""
    count = len(of_utc)
    return tuple(of_utc[(hour - offset_hours) % count] for hour in range(count))


def _runs(hours_on: Sequence[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for hour in hours_on:
        if runs and runs[-1][1] == hour:
            runs[-1] = (runs[-1][0], hour + 1)
        else:
            runs.append((hour, hour + 1))
    return runs


def time_rows(days: Sequence[Day], said: Callable[[date], str]) -> list[Row]:
    """The newest first; `said`: how a day is written here."""
    return [
        (
            said(one.day),
            str(one.wrote.seconds_to_receipt.letters),
            span(one.wrote.seconds_to_receipt.median),
            span(one.wrote.seconds_to_receipt.percentile_95),
        )
        for one in reversed(days)
        if one.wrote.seconds_to_receipt.letters
    ]


def fate_rows(days: Sequence[Day], said: Callable[[date], str]) -> list[Row]:
    return [
        (
            said(one.day),
            str(one.wrote.accepted),
            str(one.wrote.arrived),
            str(one.wrote.late),
            str(one.wrote.failed),
            str(one.came.letters),
        )
        for one in reversed(days)
        if one.wrote.accepted or one.came.letters
    ]
