"""A month of a town with no machine always on: who gets their letters in their first session?

Purpose: real nodes live by diaries (`simulator.diary`): switched on, off, taken on trips, gone for
ever. People write daily; of each letter it is asked whether it was filed before the recipient's
first session ended that contained its sending or began after it. One of them, the traveller, is
away for three weeks; then somebody accepts an invitation of theirs, and writes as well.
Invariants: all that happens is drawn before, from the seed alone; the model's promises hold all the
way, and once everybody is on in the end, all mail has to come to its end.
"""

import asyncio
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from postroad.base import limits
from postroad.base.errors import PostroadError
from postroad.message.bounce import Notice
from postroad.store import rented
from simulator import accounts, diary, ending, loop, mail_program
from simulator.diary import Diary, Period
from simulator.ending import Late, Sent
from simulator.hearing import Faults, Whereabouts, heard
from simulator.network import Weather
from simulator.town import Town
from simulator.village import Resident

MEMORY = Path("/dev/shm")
NEWCOMER = "newcomer"
NEWCOMER_TRIES_AGAIN_SECONDS = 10 * limits.MINUTE  # when nobody was there who has the record


@dataclass(frozen=True, slots=True)
class Plan:
    """`settling_days` pass before letters count: by then nodes know each other's hours.

    `travel_days`: how long the traveller is away; 0: there is none."""

    seed: int
    habits: str = "mixed"
    people: int = 20
    days: int = 30
    settling_days: int = 7
    letters_a_day: float = 2.0  # of each person
    contacts: int = 10
    travel_days: int = 21
    letters_to_traveller: int = 50


@dataclass(slots=True)
class Report:
    """What a month was like. `digest`: of its trace; `broken`: one sentence per broken promise."""

    seed: int
    habits: str
    digest: str = ""
    arrivals: int = 0
    virtual_days: float = 0.0
    cpu_seconds: float = 0.0
    hours_on_a_day: float = 0.0
    letters: int = 0  # that count: their recipient had a session after them
    in_first_session: int = 0
    could_be: dict[str, int] = field(default_factory=dict)  # by anybody: see `ending.ceilings`
    while_settling: tuple[int, int] = (0, 0)  # letters that do not count, and those in time
    worst: dict[str, object] = field(default_factory=dict)
    late: list[dict[str, object]] = field(default_factory=list)
    traveller: dict[str, object] = field(default_factory=dict)
    notices: dict[str, int] = field(default_factory=dict)
    # "Expired" is the end of a letter to somebody who has left, and is corrected where the receipt
    # was only late (its sender was off for as long); of these letters neither is true:
    expired_for_the_living: list[int] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)


def play(plan: Plan, trace: Callable[[str], None] | None = None) -> Report:
    """Play a month by drawn diaries, in a folder of its own in memory where there is one."""
    habits, dice = diary.read(plan.habits), Random(f"{plan.seed} diaries")
    days = plan.settling_days + plan.days
    drawn = diary.draw(habits, plan.people + 1, days, dice)
    names = [f"p{number:02}" for number in range(plan.people)]
    diaries = dict(zip(names, drawn, strict=False))
    traveller = None
    if plan.travel_days:
        traveller, diaries[NEWCOMER] = names[0], drawn[-1]
        while diaries[traveller].leaves is not None:  # another life: this one has to come back
            diaries[traveller] = diary.draw(habits, plan.people, days, dice)[0]
        away = plan.settling_days + dice.randrange(1, max(plan.days - plan.travel_days - 2, 2))
        diaries[traveller] = diaries[traveller].without_days(away, away + plan.travel_days)
    return play_diaries(plan, diaries, traveller, trace)


def play_diaries(
    plan: Plan,
    diaries: Mapping[str, Diary],
    traveller: str | None = None,
    trace: Callable[[str], None] | None = None,
    letters: Sequence[tuple[float, str, str]] = (),
) -> Report:
    """Play a month by these diaries; the newcomer's, if there is a traveller, among them.

    `letters`: when who writes to whom, in order, in place of drawn ones."""
    folder = Path(
        tempfile.mkdtemp(prefix="postroad-month-", dir=MEMORY if MEMORY.is_dir() else None)
    )
    began = time.process_time()
    town = Town(folder, plan.seed, 0, trace)
    town.names = [name for name in diaries if name != NEWCOMER]
    try:
        report = loop.run(_Month(plan, town, diaries, traveller, letters).run())
    finally:
        shutil.rmtree(folder)
    report.cpu_seconds = round(time.process_time() - began, 1)
    return report


class _Month:
    def __init__(
        self,
        plan: Plan,
        town: Town,
        diaries: Mapping[str, Diary],
        traveller: str | None,
        letters: Sequence[tuple[float, str, str]],
    ) -> None:
        self._plan = plan
        self._town = town
        self._diaries = diaries
        self._traveller = traveller
        self._letters = letters
        self._dice = Random(f"{plan.seed} plan")
        self._days = plan.settling_days + plan.days
        self._begins = 0.0
        self._sent: list[Sent] = []
        self._holders: dict[str, set[str]] = {}  # who holds for whom, as last seen
        self._whereabouts = Whereabouts()

    async def run(self) -> Report:
        town, plan, faults = self._town, self._plan, Faults()
        strangers = (NEWCOMER,) if self._traveller else ()
        with heard(faults, self._whereabouts):
            try:
                await town.settle(self._dice, range(1, plan.contacts // 2 + 1), strangers)
                link = await self._link_of_traveller()
                for person in town.people:
                    person.clock.wrong_by = self._dice.uniform(-120, 120)
                    await person.sleep()
                town.village.world.weather = Weather((0.005, 0.1), 0.02, 0.01)
                self._begins = asyncio.get_running_loop().time()
                await self._pass(link)
                living = [one for one in town.people if one.name not in town.dead]
                await ending.everybody_on(town, living)
            finally:
                await town.village.close()
        return self._report(faults.faults + town.village.faults)

    async def _link_of_traveller(self) -> str:
        """The traveller invites somebody; their holders know of it."""
        for person in self._town.people:
            if person.name == self._traveller:
                await asyncio.sleep(limits.MINUTE)  # until drops are rented and records told
                link, _, _ = await person.node.introductions.invite()
                await asyncio.sleep(limits.MINUTE)
                return link
        return ""

    async def _pass(self, link: str) -> None:
        """All that was drawn happens, each thing at its moment."""
        async with asyncio.TaskGroup() as tasks:
            for person in self._town.people:
                tasks.create_task(self._live(person, self._diaries[person.name]))
            tasks.create_task(self._write(self._letters or self._drawn_letters()))
            if self._traveller:
                tasks.create_task(self._come_to_know(self._traveller, link))
            for day in range(1, self._days):
                tasks.create_task(self._check_custody(day * limits.DAY))

    async def _until(self, moment: float) -> None:
        await asyncio.sleep(max(self._begins + moment - asyncio.get_running_loop().time(), 0))

    def _now(self) -> float:
        return asyncio.get_running_loop().time() - self._begins

    # Computers ------------------------------------------------------------------------------------

    async def _live(self, person: Resident, when: Diary) -> None:
        for period in when.periods:
            await self._until(period.begins)
            self._town.happened("starts", person.name)
            await person.wake()
            await self._until(period.ends)
            await self._look(person, period)
            if period.goodbye:
                await person.sleep()
            else:
                person.crash()
        if when.leaves is not None:
            self._town.dead.add(person.name)
            self._town.happened("left", person.name)

    async def _look(self, person: Resident, period: Period) -> None:
        """The last thing before it is switched off: what came in this session?"""
        node = person.node
        await mail_program.look(self._town, person, node, lambda: True)
        letters = self._town.model.inbox(person.name).letters
        for sent in self._sent:
            if sent.filed_in is None and sent.recipient == person.name and letters[sent.number]:
                sent.filed_in = period
        drops = await node.database.read(rented.my_drops)
        owners = {one.peer: one.name for one in self._town.people}
        self._holders[person.name] = {owners[one.holder] for one in drops if one.agreed}

    async def _check_custody(self, moment: float) -> None:
        await self._until(moment)
        await accounts.check_custody(self._town)

    # Letters --------------------------------------------------------------------------------------

    def _drawn_letters(self) -> list[tuple[float, str, str]]:
        """When who writes to whom: while their own computer is on, and not to who has left."""
        dice, plan, drawn = self._dice, self._plan, []
        for name in self._town.names:
            whole = self._days * limits.DAY
            for _ in range(round(plan.letters_a_day * self._days)):
                at = self._moment_on(self._diaries[name], dice.uniform(0, whole), dice)
                if at is not None:
                    drawn.append((at, name, dice.choice(self._town.knows[name])))
        if self._traveller:
            first, until = self._diaries[self._traveller].away[-1]
            for _ in range(plan.letters_to_traveller - 1):
                name = dice.choice(self._town.knows[self._traveller])
                near = dice.uniform(first, until) * limits.DAY
                at = self._moment_on(self._diaries[name], near, dice)
                if at is not None:
                    drawn.append((at, name, self._traveller))
        return sorted(drawn)

    @staticmethod
    def _moment_on(when: Diary, near: float, dice: Random) -> float | None:
        """A moment of the first period that ends after this one."""
        for period in when.periods:
            if period.ends > near + 1:
                return dice.uniform(max(period.begins, near), period.ends)
        return None

    async def _write(self, letters: Sequence[tuple[float, str, str]]) -> None:
        residents = {one.name: one for one in self._town.people}
        for at, sender, recipient in letters:
            await self._until(at)
            await self._send(residents[sender], recipient)

    async def _send(self, person: Resident, recipient: str) -> None:
        if not person.is_on:
            return
        sent = Sent(len(self._sent), person.name, recipient, self._now())
        self._sent.append(sent)
        dice = Random(f"{self._plan.seed} letter {sent.number}")
        await mail_program.write(self._town, sent.number, dice, person, (recipient,))
        sent.nonce = self._town.model.letter(sent.number).nonce

    async def _come_to_know(self, traveller: str, link: str) -> None:
        """Somebody accepts the traveller's invitation while the traveller is away, and writes."""
        newcomer = next(one for one in self._town.people if one.name == NEWCOMER)
        away, _ = self._diaries[traveller].away[-1]
        invited_for = limits.INVITATION_SECONDS_DEFAULT - limits.DAY
        begins = max(away * limits.DAY, invited_for / 2)
        for period in self._diaries[NEWCOMER].periods:
            if period.ends < begins + NEWCOMER_TRIES_AGAIN_SECONDS:
                continue
            await self._until(max(period.begins + 60, begins))
            while newcomer.is_on:
                try:
                    await newcomer.node.introductions.accept(link)
                except PostroadError as error:
                    self._town.note(f"the newcomer has to wait: {type(error).__name__}")
                    await asyncio.sleep(NEWCOMER_TRIES_AGAIN_SECONDS)
                    continue
                await self._send(newcomer, traveller)
                return

    # The end --------------------------------------------------------------------------------------

    def _report(self, faults: list[str]) -> Report:
        town, plan = self._town, self._plan
        report = Report(plan.seed, plan.habits, town.digest, town.arrivals)
        report.virtual_days = round(self._now() / limits.DAY, 2)
        on = sum(one.seconds_on for one in self._diaries.values())
        report.hours_on_a_day = round(on / limits.HOUR / len(self._diaries) / self._days, 2)
        counts_from = plan.settling_days * limits.DAY
        reached = [one for one in self._sent if self._first_session(one) is not None]
        counted = [one for one in reached if one.at >= counts_from]
        early = [one for one in reached if one.at < counts_from]
        report.letters = len(counted)
        report.in_first_session = sum(map(self._in_time, counted))
        report.while_settling = (len(early), sum(map(self._in_time, early)))
        know = {name: set(town.knows[name]) for name in town.names}
        report.could_be = {
            "in_time_by_these_holders": ending.ceiling(counted, self._diaries, self._holders),
            "in_time_by_all_contacts": ending.ceiling(counted, self._diaries, know),
        }
        report.worst = self._worst(counted)
        lates = [
            Late(one, self._diaries, self._holders, self._where(one))
            for one in counted
            if not self._in_time(one)
        ]
        report.late = [one.told() for one in lates]
        report.traveller = self._travellers_mail()
        report.notices = {
            kind.name.lower(): sum(
                count
                for name in town.addresses
                for (of, _, _), count in town.model.inbox(name).notices.items()
                if of is kind
            )
            for kind in Notice
        }
        report.expired_for_the_living = self._expired_for_the_living()
        report.counts = town.counts
        report.broken = town.model.broken + [f"A7: {fault}" for fault in faults]
        return report

    def _expired_for_the_living(self) -> list[int]:
        town, found = self._town, []
        for name in town.addresses:
            notices = town.model.inbox(name).notices
            for of, number, recipient in list(notices):
                is_corrected = notices[Notice.CORRECTED, number, recipient]
                if of is Notice.EXPIRED and recipient not in town.dead and not is_corrected:
                    found.append(number)
        return sorted(found)

    def _first_session(self, sent: Sent) -> Period | None:
        return self._diaries[sent.recipient].first_session(sent.at)

    def _in_time(self, sent: Sent) -> bool:
        first = self._first_session(sent)
        return first is not None and sent.filed_in is not None and sent.filed_in.ends <= first.ends

    def _where(self, sent: Sent) -> dict[str, float]:
        """Who held it, and since when, in seconds of the month."""
        mail_ids = self._whereabouts.parcels.get(sent.nonce, ())
        held = (self._whereabouts.held.get(one, {}) for one in mail_ids)
        return {name: at - self._begins for one in held for name, at in one.items()}

    def _worst(self, counted: list[Sent]) -> dict[str, object]:
        letters = Counter(one.recipient for one in counted)
        in_time = Counter(one.recipient for one in counted if self._in_time(one))
        name = min(letters, key=lambda one: (in_time[one] / letters[one], one), default=None)
        if name is None:
            return {}
        machine, share = self._diaries[name].machine, in_time[name] / letters[name]
        return {
            "name": name,
            "machine": machine,
            "letters": letters[name],
            "in_first_session": in_time[name],
            "percent": round(100 * share, 2),
        }

    def _travellers_mail(self) -> dict[str, object]:
        if self._traveller is None:
            return {}
        when = self._diaries[self._traveller]
        first, until = when.away[-1]
        waited = [
            one
            for one in self._sent
            if one.recipient == self._traveller
            and first * limits.DAY <= one.at < until * limits.DAY
        ]
        return {
            "name": self._traveller,
            "days_away": until - first,
            "letters": len(waited),
            "in_first_session": sum(map(self._in_time, waited)),
            "filed": sum(one.filed_in is not None for one in waited),
            "from_newcomer": sum(one.sender == NEWCOMER for one in waited),
            "from_newcomer_filed": sum(
                one.sender == NEWCOMER and one.filed_in is not None for one in waited
            ),
        }
