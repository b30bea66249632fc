"""A weak key in a letter or a receipt."""

from __future__ import annotations

import hashlib

import pytest

import weak_keys
from delivery.test_bundles import read
from delivery.test_forged import bring, header_for
from postroad.base import limits
from postroad.base.errors import PostroadError
from postroad.protocol import bundle, wire
from postroad.sealing.certificate import Certificate
from postroad.sealing.keys import SigningKey
from postroad.sealing.receipt import Receipt, seal_receipt
from weak_keys import WeakSigner
from weak_places.town import Town, asked, bundled, letter_of, place, text


@place("letter: the device and its certificate")
async def _(town: Town, key: bytes) -> None:
    mine = town.mallory.node.keyring.certificate
    weak = weak_keys.certificate_of_device(mine, key)
    await refused_letter(town, letter_by(town, weak, WeakSigner(key)))


@place("letter: the identity in the certificate")
async def _(town: Town, key: bytes) -> None:
    weak = weak_keys.certificate_by(town.mallory.node.keyring.certificate, key)
    await refused_letter(town, letter_by(town, weak, town.mallory.node.keyring.device))


@place("letter in a bundle: the device and its certificate")
async def _(town: Town, key: bytes) -> None:
    mine = town.mallory.node.keyring.certificate
    octets = letter_by(town, weak_keys.certificate_of_device(mine, key), WeakSigner(key))
    mail_id = hashlib.sha256(octets).digest()
    expires = int(town.bora.clock.now()) + limits.DAY
    item = bundle.Letter(mail_id, len(octets), expires, ())
    assert (await read(town.bora, bundled(item, octets))).unreadable == 1


@place("receipt: the device and its certificate")
async def _(town: Town, key: bytes) -> None:
    weak = weak_keys.certificate_of_device(town.carlas, key)
    await asked(town, receipt(town, weak, WeakSigner(key)))


@place("receipt: the identity in the certificate")
async def _(town: Town, key: bytes) -> None:
    weak = weak_keys.certificate_by(town.carlas, key)
    await asked(town, receipt(town, weak, SigningKey(b"c" * 32)))


@place("receipt in a bundle: the device and its certificate")
async def _(town: Town, key: bytes) -> None:
    made = receipt(town, weak_keys.certificate_of_device(town.carlas, key), WeakSigner(key))
    octets = bundled(bundle.Receipt(made.mail_id, made.receipt))
    assert (await read(town.bora, octets)).unreadable == 1


def letter_by(town: Town, certificate: Certificate, device: SigningKey) -> bytes:
    body = text(town.mallory, town.bora)
    header = header_for(town.mallory, town.bora, body, device=device.public)
    return letter_of(town, header, certificate, device)


async def refused_letter(town: Town, octets: bytes) -> None:
    with pytest.raises(PostroadError):
        await bring(town.mallory, town.bora, octets)


def receipt(town: Town, certificate: Certificate, device: SigningKey) -> wire.Receipt:
    """For Bora's letter to Carla, as whoever had opened that could make it."""
    secret = town.letter.sealed
    assert secret is not None
    said = Receipt(
        town.bora.node.keyring.fingerprint,
        town.letter.nonce,
        secret.header_hash,
        town.letter.fingerprint,
        1,
        int(town.bora.clock.now()),
    )
    sealed = seal_receipt(
        said,
        device=device,
        certificate=certificate,
        content_key=secret.content_key,
        nonce=b"n" * 12,
    )
    return wire.Receipt(secret.mail_id, sealed)
