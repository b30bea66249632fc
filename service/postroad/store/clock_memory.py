"""What the node remembers of its clock, and whose node a peer is when it tells the time.

Purpose: `peers.timekeeper.Notebook` in SQL.
"""

from dataclasses import dataclass

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import PeerId
from postroad.base.tlv import decode, encode, number
from postroad.protocol.clock import Memory, Reading
from postroad.store import helpers, people
from postroad.store.database import Database, Sql

NAME = "clock"  # of its row in the table value
OF_HELPERS = "helpers"  # one voice for all of them: who runs them, we cannot know


@dataclass(frozen=True, slots=True)
class _Written:
    now: int = number(1, 8)
    elapsed: int = number(2, 8)
    uptime: int = number(3, 8)


class ClockMemory:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def whose(self, peer: PeerId) -> str | None:
        """A contact's fingerprint, or one word for all helpers; None: a stranger, or blocked."""
        return await self._database.read(lambda sql: _whose(sql, peer))

    async def load(self) -> Memory | None:
        def work(sql: Sql) -> Memory | None:
            row = sql.execute("SELECT octets FROM value WHERE name = ?", (NAME,)).fetchone()
            if row is None:
                return None
            try:
                written = decode(_Written, bytes(row[0]))
            except PeerMisbehaved:  # the row is damaged: it is as at the first start
                return None
            uptime = min(written.uptime, limits.CLOCK_UPTIME_SECONDS)
            return Memory(Reading(written.now, written.elapsed), uptime)

        return await self._database.read(work)

    async def save(self, memory: Memory) -> None:
        written = _Written(
            max(int(memory.at.now), 0), max(int(memory.at.elapsed), 0), int(memory.uptime)
        )
        await self._database.run(
            lambda sql: (
                sql.execute(
                    "INSERT OR REPLACE INTO value (name, octets) VALUES (?, ?)",
                    (NAME, encode(written)),
                ).rowcount
            )
        )


def _whose(sql: Sql, peer: PeerId) -> str | None:
    person = people.at_device(sql, peer)
    if person is not None:
        return None if person.blocked else person.fingerprint
    serving = helpers.at(sql, peer)
    return None if serving is None or serving.refusal else OF_HELPERS
