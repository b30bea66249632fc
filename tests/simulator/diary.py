"""When each computer of a town is on: diaries drawn from the habits that a file describes.

Purpose: read tests/simulator/habits/*.toml, and draw for each person all the periods of a month in
which the computer is on, the trips, and perhaps the day on which they leave for ever.
Invariants: a diary is drawn from its dice alone; its periods are in order and apart; moments are
seconds since a Monday at midnight. The shares of the machines are met as nearly as so many people
can meet them: chance decides who, not how many.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from postroad.base import limits

FOLDER = Path(__file__).parent / "habits"
SESSION_SECONDS_MIN = 10 * limits.MINUTE  # what is shorter is no session: nobody reads mail in it
GAP_SECONDS_MIN = 1 * limits.MINUTE  # what is off for less was not off
DAYS_OF = {"weekdays": range(5), "weekend": range(5, 7), "every day": range(7)}
MONTH_DAYS = 30


@dataclass(frozen=True, slots=True)
class Period:
    """A computer is on from `begins` to `ends`; `goodbye`: whether it is shut down in order."""

    begins: float
    ends: float
    goodbye: bool = True

    @property
    def is_session(self) -> bool:
        return self.ends - self.begins >= SESSION_SECONDS_MIN


@dataclass(frozen=True, slots=True)
class Diary:
    """`away`: the trips, as (first day, first day back); `leaves`: when it is gone for ever."""

    machine: str
    periods: tuple[Period, ...]
    away: tuple[tuple[int, int], ...] = ()
    leaves: float | None = None

    def first_session(self, sent_at: float) -> Period | None:
        """The first one that contains this moment or begins after it; None: there is none."""
        return next((one for one in self.periods if one.is_session and one.ends > sent_at), None)

    def without_days(self, first: int, until: int) -> "Diary":
        """The same with one more trip."""
        periods = tuple(one for one in self.periods if not _is_within(one, first, until))
        return Diary(self.machine, periods, (*self.away, (first, until)), self.leaves)

    @property
    def seconds_on(self) -> float:
        return sum(one.ends - one.begins for one in self.periods)


@dataclass(frozen=True, slots=True)
class Session:
    """A habit of one machine; hours, see habits/mixed.toml."""

    on: str
    begins: float
    ends: float
    chance: float
    apart: float
    jitter: float


@dataclass(frozen=True, slots=True)
class Habits:
    about: str
    machines: Mapping[str, tuple[Session, ...]]
    shares: Mapping[str, float]
    trips_a_month: float
    trip_days: Mapping[int, float]
    leaving_a_month: float
    without_a_word: float


def read(name: str) -> Habits:
    """The habits of this name. ValueError tells what is wrong with the file."""
    told = tomllib.loads((FOLDER / f"{name}.toml").read_text())
    machines = {one["name"]: one for one in told["machine"]}
    _check(name, told, machines)
    return Habits(
        told["about"],
        {
            key: tuple(Session(**habit) for habit in one["sessions"])
            for key, one in machines.items()
        },
        {key: float(one["share"]) for key, one in machines.items()},
        float(told["holidays"]["trips_a_month"]),
        {int(days): float(share) for days, share in told["holidays"]["days"].items()},
        float(told["leaving"]["share_a_month"]),
        float(told["switching_off"]["without_a_word"]),
    )


def _check(name: str, told: dict[str, Any], machines: dict[str, Any]) -> None:
    """Every number has its reason, shares make a whole, and no machine is always on."""
    for part in (*machines.values(), told["holidays"], told["leaving"], told["switching_off"]):
        if not part.get("reason"):
            raise ValueError(f"{name}: a part has no reason: {sorted(part)}")
    for shares in (
        [one["share"] for one in machines.values()],
        list(told["holidays"]["days"].values()),
    ):
        if abs(sum(shares) - 1) > 1e-9:
            raise ValueError(f"{name}: shares add up to {sum(shares)}, and not to 1")
    for habit in (habit for one in machines.values() for habit in one["sessions"]):
        if habit["on"] not in DAYS_OF or not 0 < habit["ends"] - habit["begins"] < 20:
            raise ValueError(f"{name}: no such session: {habit}")


def draw(habits: Habits, people: int, days: int, dice: Random) -> list[Diary]:
    """The diaries of so many people for so many days."""
    machines = _machines(habits, people)
    dice.shuffle(machines)
    return [_diary(habits, machine, days, dice) for machine in machines]


def _machines(habits: Habits, people: int) -> list[str]:
    """As many of each as its share asks for; what is left goes to the greatest remainders."""
    exact = {name: share * people for name, share in habits.shares.items()}
    counts = {name: int(number) for name, number in exact.items()}
    by_remainder = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in by_remainder[: people - sum(counts.values())]:
        counts[name] += 1
    return [name for name, count in counts.items() for _ in range(count)]


def _diary(habits: Habits, machine: str, days: int, dice: Random) -> Diary:
    shifts = [dice.uniform(-one.apart, one.apart) for one in habits.machines[machine]]
    leaves = None
    if dice.random() < habits.leaving_a_month * days / MONTH_DAYS:
        leaves = dice.uniform(0, days) * limits.DAY
    away = _trips(habits, days, dice)
    periods: list[Period] = []
    for day in range(days):
        for session, shift in zip(habits.machines[machine], shifts, strict=True):
            begins = session.begins + shift + dice.uniform(-session.jitter, session.jitter)
            ends = session.ends + shift + dice.uniform(-session.jitter, session.jitter)
            takes_place = dice.random() < session.chance
            goodbye = dice.random() >= habits.without_a_word
            if takes_place and day % 7 in DAYS_OF[session.on]:
                at, to = (day * limits.DAY + hour * limits.HOUR for hour in (begins, ends))
                periods.append(Period(max(at, 0.0), to, goodbye))
    living = [one for one in periods if leaves is None or one.ends < leaves]
    diary = Diary(machine, _apart(living), (), leaves)
    for first, until in away:
        diary = diary.without_days(first, until)
    return diary


def _trips(habits: Habits, days: int, dice: Random) -> list[tuple[int, int]]:
    trips, day = [], 0
    while day < days:
        begins = dice.random() < habits.trips_a_month / MONTH_DAYS
        length = dice.choices(list(habits.trip_days), list(habits.trip_days.values()))[0]
        if begins:
            trips.append((day, day + length))
            day += length
        day += 1
    return trips


def _is_within(period: Period, first: int, until: int) -> bool:
    return first * limits.DAY <= period.begins < until * limits.DAY


def _apart(periods: Sequence[Period]) -> tuple[Period, ...]:
    """In order, and what touches is one."""
    apart: list[Period] = []
    for period in sorted(periods, key=lambda one: one.begins):
        if period.ends - period.begins < GAP_SECONDS_MIN:
            continue
        if apart and period.begins < apart[-1].ends + GAP_SECONDS_MIN:
            last = apart.pop()
            ends = max(last.ends, period.ends)
            period = Period(last.begins, ends, period.goodbye)
        apart.append(period)
    return tuple(apart)
