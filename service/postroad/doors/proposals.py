"""What an owner may ask about introductions: propose two contacts, and decide on proposals."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from postroad.delivery.proposals import Proposals
from postroad.protocol.records import PersonRecord
from postroad.store.proposals import ProposalRow

Reply = dict[str, Any]
Question = Callable[[dict[str, Any]], Awaitable[Reply]]


class ProposalsDesk:
    """`questions` are for `doors.control`. `record`: gives our record as it is now."""

    def __init__(self, proposals: Proposals, record: Callable[[], Awaitable[PersonRecord]]) -> None:
        self._proposals = proposals
        self._record = record
        self.questions: Mapping[str, Question] = {
            "introduce": self._introduce,
            "proposals": self._list,
            "accept proposal": self._accept,
            "decline proposal": self._decline,
        }

    async def _introduce(self, request: dict[str, Any]) -> Reply:
        names = str(request.get("name", "")), str(request.get("other", ""))
        one, other = await self._proposals.introduce(*names)
        return {"names": [one.name, other.name], "addresses": [one.address, other.address]}

    async def _list(self, _: dict[str, Any]) -> Reply:
        return {"proposals": [_told(*one) for one in await self._proposals.all()]}

    async def _accept(self, request: dict[str, Any]) -> Reply:
        mine = await self._record()
        return _told(*await self._proposals.accept(str(request.get("id", "")), mine))

    async def _decline(self, request: dict[str, Any]) -> Reply:
        return _told(*await self._proposals.decline(str(request.get("id", ""))))


def _told(row: ProposalRow, introducer: str, remarks: tuple[str, ...]) -> Reply:
    return {
        "id": row.id,
        "introducer": introducer,
        "introducer_fingerprint": row.introducer,
        "name": row.record.name,
        "address": str(row.record.address),
        "state": row.state.value,
        "came_at": row.came_at,
        "expires_at": row.expires_at,
        "remarks": list(remarks),
    }
