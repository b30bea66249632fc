"""Records in which an identity speaks of itself: it is revoked, or handed on to another.

Purpose: `revoke` ends a whole identity or some of its devices; `rotate` says that an old identity
is a new one from now on. Both keys of the identity sign, for its fingerprint commits to both.
`read_record` reads a record of any kind, for those who keep them for others.
Invariants: one encoding for each statement; the revocation of a whole identity is the newest that
there can be; a rotation is signed from both sides, so nobody is handed to whom they did not ask.
What contacts do about them is not decided here.
See: docs/protocol/records.md.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Fingerprint, Instant, PeerId
from postroad.base.tlv import NUMBER_MAX, decode, encode, fixed, nested, number, several
from postroad.protocol.records import PERSON, PersonRecord, read_person
from postroad.sealing import hybrid
from postroad.sealing.hybrid import IdentityKeys, Signatures
from postroad.sealing.keys import Identity, load_ed25519

REVOKE = 2
ROTATE = 3
REVOKE_CONTEXT = b"postroad/revoke/1"
ROTATE_CONTEXT = b"postroad/rotate/1"
NOTHING_IS_NEWER = NUMBER_MAX  # the sequence of a whole identity's revocation
_KIND_AT = 3  # in every record: tag u8 | length u16 | kind


@dataclass(frozen=True, slots=True)
class RevokeRecord:
    """Without `devices` the identity itself is revoked, for ever; else all of these devices are.

    A later one names the earlier devices too. It has no expiry: who keeps it for others does so for
    45 days after they got it, so that one can be made in good days and published in bad ones."""

    kind: int = number(1, 1)
    identity: IdentityKeys = nested(2, IdentityKeys)
    devices: tuple[bytes, ...] = several(fixed(3, 32), limits.REVOKED_DEVICES_MAX)
    sequence: int = number(4, 8)
    signatures: Signatures = nested(5, Signatures)

    @property
    def fingerprint(self) -> Fingerprint:
        return self.identity.fingerprint


@dataclass(frozen=True, slots=True)
class RotateRecord:
    """Whoever was `old` is `new` from now on. `expires` is in seconds UTC."""

    kind: int = number(1, 1)
    old: IdentityKeys = nested(2, IdentityKeys)
    new: IdentityKeys = nested(3, IdentityKeys)
    sequence: int = number(4, 8)
    expires: int = number(5, 8)
    old_signatures: Signatures = nested(6, Signatures)
    new_signatures: Signatures = nested(7, Signatures)

    @property
    def fingerprint(self) -> Fingerprint:
        """Of the old identity: whoever knows only that one has to find it."""
        return self.old.fingerprint


AnyRecord = PersonRecord | RevokeRecord | RotateRecord
BYTES_MAX = {
    PERSON: limits.RECORD_BYTES_MAX,
    REVOKE: limits.REVOKE_BYTES_MAX,
    ROTATE: limits.ROTATE_BYTES_MAX,
}


def sign_revoke(identity: Identity) -> RevokeRecord:
    """The end of this identity. It can be made long before it is needed."""
    return _signed_revoke(identity, (), NOTHING_IS_NEWER)


def sign_revoke_devices(
    identity: Identity, devices: Iterable[PeerId], sequence: int
) -> RevokeRecord:
    """These devices do not speak for the identity any more: all that ever were, not only the last.

    `sequence`: `records.next_sequence` of the last such record."""
    return _signed_revoke(identity, tuple(sorted(set(devices))), sequence)


def _signed_revoke(identity: Identity, devices: tuple[PeerId, ...], sequence: int) -> RevokeRecord:
    assert bool(devices) == (sequence != NOTHING_IS_NEWER)
    unsigned = RevokeRecord(REVOKE, hybrid.public_keys(identity), devices, sequence, hybrid.BLANK)
    return replace(unsigned, signatures=hybrid.sign(identity, REVOKE_CONTEXT, encode(unsigned)))


def sign_rotate(old: Identity, new: Identity, sequence: int, expires: float) -> RotateRecord:
    """The old identity names the new one, and the new one says that it is so."""
    unsigned = RotateRecord(
        ROTATE,
        hybrid.public_keys(old),
        hybrid.public_keys(new),
        sequence,
        int(expires),
        hybrid.BLANK,
        hybrid.BLANK,
    )
    assert unsigned.old != unsigned.new
    octets = encode(unsigned)
    return replace(
        unsigned,
        old_signatures=hybrid.sign(old, ROTATE_CONTEXT, octets),
        new_signatures=hybrid.sign(new, ROTATE_CONTEXT, octets),
    )


def read_revoke(octets: bytes, fingerprint: Fingerprint) -> RevokeRecord:
    """The revocation, verified to be that identity's own; else PeerMisbehaved."""
    _check_size(octets, REVOKE)
    record = decode(RevokeRecord, octets)
    if record.kind != REVOKE or record.fingerprint != fingerprint:
        raise PeerMisbehaved("a revocation is not that identity's")
    if bool(record.devices) == (record.sequence == NOTHING_IS_NEWER):
        raise PeerMisbehaved("a revocation has a sequence that it may not have")
    if list(record.devices) != sorted(set(record.devices)):
        raise PeerMisbehaved("the devices of a revocation are not in their order")
    for device in record.devices:
        load_ed25519(device)
    unsigned = encode(replace(record, signatures=hybrid.BLANK))
    hybrid.verify(record.identity, REVOKE_CONTEXT, unsigned, record.signatures)
    return record


def read_rotate(octets: bytes, fingerprint: Fingerprint) -> RotateRecord:
    """The rotation away from that identity, verified from both sides; else PeerMisbehaved.

    Expiry is not checked: whoever holds a record may use it until a newer one is found."""
    _check_size(octets, ROTATE)
    record = decode(RotateRecord, octets)
    if record.kind != ROTATE or record.fingerprint != fingerprint:
        raise PeerMisbehaved("a rotation is not that identity's")
    if record.new.fingerprint == fingerprint:
        raise PeerMisbehaved("a rotation leads nowhere")
    unsigned = encode(replace(record, old_signatures=hybrid.BLANK, new_signatures=hybrid.BLANK))
    hybrid.verify(record.old, ROTATE_CONTEXT, unsigned, record.old_signatures)
    hybrid.verify(record.new, ROTATE_CONTEXT, unsigned, record.new_signatures)
    return record


_READERS: dict[int, Callable[[bytes, Fingerprint], AnyRecord]] = {
    PERSON: read_person,
    REVOKE: read_revoke,
    ROTATE: read_rotate,
}


def read_record(octets: bytes, kind: int, fingerprint: Fingerprint) -> AnyRecord:
    """A record of this kind, verified to be that identity's; else PeerMisbehaved."""
    reader = _READERS.get(kind)
    if reader is None:
        raise PeerMisbehaved("a record is of an unknown kind")
    return reader(octets, fingerprint)


def kind_of(octets: bytes) -> int:
    """The kind that a record says it is, 0 when it says none; nothing else of it is looked at."""
    return octets[_KIND_AT] if octets[:_KIND_AT] == b"\x01\x00\x01" and octets[_KIND_AT:] else 0


def kept_until(record: AnyRecord, got_at: Instant) -> Instant:
    """Until when somebody keeps it for others who got it at that moment."""
    if isinstance(record, RevokeRecord):
        return Instant(got_at + limits.RECORD_SECONDS_MAX)
    return Instant(float(record.expires))


def _check_size(octets: bytes, kind: int) -> None:
    if len(octets) > BYTES_MAX[kind]:
        raise PeerMisbehaved("a record is too large")
