"""A day of a small town: letters, sleep, crashes, bad weather, full disks; and what then holds.

Purpose: one seed is one history of real nodes, held to `simulator.model` all the way. While
misfortune lasts, nothing may be broken (safety); then it ends, everybody who lives is switched on,
and all mail has to come to its end in time (liveness).
Invariants: all that happens is drawn before the day begins, from the seed alone; the trace tells
everything that arrived anywhere, and its digest is the same in every run of a seed.
"""

import asyncio
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from postroad.base import limits
from postroad.base.errors import ConfigurationError, TemporaryFailure
from simulator import accounts, loop, mail_program
from simulator.hearing import Faults, heard
from simulator.model import CLOCK_ERROR_SECONDS_MAX
from simulator.network import Weather
from simulator.town import Town
from simulator.village import Resident

HEALED_SECONDS_MAX = 5 * limits.MINUTE + 30  # promise M7: then all queued mail has moved
ENDED_SECONDS_MAX = 100 * limits.MINUTE  # a holder is asked for a receipt at least once in this
CLOCK_STEP_MAX = CLOCK_ERROR_SECONDS_MAX - 30  # seconds from right that a clock is set to
STEPS_MAX = 400  # of a disk, until a crash that was put there happens
EXPIRIES = (limits.EXPIRY_SECONDS_DEFAULT,) * 3 + (2 * limits.HOUR, 6 * limits.HOUR)
MEMORY = Path("/dev/shm")

Work = Callable[..., Coroutine[Any, Any, object]]


@dataclass(frozen=True, slots=True)
class Plan:
    seed: int
    people: int = 20
    hours: float = 24.0
    letters: int = 200
    crashes: int = 60
    loss_chance: float = 0.1
    break_chance: float = 0.0005
    partition_hours: float = 2.0
    expiry_hours: float = 0.0  # of every letter; 0: as people like it


@dataclass(slots=True)
class Report:
    """What a day was like. `digest`: of its trace; `broken`: one sentence per broken promise."""

    seed: int
    digest: str = ""
    arrivals: int = 0
    virtual_hours: float = 0.0
    cpu_seconds: float = 0.0
    filed_seconds: int = 0  # after misfortune ended, until all was filed
    told_minutes: int = 0  # until all senders knew
    counts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)


def play(plan: Plan, trace: Callable[[str], None] | None = None) -> Report:
    """Play a day in a folder of its own, in memory where there is one for that."""
    base = MEMORY if MEMORY.is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="postroad-day-", dir=base))
    began = time.process_time()
    town = Town(folder, plan.seed, plan.people, trace)
    try:
        report = loop.run(_Day(plan, town).run())
    finally:
        shutil.rmtree(folder)
    report.cpu_seconds = round(time.process_time() - began, 1)
    return report


class _Day:
    def __init__(self, plan: Plan, town: Town) -> None:
        self._plan = plan
        self._town = town
        self._dice = Random(f"{plan.seed} plan")
        self._report = Report(plan.seed)
        self._begins = 0.0
        self._wanted_on = dict.fromkeys(town.names, True)
        self._switches = {name: asyncio.Lock() for name in town.names}
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> Report:
        town, report = self._town, self._report
        faults = Faults()
        with heard(faults):
            try:
                await town.settle(self._dice)
                for person in town.people:
                    person.clock.wrong_by = self._dice.uniform(-120, 120)
                    liked = self._dice.choice(EXPIRIES)
                    person.expiry_seconds = self._plan.expiry_hours * limits.HOUR or liked
                    await person.sleep()
                    await person.wake()
                await self._misfortune()
                await self._calm()
                await self._settle_accounts()
            finally:
                await town.village.close()
        report.broken = town.model.broken + [
            f"A7: {fault}" for fault in faults.faults + town.village.faults
        ]
        report.arrivals, report.digest, report.counts = town.arrivals, town.digest, town.counts
        report.virtual_hours = round(asyncio.get_running_loop().time() / limits.HOUR, 2)
        return report

    async def _misfortune(self) -> None:
        """All that was drawn for this day happens, each thing at its moment."""
        plan, world = self._plan, self._town.village.world
        self._begins = asyncio.get_running_loop().time()
        world.weather = Weather((0.002, 0.1), 0.02, plan.loss_chance, plan.break_chance)
        self._switches = {one.name: asyncio.Lock() for one in self._town.people}
        self._wanted_on = {one.name: True for one in self._town.people}
        for person in self._town.people:
            person.on_crash = lambda person=person: self._crashed(person)  # type: ignore[misc]
        events = sorted(self._drawn(), key=lambda event: event[0])
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for hour, work in events:
                at = self._begins + hour * limits.HOUR
                await asyncio.sleep(max(at - asyncio.get_running_loop().time(), 0))
                tasks.create_task(work())
            at = self._begins + plan.hours * limits.HOUR
            await asyncio.sleep(max(at - asyncio.get_running_loop().time(), 0))
            self._tasks = None
        world.weather = Weather()
        world.heal()

    def _drawn(self) -> list[tuple[float, Callable[[], Coroutine[Any, Any, None]]]]:
        """Everything that happens this day, and at which hour."""
        plan, dice, people = self._plan, self._dice, self._town.people
        events: list[tuple[float, Callable[[], Coroutine[Any, Any, None]]]] = []

        def at(hour: float, work: Callable[..., Coroutine[Any, Any, None]], *with_: Any) -> None:
            if hour < plan.hours:
                events.append((hour, lambda: work(*with_)))

        for person in people:
            self._draw_hours(person, at)
            for _ in range(round(plan.hours / 2)):
                at(
                    dice.uniform(0, plan.hours),
                    mail_program.read_mail,
                    self._town,
                    person,
                    Random(dice.random()),
                )
        for number in range(plan.letters):
            at(
                dice.uniform(0, plan.hours),
                mail_program.write,
                self._town,
                number,
                Random(dice.random()),
            )
        for _ in range(plan.crashes):
            person, steps = dice.choice(people), dice.randrange(STEPS_MAX)
            power = Random(dice.random()) if dice.random() < 0.5 else None
            at(dice.uniform(0, plan.hours), self._put_a_crash, person, steps, power)
        for _ in range(max(plan.people // 5, 1)):
            person, hour = dice.choice(people), dice.uniform(0, plan.hours)
            at(hour, self._fill_disk, person)
            at(min(hour + dice.uniform(0.2, 2), plan.hours - 0.01), person.make_room)
        if plan.partition_hours:
            begins = dice.uniform(0, max(plan.hours - plan.partition_hours, 0))
            islanders = dice.sample(people, plan.people // 2)
            at(begins, self._part, islanders)
            at(begins + plan.partition_hours, self._heal)
        for _ in range(3):
            person, seconds = dice.choice(people), dice.uniform(-CLOCK_STEP_MAX, CLOCK_STEP_MAX)
            at(dice.uniform(0, plan.hours), self._set_clock, person, seconds)
        at(dice.uniform(plan.hours / 2, plan.hours), self._destroy, dice.choice(people))
        for hour in range(1, int(plan.hours) + 1):
            at(hour - 0.001, accounts.check_custody, self._town)
        return events

    def _draw_hours(self, person: Resident, at: Callable[..., None]) -> None:
        """A third of the computers are always on, half are laptops, the others hardly ever on."""
        dice, kind, hour = self._dice, self._dice.random(), 0.0
        if kind < 0.3:
            return
        on, off = ((0.5, 4), (0.2, 6)) if kind < 0.8 else ((0.05, 0.5), (2, 12))
        while hour < self._plan.hours:
            hour += dice.uniform(*on)
            at(hour, self._switch, person, False)
            hour += dice.uniform(*off)
            at(hour, self._switch, person, True)

    # Computers ------------------------------------------------------------------------------------

    async def _switch(self, person: Resident, on: bool) -> None:
        self._wanted_on[person.name] = on
        await self._obey_switch(person)

    async def _obey_switch(self, person: Resident) -> None:
        """Make it so, however often it crashes while it starts."""
        async with self._switches[person.name]:
            while (
                person.name not in self._town.dead and person.is_on != self._wanted_on[person.name]
            ):
                if not self._wanted_on[person.name]:
                    self._town.happened("switched off", person.name)
                    await person.sleep()
                    return
                self._town.happened("starts", person.name)
                try:
                    await person.wake()
                except (ConfigurationError, TemporaryFailure) as error:
                    if not person.disk_is_full:
                        self._town.model.breaks("M9", f"{person.name} does not start: {error}")
                        self._town.dead.add(person.name)
                        return
                    await asyncio.sleep(limits.MINUTE)
                if not person.is_on:
                    await asyncio.sleep(1)

    def _crashed(self, person: Resident) -> None:
        self._town.happened("crashes", person.name)
        if self._tasks is not None:
            self._tasks.create_task(self._start_again(person, self._seconds_off(person)))

    def _seconds_off(self, person: Resident) -> float:
        return Random(f"{self._plan.seed} {person.name} {person.lives}").choice((1, 5, 60, 1800))

    async def _start_again(self, person: Resident, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._obey_switch(person)

    async def _put_a_crash(self, person: Resident, steps: int, power: Random | None) -> None:
        """It crashes now, or when its disk has taken so many steps."""
        if not person.is_on:
            return
        person.power_cut = power
        if steps % 4 == 0:
            person.crash(power)
        else:
            person.steps_to_live = steps

    async def _fill_disk(self, person: Resident) -> None:
        if person.name not in self._town.dead:
            self._town.happened("disk full", person.name)
            await person.fill_disk()

    async def _set_clock(self, person: Resident, seconds: float) -> None:
        """Somebody sets a clock, not far from right: a year off comes later (M12)."""
        person.clock.wrong_by = seconds

    async def _destroy(self, person: Resident) -> None:
        async with self._switches[person.name]:
            self._town.happened("destroyed", person.name)
            self._town.dead.add(person.name)
            if person.is_on:
                person.crash()

    async def _part(self, islanders: list[Resident]) -> None:
        self._town.happened("partition")
        self._town.village.world.part([one.peer for one in islanders if one.peer is not None])

    async def _heal(self) -> None:
        self._town.happened("partition ends")
        self._town.village.world.heal()

    async def _calm(self) -> None:
        """Misfortune is over: what lies at holders comes without its sender; then everybody who
        lives is on, and mail gets where it has to."""
        self._town.note("calm")
        for person in self._town.people:
            person.steps_to_live = None
            await person.make_room()
        await self._collect_from_holders()
        names = {one.name for one in self._living()}
        await asyncio.gather(*(self._switch(one, True) for one in self._living()))
        healed_at = asyncio.get_running_loop().time()

        def seconds() -> float:
            return asyncio.get_running_loop().time() - healed_at

        while left := await self._unfiled(names):
            if seconds() > HEALED_SECONDS_MAX:
                for number, recipient in left:
                    self._town.model.breaks(
                        "M7", f"letter {number} did not reach {recipient} in time"
                    )
                break
            await asyncio.sleep(5)
        self._report.filed_seconds = round(seconds())
        while await self._open_parcels(names) and seconds() < ENDED_SECONDS_MAX:
            await asyncio.sleep(limits.MINUTE)
        self._report.told_minutes = round(seconds() / 60)

    async def _collect_from_holders(self) -> None:
        """Some write while others cannot be reached, and are switched off before these can: what
        lies at holders that are on reaches whoever is on."""
        town, dice, living = self._town, self._dice, self._living()
        await asyncio.gather(*(self._switch(one, True) for one in living))
        readers = dice.sample(living, len(living) // 2)
        others = [one for one in living if one not in readers]
        writers = others[: len(others) // 2]
        await asyncio.sleep(limits.MINUTE)
        town.village.world.part([one.peer for one in readers if one.peer is not None])
        for number, writer in enumerate(2 * writers, self._plan.letters):
            await mail_program.write(town, number, Random(dice.random()), writer)
        await asyncio.sleep(2 * limits.MINUTE)
        await asyncio.gather(*(self._switch(one, False) for one in writers))
        town.village.world.heal()
        await asyncio.sleep(HEALED_SECONDS_MAX)
        home = [one for one in living if one not in writers]
        for person in home:
            await mail_program.look(town, person, person.node, lambda: True)
        names = {town.addresses[one.name]: one.name for one in home}
        holders, now = {one.peer for one in home}, town.village.clock.now()
        for writer in writers:
            for nonce, address, holder in accounts.left_at_holders(writer):
                name = names.get(address)
                if name is not None and holder in holders:
                    town.counts["letters looked for at holders"] += 1
                    missing = town.model.must_come_from_holders(nonce, name, now)
                    if missing is not None:
                        late = f"letter {missing} lies at a holder, and {name} does not get it"
                        town.model.breaks("M7", late)

    def _living(self) -> list[Resident]:
        return [one for one in self._town.people if one.name not in self._town.dead]

    async def _unfiled(self, living: set[str]) -> list[tuple[int, str]]:
        for person in self._living():
            await mail_program.look(self._town, person, person.node, lambda: True)
        ended = {
            (pair.number, pair.recipient)
            for person in self._living()
            for pair in await accounts.pairs(self._town, person)
            if pair.state in ("expired", "refused")
        }
        return [one for one in self._town.model.unfiled(living) if one not in ended]

    async def _open_parcels(self, living: set[str]) -> bool:
        pairs = [
            pair for person in self._living() for pair in await accounts.pairs(self._town, person)
        ]
        return any(pair.state in ("waiting", "held") and pair.recipient in living for pair in pairs)

    async def _settle_accounts(self) -> None:
        town = self._town
        await accounts.check_custody(town)
        stores = {}
        for person in self._living():
            await mail_program.look(town, person, person.node, lambda: True)
            stores[person.name] = await accounts.pairs(town, person)
            for pair in stores[person.name]:
                town.counts[f"parcels {pair.state}"] += 1
            await accounts.check_store(town, person)
        town.model.ended(stores, town.village.clock.now())
        town.note(f"ends: {sorted(town.counts.items())}")
