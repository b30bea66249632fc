"""What became of the owner's letters, in numbers: counted from the journey of each parcel.

Purpose: how many were accepted, held, delivered, late and failed; how long it took; which holders
failed and what that cost. Pure: from journeys to numbers.
Invariants: a parcel is counted on the day (UTC) on which it was accepted, whatever became of it
later, so accepted = delivered + requested + failed + cancelled + under way, of each day, contact
and span. Times are kept one by one, so median and 95 % are exact: the nearest rank of the sample,
no bins, no interpolation. What the clock cannot have meant (less than nothing, more than a letter
may be under way) is counted and not timed.
An **outage**: a holder did not answer, or broke off, when a letter was to be left with it or looked
for there; a holder that refused in words has not failed. Each holder counts once, however often and
long it failed. A letter **survived** it when it was delivered all the same, and is **lost** when it
expired without an answer. It is safe from its first lease or receipt on.
See: docs/adr/0020-health.md.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TypeVar

from postroad.base import limits
from postroad.base.ids import Fingerprint, Instant
from postroad.protocol.delivery import OPEN, State

K = TypeVar("K", bound="date | Fingerprint")
TIMED_SECONDS_MAX = limits.EXPIRY_SECONDS_MAX + limits.DAY


@dataclass(frozen=True, slots=True)
class Journey:
    """One parcel's. `held_at`: its first lease; `answered_at`: its first receipt; `late`: its owner
    was told that it takes long; `failed_holders`: names of those that failed it."""

    accepted_at: Instant
    to: Fingerprint
    state: State
    held_at: Instant | None = None
    answered_at: Instant | None = None
    late: bool = False
    failed_holders: tuple[bytes, ...] = ()

    @property
    def held_seconds(self) -> float | None:
        return self._since(self.held_at)

    @property
    def answered_seconds(self) -> float | None:
        """Until the recipient's receipt; of letters that have arrived."""
        arrived = self.state in (State.DELIVERED, State.REQUESTED)
        return self._since(self.answered_at) if arrived else None

    @property
    def safe_seconds(self) -> float | None:
        """Until it was not on our computer alone."""
        known = [one for one in (self.held_seconds, self.answered_seconds) if one is not None]
        return min(known, default=None)

    def _since(self, at: Instant | None) -> float | None:
        seconds = -1.0 if at is None else at - self.accepted_at
        return seconds if 0 <= seconds <= TIMED_SECONDS_MAX else None


@dataclass(frozen=True, slots=True)
class Times:
    """Of `count` letters, half took no longer than `median`, 95 of 100 no longer than `most`."""

    count: int
    median: float
    most: float


@dataclass(frozen=True, slots=True)
class Numbers:
    accepted: int
    held: int  # which some holder had at some time
    delivered: int
    requested: int  # they lie among a stranger's requests
    late: int  # under way for more than a day, whatever became of them
    failed: int  # refused, or not answered in time
    cancelled: int
    under_way: int
    to_holder: Times | None  # until the first lease
    to_receipt: Times | None  # until the recipient's own word


@dataclass(frozen=True, slots=True)
class Outages:
    """`letters`: parcels that a holder failed; of them `survived` were delivered and `lost` expired
    without an answer. `slowest`: seconds until the last of the survivors was safe."""

    holders: int
    letters: int
    survived: int
    lost: int
    slowest: float | None


@dataclass(frozen=True, slots=True)
class Statistics:
    """`by_day`: the days on which something was accepted, in their order; `by_contact`: whoever was
    written to most comes first."""

    total: Numbers
    by_day: Sequence[tuple[date, Numbers]]
    by_contact: Sequence[tuple[Fingerprint, Numbers]]
    outages: Outages


def count(journeys: Iterable[Journey], since: Instant, until: Instant) -> Statistics:
    """The numbers of all that was accepted from `since` to `until`."""
    found = [one for one in journeys if since <= one.accepted_at <= until]
    days = _grouped(found, lambda one: datetime.fromtimestamp(one.accepted_at, UTC).date())
    contacts = _grouped(found, lambda one: one.to)
    most_written = sorted(contacts.items(), key=lambda item: (-len(item[1]), item[0]))
    return Statistics(
        numbers(found),
        [(day, numbers(days[day])) for day in sorted(days)],
        [(to, numbers(some)) for to, some in most_written],
        outages(found),
    )


def numbers(journeys: Sequence[Journey]) -> Numbers:
    states = Counter(one.state for one in journeys)
    return Numbers(
        len(journeys),
        sum(one.held_at is not None for one in journeys),
        states[State.DELIVERED],
        states[State.REQUESTED],
        sum(one.late for one in journeys),
        states[State.REFUSED] + states[State.EXPIRED],
        states[State.CANCELLED],
        sum(states[one] for one in OPEN),
        times(one.held_seconds for one in journeys),
        times(one.answered_seconds for one in journeys),
    )


def outages(journeys: Iterable[Journey]) -> Outages:
    met = [one for one in journeys if one.failed_holders]
    survived = [one for one in met if one.state in (State.DELIVERED, State.REQUESTED)]
    took = [one.safe_seconds for one in survived if one.safe_seconds is not None]
    return Outages(
        len({holder for one in met for holder in one.failed_holders}),
        len(met),
        len(survived),
        sum(one.state is State.EXPIRED for one in met),
        max(took, default=None),
    )


def times(seconds: Iterable[float | None]) -> Times | None:
    """None of nothing."""
    sample = sorted(one for one in seconds if one is not None)
    if not sample:
        return None
    return Times(len(sample), _rank(sample, 50), _rank(sample, 95))


def _rank(sample: Sequence[float], percent: int) -> float:
    """The smallest value that so many percent of the sorted sample do not exceed."""
    return sample[-(-len(sample) * percent // 100) - 1]


def _grouped(journeys: Iterable[Journey], key: Callable[[Journey], K]) -> Mapping[K, list[Journey]]:
    found: dict[K, list[Journey]] = {}
    for one in journeys:
        found.setdefault(key(one), []).append(one)
    return found
