"""What could not be read or believed: noted with the reason and shown to the owner.

Functions run in the database thread, inside a transaction of `Database.run`.
"""

import sqlite3
from dataclasses import dataclass

from postroad.base import limits
from postroad.base.ids import Instant


@dataclass(frozen=True, slots=True)
class Noted:
    kind: str
    name: str
    reason: str
    at: Instant


def note(sql: sqlite3.Connection, kind: str, name: str, reason: str, now: Instant) -> None:
    """Note it once; what is noted already stays as it is."""
    sql.execute(
        """INSERT INTO quarantine (kind, name, reason, at) VALUES (?, ?, ?, ?)
           ON CONFLICT (kind, name) DO NOTHING""",
        (kind, name, reason, now),
    )
    # Anybody may send what cannot be opened: only so much of it is remembered.
    sql.execute(
        """DELETE FROM quarantine WHERE kind = :kind AND id <=
               (SELECT id FROM quarantine WHERE kind = :kind ORDER BY id DESC
                LIMIT 1 OFFSET :most)""",
        {"kind": kind, "most": limits.QUARANTINE_MAX},
    )


def is_noted(sql: sqlite3.Connection, kind: str, name: str) -> bool:
    found = sql.execute("SELECT 1 FROM quarantine WHERE kind = ? AND name = ?", (kind, name))
    return found.fetchone() is not None


def counts(sql: sqlite3.Connection) -> list[tuple[str, int]]:
    """How much of each kind is noted."""
    rows = sql.execute("SELECT kind, count(*) FROM quarantine GROUP BY kind ORDER BY kind")
    return [(kind, count) for kind, count in rows]


def noted(sql: sqlite3.Connection) -> list[Noted]:
    rows = sql.execute("SELECT kind, name, reason, at FROM quarantine ORDER BY id")
    return [Noted(*row) for row in rows]
