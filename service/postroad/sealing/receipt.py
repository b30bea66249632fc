"""Receipts: the recipient's signed word that a letter was filed, or refused and why.

Purpose: only a receipt ends the sender's custody. It is encrypted under a key that only sender and
recipient have, so that it can wait at holders in the letter's place, and it has one size.
See: docs/architecture.md.
"""

from dataclasses import dataclass
from enum import IntEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Fingerprint, Nonce, PeerId
from postroad.base.tlv import decode, encode, fixed, nested, number, text
from postroad.sealing import certificate as certificates
from postroad.sealing import keys
from postroad.sealing.certificate import Certificate
from postroad.sealing.keys import SigningKey
from postroad.sealing.letter import receipt_key

CONTEXT = b"postroad/receipt/1"
PLAIN_BYTES = 1024  # every receipt is padded to this
NONCE_BYTES = 12
RECEIPT_BYTES = NONCE_BYTES + PLAIN_BYTES + 16


class Verdict(IntEnum):
    """What became of a letter. All but FILED and REQUESTED are final refusals."""

    FILED = 0
    EXPIRED = 1  # it arrived later than its signed expiry
    STRANGER = 2  # the recipient takes letters from contacts only
    FORGED = 3  # its From is not the address of the key that signed it
    REQUESTED = 4  # it lies among the recipient's requests; FILED or DECLINED may follow
    DECLINED = 5  # the recipient has seen the request, and does not want it
    DISGUISED = 6  # the name in its From is made to look like another address
    POLICY = 8  # the policy of the recipient's computer does not allow the sender
    UNWANTED = 16  # the recipient has blocked the sender
    INVITATION_USED = 17  # by somebody else
    INVITATION_OVER = 18  # it has expired, or was withdrawn
    NOT_INTRODUCED = 19  # the recipient did not say yes to an introduction
    REVOKED = 24  # the device that signed it, or its identity, was revoked
    ROTATED = 25  # its sender has another key now, and an unknown device signed it with the old one


@dataclass(frozen=True, slots=True)
class Receipt:
    """`at` is in seconds UTC; `letter` is SHA-256 of the header that the sender signed."""

    sender: str = text(1, 32, 32)
    nonce: bytes = fixed(2, 16)
    letter: bytes = fixed(3, 32)
    recipient: str = text(4, 32, 32)
    verdict: int = number(5, 1)
    at: int = number(6, 8)


@dataclass(frozen=True, slots=True)
class _Signed:
    receipt: Receipt = nested(1, Receipt)
    signature: bytes = fixed(2, keys.SIGNATURE_BYTES)
    certificate: Certificate = nested(3, Certificate)


def seal_receipt(
    receipt: Receipt,
    *,
    device: SigningKey,
    certificate: Certificate,
    content_key: bytes,
    nonce: bytes,
) -> bytes:
    """Sign and encrypt. `nonce` is 12 fresh random bytes: one letter may get several receipts."""
    signed = encode(_Signed(receipt, device.sign(CONTEXT, encode(receipt)), certificate))
    plain = len(signed).to_bytes(2, "big") + signed
    assert len(plain) <= PLAIN_BYTES
    cipher = ChaCha20Poly1305(receipt_key(content_key))
    return nonce + cipher.encrypt(nonce, plain.ljust(PLAIN_BYTES, b"\0"), None)


def open_receipt(
    sealed: bytes,
    *,
    content_key: bytes,
    sender: Fingerprint,
    recipient: Fingerprint,
    nonce: Nonce,
    letter: bytes,
) -> Receipt:
    """The receipt for our letter with this nonce and header hash, or PeerMisbehaved.

    The certificate must have been good when the receipt says it was written."""
    signed = _unsealed(sealed, content_key)
    receipt = signed.receipt
    named = (receipt.sender, receipt.recipient, receipt.nonce, receipt.letter)
    if named != (sender, recipient, nonce, letter):
        raise PeerMisbehaved("a receipt is for another letter")
    if receipt.verdict not in {verdict.value for verdict in Verdict}:
        raise PeerMisbehaved("a receipt has an unknown verdict")
    certificates.check(signed.certificate, recipient, receipt.at)
    device = signed.certificate.statement.device
    keys.verify(device, CONTEXT, encode(receipt), signed.signature)
    return receipt


def signer(sealed: bytes, content_key: bytes) -> PeerId:
    """The device that signed a receipt which `open_receipt` found good."""
    return _unsealed(sealed, content_key).certificate.device


def _unsealed(sealed: bytes, content_key: bytes) -> _Signed:
    if len(sealed) != RECEIPT_BYTES:
        raise PeerMisbehaved("a receipt has the wrong size")
    try:
        plain = ChaCha20Poly1305(receipt_key(content_key)).decrypt(
            sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None
        )
    except InvalidTag as error:
        raise PeerMisbehaved("a receipt does not open") from error
    size = int.from_bytes(plain[:2], "big")
    if size > PLAIN_BYTES - 2 or any(plain[2 + size :]):
        raise PeerMisbehaved("a receipt's padding is not as it should be")
    return decode(_Signed, plain[2 : 2 + size])
