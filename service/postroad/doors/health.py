"""What the owner may ask about how the node does: the verdict, the facts, and what changed.

Purpose: gather the facts and let `protocol.health` judge them. All of it is at hand, or one read of
the store: nothing is dialled, and a node at rest stays at rest. "health" is the verdict alone,
"status" all that `postroad status` shows, "changed" waits for something to look at again.
Invariant: a store that cannot be read is a fact like any other; the answer comes all the same.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from postroad.base import limits
from postroad.base.bell import Bell
from postroad.base.errors import PostroadError
from postroad.base.ids import Fingerprint, Instant
from postroad.base.seams import Clock, Disk
from postroad.peers.exchange import Counts
from postroad.protocol.clock import Judgement
from postroad.protocol.health import (
    LITTLE_ROOM_BYTES,
    Facts,
    Room,
    Unwilling,
    Verdict,
    judge,
)
from postroad.protocol.netcheck import Way
from postroad.protocol.starting import Keeper
from postroad.store import (
    helpers,
    last_backup,
    own_standing,
    people,
    proposals,
    quarantine,
    queue,
    rented,
    requests,
)
from postroad.store.database import Database, Sql
from postroad.store.keyring import OwnKeys
from postroad.store.pauses import Pauses
from postroad.timeouts import timeout

Reply = dict[str, Any]
CHANGED_SECONDS_MAX = 50.0  # that "changed" waits; less than a request may take
CHANGED_SECONDS_MIN = 1.0  # between two changes that are told to one who waits


class JudgedClock(Clock, Protocol):
    """`peers.timekeeper.Timekeeper`."""

    def judgement(self) -> Judgement: ...

    def errors(self) -> list[float]: ...


class Links(Protocol):
    """`peers.link.Links`."""

    counts: Counts

    @property
    def is_served(self) -> bool: ...

    @property
    def count(self) -> int: ...


class Ways(Protocol):
    """`doors.network.NetworkDesk`."""

    def bad_ways(self, contacts: int, helpers: int) -> list[Way]: ...


class Condition(Protocol):
    """`app.condition.Condition`: what the node knows of itself beside its store. The names of doors
    are in small letters here."""

    @property
    def unanswered(self) -> int:
        """How many nodes were dialled in vain since any was heard."""

    @property
    def failing(self) -> Sequence[tuple[str, str]]:
        """Services that begin again, and why."""

    @property
    def not_reloaded(self) -> bool:
        """Whether the configuration was not taken over."""

    @property
    def keeper(self) -> Keeper:
        """Who starts the node."""

    @property
    def sandbox_lost(self) -> str:
        """Why the service runs without its sandbox, and "" where it does not."""

    @property
    def mail_ports(self) -> Mapping[str, int]:
        """Where the doors listen that are open."""

    @property
    def doors_shut(self) -> Mapping[str, str]:
        """Why the others do not; "" where they are not wanted."""

    @property
    def doors_not_held(self) -> Sequence[str]:
        """Doors that systemd does not hold, though it holds others."""

    @property
    def astray(self) -> Sequence[str]:
        """Where systemd listens, and no door is: address and port of each."""


class HealthDesk:
    """`questions` are for `doors.control`."""

    def __init__(
        self,
        database: Database,
        disk: Disk,
        keyring: OwnKeys,
        clock: JudgedClock,
        pauses: Pauses,
        links: Links,
        ways: Ways,
        condition: Condition,
        bell: Bell,
    ) -> None:
        self._database = database
        self._disk = disk
        self._keyring = keyring
        self._clock = clock
        self._pauses = pauses
        self._links = links
        self._ways = ways
        self._condition = condition
        self._bell = bell
        self.questions = {
            "status": self._status,
            "health": self._health,
            "changed": self._changed,
        }

    async def verdict(self) -> Verdict:
        """How the node is doing now."""
        verdict, _ = await self._look()
        return verdict

    async def _look(self) -> tuple[Verdict, Reply]:
        """The verdict, and what else the store says; empty when it cannot be read."""
        try:
            read = await self._database.read(self._read)
        except PostroadError as error:
            return judge(self._facts({"store_trouble": str(error)}, {})), {}
        facts, told = read
        if self._database.trouble:
            facts = {**facts, "store_trouble": self._database.trouble}
        return judge(self._facts(facts, told)), told

    def _facts(self, stored: Mapping[str, Any], told: Mapping[str, Any]) -> Facts:
        """All facts: those that the store told, and those that are at hand."""
        paused = self._pauses.pause is not None
        ways: Sequence[Way] = ()
        if not paused:
            ways = self._ways.bad_ways(stored.get("contacts", 1), told.get("helpers", 0))
        own = self._condition
        return Facts(
            is_paused=paused,
            is_joined=self._links.is_served,
            linked=self._links.count,
            unanswered=own.unanswered,
            bad_ways=tuple(ways),
            room=self._room(),
            clock=self._clock.judgement(),
            doors_shut=tuple((door.upper(), why) for door, why in own.doors_shut.items()),
            doors_not_held=tuple(door.upper() for door in own.doors_not_held),
            astray=tuple(own.astray),
            failing=tuple(own.failing),
            not_reloaded=own.not_reloaded,
            keeper=own.keeper,
            sandbox_lost=own.sandbox_lost,
            **stored,
        )

    def _room(self) -> Room:
        for size, room in ((0, Room.NONE), (LITTLE_ROOM_BYTES, Room.LITTLE)):
            try:
                self._disk.require_room(size)
            except (PostroadError, OSError):
                return room
        return Room.ENOUGH

    def _read(self, sql: Sql) -> tuple[dict[str, Any], Reply]:
        """The facts that the store knows, and more about them that `status` shows."""
        now = self._clock.now()
        names = people.called_by_owner(sql)
        drops = rented.my_drops(sql)
        serving = helpers.helpers(sql)
        letters = queue.standing(sql)
        told = numbers(sql)
        holders = told["holders"]
        facts = {
            "contacts": told["contact_count"],
            "holders": holders,
            "holders_silent": told["holders_silent"],
            "unwilling": tuple(
                _unwilling(names, drop)
                for drop in drops
                if drop.refusal and not drop.is_ours and holders < limits.HOLDERS_WANTED
            ),
            "helpers_refusing": tuple((one.name, one.refusal) for one in serving if one.refusal),
            "late_here": letters.late_waiting,
            "late_held": letters.late_held,
            "waits_for_clock": queue.is_any_overdue(sql, now),
            **self._backup(now),
            "damaged": tuple(quarantine.counts(sql)),
            "identity_trouble": own_standing.trouble(
                sql, self._keyring.fingerprint, self._keyring.device.peer
            ),
            "requests": told["requests_waiting"],
            "proposals": proposals.count_open(sql, now),
        }
        return facts, {**told, "identity_trouble": facts["identity_trouble"]}

    def _backup(self, now: Instant) -> dict[str, Any]:
        last = last_backup.of(self._disk)
        if last is None:
            return {}
        return {"backup_days": last.days_old(now), "backup_folder": last.folder}

    async def _health(self, _: dict[str, Any]) -> Reply:
        return (await self.verdict()).told()

    async def _status(self, _: dict[str, Any]) -> Reply:
        verdict, told = await self._look()
        pause, ports = self._pauses.pause, self._condition.mail_ports
        counts = self._links.counts
        return {
            **verdict.told(),
            "address": str(self._keyring.address),
            "locked": False,
            "protection": self._keyring.wrapping.protection.value,
            "user_name": str(self._keyring.address),
            "smtp_port": ports.get("smtp"),
            "imap_port": ports.get("imap"),
            "pop3_port": ports.get("pop3"),
            **told,
            "paused": pause is not None,
            "paused_until": pause and pause.until,
            "clock": self._clock_told(),
            "links": self._links.count,
            "messages_sent": counts.sent,
            "messages_heard": counts.heard,
            "quarantine": await self._quarantine(),
        }

    async def _quarantine(self) -> list[Reply]:
        try:
            found = await self._database.read(quarantine.noted)
        except PostroadError:
            return []  # the verdict says that the store cannot be read
        return [
            {"kind": one.kind, "name": one.name, "reason": one.reason, "at": one.at}
            for one in found
        ]

    def _clock_told(self) -> Reply:
        judgement = self._clock.judgement()
        return {
            "confirmed": judgement.confirmed,
            "because": judgement.because.value,
            "agreeing": judgement.agreeing,
            "disagreeing": judgement.disagreeing,
            "errors_seconds": [round(one, 1) for one in self._clock.errors()],
        }

    async def _changed(self, request: dict[str, Any]) -> Reply:
        """`seen`: the number that the last answer brought, if there was one. Waits until something
        may have changed since, but not for ever; then the number is the same."""
        seen = request.get("seen")
        rang = asyncio.Event()
        with self._bell.heard_by(rang.set):
            if seen == self._bell.count:
                try:
                    async with timeout(CHANGED_SECONDS_MAX):
                        await rang.wait()
                except TimeoutError:
                    return {"seen": seen}
        if seen is not None:
            await asyncio.sleep(CHANGED_SECONDS_MIN)  # what comes together is one change
        return {"seen": self._bell.count}


def numbers(sql: Sql) -> Reply:
    """What the store counts, also while no node runs."""
    letters = queue.standing(sql)
    ours = [drop for drop in rented.my_drops(sql) if drop.is_ours]
    return {
        "contact_count": people.count(sql),
        "letters_under_way": letters.letters,
        "parcels_waiting": letters.waiting,
        "parcels_held": letters.held,
        "requests_waiting": requests.count_waiting(sql),
        "holders": sum(not drop.is_silent for drop in ours),
        "holders_silent": sum(drop.is_silent for drop in ours),
        "holders_wanted": limits.HOLDERS_WANTED,
        "helpers": len(helpers.helpers(sql)),
    }


def _unwilling(names: Mapping[Fingerprint, tuple[str, str]], drop: rented.MyDrop) -> Unwilling:
    name, _ = names.get(drop.fingerprint, ("", ""))
    return Unwilling(name, drop.place is None, drop.refusal)
