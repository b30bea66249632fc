"""The people, nodes and moments of all vectors, and how to make what is not as it should be.

All keys come from seeds that everybody can have, so that a stranger can make the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from postroad.base.ids import Contact, Fingerprint, HostPort, Instant, Relay
from postroad.message.address import Address
from postroad.protocol.contacts import encode_contact
from postroad.sealing.certificate import Certificate, certify
from postroad.sealing.keys import EpochKey, Identity, SigningKey

NOW = Instant(1_800_000_000.0)
DAY = 86400
EXPIRES = NOW + 45 * DAY
OLD, NEW = Identity(b"\x01" * 32), Identity(b"\x02" * 32)
DEVICE, HOLDER, RELAY, OTHER = (SigningKey(bytes([n]) * 32) for n in (3, 4, 5, 0x0C))
DROP_KEY = SigningKey(b"\x0e" * 32)
EPOCH, OTHER_EPOCH = EpochKey(b"\x06" * 96), EpochKey(b"\x0d" * 96)
FOUR, SIX = HostPort("192.0.2.7", 46464), HostPort("2001:db8::7", 46465)
CONTACTS = {
    "contact-bare": Contact(DEVICE.peer),
    "contact-full": Contact(
        DEVICE.peer, (FOUR, SIX), Relay(RELAY.peer, HostPort("198.51.100.1", 443))
    ),
    "contact-relay-6": Contact(HOLDER.peer, (), Relay(RELAY.peer, HostPort("2001:db8::9", 443))),
}
DROP = b"\x07" * 16
RECEIPT = b"\x09" * 1052  # what stands where a sealed receipt does, for those who cannot open one
WEAK = b"\x01" + bytes(31)  # the neutral point
FITS_ALL = WEAK + bytes(32)  # the signature that it has for every message
WEAK_CONTACT = b"\0" + WEAK


@dataclass(frozen=True)
class Someone:
    name: str
    identity: Identity
    device: SigningKey

    @property
    def fingerprint(self) -> Fingerprint:
        return self.identity.public.fingerprint

    @property
    def address(self) -> str:
        return str(Address(self.name, self.fingerprint))

    @property
    def certificate(self) -> Certificate:
        return certify(self.identity, self.device.peer, NOW)


ANNA = Someone("anna", OLD, DEVICE)
BEN = Someone("ben", NEW, OTHER)
CARL = Someone("carl", Identity(b"\x0f" * 32), SigningKey(b"\x10" * 32))


def contact(name: str) -> bytes:
    return encode_contact(CONTACTS[name])


def tlv(*fields: tuple[int, bytes]) -> bytes:
    """Fields in any order, as often as one likes."""
    return b"".join(bytes([tag]) + len(value).to_bytes(2, "big") + value for tag, value in fields)


def split(octets: bytes) -> list[tuple[int, bytes]]:
    """The fields of a structure that was written as it should be."""
    found, at = [], 0
    while at < len(octets):
        size = int.from_bytes(octets[at + 1 : at + 3], "big")
        found.append((octets[at], octets[at + 3 : at + 3 + size]))
        at += 3 + size
    return found


def put(octets: bytes, tag: int, *values: bytes) -> bytes:
    """The structure with these values under a tag, in the place where it stood; none: left out."""
    found: list[tuple[int, bytes]] = []
    for one, value in split(octets):
        if one != tag:
            found.append((one, value))
        elif tag not in {done for done, _ in found}:
            found += [(tag, new) for new in values]
    return tlv(*found)


def flipped(octets: bytes, at: int, bits: int = 1) -> bytes:
    at %= len(octets)
    return octets[:at] + bytes([octets[at] ^ bits]) + octets[at + 1 :]


def mail_id(sealed: bytes) -> bytes:
    return hashlib.sha256(sealed).digest()


def seconds(at: float) -> bytes:
    return int(at).to_bytes(8, "big")


def named(prefix: str, found: Iterable[tuple[str, bytes]]) -> dict[str, bytes]:
    """The vectors, each with the same beginning of its name."""
    return {f"{prefix}-{name}": octets for name, octets in found}
