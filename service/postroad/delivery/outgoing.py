"""What the owner does about letters that are on their way: try one again now, or give it up.

Invariants: what has ended stays ended; a cancelled parcel is a step of the table like any other, in
one commit. Nothing that left this computer is called back: only its recipient can take a letter
away from a holder, so whoever cancels is told who may still have it.
"""

import logging
from dataclasses import dataclass
from typing import Protocol

from postroad.base.errors import Unknown
from postroad.base.seams import Clock
from postroad.protocol.delivery import OPEN, Cancelled, State, advance
from postroad.store import queue
from postroad.store.database import Database, Sql

log = logging.getLogger(__name__)
ALL = "all"
_ENDED = {
    State.REQUESTED: "has arrived: it lies among the requests of its recipient",
    State.DELIVERED: "has arrived",
    State.REFUSED: "came back already",
    State.EXPIRED: "came back already; it may have been delivered",
    State.CANCELLED: "was cancelled before",
}


class Hands(Protocol):
    """`delivery.sender.Sender`."""

    def wake(self) -> None: ...

    def break_off(self, parcel_id: int) -> None: ...


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A parcel as it stood when it was cancelled. `holders`: of the recipient, who keep a copy."""

    row: queue.Row
    holders: int

    @property
    def has_left(self) -> bool:
        """Whether it may be somewhere else: nothing leaves this computer unsealed."""
        return self.row.sealed is not None


class Outgoing:
    def __init__(self, database: Database, sender: Hands, clock: Clock) -> None:
        self._database = database
        self._sender = sender
        self._clock = clock

    async def retry(self, wanted: str) -> list[queue.Row]:
        """Have the parcel of this number, or `ALL`, tried at once; those that are."""
        now = self._clock.now()

        def work(sql: Sql) -> list[queue.Row]:
            rows = queue.waiting(sql) if wanted == ALL else [_open(sql, wanted)]
            for row in rows:
                queue.wake_one(sql, row.id, now)
            return rows

        return await self._database.run(work, then=lambda _: self._sender.wake())

    async def cancel(self, wanted: str) -> GivenUp:
        """End the parcel of this number: it is sent no more. Unknown when it has ended."""
        now = self._clock.now()

        def work(sql: Sql) -> GivenUp:
            row = _open(sql, wanted)
            found = GivenUp(row, len(queue.leases(sql, row.id)))
            queue.record(sql, row.id, advance(row.parcel, Cancelled(), now, 0.0).parcel, now)
            return found

        def committed(found: GivenUp) -> None:
            log.info("parcel cancelled", extra={**found.row.ids, "state": State.CANCELLED.value})
            self._sender.break_off(found.row.id)

        return await self._database.run(work, then=committed)


def _open(sql: Sql, wanted: str) -> queue.Row:
    """The parcel of this number, which is on its way; Unknown says what it is else."""
    number = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 19 else 0
    row = queue.find(sql, number)
    if row is None:
        raise Unknown(
            f"No letter of yours has the number {wanted!r}. The numbers stand in: postroad queue"
        )
    if row.parcel.state not in OPEN:
        raise Unknown(f"The letter to {row.recipient} {_ENDED[row.parcel.state]}.")
    return row
