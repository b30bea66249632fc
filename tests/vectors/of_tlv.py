"""The vectors of docs/protocol/tlv.md: keys and signatures, and those that nobody may take."""

from __future__ import annotations

import hashlib

from postroad.sealing.hybrid import public_keys
from vectors.world import ANNA, DEVICE, EPOCH, FITS_ALL, NEW, OLD, WEAK, named

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
EIGHT = 2707385501144840649318225287225658788936804267575313519463743609750303402022
MESSAGE = b"postroad"
CONTEXT = b"postroad/record/1"
ODD_Y = {
    "zero": 0,
    "one": 1,
    "minus-one": P - 1,
    "eight": EIGHT,
    "other-eight": P - EIGHT,
    "p": P,
    "p-plus-one": P + 1,
}


def odd_keys() -> dict[str, bytes]:
    """The fourteen keys of small order, or not in their one form."""
    found = {}
    for name, y in ODD_Y.items():
        found[name] = y.to_bytes(32, "little")
        found[f"{name}-sign"] = (y | 1 << 255).to_bytes(32, "little")
    return found


def _signature(context: bytes = CONTEXT) -> bytes:
    return DEVICE.sign(context, MESSAGE)


def _epoch_keys() -> dict[str, bytes]:
    public = EPOCH.public
    low = int.from_bytes(public[:3], "little")
    return {
        "modulus": (low // 4096 * 4096 + 3329).to_bytes(3, "little") + public[3:],
        "small-order": public[:1184] + bytes(32),
        "high-bit": public[:-1] + bytes([public[-1] | 0x80]),
        "p-plus-nine": public[:1184] + (P + 9).to_bytes(32, "little"),
        "short": public[:-1],
    }


def vectors() -> dict[str, bytes]:
    keys, signature = public_keys(OLD), _signature()
    malleated = int.from_bytes(signature[32:], "little") + ORDER
    return {
        "ed25519-device": DEVICE.public,
        "ed25519-identity": keys.ed25519,
        "epoch-key": EPOCH.public,
        "signature": DEVICE.public + signature + MESSAGE,
        "fingerprint-old": _named(OLD.public.ed25519, keys.mldsa, ANNA.fingerprint),
        "fingerprint-new": _named(
            NEW.public.ed25519, public_keys(NEW).mldsa, NEW.public.fingerprint
        ),
        **named("no-ed25519", odd_keys().items()),
        "no-ed25519-short": DEVICE.public[:-1],
        "no-ed25519-long": DEVICE.public + b"\0",
        "no-signature-any-message": WEAK + FITS_ALL + MESSAGE,
        "no-signature-malleated": (
            DEVICE.public + signature[:32] + malleated.to_bytes(32, "little") + MESSAGE
        ),
        "no-signature-other-context": DEVICE.public + _signature(b"postroad/letter/1") + MESSAGE,
        **named("no-epoch-key", _epoch_keys().items()),
    }


def _named(ed25519: bytes, mldsa: bytes, fingerprint: str) -> bytes:
    return ed25519 + hashlib.sha256(mldsa).digest() + fingerprint.encode()
