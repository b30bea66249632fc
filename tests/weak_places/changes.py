"""A weak key in a revocation or a rotation: to the directory, in a bundle, and told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

import weak_keys
from delivery.test_bundles import read
from postroad.app.mail_doors import Sockets
from postroad.base import limits
from postroad.base.errors import PermanentFailure, PostroadError
from postroad.base.ids import Contact, PeerId
from postroad.base.tlv import encode
from postroad.protocol import bundle, wire_changes, wire_directory
from postroad.protocol.contacts import encode_contact
from postroad.protocol.identity_records import ROTATE_CONTEXT, sign_revoke_devices, sign_rotate
from postroad.sealing import hybrid
from postroad.sealing.certificate import certify
from postroad.sealing.hybrid import BLANK
from postroad.sealing.keys import Identity, SigningKey
from weak_places.town import Town, asked, bundled, place


async def revoked_device(town: Town, key: bytes) -> bytes:
    identity = town.mallory.node.keyring._keyring.identity
    return encode(sign_revoke_devices(identity, [PeerId(key)], 7))


async def revoked_identity(town: Town, key: bytes) -> bytes:
    identity = town.mallory.node.keyring._keyring.identity
    real = sign_revoke_devices(identity, [town.mallory.node.endpoint.me], 7)
    weak = replace(
        real,
        identity=replace(real.identity, ed25519=key),
        signatures=replace(real.signatures, ed25519=weak_keys.EVERYBODYS_SIGNATURE),
    )
    return encode(weak)


async def rotated(town: Town, key: bytes) -> bytes:
    old = town.mallory.node.keyring._keyring.identity
    real = sign_rotate(old, Identity(b"n" * 32), 7, town.bora.clock.now() + limits.DAY)
    weak = replace(real, new=replace(real.new, ed25519=key))
    blank = encode(replace(weak, old_signatures=BLANK, new_signatures=BLANK))
    return encode(replace(weak, old_signatures=hybrid.sign(old, ROTATE_CONTEXT, blank)))


def _change_place(name: str, make: Callable[[Town, bytes], Awaitable[bytes]]) -> None:
    @place(f"{name}, to the directory")
    async def _(town: Town, key: bytes) -> None:
        await asked(town, wire_directory.Store(None, await make(town, key)))


def _told_place(name: str, make: Callable[[Town, bytes], Awaitable[bytes]]) -> None:
    @place(f"{name}, told")
    async def _(town: Town, key: bytes) -> None:
        await asked(town, wire_changes.Changed(await make(town, key), None))


_change_place("revocation: a device", revoked_device)
_change_place("revocation: the identity", revoked_identity)
_change_place("rotation: the new identity", rotated)
_told_place("revocation: a device", revoked_device)
# A weak identity is nobody whom we know: what is told of it is turned away unread.
_told_place("rotation: the new identity", rotated)


@place("rotation, told: another device of the new identity")
async def _(town: Town, key: bytes) -> None:
    old, new = town.mallory.node.keyring._keyring.identity, Identity(b"n" * 32)
    now = town.bora.clock.now()
    good, device = await town.mallory.node.renter.record(), SigningKey(b"e" * 32)
    heir = replace(
        good,
        certificate=certify(new, device.peer, now),
        devices=(encode_contact(Contact(device.peer)), encode_contact(weak_keys.contact(key))),
    )
    record = encode(sign_rotate(old, new, 7, now + limits.DAY))
    await asked(town, wire_changes.Changed(record, encode(weak_keys.signed(heir, device))))


def _bundled_place(name: str, make: Callable[[Town, bytes], Awaitable[bytes]]) -> None:
    @place(f"{name}, in a bundle")
    async def _(town: Town, key: bytes) -> None:
        change = bundled(bundle.Change(await make(town, key), None))
        assert (await read(town.bora, change)).unreadable == 1


_bundled_place("revocation: a device", revoked_device)
_bundled_place("revocation: the identity", revoked_identity)
_bundled_place("rotation: the new identity", rotated)


@place("devices revoke KEY")
async def _(town: Town, key: bytes) -> None:
    node = town.bora.node
    revoke = node.desks(node.doors(Sockets()))["revoke device"]
    with pytest.raises(PermanentFailure, match="no device's key"):
        await revoke({"device": key.hex()})


@place("revocation on a printed sheet: the identity")
async def _(town: Town, key: bytes) -> None:
    with pytest.raises(PostroadError, match="no revocation"):
        await town.bora.node.changes.publish(await revoked_identity(town, key))
