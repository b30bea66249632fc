"""What an owner may ask about bundles: to write one into a file of theirs, or to read one.

The command line has the file open; `doors.control` brings its octets.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Protocol

from postroad.delivery.bundles import Bundles, Found

Reply = dict[str, Any]


class OwnersFile(Protocol):
    async def write(self, octets: bytes) -> None: ...

    def pieces(self) -> AsyncIterator[bytes]: ...

    async def keep(self) -> None: ...


FileQuestion = Callable[[dict[str, Any], OwnersFile], Awaitable[Reply]]


class BundleDesk:
    """`questions` are for `doors.control`."""

    def __init__(self, bundles: Bundles) -> None:
        self._bundles = bundles
        self.questions: Mapping[str, FileQuestion] = {
            "bundle write": self._write,
            "bundle read": self._read,
        }

    async def _write(self, request: dict[str, Any], file: OwnersFile) -> Reply:
        """`for`: a contact's name; `if_any`: no file when there is nothing to put into it."""
        name, invite = request.get("for"), request.get("invite") is True
        planned = await self._bundles.plan(None if name is None else str(name), invite=invite)
        is_wanted = not planned.is_empty or request.get("if_any") is not True
        if is_wanted:
            async for piece in self._bundles.pieces(planned):
                await file.write(piece)
            await file.keep()
            await self._bundles.written(planned)
        return {
            "letters": len(planned.letters),
            "receipts": len(planned.receipts),
            "changes": len(planned.changes),
            "wishes": len(planned.wishes),
            "invitation": planned.link is not None,
            "left_out": planned.left_out,
            "written": is_wanted,
        }

    async def _read(self, request: dict[str, Any], file: OwnersFile) -> Reply:
        accept = request.get("accept") is True
        found = await self._bundles.read(file.pieces(), accept=accept)
        told = (
            name for name in Found.__dataclass_fields__ if name not in ("people", "changes_read")
        )
        return {name: getattr(found, name) for name in told}
