"""Device certificates: whose they are, and how long they last."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import NOW, someone
from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.tlv import decode, encode
from postroad.sealing.certificate import CLOCK_SKEW_SECONDS, CONTEXT, Certificate, certify, check
from postroad.sealing.keys import SigningKey

ANNA, BEN = someone("anna"), someone("ben")


def test_a_device_may_sign_for_90_days_and_a_day_before_since_clocks_differ() -> None:
    begins = int(NOW)
    ends = begins + limits.DEVICE_CERTIFICATE_SECONDS
    for moment in (begins - CLOCK_SKEW_SECONDS, begins, begins + 1, ends):
        check(ANNA.certificate, ANNA.fingerprint, moment)
    for moment in (0, begins - CLOCK_SKEW_SECONDS - 1, ends + 1, 2**63 - 1):
        with pytest.raises(PeerMisbehaved, match="not valid at that time"):
            check(ANNA.certificate, ANNA.fingerprint, moment)


def test_a_certificate_for_more_than_90_days_is_refused_whoever_signed_it() -> None:
    longer = replace(ANNA.certificate.statement, ends=ANNA.certificate.statement.ends + 1)
    signed = Certificate(longer, ANNA.identity.signing.sign(CONTEXT, encode(longer)))
    with pytest.raises(PeerMisbehaved, match="longer than any may"):
        check(signed, ANNA.fingerprint, NOW)


def test_a_certificate_speaks_for_one_identity_only() -> None:
    with pytest.raises(PeerMisbehaved, match="another identity"):
        check(ANNA.certificate, BEN.fingerprint, NOW)


def test_a_certificate_survives_being_sent() -> None:
    assert decode(Certificate, encode(ANNA.certificate)) == ANNA.certificate
    assert ANNA.certificate.device == ANNA.device.peer
    assert ANNA.certificate.fingerprint == ANNA.identity.public.fingerprint


def test_nobody_changes_a_certificate() -> None:
    statement = ANNA.certificate.statement
    for changed in (
        replace(statement, device=BEN.device.public),
        replace(statement, ends=statement.ends + 1),
        replace(statement, begins=0),
        replace(statement, identity=BEN.identity.public.ed25519),
        replace(statement, mldsa_hash=bytes(32)),
    ):
        forged = Certificate(changed, ANNA.certificate.signature)
        with pytest.raises(PeerMisbehaved):
            check(forged, ANNA.fingerprint, NOW)
        with pytest.raises(PeerMisbehaved):
            check(forged, forged.fingerprint, NOW)


def test_a_device_does_not_certify_another_device() -> None:
    """What the device key signed, even with the right context, is not the identity's word."""
    other = SigningKey(bytes(32))
    made = certify(BEN.identity, other.peer, NOW)
    signature = ANNA.device.sign(b"postroad/device-certificate/1", encode(made.statement))
    with pytest.raises(PeerMisbehaved):
        check(Certificate(made.statement, signature), BEN.fingerprint, NOW)


def test_a_device_key_of_small_order_is_not_let_in_by_its_own_identity() -> None:
    bad = b"\x01" + bytes(31)
    statement = replace(ANNA.certificate.statement, device=bad)
    signature = ANNA.identity.signing.sign(b"postroad/device-certificate/1", encode(statement))
    with pytest.raises(PeerMisbehaved):
        check(Certificate(statement, signature), ANNA.fingerprint, NOW)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_changed_byte_passes(at: int, change: int) -> None:
    said = bytearray(encode(ANNA.certificate))
    said[at % len(said)] ^= change
    with pytest.raises(PeerMisbehaved):
        check(decode(Certificate, bytes(said)), ANNA.fingerprint, NOW)
