"""What the owner may ask about how the node does: the verdict, the facts, and what changed.

Purpose: gather the facts and let `protocol.health` judge them. All of it is at hand, or one read of
the store: nothing is dialled, and a node at rest stays at rest. "health" is the verdict alone,
"status" all that `postroad status` shows, "changed" waits for something to look at again.
Invariant: a store that cannot be read is a fact like any other; the answer comes all the same.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
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

Reply = dict[str, Any]
DOORS = ("SMTP", "IMAP", "POP3")
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


class HealthDesk:
    """`questions` are for `doors.control`. `mail_ports`: where the doors listen, by their names in
    small letters; `unanswered`: how many nodes were dialled in vain since any was heard; `failing`:
    services that begin again, and why; `not_reloaded`: whether the configuration was not taken
    over; `keeper`: who starts the node; `sandbox_lost`: why the service runs without its
    sandbox."""

    def __init__(
        self,
        database: Database,
        disk: Disk,
        keyring: OwnKeys,
        clock: JudgedClock,
        pauses: Pauses,
        links: Links,
        ways: Ways,
        mail_ports: Mapping[str, int],
        unanswered: Callable[[], int],
        failing: Callable[[], Sequence[tuple[str, str]]],
        not_reloaded: Callable[[], bool],
        bell: Bell,
        keeper: Keeper = Keeper.TERMINAL,
        sandbox_lost: Callable[[], str] = lambda: "",
    ) -> None:
        self._database = database
        self._disk = disk
        self._keyring = keyring
        self._clock = clock
        self._pauses = pauses
        self._links = links
        self._ways = ways
        self._mail_ports = mail_ports
        self._unanswered = unanswered
        self._failing = failing
        self._not_reloaded = not_reloaded
        self._bell = bell
        self._keeper = keeper
        self._sandbox_lost = sandbox_lost
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
        return Facts(
            is_paused=paused,
            is_joined=self._links.is_served,
            linked=self._links.count,
            unanswered=self._unanswered(),
            bad_ways=tuple(ways),
            room=self._room(),
            clock=self._clock.judgement(),
            doors_shut=tuple(door for door in DOORS if door.lower() not in self._mail_ports),
            failing=tuple(self._failing()),
            not_reloaded=self._not_reloaded(),
            keeper=self._keeper,
            sandbox_lost=self._sandbox_lost(),
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
        pause = self._pauses.pause
        counts = self._links.counts
        return {
            **verdict.told(),
            "address": str(self._keyring.address),
            "locked": False,
            "protection": self._keyring.wrapping.protection.value,
            "user_name": str(self._keyring.address),
            "smtp_port": self._mail_ports.get("smtp"),
            "imap_port": self._mail_ports.get("imap"),
            "pop3_port": self._mail_ports.get("pop3"),
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
                    async with asyncio.timeout(CHANGED_SECONDS_MAX):
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
