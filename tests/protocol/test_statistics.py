"""What became of letters, in numbers: counted from journeys."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad.base import limits
from postroad.base.ids import Fingerprint, Instant
from postroad.protocol.delivery import State
from postroad.protocol.statistics import (
    Journey,
    Numbers,
    Outages,
    Times,
    count,
    numbers,
    outages,
    times,
)

NOW = 1_790_000_000.0  # 21 September 2026, 14:13:20 UTC
ANNA, BEN = Fingerprint("anna"), Fingerprint("ben")
ONE, TWO = b"11111111", b"22222222"


def at(seconds: float) -> Instant:
    return Instant(NOW + seconds)


SENT = Journey(at(0), ANNA, State.WAITING)
HELD = replace(SENT, state=State.HELD, held_at=at(2))
DELIVERED = replace(SENT, state=State.DELIVERED, answered_at=at(1))
moments = st.one_of(st.none(), st.floats(-9e9, 9e9).map(at))
JOURNEYS = st.lists(
    st.builds(
        Journey,
        st.floats(-99 * limits.DAY, limits.DAY).map(at),
        st.sampled_from([ANNA, BEN]),
        st.sampled_from(State),
        moments,
        moments,
        st.booleans(),
        st.lists(st.sampled_from([ONE, TWO]), unique=True).map(tuple),
    ),
    max_size=30,
)


def adds_up(found: Numbers) -> bool:
    ends = found.delivered + found.requested + found.failed + found.cancelled
    return found.accepted == ends + found.under_way


@given(JOURNEYS, st.randoms(use_true_random=False))
def test_all_that_was_accepted_is_counted_once_whatever_its_order(
    journeys: list[Journey], dice: Random
) -> None:
    found = count(journeys, at(-90 * limits.DAY), at(0))
    parts = (found.by_day, found.by_contact)
    assert all(adds_up(one) for one in (found.total, *(some for part in parts for _, some in part)))
    for part in parts:
        for each in fields(Numbers)[:8]:
            total = sum(getattr(some, each.name) for _, some in part)
            assert total == getattr(found.total, each.name)
    within = [one for one in journeys if at(-90 * limits.DAY) <= one.accepted_at <= at(0)]
    assert found.total.accepted == len(within)
    dice.shuffle(journeys)
    assert count(journeys, at(-90 * limits.DAY), at(0)) == found


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_half_and_95_percent_are_exact(sample: list[float]) -> None:
    found = times(sample)
    assert found is not None
    for value, share in ((found.median, 0.5), (found.most, 0.95)):
        assert value in sample
        assert sum(one <= value for one in sample) >= share * len(sample) - 1e-9
        assert sum(one < value for one in sample) < share * len(sample) + 1e-9


def test_of_nothing_there_are_no_times() -> None:
    assert times([None]) is None
    assert times([3.0, None]) == Times(1, 3.0, 3.0)
    assert times(float(n) for n in range(1, 101)) == Times(100, 50.0, 95.0)


@pytest.mark.parametrize(
    ("journey", "expected"),
    [
        (SENT, {"under_way": 1}),
        (HELD, {"under_way": 1, "held": 1, "to_holder": Times(1, 2.0, 2.0)}),
        (replace(HELD, late=True), {"under_way": 1, "held": 1, "late": 1}),
        (DELIVERED, {"delivered": 1, "to_receipt": Times(1, 1.0, 1.0), "to_holder": None}),
        (replace(DELIVERED, late=True), {"delivered": 1, "late": 1}),
        (
            replace(DELIVERED, state=State.REQUESTED),
            {"requested": 1, "to_receipt": Times(1, 1.0, 1.0)},
        ),
        # A refusal is signed, too, and is no arrival.
        (replace(DELIVERED, state=State.REFUSED), {"failed": 1, "to_receipt": None}),
        (replace(SENT, state=State.EXPIRED), {"failed": 1}),
        (replace(SENT, state=State.CANCELLED), {"cancelled": 1}),
        # What a clock that was set cannot have meant.
        (replace(DELIVERED, answered_at=at(-1)), {"delivered": 1, "to_receipt": None}),
        (replace(DELIVERED, answered_at=at(99 * limits.DAY)), {"to_receipt": None}),
    ],
)
def test_each_journey_counts_as_what_became_of_it(
    journey: Journey, expected: dict[str, object]
) -> None:
    found = numbers([journey])
    assert found.accepted == 1
    assert adds_up(found)
    assert {name: getattr(found, name) for name in expected} == expected


def test_days_are_those_of_acceptance_in_utc_and_who_is_written_to_most_comes_first() -> None:
    yesterday = replace(DELIVERED, accepted_at=at(-14 * limits.HOUR - 14 * limits.MINUTE), to=BEN)
    found = count([DELIVERED, yesterday, yesterday], at(-limits.DAY), at(0))
    assert [(day, some.accepted) for day, some in found.by_day] == [
        (date(2026, 9, 20), 2),
        (date(2026, 9, 21), 1),
    ]
    assert [(to, some.accepted) for to, some in found.by_contact] == [(BEN, 2), (ANNA, 1)]


def test_an_outage_is_survived_by_what_was_delivered_all_the_same() -> None:
    journeys = [
        DELIVERED,
        replace(DELIVERED, failed_holders=(ONE,), held_at=at(0.5)),
        replace(DELIVERED, failed_holders=(ONE, TWO), answered_at=at(4.2), held_at=at(9)),
        replace(HELD, failed_holders=(TWO,)),
        replace(SENT, state=State.REFUSED, failed_holders=(TWO,)),
    ]
    found = outages(journeys)
    assert (found.holders, found.letters, found.survived, found.lost) == (2, 4, 2, 0)
    assert found.slowest == pytest.approx(4.2, abs=1e-6)
    lost = replace(SENT, state=State.EXPIRED, failed_holders=(ONE,))
    assert outages([lost]) == Outages(1, 1, 0, 1, None)
    assert outages([DELIVERED]) == Outages(0, 0, 0, 0, None)
