"""What may be asked about letters on their way as whoever watches them wants it: those that have
not ended, and what became of those that have. No subject and no text is among it."""

from typing import Any, Protocol

from postroad import phrases
from postroad.contract import MessageState
from postroad.delivery.reasons import in_parts
from postroad.protocol.delivery import OPEN, State
from postroad.store import queue
from postroad.store.database import Database, Sql

Reply = dict[str, Any]
AT_MOST = 200
_STATES = {
    State.WAITING: MessageState.WAITING,
    State.HELD: MessageState.HELD,
    State.REQUESTED: MessageState.REQUESTED,
    State.DELIVERED: MessageState.DELIVERED,
    State.REFUSED: MessageState.FAILED,
    State.EXPIRED: MessageState.FAILED,
    State.CANCELLED: MessageState.CANCELLED,
}


class Progress(Protocol):
    def told(self, parcel_id: int) -> Reply:
        """How much of a large letter has gone, while it is being sent."""


class MessagesDesk:
    """`questions` are for all doors."""

    def __init__(self, database: Database, progress: Progress) -> None:
        self._database = database
        self._progress = progress
        self.questions = {"messages": self._messages}

    async def _messages(self, request: dict[str, Any]) -> Reply:
        """`after`: the number that the last answer called the newest; `also`: numbers whose end the
        asker wants to hear. Without `after`, only what has not ended."""
        after, also = request.get("after"), request.get("also")
        wanted = [one for one in also if isinstance(one, int)] if isinstance(also, list) else []

        def work(sql: Sql) -> Reply:
            newest = queue.newest(sql)
            since = after if isinstance(after, int) else newest
            found = queue.shown(sql, AT_MOST, since, wanted)
            return {"newest": newest, "messages": [self._told(one) for one in found]}

        return await self._database.read(work)

    def _told(self, one: queue.Shown) -> Reply:
        state = _STATES[one.state]
        if one.is_late and one.state in OPEN:
            state = MessageState.LATE
        return {
            "id": one.id,
            "letter": one.letter.hex(),
            "recipient": one.recipient,
            "size": one.size,
            "state": state.value,
            "holders": one.holders,
            "tries": one.tries,
            "accepted_at": one.accepted_at,
            "expires_at": one.expires_at,
            "next_try_at": one.due_at if one.state in OPEN else None,
            "reason": one.reason,
            "reason_parts": phrases.told(in_parts(one.reason)),
            **self._progress.told(one.id),
        }
