"""Contacts, certificates and records, as docs/protocol/records.md says."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

from second_reader.keys import ed25519, epoch_key, fingerprint, verify, verify_mldsa
from second_reader.tlv import count, fields, must, number, sized, split, text

DAY = 86400
NOTHING_IS_NEWER = 2**63 - 1


@dataclass(frozen=True)
class Contact:
    device: bytes
    ipv4: str = ""
    ipv6: str = ""
    relay_device: bytes = b""
    relay: str = ""


def contact(octets: bytes) -> Contact:
    must(len(octets) >= 33, "a contact is cut short")
    flags, at = octets[0], 33
    must(flags < 16 and flags & 12 != 12, "unknown flags")
    places: dict[str, str] = {}
    relay_device = b""
    for bit, name, size in ((1, "ipv4", 4), (2, "ipv6", 16), (4, "relay", 4), (8, "relay", 16)):
        if flags & bit:
            if name == "relay":
                relay_device = ed25519(octets[at : at + 32])
                at += 32
            must(len(octets) >= at + size + 2, "a contact is cut short")
            port = int.from_bytes(octets[at + size : at + size + 2], "big")
            must(port > 0, "port 0")
            places[name] = f"{ipaddress.ip_address(octets[at : at + size])} {port}"
            at += size + 2
    must(at == len(octets), "a contact of another size")
    return Contact(ed25519(octets[1:33]), relay_device=relay_device, **places)


@dataclass(frozen=True)
class Certificate:
    fingerprint: str
    device: bytes
    begins: int
    ends: int

    def check(self, person: str, at: int) -> None:
        must(self.fingerprint == person, "another person's certificate")
        must(self.begins - DAY <= at <= self.ends, "not certified at that time")


def certificate(octets: bytes) -> Certificate:
    statement, signature = fields(octets, 1, 2)
    identity, mldsa_hash, device, begins, ends = fields(statement, 1, 2, 3, 4, 5)
    verify(identity, b"postroad/device-certificate/1", statement, signature)
    who = fingerprint(identity, mldsa_hash)
    found = Certificate(who, ed25519(device), number(begins, 8), number(ends, 8))
    must(found.ends <= found.begins + 90 * DAY, "it lasts too long")
    return found


@dataclass(frozen=True)
class Person:
    fingerprint: str
    name: str
    devices: tuple[Contact, ...]
    drops: tuple[tuple[bytes, Contact], ...]
    epoch_key: bytes
    size_max: int
    strangers: int
    sequence: int
    expires: int
    signer: bytes


def person(octets: bytes) -> Person:
    must(len(octets) <= 4096, "too large")
    devices, drops = count(octets, 3, 1, 4), count(octets, 4, 0, 8)
    tags = (1, 2, *[3] * devices, *[4] * drops, *range(5, 12))
    values = fields(octets, *tags)
    kind, name, rest = values[0], text(values[1], 0, 31), values[2:]
    epoch, size_max, strangers, sequence, expires, certified, signature = rest[-7:]
    must(number(kind, 1) == 1, "another kind")
    must(re.fullmatch("[a-z0-9_-]{1,31}", name) is not None, "no name")
    by = certificate(certified)
    by.check(by.fingerprint, max(number(expires, 8) - 45 * DAY, 0))
    verify(by.device, b"postroad/record/1", octets[:-64] + bytes(64), signature)
    known = tuple(contact(value) for value in rest[:devices])
    must(by.device in [one.device for one in known], "signed by a device that it does not name")
    pairs = [fields(value, 1, 2) for value in rest[devices:-7]]
    return Person(
        by.fingerprint,
        name,
        known,
        tuple((sized(drop, 16), contact(holder)) for drop, holder in pairs),
        epoch_key(epoch),
        number(size_max, 4),
        number(strangers, 1),
        number(sequence, 8),
        number(expires, 8),
        by.device,
    )


def identity_keys(octets: bytes) -> tuple[bytes, bytes, str]:
    key, mldsa = fields(octets, 1, 2)
    return key, mldsa, fingerprint(key, hashlib.sha256(sized(mldsa, 1952)).digest())


def verify_both(identity: bytes, context: bytes, signed: bytes, signatures: bytes) -> str:
    """Who signed, by their fingerprint."""
    key, mldsa, who = identity_keys(identity)
    one, other = fields(signatures, 1, 2)
    verify(key, context, signed, one)
    verify_mldsa(mldsa, context, signed, other)
    return who


BLANK = b"\x01\x00\x40" + bytes(64) + b"\x02\x0c\xed" + bytes(3309)


@dataclass(frozen=True)
class Revoke:
    fingerprint: str
    devices: tuple[bytes, ...]
    sequence: int


def revoke(octets: bytes) -> Revoke:
    must(len(octets) <= 6 * 1024, "too large")
    devices = [ed25519(value) for tag, value in split(octets) if tag == 3]
    kind, identity, *_, sequence, signatures = fields(octets, 1, 2, *[3] * len(devices), 4, 5)
    must(number(kind, 1) == 2, "another kind")
    must(devices == sorted(set(devices)) and len(devices) <= 16, "the order of devices")
    must(bool(devices) != (number(sequence, 8) == NOTHING_IS_NEWER), "the sequence")
    unsigned = octets[: -len(BLANK)] + BLANK
    who = verify_both(identity, b"postroad/revoke/1", unsigned, signatures)
    return Revoke(who, tuple(devices), number(sequence, 8))


@dataclass(frozen=True)
class Rotate:
    fingerprint: str
    new: str
    sequence: int
    expires: int


def rotate(octets: bytes) -> Rotate:
    must(len(octets) <= 12 * 1024, "too large")
    kind, old, new, sequence, expires, old_signed, new_signed = fields(octets, 1, 2, 3, 4, 5, 6, 7)
    must(number(kind, 1) == 3, "another kind")
    size = len(BLANK).to_bytes(2, "big")
    unsigned = octets[: -2 * (3 + len(BLANK))]
    unsigned += b"\x06" + size + BLANK + b"\x07" + size + BLANK
    context = b"postroad/rotate/1"
    leaves = verify_both(old, context, unsigned, old_signed)
    becomes = verify_both(new, context, unsigned, new_signed)
    must(leaves != becomes, "it leads nowhere")
    return Rotate(leaves, becomes, number(sequence, 8), number(expires, 8))


READERS: dict[int, Callable[[bytes], Person | Revoke | Rotate]] = {1: person, 2: revoke, 3: rotate}


def record(octets: bytes) -> Person | Revoke | Rotate:
    """A record of any kind, by its first four bytes."""
    must(octets[:3] == b"\x01\x00\x01" and octets[3:4] != b"", "not a record")
    must(octets[3] in READERS, "a record of an unknown kind")
    return READERS[octets[3]](octets)
