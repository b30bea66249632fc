"""Receipts: the only thing that ends the sender's custody."""

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st

from fakes import NOW, someone
from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Nonce
from postroad.base.tlv import encode
from postroad.sealing.certificate import certify
from postroad.sealing.letter import receipt_key
from postroad.sealing.receipt import (
    RECEIPT_BYTES,
    Receipt,
    Verdict,
    open_receipt,
    seal_receipt,
)

ANNA, BEN, CARL = someone("anna"), someone("ben"), someone("carl")  # Anna wrote to Ben
KEY, OTHER_KEY = bytes(range(32)), bytes(32)
NONCE = Nonce(b"n" * 16)
ONCE = b"o" * 12
LETTER = b"h" * 32  # the hash of its header
RECEIPT = Receipt(ANNA.fingerprint, NONCE, LETTER, BEN.fingerprint, Verdict.FILED, int(NOW))


def sealed(receipt: Receipt = RECEIPT, **changes: Any) -> bytes:
    given = {
        "device": BEN.device,
        "certificate": BEN.certificate,
        "content_key": KEY,
        "nonce": ONCE,
        **changes,
    }
    return seal_receipt(receipt, **given)


def opened(octets: bytes, content_key: bytes = KEY) -> Receipt:
    return open_receipt(
        octets,
        content_key=content_key,
        sender=ANNA.fingerprint,
        recipient=BEN.fingerprint,
        nonce=NONCE,
        letter=LETTER,
    )


def refused(octets: bytes) -> None:
    with pytest.raises(PeerMisbehaved):
        opened(octets)


def forged(plain: bytes) -> bytes:
    """Somebody with the content key, which is the recipient, says what they like."""
    return ONCE + ChaCha20Poly1305(receipt_key(KEY)).encrypt(ONCE, plain, None)


def plain_of(receipt: Receipt = RECEIPT) -> bytes:
    octets = sealed(receipt)
    return ChaCha20Poly1305(receipt_key(KEY)).decrypt(octets[:12], octets[12:], None)


@pytest.mark.parametrize("verdict", Verdict)
def test_the_sender_reads_what_the_recipient_said(verdict: Verdict) -> None:
    said = replace(RECEIPT, verdict=int(verdict))
    assert opened(sealed(said)) == said


@given(st.sampled_from(Verdict), st.integers(int(NOW), int(NOW) + 89 * limits.DAY))
def test_a_holder_cannot_tell_a_refusal_from_a_filing(verdict: Verdict, at: int) -> None:
    assert len(sealed(replace(RECEIPT, verdict=int(verdict), at=at))) == RECEIPT_BYTES


def test_a_flipped_bit_in_any_byte_is_noticed() -> None:
    octets = sealed()
    for at in range(len(octets)):
        broken = bytearray(octets)
        broken[at] ^= 1 << at % 8
        refused(bytes(broken))


@given(st.binary(max_size=1100))
def test_noise_is_no_receipt(noise: bytes) -> None:
    refused(noise)
    refused((noise * 1100)[:RECEIPT_BYTES].ljust(RECEIPT_BYTES, b"\0"))


def test_a_receipt_of_another_length_is_refused() -> None:
    octets = sealed()
    for other in (octets[:-1], octets + b"\0", b"", octets[:12], octets * 2):
        refused(other)


def test_a_receipt_for_another_letter_sender_or_recipient_is_refused() -> None:
    for said in (
        replace(RECEIPT, nonce=bytes(16)),
        replace(RECEIPT, sender=CARL.fingerprint),
        replace(RECEIPT, recipient=CARL.fingerprint),
        replace(RECEIPT, recipient="a" * 32),
    ):
        refused(sealed(said))


def test_a_receipt_under_another_content_key_is_refused() -> None:
    refused(sealed(content_key=OTHER_KEY))
    with pytest.raises(PeerMisbehaved):
        opened(sealed(), OTHER_KEY)


def test_nobody_but_the_recipients_device_signs_a_receipt() -> None:
    """Anna knows the content key too, and so does who stole a copy of her queue."""
    refused(sealed(device=ANNA.device, certificate=ANNA.certificate))
    refused(sealed(device=ANNA.device))
    refused(sealed(certificate=CARL.certificate))
    refused(sealed(certificate=certify(CARL.identity, BEN.device.peer, NOW)))


def test_a_receipt_written_when_the_device_was_not_certified_is_refused() -> None:
    for at in (0, int(NOW) - 2 * limits.DAY, int(NOW) + 91 * limits.DAY, 2**63 - 1):
        refused(sealed(replace(RECEIPT, at=at)))


@pytest.mark.parametrize("verdict", [max(Verdict) + 1, 255])
def test_a_verdict_of_a_later_version_does_not_end_custody(verdict: int) -> None:
    refused(sealed(replace(RECEIPT, verdict=verdict)))


def test_padding_says_nothing_and_has_one_size() -> None:
    plain = plain_of()
    assert opened(forged(plain)) == RECEIPT
    refused(forged(plain[:-1] + b"\1"))
    refused(forged(plain[:-1]))
    refused(forged(plain + b"\0"))
    for size in (0, 1, 1022, 1023, 65535, int.from_bytes(plain[:2], "big") + 1):
        refused(forged(size.to_bytes(2, "big") + plain[2:]))


@given(st.binary(max_size=1022))
def test_a_recipient_who_says_nonsense_is_told_so(nonsense: bytes) -> None:
    plain = len(nonsense).to_bytes(2, "big") + nonsense
    refused(forged(plain.ljust(1024, b"\0")))


def test_a_letter_may_get_several_receipts_under_fresh_nonces() -> None:
    one, other = sealed(nonce=b"1" * 12), sealed(nonce=b"2" * 12)
    assert one[12:] != other[12:]
    assert opened(one) == opened(other) == RECEIPT


def test_a_letter_and_a_receipt_are_never_signed_alike() -> None:
    signature = BEN.device.sign(b"postroad/letter/1", encode(RECEIPT))
    plain = plain_of()
    at = plain.index(b"\x02\x00\x40") + 3  # the field of the signature
    refused(forged(plain[:at] + signature + plain[at + 64 :]))
