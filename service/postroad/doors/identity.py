"""What an owner may ask about their devices and their identity: list, revoke, print, hand on."""

import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from postroad.base.errors import PermanentFailure
from postroad.base.ids import short
from postroad.base.tlv import encode
from postroad.delivery.changes import Changes
from postroad.protocol.identity_records import sign_revoke
from postroad.store.keyring import OwnKeys

Reply = dict[str, Any]
Request = Callable[[dict[str, Any]], Awaitable[Reply]]


class IdentityDesk:
    """`requests` are for `doors.control`."""

    def __init__(self, changes: Changes, keyring: OwnKeys) -> None:
        self._changes = changes
        self._keyring = keyring
        self.requests: Mapping[str, Request] = {
            "devices": self._devices,
            "revoke device": self._revoke_device,
            "sheet": self._sheet,
            "publish revocation": self._publish,
        }

    async def _devices(self, _: dict[str, Any]) -> Reply:
        found = await self._changes.devices()
        return {
            "address": str(self._keyring.address),
            "is_ended": await self._changes.is_ended(),
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
        peer = await self._changes.device_called(wanted)
        await self._changes.revoke_devices([peer])
        return {"id": short(peer)}

    async def _sheet(self, _: dict[str, Any]) -> Reply:
        """The record that ends this identity: for a file of the owner's, and kept nowhere here."""
        record = encode(sign_revoke(self._keyring.identity))
        return {"address": str(self._keyring.address), "record": base64.b64encode(record).decode()}

    async def _publish(self, request: dict[str, Any]) -> Reply:
        try:
            record = base64.b64decode(str(request.get("record", "")), validate=True)
        except ValueError as error:
            raise PermanentFailure("This is no revocation: it is not base64.") from error
        fingerprint = await self._changes.publish(record)
        mine = fingerprint == self._keyring.fingerprint
        return {"fingerprint": fingerprint, "is_yours": mine}
