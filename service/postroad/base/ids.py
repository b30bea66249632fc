"""Names for the things that cross rooms, so that one kind of bytes is not taken for another."""

import base64
import hashlib
import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import NewType

Instant = NewType("Instant", float)
"""A moment: seconds since 1970-01-01 UTC, by the injected clock."""

SureInstant = NewType("SureInstant", Instant)
"""A moment by a clock that is confirmed (`seams.SureClock`): only at such a one is anything
destroyed. Whoever forgets by time asks for it in the signature, and mypy keeps others out."""

PeerId = NewType("PeerId", bytes)
"""A node's device key: 32 bytes, Ed25519 public key; proven by every link."""

Fingerprint = NewType("Fingerprint", str)
"""An identity: 29 base32 characters of its keys' hash and 3 of checksum, lower case."""

MailId = NewType("MailId", bytes)
"""SHA-256 of a sealed letter's bytes."""

Nonce = NewType("Nonce", bytes)
"""16 random bytes that a letter keeps through every retry and re-seal."""

DropId = NewType("DropId", bytes)
"""16 random bytes that name a drop at one holder."""

Ticket = NewType("Ticket", bytes)
"""16 random bytes that let one contact deposit in the owner's drops."""


@dataclass(frozen=True, slots=True, order=True)
class HostPort:
    """An IP address in its canonical text form, and a port (UDP for iroh, TCP for TLS)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def ip(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        """The address itself, without the zone of a link-local one; ValueError when it is none."""
        return _ip(self.host)


@lru_cache(1024)  # the same few are asked for at every link
def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(host.partition("%")[0])


@dataclass(frozen=True, slots=True)
class Relay:
    """A node that passes packets on, and the address (TCP) at which it does."""

    peer: PeerId
    address: HostPort


@dataclass(frozen=True, slots=True)
class Contact:
    """Where a node may be reached: its device key, the addresses it was last known at, and the
    relay at which it waits for those who reach it at none of them."""

    peer: PeerId
    addresses: tuple[HostPort, ...] = ()
    relay: Relay | None = None


def short(octets: bytes) -> str:
    """The first 8 hexadecimal digits, for logs and for people."""
    return octets.hex()[:8]


FINGERPRINT_CHARACTERS = 32
_STEM = 29  # base32 characters of the digest; the other three are a checksum
_BASE32 = frozenset("abcdefghijklmnopqrstuvwxyz234567")


@lru_cache(1024)  # asked of every record and certificate, for the same few people
def fingerprint_from_digest(digest: bytes) -> Fingerprint:
    """The fingerprint of an identity whose keys hash to these 32 bytes."""
    stem = base64.b32encode(digest).decode().lower()[:_STEM]
    return Fingerprint(stem + _checksum(stem))


def is_fingerprint(text: str) -> bool:
    """Whether this is 32 base32 characters whose checksum holds: a typing error shows at once."""
    if len(text) != FINGERPRINT_CHARACTERS or not _BASE32.issuperset(text):
        return False
    return _checksum(text[:_STEM]) == text[_STEM:]


def _checksum(stem: str) -> str:
    digest = hashlib.sha256(b"postroad checksum" + stem.encode()).digest()
    return base64.b32encode(digest).decode().lower()[:3]
