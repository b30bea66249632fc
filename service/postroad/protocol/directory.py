"""Where things lie in the directory: the ids of nodes, the keys of records, what a record says.

Purpose: nothing in the directory is a claim. A node's id is the hash of the key that its link
proves; a record's key is the hash of the identity that signed it, and is read out of the record.
Layout: node id = SHA-256("postroad node" | device key 32)[:20];
record key = SHA-256("postroad rec" | kind u8 | fingerprint, 32 ASCII characters)[:20].
See: docs/adr/0005-directory.md.
"""

import hashlib
from dataclasses import dataclass

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Fingerprint, Instant, PeerId
from postroad.base.tlv import decode
from postroad.protocol.identity_records import (
    BYTES_MAX,
    REVOKE,
    ROTATE,
    AnyRecord,
    RevokeRecord,
    RotateRecord,
    kept_until,
    kind_of,
    read_record,
)
from postroad.protocol.records import PERSON, PersonRecord

ID_BYTES = 20  # Kademlia's 160 bits
RECORD_BYTES_MAX = max(BYTES_MAX.values())
_RECORDS: dict[int, type[AnyRecord]] = {
    PERSON: PersonRecord,
    REVOKE: RevokeRecord,
    ROTATE: RotateRecord,
}


@dataclass(frozen=True, slots=True)
class Statement:
    """What the directory has to know of a record. `expires`: seconds UTC, signed; that of a
    revocation, which has none, counts from when we got it."""

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


def read_statement(octets: bytes, now: float) -> Statement:
    """What a record of any kind says to somebody who gets it `now`, verified; else PeerMisbehaved.

    Costs a signature or several."""
    kind = kind_of(octets)
    said = _RECORDS.get(kind)
    if said is None:
        raise PeerMisbehaved("a record is of an unknown kind")
    if len(octets) > BYTES_MAX[kind]:
        raise PeerMisbehaved("a record is too large")
    record = read_record(octets, kind, decode(said, octets).fingerprint)
    until = kept_until(record, Instant(now))
    return Statement(kind, record.fingerprint, record.sequence, until)


def check_time(statement: Statement, now: float) -> None:
    """Raise PeerMisbehaved when the record has expired, or claims to live longer than any may."""
    if statement.expires <= now:
        raise PeerMisbehaved("a record has expired")
    if statement.expires > now + limits.RECORD_SECONDS_MAX + limits.DAY:  # clocks differ
        raise PeerMisbehaved("a record is from the future")
