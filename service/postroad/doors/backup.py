"""What an owner may ask of a running node about backups: what the command line needs to write one.

The mail is read beside the node, and written by the owner's own process: the node may see neither
the folder nor a stick that is plugged in. What it gives is the key for that, and its own keys as
they stand in the backup, sealed under another one.
"""

from typing import Any

from postroad.base.seams import Clock
from postroad.store import audit
from postroad.store.database import Database
from postroad.store.keyring import OwnKeys

Reply = dict[str, Any]
EVENT = "backup written"


class BackupDesk:
    """`questions` are for `doors.control`."""

    def __init__(self, keyring: OwnKeys, database: Database, clock: Clock) -> None:
        self._keyring = keyring
        self._database = database
        self._clock = clock
        self.questions = {"backup keys": self._keys, "backup written": self._written}

    async def _keys(self, _: dict[str, Any]) -> Reply:
        kept, key, mark = self._keyring.for_backup()
        return {"kept": kept.hex(), "key": key.hex(), "mark": mark.hex()}

    async def _written(self, _: dict[str, Any]) -> Reply:
        await self._database.run(lambda sql: audit.note(sql, self._clock.now(), EVENT))
        return {}
