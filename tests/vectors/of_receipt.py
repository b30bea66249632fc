"""The vectors of docs/protocol/receipt.md: receipts of the letter `letter-short`."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from postroad.base.tlv import encode
from postroad.sealing.certificate import certify
from postroad.sealing.keys import SigningKey
from postroad.sealing.letter import receipt_key
from postroad.sealing.receipt import CONTEXT, PLAIN_BYTES, Receipt, Verdict, seal_receipt
from vectors.of_letter import KEY, header
from vectors.world import ANNA, BEN, CARL, DAY, DEVICE, NEW, NOW, OTHER, flipped, seconds, tlv

NONCE = b"\x14" * 12
HEADER = encode(header())


def receipt(**changes: Any) -> Receipt:
    made = Receipt(
        ANNA.fingerprint,
        header().nonce,
        hashlib.sha256(HEADER).digest(),
        BEN.fingerprint,
        Verdict.FILED,
        int(NOW),
    )
    return replace(made, **changes)


def good(verdict: Verdict) -> bytes:
    return seal_receipt(
        receipt(verdict=verdict),
        device=OTHER,
        certificate=BEN.certificate,
        content_key=KEY,
        nonce=NONCE,
    )


def signed(
    said: Receipt, *, device: SigningKey = OTHER, certificate: Any = None, context: bytes = CONTEXT
) -> bytes:
    octets = encode(said)
    by = encode(certificate or BEN.certificate)
    return tlv((1, octets), (2, device.sign(context, octets)), (3, by))


def sealed(
    inside: bytes, *, key: bytes = KEY, size: int | None = None, pad: bytes = b"\0"
) -> bytes:
    plain = (len(inside) if size is None else size).to_bytes(2, "big") + inside
    cipher = ChaCha20Poly1305(receipt_key(key))
    return NONCE + cipher.encrypt(NONCE, plain.ljust(PLAIN_BYTES, pad), None)


def _bad() -> dict[str, bytes]:
    one = good(Verdict.FILED)
    inside = signed(receipt())
    late = replace(receipt(), at=int(NOW) + 90 * DAY + 1)
    by_carl = signed(
        receipt(recipient=CARL.fingerprint), device=CARL.device, certificate=CARL.certificate
    )
    claimed = signed(receipt(), device=CARL.device, certificate=CARL.certificate)
    return {
        "short": one[:-1],
        "long": one + b"\0",
        "changed": flipped(one, 500),
        "other-key": sealed(inside, key=b"\x15" * 32),
        "padding": sealed(inside, pad=b"\1"),
        "size": sealed(inside, size=PLAIN_BYTES),
        "other-sender": sealed(signed(receipt(sender=CARL.fingerprint))),
        "other-nonce": sealed(signed(receipt(nonce=bytes(16)))),
        "other-letter": sealed(signed(receipt(letter=bytes(32)))),
        "other-recipient": sealed(by_carl),
        "recipient-claimed": sealed(claimed),
        "verdict-unknown": sealed(signed(receipt(verdict=255))),
        "signature": sealed(signed(receipt(), device=DEVICE)),
        "signature-other-context": sealed(signed(receipt(), context=b"postroad/letter/1")),
        "certificate-too-old": sealed(signed(late)),
    }


def vectors() -> dict[str, bytes]:
    assert certify(NEW, OTHER.peer, NOW) == BEN.certificate
    return {
        "given-content-key": KEY,
        "given-sender": ANNA.fingerprint.encode(),
        "given-recipient": BEN.fingerprint.encode(),
        "given-nonce": header().nonce,
        "given-letter": hashlib.sha256(HEADER).digest(),
        "given-now": seconds(NOW),
        **{f"receipt-{one.name.lower().replace('_', '-')}": good(one) for one in Verdict},
        **{f"no-receipt-{name}": octets for name, octets in _bad().items()},
    }
