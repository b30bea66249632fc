"""How many letters came in on each of the last 90 days: of contacts, of strangers, and refused.

Purpose: the part of `postroad statistics` that the queue cannot tell. The memory of what was filed
(`store.filed`) has all that is needed, in the commit that decides about a letter; when it forgets
some, their numbers move into a table of their own, in the same commit.
Invariants: each letter is counted once, however often it came; letters to oneself are none; the
table has no name in it; nothing is written when a letter comes, so that damage to the table costs
its numbers, and stops no letter: it is set aside, and a new one begins (promise M13).
"""

import json
import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from postroad.base import limits
from postroad.base.errors import TemporaryFailure
from postroad.base.ids import Fingerprint, Instant, SureInstant
from postroad.sealing.receipt import Verdict
from postroad.store import filed
from postroad.store.database import Database, Sql
from postroad.store.schema import INCOMING_TABLE

log = logging.getLogger(__name__)
_EPOCH = date(1970, 1, 1).toordinal()
_ASIDE = "incoming_set_aside"
_DAY_AND_WHAT = f"""CAST(at / {limits.DAY} AS INTEGER) AS day, CASE verdict
    WHEN {Verdict.FILED:d} THEN 'contacts' WHEN {Verdict.REQUESTED:d} THEN 'strangers'
    ELSE 'refused' END AS what"""
_NOT_MINE = "fingerprint NOT IN (SELECT value FROM json_each(:mine))"


@dataclass(frozen=True, slots=True)
class Day:
    """`contacts`: letters of theirs, and of those who became one since; `strangers`: that lie among
    the requests; `refused`: of whoever."""

    day: date
    contacts: int
    strangers: int
    refused: int


def days(sql: Sql, since: Instant, mine: Collection[Fingerprint]) -> list[Day]:
    """Those on which something came, from the day of that moment on, the oldest first."""
    rows = sql.execute(
        f"""SELECT day, sum(number) FILTER (WHERE what = 'contacts'),
                   sum(number) FILTER (WHERE what = 'strangers'),
                   sum(number) FILTER (WHERE what = 'refused')
            FROM (SELECT day, what, number FROM incoming UNION ALL
                  SELECT {_DAY_AND_WHAT}, 1 FROM filed WHERE {_NOT_MINE})
            WHERE day >= :since GROUP BY day ORDER BY day""",  # noqa: S608  (constants)
        {"mine": json.dumps(list(mine)), "since": int(since // limits.DAY)},
    ).fetchall()
    return [
        Day(date.fromordinal(_EPOCH + day), *(number or 0 for number in numbers))
        for day, *numbers in rows
    ]


def keep(sql: Sql, now: Instant, mine: Collection[Fingerprint]) -> None:
    """Take over what `filed.forget_old` is about to forget; in the same transaction."""
    sql.execute(
        f"""INSERT INTO incoming (day, what, number)
            SELECT {_DAY_AND_WHAT}, count(*) FROM filed
            WHERE expires_at < :limit AND {_NOT_MINE} GROUP BY day, what
            ON CONFLICT (day, what) DO UPDATE SET number = number + excluded.number
            """,  # noqa: S608  (constants)
        {"mine": json.dumps(list(mine)), "limit": now - filed.REMEMBER_SECONDS},
    )


def prune(sql: Sql, now: SureInstant) -> None:
    """Forget what is older than 90 days."""
    oldest = int(now // limits.DAY) - limits.STATISTICS_DAYS
    sql.execute("DELETE FROM incoming WHERE day < ?", (oldest,))


async def mend(database: Database) -> None:
    """Set a table aside that cannot be read, before anything is added to it."""
    try:
        await database.read(
            lambda sql: sql.execute(
                "SELECT sum(day), sum(length(what)), sum(number) FROM incoming"
            ).fetchone()
        )
    except TemporaryFailure as error:
        log.error("the numbers of letters that came in are damaged and set aside: %s", error)
        await database.run(_set_aside)


def _set_aside(sql: Sql) -> None:
    """Another name touches none of its pages."""
    (number,) = sql.execute(
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name GLOB ?", (f"{_ASIDE}*",)
    ).fetchone()
    sql.execute(f"ALTER TABLE incoming RENAME TO {_ASIDE}_{number + 1}")
    sql.execute(INCOMING_TABLE)
