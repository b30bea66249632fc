"""`postroad statistics`: what became of letters, in words and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from app.answering import node_that_says, set_up, typed
from fakes import someone
from postroad.app import telling_health
from postroad.base.ids import Instant
from postroad.doors.statistics import _came, _told
from postroad.protocol.delivery import State
from postroad.protocol.statistics import Journey, count
from postroad.store.incoming import Day

NOW = 1_790_000_000.0
BEN, CARL = someone("ben"), someone("carl")
NAMES = {BEN.fingerprint: ("ben", str(BEN.address))}
ONE = b"11111111"


@pytest.fixture
def config() -> Iterator[Path]:
    with set_up() as path:
        yield path


def at(seconds: float) -> Instant:
    return Instant(NOW + seconds)


JOURNEYS = [
    Journey(at(0), BEN.fingerprint, State.DELIVERED, at(2), at(7200), False, (ONE,)),
    Journey(at(0), BEN.fingerprint, State.DELIVERED, None, at(0.25)),
    Journey(at(0), BEN.fingerprint, State.HELD, at(4.2), None, True),
    Journey(at(0), CARL.fingerprint, State.EXPIRED, None, None, True),
]


def answer(journeys: list[Journey], days: list[Day] | None = None) -> bytes:
    found = _told(count(journeys, at(-1), at(1)), NAMES)
    told = {"ok": True, "days": 30, "since": at(-1), "until": at(1), **found, **_came(days or [])}
    return json.dumps(told).encode() + b"\n"


def test_the_numbers_are_told_as_people_count(config: Path) -> None:
    day = date(2026, 9, 21)
    days = [Day(day, 10, 1, 0), Day(day.replace(day=22), 2, 0, 1)]
    with node_that_says(config, answer(JOURNEYS, days)):
        said = typed(config, "statistics", "--by-day").stdout
    assert said == (
        "Came in during the last 30 days: 12 letters of contacts, 1 of strangers; 1 more was "
        "refused.\n"
        "   2026-09-21  of contacts 10, of strangers 1, refused 0\n"
        "   2026-09-22  of contacts 2, of strangers 0, refused 1\n"
        "Your letters of the last 30 days, one for each recipient:\n"
        "   accepted        4\n"
        "   delivered       2  half within 250 ms, 95 % within 2.0 h\n"
        "   held            2  at a holder: half within 2.0 s, 95 % within 4.2 s\n"
        "   late            2  under way for more than a day, whatever became of them\n"
        "   failed          1  refused, or not answered in time; a notice in your INBOX said so\n"
        "   under way       1\n"
        "1 holder failed 1 of them, nothing was lost; the slowest was safe after 2.0 s.\n"
        "\n"
        "To whom       accepted  delivered  late  failed  half within\n"
        "ben                  3          2     1       0  250 ms\n"
        "(no contact)         1          0     1       1  -\n"
        "\n"
        "Day (UTC)   accepted  delivered  late  failed  half within\n"
        "2026-09-21         4          2     2       1  250 ms\n"
    )


def test_numbers_that_cannot_be_read_are_not_called_none(config: Path) -> None:
    found = json.loads(answer(JOURNEYS))
    damaged = json.dumps({**found, **_came(None)}).encode() + b"\n"
    with node_that_says(config, damaged):
        said = typed(config, "statistics", "--by-day").stdout
    assert said.startswith("How many letters came in cannot be told just now: ")
    assert "   accepted        4\n" in said


def test_a_letter_that_was_lost_in_an_outage_is_said_to_be(config: Path) -> None:
    lost = [Journey(at(0), BEN.fingerprint, State.EXPIRED, failed_holders=(ONE,))]
    with node_that_says(config, answer(lost)):
        said = typed(config, "statistics").stdout
    assert "1 holder failed 1 of them, 1 of those expired without an answer.\n" in said
    with node_that_says(config, answer([])):
        assert typed(config, "statistics").stdout == (
            "No letter came in during the last 30 days.\n"
            "You wrote no letters in the last 30 days.\n"
        )


def test_a_program_gets_every_number(config: Path) -> None:
    with node_that_says(config, answer(JOURNEYS)):
        told = json.loads(typed(config, "statistics", "--json").stdout)
    assert told["seconds_to_receipt"] == {"letters": 2, "median": 0.25, "percentile_95": 7200.0}
    assert [one["name"] for one in told["by_contact"]] == ["ben", None]
    assert told["outages"]["slowest_seconds"] == pytest.approx(2.0)


@pytest.mark.parametrize("days", ["0", "91", "x"])
def test_days_are_those_that_are_kept(config: Path, days: str) -> None:
    assert typed(config, "statistics", "--days", days).exit_code == 2


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (0.0004, "0 ms"),
        (0.25, "250 ms"),
        (1.0, "1.0 s"),
        (119.0, "119.0 s"),
        (150.0, "2.5 min"),
        (7200.0, "2.0 h"),
        (3 * 86400.0, "3.0 days"),
    ],
)
def test_spans_are_said_with_the_digits_that_matter(found: float, says: str) -> None:
    assert telling_health.seconds(found) == says
