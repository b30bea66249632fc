"""Decide whether this computer's clock may be believed: from facts to a judgement.

Purpose: promise M12. A wrong clock delays letters, and destroys nothing: whatever is deleted,
evicted, returned or refused because its time is over asks first whether the clock is confirmed.
Invariants: it begins unconfirmed, and is so again when the wall clock leaves the one that counts
suspend (CLOCK_BOOTTIME) by ten minutes. Three people whose nodes agree with it confirm it, unless
as many disagree; a day without a leap confirms it, unless three people or more disagree and they
are the majority. Nobody sets our clock, and two people together neither confirm nor doubt it.
Who counts as one person, and what liars can do: docs/adr/0010-confirmed-clock.md.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from postroad.base import limits


@dataclass(frozen=True, slots=True)
class Reading:
    """What the wall clock said when the other one, which never steps, said `elapsed`."""

    now: float
    elapsed: float

    @property
    def offset(self) -> float:
        """The same for as long as nobody sets the clock."""
        return self.now - self.elapsed


@dataclass(frozen=True, slots=True)
class Voice:
    """A person's node told its wall clock when our unstepping one said `told.elapsed`."""

    whose: str
    told: Reading


class Because(StrEnum):
    """Why the clock is confirmed, or not."""

    VOICES = "voices"  # three people's nodes agree with it
    UPTIME = "uptime"  # it ran for a day without a leap
    STARTED = "started"  # it was not confirmed yet
    STEPPED = "stepped"  # the wall clock was set, and has not been confirmed since
    CONTRADICTED = "contradicted"  # most people's nodes say another time


@dataclass(frozen=True, slots=True)
class Steady:
    """Since when the wall clock has not stepped. `uptime`: seconds for which it had not before,
    when the computer was on; `is_start`: that is since the start, and not since a step."""

    since: Reading
    uptime: float = 0.0
    is_start: bool = True

    def uptime_at(self, elapsed: float) -> float:
        return self.uptime + elapsed - self.since.elapsed


@dataclass(frozen=True, slots=True)
class Judgement:
    confirmed: bool
    because: Because
    agreeing: int
    disagreeing: int
    seconds: float = field(default=0.0, compare=False)  # since the start, or since it was set

    def is_worth_a_word(self, *, something_waits: bool) -> bool:
        """Whether the owner should hear why it is not confirmed: not in each new node's first
        hour, in which nothing is amiss, unless something waits for it."""
        if self.confirmed:
            return False
        is_strange = self.because is Because.CONTRADICTED
        return is_strange or something_waits or self.seconds >= limits.HOUR


@dataclass(frozen=True, slots=True)
class Memory:
    """What is kept over a restart: when it was written, and for how long the clock was steady."""

    at: Reading
    uptime: float


def resume(memory: Memory | None, now: Reading) -> Steady:
    """How steady the clock is when the node starts.

    In the life of the computer in which it was written, both clocks agree with what was written,
    and all that time counts. After a start of the computer only the wall clock itself says how long
    it was off: some days are believed, and confirm nothing without an hour of running."""
    if memory is None:
        return Steady(now)
    if now.elapsed >= memory.at.elapsed and is_near(now.offset, memory.at.offset):
        return Steady(now, memory.uptime + now.elapsed - memory.at.elapsed)
    gap = now.now - memory.at.now
    if not 0 <= gap <= limits.CLOCK_GAP_SECONDS_MAX:
        return Steady(now)
    most = limits.CLOCK_UPTIME_SECONDS - limits.CLOCK_RUN_SECONDS
    return Steady(now, min(memory.uptime, most))


def watch(steady: Steady, now: Reading) -> Steady:
    """The same, or a new beginning when the wall clock stepped."""
    if is_near(now.offset, steady.since.offset):
        return steady
    return Steady(now, is_start=False)


def judge(
    steady: Steady, voices: Iterable[Voice], now: Reading, *, was_confirmed: bool
) -> Judgement:
    """Whether the clock may be believed now. `was_confirmed`: it was, since it last stepped."""
    errors = errors_of(voices, now)
    agreeing = [one for one in errors if abs(one) <= limits.CLOCK_DRIFT_SECONDS]
    for_it, against = len(agreeing), len(errors) - len(agreeing)

    def judged(confirmed: bool, because: Because) -> Judgement:
        running = now.elapsed - steady.since.elapsed
        return Judgement(confirmed, because, for_it, against, running)

    if against >= limits.CLOCK_VOICES and against > for_it:
        return judged(False, Because.CONTRADICTED)
    if for_it > against and _are_together(agreeing):
        return judged(True, Because.VOICES)
    if was_confirmed or steady.uptime_at(now.elapsed) >= limits.CLOCK_UPTIME_SECONDS:
        return judged(True, Because.UPTIME)
    return judged(False, Because.STARTED if steady.is_start else Because.STEPPED)


def errors_of(voices: Iterable[Voice], now: Reading) -> list[float]:
    """By how many seconds our clock is ahead of each person's, by their newest word.

    Their words are held against the clock that does not step: they judge a wall clock that was set
    since, too."""
    newest: dict[str, Voice] = {}
    for voice in voices:
        age = now.elapsed - voice.told.elapsed
        last = newest.get(voice.whose)
        is_newer = last is None or last.told.elapsed <= voice.told.elapsed
        if 0 <= age <= limits.CLOCK_VOICE_SECONDS and is_newer:
            newest[voice.whose] = voice
    return sorted(now.offset - voice.told.offset for voice in newest.values())


def is_near(one: float, other: float) -> bool:
    return abs(one - other) < limits.CLOCK_DRIFT_SECONDS


def _are_together(errors: Sequence[float]) -> bool:
    """Whether three of these, in order, and our own clock lie within ten minutes of each other."""
    few = limits.CLOCK_VOICES
    return any(
        max(0.0, group[-1]) - min(0.0, group[0]) <= limits.CLOCK_DRIFT_SECONDS
        for group in (errors[at : at + few] for at in range(len(errors) - few + 1))
    )
