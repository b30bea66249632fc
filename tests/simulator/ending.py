"""The end of a month: everybody on, all mail at its end; and why which letter was late.

Purpose: liveness, when there is nothing more to wait for; and for each letter that missed its
recipient's first session, who had it by then, and whether anybody could have brought it at all.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from postroad.base import limits
from simulator import accounts, mail_program
from simulator.diary import Diary, Period
from simulator.town import Town
from simulator.village import Resident

FILED_SECONDS_MAX = 5 * limits.MINUTE + 30  # promise M7: then all queued mail has moved
TOLD_SECONDS_MAX = 100 * limits.MINUTE  # a holder is asked for a receipt at least once in this
MEETING_SECONDS_MIN = 15.0  # two computers on together for less need not have met


@dataclass(slots=True)
class Sent:
    """A letter, for one recipient; `at`, in seconds of the month. `filed_in`: the period in whose
    end it was there."""

    number: int
    sender: str
    recipient: str
    at: float
    nonce: str = ""
    filed_in: Period | None = None


async def everybody_on(town: Town, living: Sequence[Resident]) -> None:
    """Switch all on who did not leave, and hold their stores to what was promised."""
    for person in living:
        await person.wake()
    names = {one.name for one in living}
    began = asyncio.get_running_loop().time()

    def seconds() -> float:
        return asyncio.get_running_loop().time() - began

    while left := await _unfiled(town, living, names):
        if seconds() > FILED_SECONDS_MAX:
            for number, recipient in left:
                town.model.breaks("M7", f"letter {number} did not reach {recipient} in time")
            break
        await asyncio.sleep(5)
    while await _open(town, living, names) and seconds() < TOLD_SECONDS_MAX:
        await asyncio.sleep(limits.MINUTE)
    await accounts.check_custody(town)
    stores = {}
    for person in living:
        await mail_program.look(town, person, person.node, lambda: True)
        stores[person.name] = await accounts.pairs(town, person)
        for pair in stores[person.name]:
            town.counts[f"parcels {pair.state}"] += 1
        await accounts.check_store(town, person)
    town.model.ended(stores, town.village.clock.now())
    town.note(f"ends: {sorted(town.counts.items())}")


async def _unfiled(
    town: Town, living: Sequence[Resident], names: set[str]
) -> list[tuple[int, str]]:
    ended = set()
    for person in living:
        await mail_program.look(town, person, person.node, lambda: True)
        ended |= {
            (pair.number, pair.recipient)
            for pair in await accounts.pairs(town, person)
            if pair.state in ("expired", "refused")
        }
    return [one for one in town.model.unfiled(names) if one not in ended]


async def _open(town: Town, living: Sequence[Resident], names: set[str]) -> bool:
    pairs = [pair for person in living for pair in await accounts.pairs(town, person)]
    return any(pair.state in ("waiting", "held") and pair.recipient in names for pair in pairs)


# Why a letter was late ----------------------------------------------------------------------------


def seconds_together(one: Diary, other: Diary, begins: float, ends: float) -> float:
    """How long both computers were on in this time."""
    return sum(
        max(0.0, min(a.ends, b.ends, ends) - max(a.begins, b.begins, begins))
        for a in one.periods
        if a.ends > begins and a.begins < ends
        for b in other.periods
        if b.ends > begins and b.begins < ends
    )


def meets_at(one: Diary, other: Diary, since: float) -> float:
    """When both have been on together for long enough to have met, after this moment."""
    for a in one.periods:
        for b in other.periods if a.ends > since else ():
            begins = max(a.begins, b.begins, since)
            if min(a.ends, b.ends) - begins >= MEETING_SECONDS_MIN:
                return begins + MEETING_SECONDS_MIN
    return float("inf")


def arrives_at(sent: Sent, diaries: Mapping[str, Diary], holders: Iterable[str]) -> float:
    """When the letter could be there at the earliest, if the sender and these holders passed it on
    to each other and to the recipient whenever two of them met."""
    has = {sent.sender: sent.at}
    ways = sorted({*holders, sent.recipient} - {sent.sender})
    settled: set[str] = set()
    while open_ := [one for one in sorted(has) if one not in settled and one != sent.recipient]:
        name = min(open_, key=lambda one: has[one])
        settled.add(name)
        for other in ways:
            at = meets_at(diaries[name], diaries[other], has[name])
            if at < has.get(other, float("inf")):
                has[other] = at
    return has.get(sent.recipient, float("inf"))


def ceiling(
    letters: Iterable[Sent], diaries: Mapping[str, Diary], holders: Mapping[str, set[str]]
) -> int:
    """How many of these could have been in time, had all holders passed on all that they have."""

    def could(sent: Sent) -> bool:
        first = diaries[sent.recipient].first_session(sent.at)
        if first is None:
            return False
        if first.begins <= sent.at:  # both were on
            return True
        return arrives_at(sent, diaries, holders.get(sent.recipient, ())) <= first.ends

    return sum(map(could, letters))


@dataclass(frozen=True, slots=True)
class Late:
    """`where`: who held it, and since when."""

    sent: Sent
    diaries: Mapping[str, Diary]
    holders: Mapping[str, set[str]]
    where: Mapping[str, float]

    def told(self) -> dict[str, object]:
        sent = self.sent
        first = self.diaries[sent.recipient].first_session(sent.at)
        assert first is not None
        had = sorted(name for name, at in self.where.items() if at < first.ends)
        return {
            "letter": sent.number,
            "from": sent.sender,
            "to": sent.recipient,
            "day": _day(sent.at),
            "first_session": [
                round(first.begins / limits.DAY, 3),
                round(first.ends / limits.DAY, 3),
            ],
            "filed_on_day": sent.filed_in and _day(sent.filed_in.ends),
            "holders_of_recipient": sorted(self.holders.get(sent.recipient, ())),
            "held_in_time_by": had,
            "why": self._why(first),
        }

    def _why(self, first: Period) -> str:
        sent, diaries = self.sent, self.diaries
        to = diaries[sent.recipient]
        since = max(sent.at, first.begins)
        together = seconds_together(diaries[sent.sender], to, since, first.ends)
        if together >= MEETING_SECONDS_MIN:
            return f"sender and recipient were on together for {together / 60:.0f} min"
        met = {
            name: seconds_together(diaries[name], to, max(at, since), first.ends)
            for name, at in self.where.items()
        }
        best = max(met, key=lambda name: (met[name], name), default=None)
        if best is not None and met[best] >= MEETING_SECONDS_MIN:
            return f"{best} had it and was on with the recipient for {met[best] / 60:.0f} min"
        holders = self.holders.get(sent.recipient, set())
        for name in sorted(holders - self.where.keys() - {sent.sender}):
            brought = meets_at(diaries[sent.sender], diaries[name], sent.at)
            if meets_at(diaries[name], to, max(brought, since)) <= first.ends:
                return f"the sender did not bring it to {name}, who met both in time"
        if arrives_at(sent, diaries, holders) <= first.ends:
            return "a holder would have had to pass it on to another holder"
        if not any(at < first.ends for at in self.where.values()):
            return "no holder met the sender in time"
        return "none of its holders was on in the first session"


def _day(moment: float) -> float:
    return round(moment / limits.DAY, 3)
