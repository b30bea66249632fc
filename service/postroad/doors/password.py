"""What the owner may ask about the mailbox password: a new one, in the place of the old.

It is shown once, over the control socket only; what is kept is a verifier.
"""

from typing import Any

from postroad.base.seams import Clock, Entropy
from postroad.sealing.password import ENTROPY_BYTES, PasswordVerifier, new_password, verifier
from postroad.store import audit
from postroad.store.database import Database
from postroad.store.keyring import OwnKeys
from postroad.store.locksmith import OwnersWord

Reply = dict[str, Any]
EVENT = "mailbox password changed"


class PasswordDesk:
    """`questions` are for `doors.control`."""

    def __init__(
        self,
        keyring: OwnKeys,
        database: Database,
        clock: Clock,
        entropy: Entropy,
        owners_word: OwnersWord,
    ) -> None:
        self._keyring = keyring
        self._database = database
        self._clock = clock
        self._entropy = entropy
        self._owners_word = owners_word
        self.questions = {"new password": self._new, "check password": self._check}

    async def _new(self, request: dict[str, Any]) -> Reply:
        """`current`: the passphrase of the keys, where there is one."""
        await self._owners_word.expect(str(request.get("current", "")))
        password, kept = made(self._entropy)
        await self._keyring.change_password(kept)
        await self._database.run(lambda sql: audit.note(sql, self._clock.now(), EVENT))
        return {"password": password, "user_name": str(self._keyring.address)}

    async def _check(self, request: dict[str, Any]) -> Reply:
        """Whether `password` is the one of now: mail programs are told of it by its owner's word,
        and shall not be told a wrong one."""
        given = str(request.get("password", "")).encode(errors="replace")
        return {"is_right": self._keyring.password.verify(given)}


def made(entropy: Entropy) -> tuple[str, PasswordVerifier]:
    """A new password, and what is kept of it."""
    password = new_password(entropy.token(ENTROPY_BYTES))
    return password, verifier(password, entropy.token(16))
