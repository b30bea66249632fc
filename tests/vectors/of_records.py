"""The vectors of docs/protocol/records.md, out of keys that everybody can have.

All is the same each time but ML-DSA signatures, which the library makes with randomness of its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from postroad.base.ids import DropId
from postroad.base.tlv import decode, encode
from postroad.protocol import sheet
from postroad.protocol.contacts import encode_contact
from postroad.protocol.identity_records import (
    NOTHING_IS_NEWER,
    REVOKE,
    REVOKE_CONTEXT,
    ROTATE,
    ROTATE_CONTEXT,
    RevokeRecord,
    RotateRecord,
    sign_revoke,
    sign_revoke_devices,
    sign_rotate,
)
from postroad.protocol.records import CONTEXT, Drop, next_sequence, sign_person
from postroad.sealing import certificate as certificates
from postroad.sealing import hybrid
from postroad.sealing.certificate import certify
from postroad.sealing.hybrid import BLANK
from vectors.world import (
    CONTACTS,
    DAY,
    DEVICE,
    DROP,
    EPOCH,
    EXPIRES,
    FITS_ALL,
    HOLDER,
    NEW,
    NOW,
    OLD,
    OTHER,
    WEAK,
    WEAK_CONTACT,
    contact,
    named,
    put,
    seconds,
    split,
    tlv,
)

SEQUENCE = next_sequence(0, DEVICE.peer, NOW)


def records() -> dict[str, Any]:
    drop = Drop(DropId(DROP), contact("contact-relay-6"))
    person = sign_person(
        name="anna",
        devices=(CONTACTS["contact-full"],),
        drops=(drop,),
        epoch_key=EPOCH.public,
        sequence=SEQUENCE,
        expires=EXPIRES,
        certificate=certify(OLD, DEVICE.peer, NOW),
        device=DEVICE,
    )
    return {
        "person": person,
        "revoke": sign_revoke(OLD),
        "revoke-devices": sign_revoke_devices(OLD, (DEVICE.peer, HOLDER.peer), SEQUENCE),
        "rotate": sign_rotate(OLD, NEW, SEQUENCE, EXPIRES),
    }


def normal(name: str, octets: bytes) -> bytes:
    """The octets without what is random in them: the ML-DSA signatures."""
    kind = {"revoke": RevokeRecord, "rotate": RotateRecord}.get(name.removeprefix("no-")[:6])
    if kind is None:
        return octets
    record: Any = decode(kind, octets)
    names = ("signatures", "old_signatures", "new_signatures")
    return encode(
        replace(
            record,
            **{
                one: hybrid.Signatures(getattr(record, one).ed25519, BLANK.mldsa)
                for one in names
                if hasattr(record, one)
            },
        )
    )


def _bad_contacts() -> dict[str, bytes]:
    full = contact("contact-full")
    both = bytes([full[0] | 8]) + full[1:] + contact("contact-relay-6")[33:]
    return {
        "empty": b"",
        "flag": bytes([full[0] | 16]) + full[1:],
        "two-relays": both,
        "port-zero": full[:37] + bytes(2) + full[39:],
        "cut-short": full[:-1],
        "more-behind": full + b"\0",
        "weak": WEAK_CONTACT,
        "relay-weak": full.replace(CONTACTS["contact-full"].relay.peer, WEAK),  # type: ignore[union-attr]
    }


def certificate(*fields: tuple[int, bytes], signature: bytes | None = None) -> bytes:
    """The device's certificate with some fields of its statement changed, and signed again."""
    statement = encode(certify(OLD, DEVICE.peer, NOW).statement)
    for tag, value in fields:
        statement = put(statement, tag, value)
    signed = OLD.signing.sign(certificates.CONTEXT, statement)
    return tlv((1, statement), (2, signed if signature is None else signature))


def _bad_certificates() -> dict[str, bytes]:
    signed = split(certificate())[1][1]
    return {
        "changed": certificate((5, seconds(NOW + 91 * DAY)), signature=signed),
        "too-long": certificate((5, seconds(NOW + 90 * DAY + 1))),
        "identity-weak": certificate((1, WEAK), signature=FITS_ALL),
        "device-weak": certificate((3, WEAK)),
    }


def person(*changes: tuple[int, tuple[bytes, ...]], by: Any = DEVICE) -> bytes:
    """The record with some fields changed, and signed again."""
    octets = encode(records()["person"])
    for tag, values in changes:
        octets = put(octets, tag, *values)
    octets = put(octets, 11, bytes(64))
    return put(octets, 11, by.sign(CONTEXT, octets))


def _bad_persons() -> dict[str, bytes]:
    full, elsewhere = contact("contact-full"), contact("contact-relay-6")
    drop = tlv((1, DROP), (2, elsewhere))
    by_other = certificate((3, OTHER.public))
    large = person((3, (full,) * 4), (4, (drop,) * 8), (2, (b"a" * 31,)))
    missing = 4097 - len(large)
    assert missing > 0
    return {
        "signature": person(by=OTHER),
        "device-not-named": person((10, (by_other,)), by=OTHER),
        "certificate-too-old": person(
            (10, (certificate((4, seconds(NOW - 91 * DAY)), (5, seconds(NOW - DAY))),))
        ),
        "certificate-early": person((10, (certificate((4, seconds(NOW + 2 * DAY))),))),
        "kind": person((1, (b"\4",))),
        "name": person((2, (b"Anna",))),
        "name-empty": person((2, (b"",))),
        "no-device": person((3, ())),
        "five-devices": person((3, (full,) * 5)),
        "nine-drops": person((4, (drop,) * 9)),
        "epoch-key": person((5, (EPOCH.public[:1184] + bytes(32),))),
        "holder-weak": person((4, (tlv((1, DROP), (2, WEAK_CONTACT)),))),
        "too-large": person((3, (full,) * 4), (4, (drop,) * 8), (2, (b"a" * (31 + missing),))),
    }


def _revoke(
    devices: tuple[bytes, ...] = (), sequence: int = NOTHING_IS_NEWER, by: Any = None
) -> bytes:
    record = RevokeRecord(REVOKE, hybrid.public_keys(OLD), devices, sequence, BLANK)
    signatures = hybrid.sign(OLD, REVOKE_CONTEXT, encode(record))
    if by is not None:
        signatures = by(signatures, hybrid.sign(NEW, REVOKE_CONTEXT, encode(record)))
    return encode(replace(record, signatures=signatures))


def _bad_revocations() -> dict[str, bytes]:
    ordered = tuple(sorted((DEVICE.public, HOLDER.public)))
    return {
        "one-signature": _revoke(by=lambda good, bad: replace(good, mldsa=bad.mldsa)),
        "other-signature": _revoke(by=lambda good, bad: replace(good, ed25519=bad.ed25519)),
        "sequence": _revoke(sequence=SEQUENCE),
        "devices-sequence": _revoke(ordered),
        "order": _revoke(tuple(reversed(ordered)), SEQUENCE),
        "twice": _revoke((DEVICE.public, DEVICE.public), SEQUENCE),
        "device-weak": _revoke((WEAK,), SEQUENCE),
    }


def _rotate(old: Any, new: Any, signed_by: Any) -> bytes:
    keys = hybrid.public_keys(old), hybrid.public_keys(new)
    record = RotateRecord(ROTATE, *keys, SEQUENCE, int(EXPIRES), BLANK, BLANK)
    octets = encode(record)
    return encode(
        replace(
            record,
            old_signatures=hybrid.sign(old, ROTATE_CONTEXT, octets),
            new_signatures=hybrid.sign(signed_by, ROTATE_CONTEXT, octets),
        )
    )


SHEET = bytes(range(110))  # as on paper: two lines and a part of one


def _sheets() -> dict[str, bytes]:
    lines = sheet.to_lines(SHEET)
    company = ["Keep this sheet.", lines[2].lower(), "one, two, three", *lines[:2]]
    confused = [line.replace("O", "0").replace("I", "1").replace("B", "8") for line in lines]
    first = lines[0]
    changed = first[:5] + ("A" if first[5] != "A" else "C") + first[6:]
    found = {
        "sheet": lines,
        "sheet-codes": sheet.to_codes(lines),
        "sheet-in-company": company,
        "sheet-confused": confused,
        "no-sheet-line-missing": lines[:2],
        "no-sheet-line-changed": [changed, *lines[1:]],
        "no-sheet-number-changed": ["004" + first[3:], *lines[1:]],
        "no-sheet-line-twice": [lines[0], "002" + first[3:], lines[2]],
    }
    return {name: "\r\n".join(one).encode("ascii") for name, one in found.items()}


def vectors() -> dict[str, bytes]:
    return {
        **{name: encode_contact(one) for name, one in CONTACTS.items()},
        "certificate": encode(certify(OLD, DEVICE.peer, NOW)),
        **{name: encode(record) for name, record in records().items()},
        "given-sheet": SHEET,
        **_sheets(),
        **named("no-contact", _bad_contacts().items()),
        **named("no-certificate", _bad_certificates().items()),
        **named("no-person", _bad_persons().items()),
        **named("no-revoke", _bad_revocations().items()),
        "no-rotate-one-side": _rotate(OLD, NEW, signed_by=OLD),
        "no-rotate-nowhere": _rotate(OLD, OLD, signed_by=OLD),
    }
