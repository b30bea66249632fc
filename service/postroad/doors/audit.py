"""What the owner may ask of the audit log: its entries, and whether its chain is whole."""

from typing import Any

from postroad.protocol.audit import Head, entry_of, examine, head_from
from postroad.store import audit
from postroad.store.database import Database, Sql

Reply = dict[str, Any]


class AuditDesk:
    """`questions` are for `doors.control`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.questions = {"audit": self._audit, "audit verify": self._verify}

    async def _audit(self, request: dict[str, Any]) -> Reply:
        since = float(request.get("since") or 0)
        return await self._database.read(lambda sql: entries(sql, since))

    async def _verify(self, request: dict[str, Any]) -> Reply:
        kept = None if request.get("head") is None else head_from(str(request["head"]))
        return await self._database.read(lambda sql: verified(sql, kept))


def entries(sql: Sql, since: float) -> Reply:
    """The entries from that moment on; of a damaged one only its number is told."""
    found = []
    for row in audit.rows(sql)[0]:
        entry = entry_of(row)
        told: Reply = {"number": row.number, "damaged": True}
        if entry is not None:
            told = {
                "number": entry.number,
                "at": entry.at,
                "event": entry.event,
                "facts": dict(entry.facts),
                "previous": entry.previous.hex(),
                "hash": row.hash.hex(),
            }
        if entry is None or entry.at >= since:
            found.append(told)
    return {"entries": found}


def verified(sql: Sql, kept: Head | None) -> Reply:
    rows, unreadable = audit.rows(sql)
    report = examine(rows, audit.beside_the_log(sql), kept, unreadable)
    return {
        "whole": not report.faults,
        "entries": report.entries,
        "first": report.first,
        "pruned": report.pruned,
        "head": None if report.head is None else str(report.head),
        "head_kept": None if kept is None else str(kept),
        "faults": [{"number": one.number, "says": one.says} for one in report.faults],
    }
