"""What an owner may ask about one letter of the queue: that it is tried now, or given up."""

from typing import Any

from postroad.base.errors import TemporaryFailure
from postroad.delivery.outgoing import GivenUp, Outgoing
from postroad.phrases import phrase
from postroad.protocol.delivery import State
from postroad.store.pauses import Pauses

Reply = dict[str, Any]


class QueueDesk:
    """`questions` are for `doors.control`."""

    def __init__(self, outgoing: Outgoing, pauses: Pauses) -> None:
        self._outgoing = outgoing
        self._pauses = pauses
        self.questions = {"retry parcel": self._retry, "cancel parcel": self._cancel}

    async def _retry(self, request: dict[str, Any]) -> Reply:
        """`id`: the number of one, or "all"."""
        if self._pauses.pause is not None:
            raise TemporaryFailure(phrase("Your node is paused. Type first: postroad resume"))
        rows = await self._outgoing.retry(str(request.get("id", "")))
        return {"tried": [{"id": row.id, "recipient": row.recipient} for row in rows]}

    async def _cancel(self, request: dict[str, Any]) -> Reply:
        return _given_up_told(await self._outgoing.cancel(str(request.get("id", ""))))


def _given_up_told(found: GivenUp) -> Reply:
    return {
        "id": found.row.id,
        "letter": found.row.nonce.hex(),
        "recipient": found.row.recipient,
        "state": State.CANCELLED.value,
        "holders": found.holders,
        "has_left": found.has_left,
        "readable_until": found.row.parcel.expires_at if found.has_left else None,
    }
