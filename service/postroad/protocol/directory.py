"""Where things lie in the directory: the ids of nodes, the keys of records, what a record says.

Purpose: nothing in the directory is a claim. A node's id is the hash of the key that its link
proves; a record's key is the hash of the identity that signed it, and is read out of the record.
Layout: node id = SHA-256("postroad node" | device key 32)[:20];
record key = SHA-256("postroad rec" | kind u8 | fingerprint, 32 ASCII characters)[:20].
See: docs/adr/0005-directory.md.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Fingerprint, PeerId
from postroad.base.tlv import decode
from postroad.protocol.records import PERSON, PersonRecord, read_person

ID_BYTES = 20  # Kademlia's 160 bits
_KIND = b"\x01\x00\x01"  # how each record begins: field 1, one byte, which is its kind


@dataclass(frozen=True, slots=True)
class Statement:
    """What the directory has to know of a record, all of it signed. `expires`: seconds UTC."""

    kind: int
    fingerprint: Fingerprint
    sequence: int
    expires: float

    @property
    def key(self) -> bytes:
        return record_key(self.kind, self.fingerprint)


def node_id(peer: PeerId) -> bytes:
    """The id of the node with this device key."""
    return hashlib.sha256(b"postroad node" + peer).digest()[:ID_BYTES]


def record_key(kind: int, fingerprint: Fingerprint) -> bytes:
    """Where records of this kind of this identity lie."""
    said = b"postroad rec" + bytes([kind]) + fingerprint.encode("ascii")
    return hashlib.sha256(said).digest()[:ID_BYTES]


def _person(octets: bytes) -> Statement:
    record = read_person(octets, decode(PersonRecord, octets).fingerprint)
    return Statement(PERSON, record.fingerprint, record.sequence, float(record.expires))


_READERS: dict[int, Callable[[bytes], Statement]] = {PERSON: _person}


def read_statement(octets: bytes) -> Statement:
    """What a record of any kind says, verified; else PeerMisbehaved. Costs a signature or two."""
    if len(octets) > limits.RECORD_BYTES_MAX or octets[:3] != _KIND or len(octets) < 4:
        raise PeerMisbehaved("a record is not in its one form")
    reader = _READERS.get(octets[3])
    if reader is None:
        raise PeerMisbehaved("a record is of an unknown kind")
    return reader(octets)


def check_time(statement: Statement, now: float) -> None:
    """Raise PeerMisbehaved when the record has expired, or claims to live longer than any may."""
    if statement.expires <= now:
        raise PeerMisbehaved("a record has expired")
    if statement.expires > now + limits.RECORD_SECONDS_MAX + limits.DAY:  # clocks differ
        raise PeerMisbehaved("a record is from the future")
