"""A day of a small town: letters, sleep, crashes, bad weather, full disks; and what then holds.

Purpose: one seed is one history of real nodes, held to `simulator.model` all the way. While
misfortune lasts, nothing may be broken (safety); then it ends, everybody who lives is switched on,
and all mail has to come to its end in time (liveness).
Invariants: all that happens is drawn before the day begins, from the seed alone; the trace tells
everything that arrived anywhere, and its digest is the same in every run of a seed.
"""

import asyncio
import hashlib
import logging
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from postroad.app.compose import Node
from postroad.base import limits
from postroad.base.errors import ConfigurationError, PostroadError, TemporaryFailure
from postroad.base.ids import Nonce
from postroad.message.envelope import NOTIFY_DEFAULT, Notify, Recipient, Submission
from postroad.store import filed, held, people, quarantine, queue
from postroad.store.contents import Damaged
from postroad.store.database import Sql
from simulator import loop
from simulator.model import (
    CLOCK_ERROR_SECONDS_MAX,
    DELETED,
    SEEN,
    Answer,
    Look,
    Model,
    Pair,
    Written,
)
from simulator.network import Weather, World
from simulator.village import Resident, Village, life_of_this_task

HEALED_SECONDS_MAX = 5 * limits.MINUTE + 30  # promise M7: then all queued mail has moved
ENDED_SECONDS_MAX = 100 * limits.MINUTE  # a holder is asked for a receipt at least once in this
CLOCK_STEP_MAX = CLOCK_ERROR_SECONDS_MAX - 30  # seconds from right that a clock is set to
STEPS_MAX = 400  # of a disk, until a crash that was put there happens
NOTIFIES = (NOTIFY_DEFAULT,) * 5 + (Notify.NEVER, Notify.SUCCESS | Notify.FAILURE)
EXPIRIES = (limits.EXPIRY_SECONDS_DEFAULT,) * 3 + (2 * limits.HOUR, 6 * limits.HOUR)
MEMORY = Path("/dev/shm")


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
    try:
        report = loop.run(_Day(folder, plan, trace).run())
    finally:
        shutil.rmtree(folder)
    report.cpu_seconds = round(time.process_time() - began, 1)
    return report


class _Day:
    def __init__(self, folder: Path, plan: Plan, trace: Callable[[str], None] | None) -> None:
        self._plan = plan
        self._dice = Random(f"{plan.seed} plan")
        self._report = Report(plan.seed)
        self._digest = hashlib.sha256()
        self._trace = trace
        self._begins = 0.0
        world = World(Random(f"{plan.seed} weather"), Weather(), self._arrived)
        self._village = Village(folder, plan.seed, world)
        self._wanted_on: dict[str, bool] = {}
        self._switches: dict[str, asyncio.Lock] = {}
        self._dead: set[str] = set()
        self._tasks: asyncio.TaskGroup | None = None

    # What is told ---------------------------------------------------------------------------------

    def _arrived(self, what: str) -> None:
        self._report.arrivals += 1
        self._note(what)

    def _note(self, what: str) -> None:
        line = f"{asyncio.get_running_loop().time():.6f} {what}"
        self._digest.update(line.encode() + b"\n")
        if self._trace is not None:
            self._trace(line)

    def _happened(self, what: str, who: str = "") -> None:
        self._report.counts[what] += 1
        self._note(f"{who} {what}")

    # The day --------------------------------------------------------------------------------------

    async def run(self) -> Report:
        names = [f"p{number:02}" for number in range(self._plan.people)]
        listening, log = _Listening(), logging.getLogger("postroad")
        log.addHandler(listening)
        propagated, log.propagate = log.propagate, False  # a day's log is in its trace
        try:
            await self._village.settle_in(*names)
            await self._introduce()
            self._model = Model({one.name: one.address for one in self._village.residents})
            self._addresses = {one.name: one.address for one in self._village.residents}
            self._knows = {one.name: await one.contacts() for one in self._village.residents}
            for person in self._village.residents:
                person.clock.wrong_by = self._dice.uniform(-120, 120)
                liked = self._dice.choice(EXPIRIES)
                person.expiry_seconds = self._plan.expiry_hours * limits.HOUR or liked
                await person.sleep()
                await person.wake()
            await self._misfortune()
            await self._calm()
            await self._settle_accounts()
        finally:
            await self._village.close()
            log.removeHandler(listening)
            log.propagate = propagated
        self._model.broken += [f"A7: {fault}" for fault in listening.faults]
        self._report.broken = self._model.broken
        self._report.digest = self._digest.hexdigest()
        self._report.virtual_hours = round(asyncio.get_running_loop().time() / limits.HOUR, 2)
        return self._report

    async def _introduce(self) -> None:
        """Everybody knows the next two in the ring, and some others: few are known to all."""
        town = self._village.residents
        pairs = {(n, (n + step) % len(town)) for n in range(len(town)) for step in (1, 2)}
        for _ in range(len(town) // 2):
            one, other = self._dice.sample(range(len(town)), 2)
            pairs.add((one, other))
        met: set[frozenset[int]] = set()
        for one, other in sorted(pairs):
            if one != other and frozenset((one, other)) not in met:
                met.add(frozenset((one, other)))
                await self._village.meet(town[one], town[other])

    async def _misfortune(self) -> None:
        """All that was drawn for this day happens, each thing at its moment."""
        plan, world = self._plan, self._village.world
        self._begins = asyncio.get_running_loop().time()
        world.weather = Weather((0.002, 0.1), 0.02, plan.loss_chance, plan.break_chance)
        self._switches = {one.name: asyncio.Lock() for one in self._village.residents}
        self._wanted_on = {one.name: True for one in self._village.residents}
        for person in self._village.residents:
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
        plan, dice, town = self._plan, self._dice, self._village.residents
        events: list[tuple[float, Callable[[], Coroutine[Any, Any, None]]]] = []

        def at(hour: float, work: Callable[..., Coroutine[Any, Any, None]], *with_: Any) -> None:
            if hour < plan.hours:
                events.append((hour, lambda: work(*with_)))

        for person in town:
            self._draw_hours(person, at)
            for _ in range(round(plan.hours / 2)):
                at(dice.uniform(0, plan.hours), self._read_mail, person, Random(dice.random()))
        for number in range(plan.letters):
            at(dice.uniform(0, plan.hours), self._write, number, Random(dice.random()))
        for _ in range(plan.crashes):
            person, steps = dice.choice(town), dice.randrange(STEPS_MAX)
            power = Random(dice.random()) if dice.random() < 0.5 else None
            at(dice.uniform(0, plan.hours), self._put_a_crash, person, steps, power)
        for _ in range(max(plan.people // 5, 1)):
            person, hour = dice.choice(town), dice.uniform(0, plan.hours)
            at(hour, self._fill_disk, person)
            at(hour + dice.uniform(0.2, 2), person.make_room)
        if plan.partition_hours:
            begins = dice.uniform(0, max(plan.hours - plan.partition_hours, 0))
            islanders = dice.sample(town, plan.people // 2)
            at(begins, self._part, islanders)
            at(begins + plan.partition_hours, self._heal)
        for _ in range(3):
            person, seconds = dice.choice(town), dice.uniform(-CLOCK_STEP_MAX, CLOCK_STEP_MAX)
            at(dice.uniform(0, plan.hours), self._set_clock, person, seconds)
        at(dice.uniform(plan.hours / 2, plan.hours), self._destroy, dice.choice(town))
        for hour in range(1, int(plan.hours) + 1):
            at(hour - 0.001, self._check_custody)
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
            while person.name not in self._dead and person.is_on != self._wanted_on[person.name]:
                if not self._wanted_on[person.name]:
                    self._happened("switched off", person.name)
                    await person.sleep()
                    return
                self._happened("starts", person.name)
                try:
                    await person.wake()
                except (ConfigurationError, TemporaryFailure) as error:
                    if not person.disk_is_full:
                        self._model.breaks("M9", f"{person.name} does not start: {error}")
                        self._dead.add(person.name)
                        return
                    await asyncio.sleep(limits.MINUTE)
                if not person.is_on:
                    await asyncio.sleep(1)

    def _crashed(self, person: Resident) -> None:
        self._happened("crashes", person.name)
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
        if person.name not in self._dead:
            self._happened("disk full", person.name)
            await person.fill_disk()

    async def _set_clock(self, person: Resident, seconds: float) -> None:
        """Somebody sets a clock, not far from right: a year off comes later (M12)."""
        person.clock.wrong_by = seconds

    async def _destroy(self, person: Resident) -> None:
        async with self._switches[person.name]:
            self._happened("destroyed", person.name)
            self._dead.add(person.name)
            if person.is_on:
                person.crash()

    async def _part(self, islanders: list[Resident]) -> None:
        self._happened("partition")
        self._village.world.part([one.peer for one in islanders if one.peer is not None])

    async def _heal(self) -> None:
        self._happened("partition ends")
        self._village.world.heal()

    # Mail programs --------------------------------------------------------------------------------

    async def _write(self, number: int, dice: Random) -> None:
        senders = [one for one in self._village.residents if one.is_on]
        if not senders:
            return
        person = dice.choice(senders)
        known = sorted(
            name for name, at in self._addresses.items() if at in self._knows[person.name]
        )
        to = tuple(dice.sample(known, min(len(known), dice.choice((1, 1, 1, 2, 3)))))
        size = dice.choice((200, 2_000, 2_000, 20_000, 90_000, 250_000))
        octets = (
            f"From: {self._addresses[person.name]}\r\nTo: {self._addresses[to[0]]}\r\n"
            f"Subject: letter {number}\r\nMessage-ID: <{number}@town>\r\n\r\n"
        ).encode()
        octets += b"".join(dice.randbytes(30).hex().encode() + b"\r\n" for _ in range(size // 62))
        notify = dice.choice(NOTIFIES)
        right_now = self._village.clock.now()
        letter = Written(
            number,
            person.name,
            to,
            hashlib.sha256(octets).digest(),
            notify,
            right_now + person.expiry_seconds,
        )
        self._model.wrote(letter)
        recipients = tuple(Recipient(self._addresses[one], notify) for one in to)
        life = person.lives
        try:
            await person.node.outbox.accept(Submission(recipients, octets))
        except TemporaryFailure:
            answer = Answer.REFUSED
        else:
            answer = Answer.ACCEPTED
        if person.lives == life and person.is_on:
            letter.answer = answer
        self._happened(f"letters {letter.answer.name.lower()}", person.name)

    async def _read_mail(self, person: Resident, dice: Random) -> None:
        """Look into the INBOX; mark something as read, throw something away."""
        if not person.is_on:
            return
        node, life = person.node, person.lives
        inbox = self._model.inbox(person.name)

        def is_alive() -> bool:
            return person.lives == life and person.is_on

        with suppress(PostroadError):
            mailbox_id = await self._look(person, node, is_alive)
            if mailbox_id is None or not inbox.flags:
                return
            uid, bits = dice.choice(sorted(inbox.flags)), dice.choice((SEEN, SEEN, DELETED))
            try:
                await node.mailboxes.change_flags(mailbox_id, (uid,), "+", bits, ())
            finally:
                self._model.flags_set(person.name, uid, bits, acknowledged=False)
            if not is_alive():
                return
            self._model.flags_set(person.name, uid, bits, acknowledged=True)
            if bits == DELETED:
                try:
                    await node.mailboxes.expunge(mailbox_id, (uid,))
                except PostroadError:
                    self._model.expunged(person.name, uid, acknowledged=False)
                    raise
                self._model.expunged(person.name, uid, acknowledged=is_alive())

    async def _look(self, person: Resident, node: Node, is_alive: Callable[[], bool]) -> int | None:
        """One look as a mail program takes it; the mailbox's id, None if the node died over it."""
        known = self._model.inbox(person.name).flags.keys()

        def work(sql: Sql) -> tuple[int, Look]:
            mailbox_id, validity, uid_next, modseq = sql.execute(
                """SELECT id, uid_validity, uid_next, highest_modseq FROM mailbox
                   WHERE name = 'INBOX'"""
            ).fetchone()
            rows = sql.execute(
                """SELECT uid, flags, content_id, internal_date FROM message
                   WHERE mailbox_id = ? ORDER BY uid""",
                (mailbox_id,),
            ).fetchall()
            new = {
                uid: node.contents.get(sql, content_id)
                for uid, _, content_id, _ in rows
                if uid not in known
            }
            flags = {uid: bits for uid, bits, _, _ in rows}
            dates = {uid: date for uid, _, _, date in rows}
            return mailbox_id, Look(validity, uid_next, modseq, flags, new, dates)

        mailbox_id, look = await node.database.read(work)
        if not is_alive():
            return None
        self._model.looked(person.name, look)
        self._note(f"{person.name} has {len(look.flags)} messages, {len(look.new)} of them new")
        return mailbox_id

    # Custody --------------------------------------------------------------------------------------

    async def _check_custody(self) -> None:
        """Whatever a sender keeps a lease for lies at that holder, or is buried there; whatever a
        sender let go is in its recipient's store."""
        owners = {one.peer: one for one in self._village.residents if one.is_on}
        for person in list(self._village.residents):
            with suppress(TemporaryFailure):
                if person.is_on:
                    await self._check_delivered(person)
                for row in await person.waiting() if person.is_on else ():
                    await self._check_parcel(person, row, owners)

    async def _check_delivered(self, person: Resident) -> None:
        def work(sql: Sql) -> list[tuple[str, bytes]]:
            return sql.execute(
                """SELECT recipient, nonce FROM parcel JOIN letter ON letter.id = letter_id
                   WHERE state = 'delivered' ORDER BY parcel.id"""
            ).fetchall()

        owners = {self._addresses[one.name]: one for one in self._village.residents if one.is_on}
        sender = person.node.keyring.fingerprint
        for address, nonce in await person.node.database.read(work):
            recipient = owners.get(address)
            if recipient is None or not recipient.is_on:
                continue

            def known(sql: Sql, nonce: bytes = nonce) -> filed.Filed | None:
                return filed.known(sql, sender, Nonce(nonce))

            if await recipient.node.database.read(known) is None:
                self._model.breaks(
                    "M6", f"{person.name} let go what {recipient.name} has not filed"
                )

    async def _check_parcel(
        self, person: Resident, row: queue.Row, owners: dict[Any, Resident]
    ) -> None:
        node = person.node

        def leases(sql: Sql) -> list[queue.LeaseRow]:
            node.contents.get(sql, row.content_id)
            return queue.leases(sql, row.id)

        try:
            for lease in await node.database.read(leases):
                holder = owners.get(lease.holder)
                if holder is None or not holder.is_on or lease.until < holder.clock.now():
                    continue
                there = holder.node

                def keeps(sql: Sql, lease: queue.LeaseRow = lease, there: Node = there) -> bool:
                    found = held.letter(sql, lease.drop, lease.mail_id)
                    if found is None or found.tombstone is not None:
                        return found is not None
                    return there.sealed.is_whole(sql, lease.mail_id)

                if not await there.database.read(keeps):
                    self._model.breaks(
                        "M4", f"{holder.name} gave {person.name} a lease, and has no letter"
                    )
        except Damaged as error:
            self._model.breaks("M6", f"{person.name} lost what it has to deliver: {error}")

    # The end --------------------------------------------------------------------------------------

    async def _calm(self) -> None:
        """Misfortune is over: everybody who lives is on, and mail gets where it has to."""
        self._note("calm")
        for person in self._village.residents:
            person.steps_to_live = None
            await person.make_room()
        self._living = [one for one in self._village.residents if one.name not in self._dead]
        names = {one.name for one in self._living}
        await asyncio.gather(*(self._switch(one, True) for one in self._living))
        healed_at = asyncio.get_running_loop().time()

        def seconds() -> float:
            return asyncio.get_running_loop().time() - healed_at

        while left := await self._unfiled(names):
            if seconds() > HEALED_SECONDS_MAX:
                for number, recipient in left:
                    self._model.breaks("M7", f"letter {number} did not reach {recipient} in time")
                break
            await asyncio.sleep(5)
        self._report.filed_seconds = round(seconds())
        while await self._open_parcels(names) and seconds() < ENDED_SECONDS_MAX:
            await asyncio.sleep(limits.MINUTE)
        self._report.told_minutes = round(seconds() / 60)

    async def _unfiled(self, living: set[str]) -> list[tuple[int, str]]:
        for person in self._living:
            await self._look(person, person.node, lambda: True)
        ended = {
            (pair.number, pair.recipient)
            for person in self._living
            for pair in await self._pairs(person)
            if pair.state in ("expired", "refused")
        }
        return [one for one in self._model.unfiled(living) if one not in ended]

    async def _open_parcels(self, living: set[str]) -> bool:
        pairs = [pair for person in self._living for pair in await self._pairs(person)]
        return any(pair.state in ("waiting", "held") and pair.recipient in living for pair in pairs)

    async def _pairs(self, person: Resident) -> list[Pair]:
        names = {address: name for name, address in self._addresses.items()}
        node = person.node

        def work(sql: Sql) -> list[Pair]:
            found = []
            rows = sql.execute(
                """SELECT recipient, state, content_id FROM parcel
                   JOIN letter ON letter.id = letter_id WHERE kind = 1 ORDER BY parcel.id"""
            ).fetchall()
            for recipient, state, content_id in rows:
                try:
                    octets = node.contents.get(sql, content_id)
                except Damaged as error:
                    self._model.breaks("M6", f"{person.name} lost the octets of a letter: {error}")
                    continue
                number = int(octets.partition(b"Subject: letter ")[2].split(b"\r\n")[0])
                found.append(Pair(number, names[recipient], state))
            return found

        return await node.database.read(work)

    async def _settle_accounts(self) -> None:
        await self._check_custody()
        stores = {}
        for person in self._living:
            await self._look(person, person.node, lambda: True)
            stores[person.name] = await self._pairs(person)
            for pair in stores[person.name]:
                self._report.counts[f"parcels {pair.state}"] += 1
            await self._check_store(person)
        self._model.ended(stores, self._village.clock.now())
        self._note(f"ends: {sorted(self._report.counts.items())}")

    async def _check_store(self, person: Resident) -> None:
        def work(sql: Sql) -> tuple[list[Any], list[Any], list[Any], int]:
            return (
                sql.execute("PRAGMA integrity_check").fetchall(),
                sql.execute("PRAGMA foreign_key_check").fetchall(),
                quarantine.noted(sql),
                sum(drop.agreed for drop in people.my_drops(sql)),
            )

        integrity, foreign, noted, drops = await person.node.database.read(work)
        if integrity != [("ok",)] or foreign:
            self._model.breaks("M13", f"{person.name}'s store is damaged: {integrity} {foreign}")
        if noted:
            self._model.breaks("M13", f"{person.name} has set something aside: {noted}")
        self._report.counts["drops at the end"] += drops


class _Listening(logging.Handler):
    """Hears of faults of our own: what a living node logs with a traceback."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.faults: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        life = life_of_this_task.get(None)
        if record.exc_info and life is not None and life.is_lived:
            self.faults.append(f"{life.resident.name}: {self.format(record)}")
