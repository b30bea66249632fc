"""Holding: for whom a node holds, how much, and which holders a person chooses.

Purpose: pure answers. The chosen are on at unlike hours, so that a letter finds one of them
whenever its sender is on; and they meet, so that it is handed on to one who is on when its owner
is. Spans of three hours are to be covered, not single ones: who covers hours alone chooses nodes
of which one comes just when the other leaves.
Invariants: whoever is nobody's contact has no room; the choice depends on its arguments alone.
See: docs/adr/0007-holders.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from postroad.base import limits
from postroad.base.ids import PeerId

HOURS = 24
HOURS_BYTES = HOURS // 8
ALL_HOURS = b"\xff" * HOURS_BYTES  # what is said of a helper: being on is what it is for
DOUBT = 0.7  # a holder counts for so much of a sure one: it may have left, or be down
ALWAYS_ON_CHANCE = 0.8  # in each hour of the day
SPAN_HOURS = 3  # that one holder should be on without a break
SWAP_GAIN_MIN = 0.03  # of the whole: less is not worth a new record
_UNKNOWN_CHANCE = 1 / 3  # of finding a node on of which nothing is known
_UNKNOWN_WEIGHT = 2.0  # in observations: what is seen counts for more than what was said


class HoldFor(StrEnum):
    """For whom a node holds letters; the owner's choice."""

    OFF = "off"
    CONTACTS = "contacts"
    VOUCHED = "vouched"  # also for those whom a contact vouches for


class Relation(StrEnum):
    """What a renter is to the owner of a node."""

    CONTACT = "contact"
    RING = "ring member"  # nobody yet: rings come later
    VOUCHED = "vouched"
    STRANGER = "stranger"


@dataclass(frozen=True, slots=True)
class Quota:
    """How much may lie in one drop: in all, under one ticket, under none, and passed on."""

    octets: int
    letters: int
    ticket_octets: int
    ticket_letters: int
    open_octets: int
    open_letters: int

    @property
    def passed_octets(self) -> int:
        """Of all that lies there: what the other holders passed on. The rest is for senders."""
        return self.octets // 2

    @property
    def passed_letters(self) -> int:
        return self.letters // 2


NO_ROOM = Quota(0, 0, 0, 0, 0, 0)


def quota(relation: Relation) -> Quota:
    if relation is Relation.STRANGER:
        return NO_ROOM
    full = Quota(
        limits.DROP_BYTES_MAX,
        limits.DROP_LETTERS_MAX,
        limits.TICKET_BYTES_MAX,
        limits.TICKET_LETTERS_MAX,
        limits.OPEN_COMPARTMENT_BYTES_MAX,
        limits.OPEN_COMPARTMENT_LETTERS_MAX,
    )
    if relation is not Relation.VOUCHED:
        return full
    octets, letters = limits.VOUCHED_DROP_BYTES_MAX, limits.VOUCHED_DROP_LETTERS_MAX

    def share(part: int, whole: int, of: int) -> int:
        return of * part // whole

    return Quota(
        octets,
        letters,
        share(full.ticket_octets, full.octets, octets),
        share(full.ticket_letters, full.letters, letters),
        share(full.open_octets, full.octets, octets),
        max(share(full.open_letters, full.letters, letters), 1),
    )


# Hours


@dataclass(frozen=True, slots=True)
class Hours:
    """How often a node was found on, and found off, in each hour of the day (UTC); old
    observations weigh less. `said`: what it tells of itself, None when nothing."""

    on: tuple[float, ...] = (0.0,) * HOURS
    off: tuple[float, ...] = (0.0,) * HOURS
    said: bytes | None = None

    def chances(self) -> tuple[float, ...]:
        """For each hour, how likely it is to be found on then."""
        expected = self._expected()
        return tuple(
            (on + _UNKNOWN_WEIGHT * before) / (on + off + _UNKNOWN_WEIGHT)
            for on, off, before in zip(self.on, self.off, expected, strict=True)
        )

    def spans(self) -> tuple[float, ...]:
        """For each hour, how likely it is to be on from then for a whole span."""
        chances = self.chances()
        later = [chances[hour:] + chances[:hour] for hour in range(SPAN_HOURS)]
        return tuple(map(min, *later))

    def _expected(self) -> tuple[float, ...]:
        """The same before anything was seen in that hour: by what it says, as far as the other
        hours bear that out."""
        if self.said is None:
            return (_UNKNOWN_CHANCE,) * HOURS
        said = hours_said(self.said)
        on = sum(seen for seen, is_said in zip(self.on, said, strict=True) if is_said)
        off = sum(missed for missed, is_said in zip(self.off, said, strict=True) if is_said)
        honesty = (on + _UNKNOWN_WEIGHT) / (on + off + _UNKNOWN_WEIGHT)
        return tuple(0.9 * honesty if is_said else 0.05 for is_said in said)

    def and_of(self, other: "Hours") -> "Hours":
        """What was observed of two nodes, in one; what either tells of itself is left out."""
        return Hours(
            tuple(map(float.__add__, self.on, other.on)),
            tuple(map(float.__add__, self.off, other.off)),
        )

    @property
    def is_always_on(self) -> bool:
        return min(self.chances()) >= ALWAYS_ON_CHANCE

    @property
    def is_known(self) -> bool:
        """Whether there is anything to judge by."""
        return self.said is not None or sum(self.on) + sum(self.off) >= HOURS


def say_hours(hours: Hours) -> bytes | None:
    """What a node tells others of its own hours: a bit for each in which it is mostly on."""
    if not sum(hours.on) + sum(hours.off) >= HOURS:
        return None
    bits = sum(
        1 << hour
        for hour, (on, off) in enumerate(zip(hours.on, hours.off, strict=True))
        if on > off
    )
    return bits.to_bytes(HOURS_BYTES, "big")


def hours_said(said: bytes) -> tuple[bool, ...]:
    bits = int.from_bytes(said, "big")
    return tuple(bool(bits >> hour & 1) for hour in range(HOURS))


# The choice


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that could hold for us, or does."""

    peer: PeerId
    hours: Hours = Hours()
    is_contact: bool = True


def choose(
    candidates: Sequence[Candidate],
    wanted: int,
    *,
    kept: Sequence[Candidate] = (),
    mine: Hours | None = None,
) -> tuple[Candidate, ...]:
    """Up to `wanted` of the candidates, the best first: always-on ones, then those that are on when
    those before them, the `kept` ones included, are not.

    `mine`: our own hours; a holder is needed most while we are off."""
    chosen: list[Candidate] = []
    missed = _missed(_needs(mine), kept)
    left = sorted(candidates, key=lambda one: one.peer)
    spans = {one.peer: one.hours.spans() for one in left}
    always_on = {one.peer for one in left if one.hours.is_always_on}

    def worth(one: Candidate) -> tuple[bool, float, bool]:
        return one.peer in always_on, _gain(missed, spans[one.peer]), one.is_contact

    while left and len(chosen) < wanted:
        best = max(left, key=worth)
        left.remove(best)
        chosen.append(best)
        missed = _after(missed, spans[best.peer])
    return tuple(chosen)


def better(
    chosen: Sequence[Candidate], others: Sequence[Candidate], *, mine: Hours | None = None
) -> tuple[Candidate, Candidate] | None:
    """One of the chosen to leave, and another of known hours to take in its place; None when the
    gain is not worth it."""
    needs = _needs(mine)
    least = sum(_missed(needs, chosen)) - SWAP_GAIN_MIN * sum(needs)
    known = sorted((one for one in others if one.hours.is_known), key=lambda one: one.peer)
    spans = [one.hours.spans() for one in known]
    best: tuple[Candidate, Candidate] | None = None
    for leave in sorted(chosen, key=lambda one: one.peer):
        if leave.hours.is_always_on:
            continue
        missed = _missed(needs, [one for one in chosen if one is not leave])
        whole = sum(missed)
        for take, gained in zip(known, (_gain(missed, one) for one in spans), strict=True):
            if whole - gained < least:
                least, best = whole - gained, (leave, take)
    return best


def _needs(mine: Hours | None) -> tuple[float, ...]:
    """How much a holder is needed from each hour on: less while we are on ourselves, but then, too,
    for one of them has to hand us what the others passed on."""
    if mine is None or not mine.is_known:
        return (1.0,) * HOURS
    return tuple(1.0 - 0.3 * chance for chance in mine.chances())


def _missed(needs: Sequence[float], chosen: Sequence[Candidate]) -> tuple[float, ...]:
    """What is needed in each hour and not yet met."""
    missed = tuple(needs)
    for one in chosen:
        missed = _after(missed, one.hours.spans())
    return missed


def _after(missed: Sequence[float], spans: Sequence[float]) -> tuple[float, ...]:
    return tuple(left * (1 - DOUBT * on) for left, on in zip(missed, spans, strict=True))


def _gain(missed: Sequence[float], spans: Sequence[float]) -> float:
    return sum(left * DOUBT * on for left, on in zip(missed, spans, strict=True))
