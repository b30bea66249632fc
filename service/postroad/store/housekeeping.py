"""Forget what is over: expired letters of others, old memories, octets that nobody needs.

Purpose: bounded growth. Files go in a later commit than the rows that named them, so that a crash
in between leaves a file too many and never a row without its file.
"""

import logging
from collections.abc import Collection

from postroad.base.errors import PostroadError
from postroad.base.ids import Fingerprint
from postroad.base.seams import SureClock
from postroad.store import (
    audit,
    filed,
    held,
    hours,
    incoming,
    invitations,
    people,
    proposals,
    queue,
    renters,
    statistics,
    strangers,
)
from postroad.store.contents import Contents
from postroad.store.database import Database, Sql
from postroad.store.sealed import SealedStore

log = logging.getLogger(__name__)


async def tidy(
    database: Database,
    contents: Contents,
    sealed: SealedStore,
    clock: SureClock,
    mine: Collection[Fingerprint] = (),
) -> None:
    """One round, at start and every hour. By time it forgets only what a confirmed clock allows.

    `mine`: whoever the owner is and was, whose letters to themselves did not come in."""

    def forget(sql: Sql) -> None:
        now = clock.sure_now()
        if now is not None:
            held.forget_expired(sql, now)
            renters.forget_unvouched(sql, now)
            hours.forget_old(sql, now)
            incoming.keep(sql, now, mine)
            filed.forget_old(sql, now)
            statistics.keep(sql, now)
            queue.prune(sql, now)
            statistics.prune(sql, now)
            incoming.prune(sql, now)
            invitations.forget(sql, now)
            proposals.forget(sql, now)
            strangers.forget_old(sql, now)
        people.note_damaged(sql, clock.now())
        sealed.forget_unused(sql)
        contents.forget_unused(sql)

    def remove(sql: Sql) -> None:
        sealed.remove_orphans(sql)
        contents.remove_orphans(sql)

    try:
        await audit.tidy(database, clock.now())
    except PostroadError as error:  # no reason to leave all the rest
        log.error("the audit log was not looked after: %s", error)
    for mend in (statistics.mend, incoming.mend):
        try:
            await mend(database)
        except PostroadError as error:
            log.error("the statistics were not looked after: %s", error)
    await database.run(forget)
    await database.run(remove)
