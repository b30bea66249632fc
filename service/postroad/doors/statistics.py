"""What the owner may ask of what became of their letters: numbers, by day and by contact.

Read in slices and counted beside the event loop's work, so that asking delays no letter.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from postroad.base import limits
from postroad.base.errors import PermanentFailure, TemporaryFailure
from postroad.base.ids import Fingerprint, Instant
from postroad.base.seams import Clock
from postroad.protocol.statistics import Journey, Numbers, Statistics, Times, count
from postroad.store import hours, incoming, people, rotations, statistics
from postroad.store.database import Database, Sql
from postroad.store.keyring import OwnKeys

log = logging.getLogger(__name__)
Reply = dict[str, Any]
Names = Mapping[Fingerprint, tuple[str, str]]
DAYS_DEFAULT = 30
NOBODY = Fingerprint("")  # stands for all who are no contacts


class StatisticsDesk:
    """`questions` are for `doors.control`."""

    def __init__(self, database: Database, keyring: OwnKeys, clock: Clock) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self.questions = {"statistics": self._statistics}

    async def _statistics(self, request: dict[str, Any]) -> Reply:
        """`days`: of how many, until now; at most 90."""
        days = request.get("days")
        if days is None:
            days = DAYS_DEFAULT
        if type(days) is not int or not 1 <= days <= limits.STATISTICS_DAYS:
            raise PermanentFailure(
                f"Statistics are kept for {limits.STATISTICS_DAYS} days: say a number from 1 to "
                f"{limits.STATISTICS_DAYS}."
            )
        now = self._clock.now()
        since = Instant(now - days * limits.DAY)
        found = await statistics.journeys(self._database, since, self._keyring.fingerprints)
        journeys, names = await self._database.read(lambda sql: _named(sql, found))
        mine = self._keyring.fingerprints
        came = await self._incoming(since, mine)
        seen = await self._hours(now)
        # Not on the event loop: what a busy person wrote in 90 days is a hundred thousand letters.
        counted = await asyncio.to_thread(count, journeys, since, now)
        return {
            "days": days,
            "since": since,
            "until": now,
            **_told(counted, names),
            "hours_by_contact": seen,
            **_came(came),
        }

    async def _incoming(
        self, since: Instant, mine: Collection[Fingerprint]
    ) -> list[incoming.Day] | None:
        """None while its table cannot be read: that costs none of the other numbers."""
        try:
            return await self._database.read(lambda sql: incoming.days(sql, since, mine))
        except TemporaryFailure as error:
            log.error("the numbers of letters that came in cannot be read: %s", error)
            return None


    async def _hours(self, now: Instant) -> list[Reply]:
        """When each contact was found on and off. None are known while that cannot be read."""
        try:
            return await self._database.read(lambda sql: _hours(sql, now))
        except TemporaryFailure as error:
            log.error("when contacts were found cannot be read: %s", error)
            return []


def _named(sql: Sql, journeys: list[Journey]) -> tuple[list[Journey], Names]:
    """The same, each to whom its recipient is now, or to nobody where they are no contact."""
    names = people.called_by_owner(sql)
    heirs = {old: rotations.heir(sql, old) for old in {one.to for one in journeys}}
    known = {old: heir if heir in names else NOBODY for old, heir in heirs.items()}
    return [replace(one, to=known[one.to]) for one in journeys], names


def _hours(sql: Sql, now: Instant) -> list[Reply]:
    names = people.called_by_owner(sql)
    found = hours.of_contacts(sql, now)
    return [
        {"name": name, "address": address, "seen": [*of.on], "missed": [*of.off]}
        for fingerprint, (name, address) in sorted(names.items(), key=lambda item: item[1])
        if (of := found.get(fingerprint)) is not None
    ]


def _told(found: Statistics, names: Names) -> Reply:
    outages = found.outages
    return {
        **_numbers(found.total),
        "by_day": [{"day": day.isoformat(), **_numbers(some)} for day, some in found.by_day],
        "by_contact": [
            {
                "name": names[to][0] if to in names else None,
                "address": names[to][1] if to in names else None,
                **_numbers(some),
            }
            for to, some in found.by_contact
        ],
        "outages": {
            "holders_failed": outages.holders,
            "letters": outages.letters,
            "survived": outages.survived,
            "lost": outages.lost,
            "slowest_seconds": outages.slowest,
        },
    }


def _came(days: list[incoming.Day] | None) -> Reply:
    if days is None:
        unknown = dict.fromkeys(("from_contacts", "from_strangers", "refused_here"))
        return {**unknown, "incoming_by_day": []}
    return {
        "from_contacts": sum(one.contacts for one in days),
        "from_strangers": sum(one.strangers for one in days),
        "refused_here": sum(one.refused for one in days),
        "incoming_by_day": [
            {
                "day": one.day.isoformat(),
                "from_contacts": one.contacts,
                "from_strangers": one.strangers,
                "refused_here": one.refused,
            }
            for one in days
        ],
    }


def _numbers(found: Numbers) -> Reply:
    return {
        "accepted": found.accepted,
        "held": found.held,
        "delivered": found.delivered,
        "requested": found.requested,
        "late": found.late,
        "failed": found.failed,
        "cancelled": found.cancelled,
        "under_way": found.under_way,
        "seconds_to_holder": _times(found.to_holder),
        "seconds_to_receipt": _times(found.to_receipt),
    }


def _times(found: Times | None) -> Reply | None:
    if found is None:
        return None
    return {"letters": found.count, "median": found.median, "percentile_95": found.most}
