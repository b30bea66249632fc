"""What the owner may ask about the keys: how they are protected, and to protect them otherwise.

Passphrases come over the control socket only: it is the owner's alone, and nothing of it is logged.
"""

import asyncio
from typing import Any

from postroad.base.errors import PermanentFailure
from postroad.base.seams import Clock
from postroad.sealing.wrapping import Header, Protection, Wrapping
from postroad.store import audit
from postroad.store.database import Database
from postroad.store.keyring import OwnKeys
from postroad.store.locksmith import Locksmith, OwnersWord

Reply = dict[str, Any]
EVENT = "keys protected"


class KeysDesk:
    """`questions` are for `doors.control`. Without a locksmith there is nothing to choose."""

    def __init__(
        self,
        keyring: OwnKeys,
        locksmith: Locksmith | None,
        database: Database,
        clock: Clock,
        owners_word: OwnersWord,
    ) -> None:
        self._keyring = keyring
        self._locksmith = locksmith
        self._database = database
        self._clock = clock
        self._owners_word = owners_word
        self.questions = {"keys": self._keys, "protect": self._protect, "unlock": self._unlock}

    async def _keys(self, _: dict[str, Any]) -> Reply:
        return told(self._keyring.wrapping.header, locked=False)

    async def _unlock(self, _: dict[str, Any]) -> Reply:
        return {**told(self._keyring.wrapping.header, locked=False), "was_locked": False}

    async def _protect(self, request: dict[str, Any]) -> Reply:
        how = protection_asked(request)
        smith = self._locksmith
        if smith is None:
            raise PermanentFailure("This node cannot protect its keys.")
        before = self._keyring.wrapping
        await self._owners_word.expect(str(request.get("current", "")))
        try:
            smith.expect_allowed(how)
        except PermanentFailure:
            now = self._clock.now()
            await self._database.run(
                lambda sql: audit.note_refused(sql, now, "keys_at_rest", how=how.value)
            )
            raise
        # Not in the database thread: while a keyring asks its owner, letters go on.
        new = await asyncio.to_thread(smith.make, how, str(request.get("passphrase", "")))
        await self._keyring.protect(new)
        noted = facts(new, before)
        await self._database.run(lambda sql: audit.note(sql, self._clock.now(), EVENT, **noted))
        await asyncio.to_thread(smith.forget, before)
        return {**told(new.header, locked=False), "before": before.protection.value}


def protection_asked(request: dict[str, Any]) -> Protection:
    try:
        return Protection(request.get("how"))
    except ValueError:
        known = ", ".join(each.value for each in Protection)
        raise PermanentFailure(f"Keys are protected in one of these ways: {known}.") from None


def facts(new: Wrapping, before: Wrapping) -> dict[str, str]:
    """For the audit log."""
    return {"how": new.protection.value, "before": before.protection.value}


def told(header: Header, *, locked: bool) -> Reply:
    """How the keys are protected; nothing of it is secret."""
    answer: Reply = {"protection": header.protection.value, "locked": locked}
    if header.protection is Protection.PASSPHRASE:
        answer["argon2id"] = {
            "memory_kib": header.memory_kib,
            "passes": header.passes,
            "lanes": header.lanes,
        }
    return answer
