"""How letters went, as `GetStatistics` told it: read once, into what the pages draw. Pure.

Invariants: as in `facts`, whatever the service says can be read, and nothing of it is taken without
a bound. Days are those of UTC, and the last one is today; a day on which nothing happened has
zeros, so that a plot has one place for each day.
See: docs/adr/0020-health.md for what is counted, and when.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from postroad_tray import plain
from postroad_tray.facts import items, read, tables
from postroad_tray.tongue import _, many, number

DAYS_MAX = 90
PEOPLE_MAX = 500
HOURS = 24
_SPAN_MAX = 10 * 365 * 86400.0


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds until the recipient's receipt: half of `letters` took no longer than `median`."""

    letters: int = 0
    median: float = 0.0
    percentile_95: float = 0.0


@dataclass(frozen=True, slots=True)
class Numbers:
    """Of letters, one for each recipient, by the day on which they were written."""

    accepted: int = 0
    delivered: int = 0
    requested: int = 0
    late: int = 0
    failed: int = 0
    cancelled: int = 0
    under_way: int = 0
    seconds_to_receipt: Times = Times()

    @property
    def arrived(self) -> int:
        """Answered by the recipient's node: for a contact, or for the requests of whoever knows us
        not."""
        return self.delivered + self.requested


@dataclass(frozen=True, slots=True)
class Outages:
    """What the failing of holders cost."""

    holders_failed: int = 0
    letters: int = 0
    survived: int = 0
    lost: int = 0
    slowest_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Came:
    from_contacts: int = 0
    from_strangers: int = 0

    @property
    def letters(self) -> int:
        """Of whomever: what the sender's node counts as arrived has come in here."""
        return self.from_contacts + self.from_strangers


@dataclass(frozen=True, slots=True)
class Day:
    day: date
    wrote: Numbers = Numbers()
    came: Came = Came()


@dataclass(frozen=True, slots=True)
class Presence:
    """How often somebody was found on, of the times that were tried, in each hour of the day UTC;
    None where nobody tried."""

    name: str
    hours: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Statistics:
    days: tuple[Day, ...]  # the oldest first, without gaps
    total: Numbers
    came: Came
    outages: Outages
    people: tuple[Presence, ...]

    def last(self, count: int) -> tuple[Day, ...]:
        return self.days[-count:]


def statistics(told: Mapping[str, Any], now: float, days: int) -> Statistics:
    """What `GetStatistics` answered, of so many days until `now` (seconds UTC)."""
    by_day = {
        _text(one, "Day"): read(Numbers, one) for one in tables(told.get("ByDay"), DAYS_MAX + 1)
    }
    came = {
        _text(one, "Day"): read(Came, one)
        for one in tables(told.get("IncomingByDay"), DAYS_MAX + 1)
    }
    today = datetime.fromtimestamp(now, UTC).date()
    asked = [today - timedelta(days=back) for back in range(min(days, DAYS_MAX) - 1, -1, -1)]
    return Statistics(
        tuple(
            Day(one, by_day.get(one.isoformat(), Numbers()), came.get(one.isoformat(), Came()))
            for one in asked
        ),
        read(Numbers, told),
        read(Came, told),
        read(Outages, told.get("Outages")),
        tuple(_presence(one) for one in tables(told.get("HoursByContact"), PEOPLE_MAX)),
    )


def _presence(told: Mapping[str, Any]) -> Presence:
    seen, missed = _hours(told.get("Seen")), _hours(told.get("Missed"))
    return Presence(
        _text(told, "Name"),
        tuple(
            on / (on + off) if on + off > 0.01 else None
            for on, off in zip(seen, missed, strict=True)
        ),
    )


def _hours(told: object) -> list[float]:
    fit = [
        min(max(float(one), 0.0), _SPAN_MAX)
        if isinstance(one, int | float) and one == one and not isinstance(one, bool)
        else 0.0
        for one in items(told, HOURS)
    ]
    return fit + [0.0] * (HOURS - len(fit))


def _text(told: Mapping[str, Any], key: str) -> str:
    return plain.line(told.get(key))


def span(seconds: float) -> str:
    """So long, with the digits that matter: `80 ms`, `1.5 s`, `42 s`, `3.2 h`."""
    for unit, size in ((_("{n} days"), 86400), (_("{n} h"), 3600), (_("{n} min"), 60)):
        if seconds >= 2 * size:
            return unit.format(n=_two_digits(seconds / size))
    if seconds >= 1:
        return _("{n} s").format(n=_two_digits(seconds))
    return _("{n} ms").format(n=f"{seconds * 1000:.0f}")


def _two_digits(count: float) -> str:
    return number(count, 1 if count < 9.95 else 0)


def round_span(seconds: float) -> str:
    """The same, where it is a whole number of some unit: `1 ms`, `1 min`, `30 days`."""
    if seconds >= 86400:
        return many("{n} day", "{n} days", round(seconds / 86400))
    for unit, size in ((_("{n} h"), 3600), (_("{n} min"), 60), (_("{n} s"), 1)):
        if seconds >= size:
            return unit.format(n=round(seconds / size))
    return _("{n} ms").format(n=round(seconds * 1000))
