"""What became of the owner's letters in the last 90 days: the queue itself, and what it forgot.

Purpose: give the journey of each parcel to `protocol.statistics`. Moments and failed holders are
columns of the parcel, so they are in the same commit as the step that they tell of, cost no write
of their own, and can neither contradict the queue nor delay or fail a letter. When the queue
forgets a parcel, its journey moves into a table of its own, in the same commit.
Invariants: each parcel is counted once; letters to oneself and what the node writes by itself are
no letters here; forgotten by a confirmed clock only; damage to the table costs what is in it, and
nothing else: it is set aside, and a new one begins (promise M13).
See: docs/adr/0020-health.md.
"""

import logging
import sqlite3
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any

from postroad.base import limits
from postroad.base.errors import TemporaryFailure
from postroad.base.ids import Fingerprint, Instant, SureInstant
from postroad.protocol.delivery import State
from postroad.protocol.statistics import Journey
from postroad.sealing.letter import Kind
from postroad.store import queue
from postroad.store.database import Database, Sql
from postroad.store.schema import STATISTICS_TABLE

log = logging.getLogger(__name__)
Row = tuple[Any, ...]
Look = Callable[..., list[Row]]
OWNERS_LETTERS = f"kind IN ({Kind.PERSON:d}, {Kind.REQUEST:d})"
SPAN_SECONDS = limits.STATISTICS_DAYS * limits.DAY
_ASIDE = "statistics_set_aside"
_COLUMNS = "accepted_at, fingerprint, state, held_at, receipt_at"


async def journeys(
    database: Database, since: Instant, mine: Collection[Fingerprint]
) -> list[Journey]:
    """Of all that was accepted since then for others than `mine`. It is read in slices, so that no
    letter waits for it."""
    found: list[Journey] = []
    for _ in range(2):
        begun = await database.read(_last)
        found = await _in_slices(database, _forgotten, since)
        found += await _in_slices(database, _remembered, since)
        if await database.read(_last) == begun:  # else the queue forgot some meanwhile
            break
    return [one for one in found if one.to not in mine]


async def _in_slices(database: Database, look: Look, since: Instant) -> list[Journey]:
    found: list[Journey] = []
    after = 0
    while True:
        rows = await database.read(partial(look, since=since, after=after))
        found += _journeys(rows)
        if len(rows) < limits.STATISTICS_SLICE:
            return found
        after = rows[-1][0]


def _last(sql: Sql) -> int | None:
    found: int | None = sql.execute("SELECT max(id) FROM statistics").fetchone()[0]
    return found


def _remembered(sql: Sql, since: Instant, after: int) -> list[Row]:
    return sql.execute(
        f"""SELECT parcel.id, {_COLUMNS}, delayed_at IS NOT NULL, failed_by
            FROM parcel JOIN letter ON letter.id = letter_id
            WHERE parcel.id > ? AND accepted_at >= ? AND {OWNERS_LETTERS}
            ORDER BY parcel.id LIMIT ?""",  # noqa: S608  (constants)
        (after, since, limits.STATISTICS_SLICE),
    ).fetchall()


def _forgotten(sql: Sql, since: Instant, after: int) -> list[Row]:
    return sql.execute(
        f"""SELECT id, {_COLUMNS}, late, failed_by FROM statistics
            WHERE id > ? AND accepted_at >= ? ORDER BY id LIMIT ?""",  # noqa: S608
        (after, since, limits.STATISTICS_SLICE),
    ).fetchall()


def _journeys(rows: Iterable[Row]) -> list[Journey]:
    found = []
    for _, accepted_at, to, state, held_at, receipt_at, late, failed_by in rows:
        try:
            known = State(state)
        except ValueError:  # a damaged row is as one that is not there
            continue
        journey = Journey(
            Instant(accepted_at),
            Fingerprint(to),
            known,
            held_at,
            receipt_at,
            bool(late),
            queue.split(failed_by),
        )
        found.append(journey)
    return found


def keep(sql: sqlite3.Connection, now: Instant) -> None:
    """Take over what `queue.prune` is about to forget; in the same transaction."""
    sql.execute(
        f"""INSERT INTO statistics ({_COLUMNS}, late, failed_by)
            SELECT {_COLUMNS}, delayed_at IS NOT NULL, failed_by
            FROM parcel JOIN letter ON letter.id = letter_id
            WHERE ended_at < ? AND accepted_at >= ? AND {OWNERS_LETTERS}
            ORDER BY parcel.id""",  # noqa: S608
        (now - queue.RETENTION_SECONDS, now - SPAN_SECONDS),
    )


def prune(sql: sqlite3.Connection, now: SureInstant) -> None:
    """Forget what is older than 90 days, and the oldest of too many."""
    sql.execute("DELETE FROM statistics WHERE accepted_at < ?", (now - SPAN_SECONDS,))
    sql.execute(
        "DELETE FROM statistics WHERE id <= (SELECT max(id) FROM statistics) - ?",
        (limits.STATISTICS_ROWS_MAX,),
    )


async def mend(database: Database) -> None:
    """Set a table aside that cannot be read: nothing is to be added to it, and nobody waits."""
    try:
        await database.read(_read_all)
    except TemporaryFailure as error:
        log.error("the statistics are damaged and set aside: %s", error)
        await database.run(_set_aside)


def _read_all(sql: Sql) -> None:
    sql.execute(
        """SELECT count(*), sum(length(fingerprint)), sum(length(state)), sum(held_at),
                  sum(receipt_at), sum(late), sum(length(failed_by)) FROM statistics"""
    ).fetchone()


def _set_aside(sql: Sql) -> None:
    """Another name touches none of its pages. An older one that was set aside stays the one."""
    (number,) = sql.execute(
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name GLOB ?", (f"{_ASIDE}*",)
    ).fetchone()
    sql.execute(f"ALTER TABLE statistics RENAME TO {_ASIDE}_{number + 1}")
    sql.execute(STATISTICS_TABLE)
