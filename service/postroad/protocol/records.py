"""Records: small signed statements about a person, that anybody may keep and hand on.

Purpose: say how to seal and where to bring letters for one identity. Self-certifying: the keys
inside hash to the fingerprint that was asked for. The highest sequence wins; an expired record
may still be used by whoever holds it.
See: docs/architecture.md.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Contact, DropId, Fingerprint, Instant, PeerId
from postroad.base.tlv import decode, encode, fixed, nested, number, octets, several, text
from postroad.message.address import Address, is_name
from postroad.protocol.contacts import (
    CONTACT_BYTES_MAX,
    CONTACT_BYTES_MIN,
    decode_contact,
    encode_contact,
)
from postroad.sealing import certificate as certificates
from postroad.sealing import keys
from postroad.sealing.certificate import Certificate
from postroad.sealing.keys import SigningKey

CONTEXT = b"postroad/record/1"
PERSON = 1
DEVICES_MAX = 4
SEQUENCE_BEGINS = 1_577_836_800  # 2020-01-01 UTC


@dataclass(frozen=True, slots=True)
class Drop:
    """A pigeon-hole at one holder."""

    drop: bytes = fixed(1, 16)
    holder: bytes = octets(2, CONTACT_BYTES_MIN, CONTACT_BYTES_MAX)

    @property
    def id(self) -> DropId:
        return DropId(self.drop)

    @property
    def contact(self) -> Contact:
        return decode_contact(self.holder)


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """`sequence`: a counter in the high 32 bits, the device key's first 4 bytes in the low ones.

    `expires` is in seconds UTC, `size_max` in bytes. `signature` is the certified device's."""

    kind: int = number(1, 1)
    name: str = text(2, 31)
    devices: tuple[bytes, ...] = several(
        octets(3, CONTACT_BYTES_MIN, CONTACT_BYTES_MAX), DEVICES_MAX, 1
    )
    drops: tuple[Drop, ...] = several(nested(4, Drop), limits.DROPS_IN_RECORD_MAX)
    epoch_key: bytes = fixed(5, keys.EPOCH_PUBLIC_BYTES)
    size_max: int = number(6, 4)
    strangers: int = number(7, 1)  # 0: refused; else the bits of a stamp on their letters
    sequence: int = number(8, 8)
    expires: int = number(9, 8)
    certificate: Certificate = nested(10, Certificate)
    signature: bytes = fixed(11, keys.SIGNATURE_BYTES)

    @property
    def fingerprint(self) -> Fingerprint:
        return self.certificate.fingerprint

    @property
    def address(self) -> Address:
        return Address(self.name, self.fingerprint)

    @property
    def contacts(self) -> tuple[Contact, ...]:
        """The devices, where letters are brought when they are awake."""
        return tuple(decode_contact(device) for device in self.devices)

    @property
    def signer(self) -> Contact | None:
        """Where the device is that signed this: the only one that is proven to be theirs. None when
        the record does not say."""
        device = self.certificate.device
        return next((one for one in self.contacts if one.peer == device), None)


def next_sequence(previous: int, device: PeerId, now: Instant) -> int:
    """A sequence above `previous`, which no other device of the person would choose.

    The counter follows the minutes since 2020, so that a device set up from the 24 words alone,
    which knows nothing of the lost one, is believed all the same."""
    minutes = max(0, int(now - SEQUENCE_BEGINS) // 60)
    return max((previous >> 32) + 1, minutes) << 32 | int.from_bytes(device[:4], "big")


def is_from_the_future(record: PersonRecord, now: float) -> bool:
    """Whether it was issued more than a day from now: one of two clocks is wrong.

    Its date decides, and not its sequence: whoever's clock was ahead once counts on from there."""
    issued = record.expires - limits.RECORD_SECONDS_MAX
    return issued > now + certificates.CLOCK_SKEW_SECONDS


def sign_person(
    *,
    name: str,
    devices: tuple[Contact, ...],
    drops: tuple[Drop, ...],
    epoch_key: bytes,
    sequence: int,
    expires: float,
    certificate: Certificate,
    device: SigningKey,
    strangers: int = 0,
) -> PersonRecord:
    """A person's record, signed by one of their certified devices."""
    unsigned = PersonRecord(
        PERSON,
        name,
        tuple(encode_contact(contact) for contact in devices),
        drops,
        epoch_key,
        limits.LETTER_BYTES_MAX,
        strangers,
        sequence,
        int(expires),
        certificate,
        bytes(keys.SIGNATURE_BYTES),
    )
    return sign_again(unsigned, certificate, device)


def sign_again(record: PersonRecord, certificate: Certificate, device: SigningKey) -> PersonRecord:
    """The same, said by the identity of this certificate."""
    unsigned = replace(record, certificate=certificate, signature=bytes(keys.SIGNATURE_BYTES))
    signed = replace(unsigned, signature=device.sign(CONTEXT, encode(unsigned)))
    assert len(encode(signed)) <= limits.RECORD_BYTES_MAX
    return signed


@lru_cache(maxsize=limits.RECORDS_AT_HAND_MAX)  # two signatures to check each time
def read_person(encoded: bytes, fingerprint: Fingerprint) -> PersonRecord:
    """The record, verified to be that identity's; else PeerMisbehaved.

    Expiry is not checked: whoever holds a record may use it until a newer one is found."""
    if len(encoded) > limits.RECORD_BYTES_MAX:
        raise PeerMisbehaved("a record is too large")
    record = decode(PersonRecord, encoded)
    if record.kind != PERSON or not is_name(record.name):
        raise PeerMisbehaved("a record is of an unknown kind")
    issued = record.expires - limits.RECORD_SECONDS_MAX
    certificates.check(record.certificate, fingerprint, max(issued, 0))
    unsigned = replace(record, signature=bytes(keys.SIGNATURE_BYTES))
    keys.verify(record.certificate.device, CONTEXT, encode(unsigned), record.signature)
    keys.load_epoch_key(record.epoch_key)
    # Of all the devices in it only this one has proven that it is this person's.
    if record.certificate.device not in [contact.peer for contact in record.contacts]:
        raise PeerMisbehaved("a record does not name the device that signed it")
    for drop in record.drops:
        decode_contact(drop.holder)
    return record
