"""What an owner may ask about their devices and their identity: list, revoke, print, hand on."""

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from postroad.base.errors import PermanentFailure
from postroad.base.ids import short
from postroad.base.seams import Entropy
from postroad.base.tlv import encode
from postroad.delivery.changes import Changes
from postroad.delivery.own_devices import OwnDevices
from postroad.message.address import Address
from postroad.phrases import phrase
from postroad.protocol.identity_records import sign_revoke
from postroad.sealing.keys import SEED_BYTES, WORDS, Identity
from postroad.store.keyring import OwnKeys
from postroad.store.locksmith import OwnersWord

Reply = dict[str, Any]
Question = Callable[[dict[str, Any]], Awaitable[Reply]]


WORDS_ASKED = 3  # of the new 24, to see that they were written down


@dataclass(frozen=True, slots=True)
class _Draft:
    identity: Identity = field(repr=False)
    asked: tuple[int, ...]


class IdentityDesk:
    """`questions` are for `doors.control`. What ends something, or hands it on, wants the
    passphrase of the keys, where they have one: a terminal left open is not the owner."""

    def __init__(
        self,
        changes: Changes,
        own_devices: OwnDevices,
        keyring: OwnKeys,
        entropy: Entropy,
        owners_word: OwnersWord,
    ) -> None:
        self._changes = changes
        self._own_devices = own_devices
        self._keyring = keyring
        self._entropy = entropy
        self._owners_word = owners_word
        self._draft: _Draft | None = None  # of a rotation; a restart forgets it
        self.questions: Mapping[str, Question] = {
            "devices": self._devices,
            "revoke device": self._revoke_device,
            "sheet": self._sheet,
            "publish revocation": self._publish,
            "identity": self._identity,
            "rotate begin": self._begin,
            "rotate finish": self._finish,
        }

    async def _devices(self, _: dict[str, Any]) -> Reply:
        found = await self._own_devices.all()
        return {
            "address": str(self._keyring.address),
            "is_ended": await self._own_devices.is_ended(),
            "devices": [
                {
                    "id": short(one.peer),
                    "key": one.peer.hex(),
                    "is_this": one.peer == self._keyring.device.peer,
                    "is_revoked": one.is_revoked,
                    "takes_mail": one.takes_mail,
                    "seen_at": one.seen_at,
                    "certified_until": one.certified_until,
                }
                for one in found
            ],
        }

    async def _revoke_device(self, request: dict[str, Any]) -> Reply:
        wanted = str(request.get("device", "")).strip().lower()
        await self._expect_owner(request)
        peer = await self._own_devices.called(wanted)
        await self._own_devices.revoke([peer])
        return {"id": short(peer)}

    async def _sheet(self, request: dict[str, Any]) -> Reply:
        """The record that ends this identity: for a file of the owner's, and kept nowhere here."""
        await self._expect_owner(request)
        record = encode(sign_revoke(self._keyring.identity))
        return {"address": str(self._keyring.address), "record": base64.b64encode(record).decode()}

    async def _identity(self, _: dict[str, Any]) -> Reply:
        return {
            "address": str(self._keyring.address),
            "former": [str(one) for one in self._keyring.addresses[1:]],
            "is_ended": await self._own_devices.is_ended(),
        }

    async def _begin(self, request: dict[str, Any]) -> Reply:
        """New words, shown once; nothing changes before their owner shows that they have them."""
        await self._expect_owner(request)
        if await self._own_devices.is_ended():
            raise PermanentFailure(
                "Your identity was revoked, and nobody would believe what it names. Make a new one "
                "in another data folder (postroad setup), and invite your contacts again."
            )
        identity = Identity(self._entropy.token(SEED_BYTES))
        numbers = list(range(1, WORDS + 1))
        asked = sorted(
            numbers.pop(int(self._entropy.uniform() * len(numbers))) for _ in range(WORDS_ASKED)
        )
        self._draft = _Draft(identity, tuple(asked))
        address = Address(self._keyring.name, identity.public.fingerprint)
        return {
            "address": str(self._keyring.address),
            "new_address": str(address),
            "words": identity.words,
            "asked": asked,
        }

    async def _finish(self, request: dict[str, Any]) -> Reply:
        draft, given = self._draft, str(request.get("words", "")).lower().split()
        if draft is None:
            raise PermanentFailure(
                phrase("No new words were shown. Begin with: postroad identity rotate")
            )
        words = draft.identity.words.split()
        if given != [words[number - 1] for number in draft.asked]:
            raise PermanentFailure(
                "Those are not the words that were asked for. Nothing was changed; look at your "
                "paper and finish again, or begin anew with: postroad identity rotate"
            )
        self._draft = None
        was = str(self._keyring.address)
        await self._changes.rotate(draft.identity.entropy)
        return {"address": str(self._keyring.address), "was": was}

    async def _expect_owner(self, request: dict[str, Any]) -> None:
        await self._owners_word.expect(str(request.get("passphrase", "")))

    async def _publish(self, request: dict[str, Any]) -> Reply:
        try:
            record = base64.b64decode(str(request.get("record", "")), validate=True)
        except ValueError as error:
            raise PermanentFailure("This is no revocation: it is not base64.") from error
        fingerprint = await self._changes.publish(record)
        mine = fingerprint == self._keyring.fingerprint
        return {"fingerprint": fingerprint, "is_yours": mine}
