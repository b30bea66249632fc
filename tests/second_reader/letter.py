"""Sealed letters, as docs/protocol/letter.md says: the order of the checks is that of the page."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from second_reader import records
from second_reader.keys import (
    address,
    ed25519,
    epoch_key_id,
    epoch_public,
    hkdf_expand,
    hpke_open,
    open_aead,
    verify,
)
from second_reader.tlv import count, fields, flag, must, number, sized, split, text

MAGIC = b"PRLETTR\x01\x01"
CHUNK = 65536
WRAP = 16 + 1200
SEALED_MAX = 33_554_432
BODY_MAX = 26_214_400 + 4096
DAY = 86400
PERSON, INTRODUCTION = 1, 2


@dataclass(frozen=True)
class Person:
    address: str
    fingerprint: str


@dataclass(frozen=True)
class Introduction:
    secret: bytes
    ticket: bytes
    record: bytes


@dataclass(frozen=True)
class Letter:
    """`header`: its octets, for receipts."""

    kind: int
    sender: Person
    device: bytes
    visible: tuple[Person, ...]
    recipient: Person
    blind: bool
    nonce: bytes
    created: int
    expires: int
    introduction: Introduction | None
    body: bytes
    header: bytes
    content_key: bytes


def read(octets: bytes, epoch_secret: bytes, recipient: str, now: int) -> Letter:
    """A letter that is sealed to this epoch key, for this person."""
    must(octets[:9] == MAGIC and len(octets) >= 17, "not a sealed letter")
    size = int.from_bytes(octets[9:17], "big")
    must(len(octets) == 17 + size + WRAP <= SEALED_MAX, "a letter of another size")
    payload, wrap = octets[17 : 17 + size], octets[17 + size :]
    epoch_id = epoch_key_id(epoch_public(epoch_secret))
    must(wrap[:16] == epoch_id, "sealed to another epoch key")
    info = b"postroad/wrap/1\0" + epoch_id + hashlib.sha256(payload).digest()
    opened = sized(hpke_open(epoch_secret, wrap[16:], info), 64)
    key, commitment = opened[:32], opened[32:]
    must(commitment == _derived(key, b"commitment"), "another content key was committed to")
    found = _content(_open_chunks(payload, key, commitment), key, epoch_id)
    must(found.created <= now + DAY, "from the future")
    _check_addresses(found, recipient)
    return found


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hkdf_expand(key, b"postroad/letter/1 " + purpose, 32)


def receipt_key(content_key: bytes) -> bytes:
    return _derived(content_key, b"receipt")


def _open_chunks(payload: bytes, content_key: bytes, commitment: bytes) -> bytes:
    key, content = _derived(content_key, b"payload"), b""
    chunks = [payload[at : at + CHUNK + 16] for at in range(0, len(payload), CHUNK + 16)]
    for place, chunk in enumerate(chunks):
        must(len(chunk) > 16, "a chunk of nothing")
        last = bytes([place == len(chunks) - 1])
        nonce = bytes(7) + place.to_bytes(4, "big") + last
        content += open_aead(key, nonce, chunk, commitment)
    return content


def padme(size: int) -> int:
    exponent = size.bit_length() - 1
    step = 1 << (exponent - exponent.bit_length())
    return -(-size // step) * step


def _content(content: bytes, content_key: bytes, epoch_id: bytes) -> Letter:
    front_size = int.from_bytes(content[:4], "big")
    begins = 4 + front_size
    must(len(content) >= 4 and begins <= min(len(content), CHUNK), "the front is cut short")
    header, signature, certified = fields(content[4:begins], 1, 2, 3)
    visible = count(header, 6, 0, 50)
    introduced = any(tag == 15 for tag, _ in split(header))
    tags = (*range(1, 6), *[6] * visible, *range(7, 15), *[15] * introduced)
    values = fields(header, *tags)
    version, suite, kind, sender, device = values[:5]
    seen, rest = values[5 : 5 + visible], values[5 + visible :]
    recipient, epoch, blind, nonce, created, expires, size, digest = rest[:8]
    length = number(size, 8)
    must(length <= BODY_MAX, "too large a body")
    must(len(content) == padme(begins + length), "another padding than Padmé")
    body, padding = content[begins : begins + length], content[begins + length :]
    must(padding == bytes(len(padding)), "padding that is not zero")
    must(sized(epoch, 16) == epoch_id, "the header names another epoch key")
    found = Letter(
        number(kind, 1),
        _person(sender),
        ed25519(device),
        tuple(_person(one) for one in seen),
        _person(recipient),
        flag(blind),
        sized(nonce, 16),
        number(created, 8),
        number(expires, 8),
        _introduction(rest[8]) if introduced else None,
        body,
        header,
        content_key,
    )
    must((number(version, 1), number(suite, 1)) == (1, 1), "an unknown version or suite")
    _check_agreement(found)
    by = records.certificate(certified)
    must(by.device == found.device, "the header names another device")
    by.check(found.sender.fingerprint, found.created)
    verify(found.device, b"postroad/letter/1", header, signature)
    must(hashlib.sha256(body).digest() == sized(digest, 32), "not the body that was signed")
    return found


def _person(octets: bytes) -> Person:
    where, who = fields(octets, 1, 2)
    return Person(text(where, 0, 320), text(who, 32, 32))


def _introduction(octets: bytes) -> Introduction:
    secret, ticket, record = fields(octets, 1, 2, 3)
    return Introduction(sized(secret, 0, 16), sized(ticket, 16), sized(record, 1, 4096))


def _check_agreement(found: Letter) -> None:
    must(found.kind in (PERSON, INTRODUCTION), "a letter of an unknown kind")
    introduces = found.introduction is not None
    must(introduces == (found.kind == INTRODUCTION), "field 15 does not belong to the kind")
    named = [one.fingerprint for one in found.visible]
    must(len(set(named)) == len(named), "somebody is visible twice")
    must(found.blind == (found.recipient.fingerprint not in named), "blind, or not, wrongly")
    must(found.expires <= found.created + 31 * DAY, "it lives too long")
    must(found.created <= found.expires + 660, "it expired before it was written")


def _check_addresses(found: Letter, me: str) -> None:
    must(found.recipient.fingerprint == me, "for somebody else")
    must(address(found.sender.address, found.sender.fingerprint) == "", "a sender with a tag")
    for one in (found.recipient, *found.visible):
        address(one.address, one.fingerprint)
