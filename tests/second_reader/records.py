"""A second reader of records, written from docs/protocol/records.md alone.

It shares no code with the service, so that page and service cannot be wrong in the same way. It
says no with ValueError, or with the errors of `cryptography`.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey

Fields = list[tuple[int, bytes]]


def split(octets: bytes) -> Fields:
    found, at = [], 0
    while at < len(octets):
        size = int.from_bytes(octets[at + 1 : at + 3], "big")
        value = octets[at + 3 : at + 3 + size]
        must(len(octets) >= at + 3 and len(value) == size, "cut short")
        found.append((octets[at], value))
        at += 3 + size
    return found


def must(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(what)


def fields(octets: bytes, *tags: int) -> list[bytes]:
    """The values of a structure that has exactly these fields, in this order."""
    found = split(octets)
    must([tag for tag, _ in found] == list(tags), f"fields {[tag for tag, _ in found]}")
    return [value for _, value in found]


def sized(value: bytes, size: int) -> bytes:
    must(len(value) == size, f"{len(value)} bytes, not {size}")
    return value


def number(value: bytes, size: int) -> int:
    found = int.from_bytes(sized(value, size), "big")
    must(found < 2**63, "too large a number")
    return found


def base32(octets: bytes, characters: int) -> str:
    return base64.b32encode(octets).decode().lower()[:characters]


def fingerprint(ed25519: bytes, mldsa_hash: bytes) -> str:
    stem = base32(hashlib.sha256(b"postroad address" + ed25519 + mldsa_hash).digest(), 29)
    return stem + base32(hashlib.sha256(b"postroad checksum" + stem.encode()).digest(), 3)


def verify_ed25519(key: bytes, context: bytes, signed: bytes, signature: bytes) -> None:
    y = int.from_bytes(sized(key, 32), "little") % 2**255
    must(y < 2**255 - 19 and y not in (0, 1, 2**255 - 20), "not a key")
    Ed25519PublicKey.from_public_bytes(key).verify(signature, context + b"\0" + signed)


def contact(octets: bytes) -> dict[str, object]:
    flags, at = octets[0], 33
    must(flags < 16 and flags & 12 != 12, "flags")
    found: dict[str, object] = {"device": octets[1:33]}
    for flag, name, size in ((1, "ipv4", 4), (2, "ipv6", 16), (4, "relay", 4), (8, "relay", 16)):
        if flags & flag:
            if name == "relay":
                found["relay-device"] = octets[at : at + 32]
                at += 32
            port = int.from_bytes(octets[at + size : at + size + 2], "big")
            must(port > 0, "port 0")
            found[name] = f"{ipaddress.ip_address(octets[at : at + size])} {port}"
            at += size + 2
    must(at == len(octets), "a contact of another size")
    return found


def certificate(octets: bytes) -> dict[str, object]:
    statement, signature = fields(octets, 1, 2)
    identity, mldsa_hash, device, begins, ends = fields(statement, 1, 2, 3, 4, 5)
    context = b"postroad/device-certificate/1"
    verify_ed25519(identity, context, statement, sized(signature, 64))
    return {
        "fingerprint": fingerprint(sized(identity, 32), sized(mldsa_hash, 32)),
        "device": sized(device, 32),
        "begins": number(begins, 8),
        "ends": number(ends, 8),
    }


def person(octets: bytes) -> dict[str, object]:
    must(len(octets) <= 4096, "too large")
    found = split(octets)
    devices = [contact(value) for tag, value in found if tag == 3]
    drops = [fields(value, 1, 2) for tag, value in found if tag == 4]
    must(1 <= len(devices) <= 4 and len(drops) <= 8, "too many")
    kind, name, *rest = fields(
        octets, 1, 2, *[3] * len(devices), *[4] * len(drops), 5, 6, 7, 8, 9, 10, 11
    )
    epoch, size_max, strangers, sequence, expires, certified, signature = rest[-7:]
    must(number(kind, 1) == 1, "another kind")
    by = certificate(certified)
    issued = number(expires, 8) - 45 * 86400
    begins, ends = by["begins"], by["ends"]
    assert isinstance(begins, int)
    assert isinstance(ends, int)
    must(begins - 86400 <= issued <= ends, "not certified then")
    must(by["device"] in [one["device"] for one in devices], "signed by another device")
    unsigned = octets[:-64] + bytes(64)
    assert isinstance(by["device"], bytes)
    verify_ed25519(by["device"], b"postroad/record/1", unsigned, sized(signature, 64))
    return {
        "fingerprint": by["fingerprint"],
        "name": name.decode("ascii"),
        "devices": devices,
        "drops": [(sized(drop, 16), contact(holder)) for drop, holder in drops],
        "epoch-key": sized(epoch, 1216),
        "size-max": number(size_max, 4),
        "strangers": number(strangers, 1),
        "sequence": number(sequence, 8),
        "expires": number(expires, 8),
    }


def identity_keys(octets: bytes) -> tuple[bytes, bytes, str]:
    ed25519, mldsa = fields(octets, 1, 2)
    mldsa_hash = hashlib.sha256(sized(mldsa, 1952)).digest()
    return sized(ed25519, 32), mldsa, fingerprint(ed25519, mldsa_hash)


def verify_both(octets: bytes, context: bytes, signed: bytes, signatures: bytes) -> str:
    """Who signed, by their fingerprint."""
    ed25519, mldsa, who = identity_keys(octets)
    one, other = fields(signatures, 1, 2)
    verify_ed25519(ed25519, context, signed, sized(one, 64))
    key = MLDSA65PublicKey.from_public_bytes(mldsa)
    key.verify(sized(other, 3309), context + b"\0" + signed)
    return who


BLANK = b"\x01\x00\x40" + bytes(64) + b"\x02\x0c\xed" + bytes(3309)


def revoke(octets: bytes) -> dict[str, object]:
    must(len(octets) <= 6 * 1024, "too large")
    devices = [sized(value, 32) for tag, value in split(octets) if tag == 3]
    kind, identity, *_, sequence, signatures = fields(octets, 1, 2, *[3] * len(devices), 4, 5)
    must(number(kind, 1) == 2, "another kind")
    must(devices == sorted(set(devices)) and len(devices) <= 16, "order of devices")
    must(bool(devices) != (number(sequence, 8) == 2**63 - 1), "sequence")
    unsigned = octets[: -len(BLANK)] + BLANK
    who = verify_both(identity, b"postroad/revoke/1", unsigned, signatures)
    return {"fingerprint": who, "devices": devices, "sequence": number(sequence, 8)}


def rotate(octets: bytes) -> dict[str, object]:
    must(len(octets) <= 12 * 1024, "too large")
    kind, old, new, sequence, expires, old_signed, new_signed = fields(octets, 1, 2, 3, 4, 5, 6, 7)
    must(number(kind, 1) == 3, "another kind")
    signed_part = len(octets) - 2 * (3 + len(BLANK))
    size = len(BLANK).to_bytes(2, "big")
    unsigned = octets[:signed_part] + b"\x06" + size + BLANK + b"\x07" + size + BLANK
    context = b"postroad/rotate/1"
    leaves = verify_both(old, context, unsigned, old_signed)
    becomes = verify_both(new, context, unsigned, new_signed)
    must(leaves != becomes, "leads nowhere")
    return {
        "fingerprint": leaves,
        "new": becomes,
        "sequence": number(sequence, 8),
        "expires": number(expires, 8),
    }
