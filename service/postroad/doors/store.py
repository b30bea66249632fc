"""What an owner may ask of a running node about its store: whether it writes as it promises."""

from typing import Any

from postroad.store import checkup
from postroad.store.database import Database

Reply = dict[str, Any]


class StoreDesk:
    """`questions` are for `doors.control`. All else about the store is read beside the node."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.questions = {"store promises": self._promises}

    async def _promises(self, _: dict[str, Any]) -> Reply:
        mode, synchronous = await self._database.read(checkup.promises)
        return {"journal_mode": mode, "synchronous": synchronous}
