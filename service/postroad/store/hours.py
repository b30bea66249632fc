"""When nodes were found on and off, by the hour of the day (UTC): 24 rows for each.

Old observations fade, so that somebody who changes their habits is known anew after some weeks.
Functions run in the database thread, inside a transaction of `Database.run`.
"""

import sqlite3
from collections import defaultdict

from postroad.base import limits
from postroad.base.ids import Fingerprint, Instant, PeerId, SureInstant
from postroad.protocol.holding import HOURS, Hours

FADED_SECONDS = 10 * limits.HOURS_HALF_LIFE_SECONDS


def note(
    sql: sqlite3.Connection, peer: PeerId, hour: int, seen: float, missed: float, now: Instant
) -> None:
    """Add observations of one hour of the day."""
    row = sql.execute(
        "SELECT seen, missed, at FROM node_hour WHERE peer = ? AND hour = ?", (peer, hour)
    ).fetchone()
    if row is not None:
        before = _faded(row[2], now)
        seen, missed = seen + row[0] * before, missed + row[1] * before
    sql.execute(
        """INSERT INTO node_hour (peer, hour, seen, missed, at) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (peer, hour) DO UPDATE
               SET seen = excluded.seen, missed = excluded.missed, at = excluded.at""",
        (peer, hour, seen, missed, now),
    )


def last_noted(sql: sqlite3.Connection, peer: PeerId) -> Instant | None:
    (at,) = sql.execute("SELECT max(at) FROM node_hour WHERE peer = ?", (peer,)).fetchone()
    return None if at is None else Instant(at)


def known(sql: sqlite3.Connection, now: Instant) -> dict[PeerId, Hours]:
    """What was seen of each node, as much as it counts now."""
    on: defaultdict[PeerId, list[float]] = defaultdict(lambda: [0.0] * HOURS)
    off: defaultdict[PeerId, list[float]] = defaultdict(lambda: [0.0] * HOURS)
    rows = sql.execute("SELECT peer, hour, seen, missed, at FROM node_hour")
    for peer, hour, seen, missed, at in rows:
        on[peer][hour] = seen * _faded(at, now)
        off[peer][hour] = missed * _faded(at, now)
    return {peer: Hours(tuple(on[peer]), tuple(off[peer])) for peer in on}


def of_contacts(sql: sqlite3.Connection, now: Instant) -> dict[Fingerprint, Hours]:
    """The same of each contact: what was seen of any node of theirs, in one."""
    of_node = known(sql, now)
    found: dict[Fingerprint, Hours] = {}
    for peer, fingerprint in sql.execute("SELECT peer, fingerprint FROM device"):
        if peer in of_node:
            before = found.get(fingerprint, Hours())
            found[Fingerprint(fingerprint)] = before.and_of(of_node[peer])
    return found


def forget_old(sql: sqlite3.Connection, now: SureInstant) -> None:
    sql.execute("DELETE FROM node_hour WHERE at < ?", (now - FADED_SECONDS,))


def are_of_interest(sql: sqlite3.Connection) -> set[PeerId]:
    """The nodes whose hours are worth knowing: contacts', and those that hold for us."""
    rows = sql.execute("SELECT peer FROM device UNION SELECT holder FROM my_drop")
    return {PeerId(peer) for (peer,) in rows}


def _faded(at: float, now: Instant) -> float:
    return float(0.5 ** (max(now - at, 0.0) / limits.HOURS_HALF_LIFE_SECONDS))
