"""What an owner may ask about letters of strangers, and say to them."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from postroad.base import limits
from postroad.delivery.requests import RequestBox
from postroad.store.requests import Request

Reply = dict[str, Any]


class RequestsDesk:
    """`questions` are for `doors.control`."""

    def __init__(self, box: RequestBox) -> None:
        self._box = box
        self.questions: Mapping[str, Callable[[dict[str, Any]], Awaitable[Reply]]] = {
            "requests": self._list,
            "request": self._show,
            "accept request": self._accept,
            "refuse request": self._refuse,
        }

    async def _list(self, _: dict[str, Any]) -> Reply:
        found = await self._box.waiting()
        return {"open": self._box.is_open, "requests": [_told(one) for one in found]}

    async def _show(self, request: dict[str, Any]) -> Reply:
        found, text = await self._box.show(_name(request))
        return {**_told(found), "text": text}

    async def _accept(self, request: dict[str, Any]) -> Reply:
        return _told(await self._box.accept(_name(request)))

    async def _refuse(self, request: dict[str, Any]) -> Reply:
        wanted = request.get("silently")
        silently = None if wanted is None else bool(wanted)
        found, silent = await self._box.refuse(_name(request), silently=silently)
        return {**_told(found), "silently": silent}


def _told(one: Request) -> Reply:
    return {
        "id": one.id.hex(),
        "address": one.address,
        "subject": one.subject,
        "came_at": one.at,
        "expires_at": one.at + limits.REQUEST_SECONDS,
    }


def _name(request: dict[str, Any]) -> str:
    return str(request.get("name", ""))
