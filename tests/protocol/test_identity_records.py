"""Revoke and rotate: an identity speaks of itself, with both of its keys, or not at all."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import NOW, peer, someone
from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Fingerprint, Instant
from postroad.base.tlv import encode
from postroad.protocol.identity_records import (
    NOTHING_IS_NEWER,
    REVOKE,
    ROTATE,
    RevokeRecord,
    RotateRecord,
    kept_until,
    kind_of,
    read_record,
    read_revoke,
    read_rotate,
    sign_revoke,
    sign_revoke_devices,
    sign_rotate,
)
from postroad.protocol.records import PERSON, PersonRecord, next_sequence
from postroad.sealing import hybrid
from postroad.sealing.hybrid import Signatures
from postroad.sealing.keys import Identity
from second_reader.vectors import read_file
from vectors import files
from vectors.world import NEW as NEW_IDENTITY
from vectors.world import OLD as OLD_IDENTITY

ANNA, BEN = someone("anna"), someone("ben")
SEQUENCE = next_sequence(0, ANNA.device.peer, NOW)
EXPIRES = NOW + limits.RECORD_SECONDS_MAX
REVOKED = sign_revoke(ANNA.identity)
LOST = sign_revoke_devices(ANNA.identity, [peer(2), peer(1)], SEQUENCE)
MOVED = sign_rotate(ANNA.identity, BEN.identity, SEQUENCE, EXPIRES)
ALL = {
    "person": (PERSON, encode(ANNA.record(drops=1))),
    "revoke": (REVOKE, encode(REVOKED)),
    "revoke devices": (REVOKE, encode(LOST)),
    "rotate": (ROTATE, encode(MOVED)),
}
SMALL_ORDER = b"\1" + bytes(31)


def resigned(record: Any, by: Identity = ANNA.identity, new: Identity = BEN.identity) -> bytes:
    """The record, signed as its owner would have who does not keep to the rules."""
    if isinstance(record, RevokeRecord):
        record = replace(record, signatures=hybrid.BLANK)
        signed = hybrid.sign(by, b"postroad/revoke/1", encode(record))
        return encode(replace(record, signatures=signed))
    blank = replace(record, old_signatures=hybrid.BLANK, new_signatures=hybrid.BLANK)
    octets = encode(blank)
    return encode(
        replace(
            blank,
            old_signatures=hybrid.sign(by, b"postroad/rotate/1", octets),
            new_signatures=hybrid.sign(new, b"postroad/rotate/1", octets),
        )
    )


@pytest.mark.parametrize("name", ALL)
def test_anybody_can_check_a_record_of_any_kind(name: str) -> None:
    kind, octets = ALL[name]
    record = read_record(octets, kind, ANNA.fingerprint)
    assert encode(record) == octets
    assert record.fingerprint == ANNA.fingerprint
    assert kind_of(octets) == kind
    for other in {0, PERSON, REVOKE, ROTATE, 4, 255} - {kind}:
        with pytest.raises(PeerMisbehaved):
            read_record(octets, other, ANNA.fingerprint)
    with pytest.raises(PeerMisbehaved):
        read_record(octets, kind, BEN.fingerprint)


def test_what_they_say() -> None:
    revoked = read_revoke(encode(REVOKED), ANNA.fingerprint)
    assert (revoked.devices, revoked.sequence) == ((), NOTHING_IS_NEWER)
    assert read_revoke(encode(LOST), ANNA.fingerprint).devices == tuple(sorted([peer(1), peer(2)]))
    moved = read_rotate(encode(MOVED), ANNA.fingerprint)
    assert (moved.new.fingerprint, moved.expires) == (BEN.fingerprint, EXPIRES)


@pytest.mark.parametrize("name", ALL)
@given(where=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
@settings(max_examples=60)
def test_no_changed_byte_passes(name: str, where: float, change: int) -> None:
    kind, good = ALL[name]
    octets = bytearray(good)
    octets[int(where * len(octets))] ^= change
    with pytest.raises(PeerMisbehaved):
        read_record(bytes(octets), kind, ANNA.fingerprint)


@pytest.mark.parametrize("name", ALL)
@given(cut=st.floats(0, 1, exclude_max=True), more=st.binary(min_size=1, max_size=8))
@settings(max_examples=25)
def test_what_is_cut_short_or_goes_on_is_refused(name: str, cut: float, more: bytes) -> None:
    kind, octets = ALL[name]
    for wrong in (octets[: int(cut * len(octets))], octets + more):
        with pytest.raises(PeerMisbehaved):
            read_record(wrong, kind, ANNA.fingerprint)


@given(st.binary(max_size=300), st.sampled_from([PERSON, REVOKE, ROTATE]))
def test_noise_is_refused(noise: bytes, kind: int) -> None:
    for octets in (noise, b"\x01\x00\x01" + bytes([kind]) + noise):
        kind_of(octets)
        with pytest.raises(PeerMisbehaved):
            read_record(octets, kind, ANNA.fingerprint)


@pytest.mark.parametrize("kind", [PERSON, REVOKE, ROTATE])
def test_what_is_too_large_is_not_even_taken_apart(kind: int) -> None:
    with pytest.raises(PeerMisbehaved, match="too large"):
        read_record(bytes(limits.ROTATE_BYTES_MAX + 1), kind, ANNA.fingerprint)


def test_the_largest_of_each_kind_fits() -> None:
    devices = [peer(number) for number in range(1, limits.REVOKED_DEVICES_MAX + 1)]
    largest = encode(sign_revoke_devices(ANNA.identity, devices, SEQUENCE))
    assert len(largest) <= limits.REVOKE_BYTES_MAX
    assert read_revoke(largest, ANNA.fingerprint).devices == tuple(sorted(devices))
    assert len(encode(MOVED)) <= limits.ROTATE_BYTES_MAX


@pytest.mark.parametrize(
    "change",
    [
        {"devices": (peer(1),)},  # with the sequence of the whole identity
        {"sequence": SEQUENCE},
        {"sequence": 0},
        {"kind": ROTATE},
        {"kind": 0},
    ],
)  # fmt: skip
def test_the_end_of_an_identity_has_one_form(change: dict[str, Any]) -> None:
    with pytest.raises(PeerMisbehaved):
        read_revoke(resigned(replace(REVOKED, **change)), ANNA.fingerprint)


@pytest.mark.parametrize(
    "devices",
    [
        tuple(sorted([peer(1), peer(2)], reverse=True)),
        (peer(1), peer(1)),
        (SMALL_ORDER,),
        (b"\xff" * 32,),
    ],
)
def test_revoked_devices_stand_once_in_their_order(devices: tuple[bytes, ...]) -> None:
    with pytest.raises(PeerMisbehaved):
        read_revoke(resigned(replace(LOST, devices=devices)), ANNA.fingerprint)


def test_both_keys_have_to_sign() -> None:
    """Whoever breaks one of the two algorithms has broken nothing."""
    unsigned = encode(replace(REVOKED, signatures=hybrid.BLANK))
    theirs = hybrid.sign(BEN.identity, b"postroad/revoke/1", unsigned)
    ours = REVOKED.signatures
    for signatures in (
        Signatures(ours.ed25519, theirs.mldsa),
        Signatures(theirs.ed25519, ours.mldsa),
        theirs,
        hybrid.BLANK,
    ):
        with pytest.raises(PeerMisbehaved):
            read_revoke(encode(replace(REVOKED, signatures=signatures)), ANNA.fingerprint)


def test_nobody_speaks_for_an_identity_with_one_key_of_it() -> None:
    """The fingerprint commits to both: another ML-DSA key makes another identity."""
    mixed = replace(REVOKED.identity, mldsa=hybrid.public_keys(BEN.identity).mldsa)
    octets = encode(replace(REVOKED, identity=mixed))
    with pytest.raises(PeerMisbehaved):
        read_revoke(octets, ANNA.fingerprint)
    with pytest.raises(PeerMisbehaved):
        read_revoke(octets, mixed.fingerprint)


def test_a_key_of_small_order_signs_nothing() -> None:
    """With it one fixed signature verifies every message: the other key must not be enough."""
    weak = replace(REVOKED.identity, ed25519=SMALL_ORDER)
    blank = replace(REVOKED, identity=weak, signatures=hybrid.BLANK)
    forged = b"\1" + bytes(63)  # R is the neutral element, S is 0
    mldsa = ANNA.identity.mldsa.sign(b"postroad/revoke/1\0" + encode(blank))
    octets = encode(replace(blank, signatures=Signatures(forged, mldsa)))
    with pytest.raises(PeerMisbehaved, match="small order"):
        read_revoke(octets, weak.fingerprint)


def test_a_rotation_is_signed_from_both_sides() -> None:
    """Nobody hands their mail to somebody who did not ask, and nobody takes another's."""
    carl = someone("carl").identity
    for octets in (
        resigned(MOVED, new=ANNA.identity),
        resigned(MOVED, new=carl),
        resigned(MOVED, by=carl),
        resigned(MOVED, by=BEN.identity, new=ANNA.identity),
        encode(replace(MOVED, new_signatures=hybrid.BLANK)),
        encode(
            replace(
                MOVED,
                old_signatures=MOVED.new_signatures,
                new_signatures=MOVED.old_signatures,
            )
        ),
    ):
        with pytest.raises(PeerMisbehaved):
            read_rotate(octets, ANNA.fingerprint)
    with pytest.raises(PeerMisbehaved):
        read_rotate(encode(MOVED), BEN.fingerprint)


def test_a_rotation_to_oneself_is_refused() -> None:
    nowhere = replace(MOVED, new=MOVED.old)
    with pytest.raises(PeerMisbehaved, match="nowhere"):
        read_rotate(resigned(nowhere, new=ANNA.identity), ANNA.fingerprint)


def test_a_signature_of_one_kind_is_none_of_another() -> None:
    blank = replace(REVOKED, signatures=hybrid.BLANK)
    wrong = hybrid.sign(ANNA.identity, b"postroad/rotate/1", encode(blank))
    with pytest.raises(PeerMisbehaved):
        read_revoke(encode(replace(blank, signatures=wrong)), ANNA.fingerprint)


def test_how_long_they_are_kept_for_others() -> None:
    """A revocation has no expiry of its own: it may come out of a drawer after years."""
    later = Instant(NOW + 900 * limits.DAY)
    assert kept_until(REVOKED, later) == later + limits.RECORD_SECONDS_MAX
    for record in (MOVED, ANNA.record(expires=EXPIRES)):
        assert kept_until(record, later) == EXPIRES


# The page


def test_the_page_shows_the_same_vectors() -> None:
    """What the page prints of them, and what it says of their sizes and digests."""
    page = (files.FOLDER / "records.md").read_text()
    found = files.load("records")
    blocks = re.findall(r"^```vectors\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    shown = read_file("\n".join(blocks))
    assert shown == {name: found[name] for name in shown}
    assert {"contact-bare", "contact-full", "certificate"} <= set(shown)
    for name in ("person", "revoke", "revoke-devices", "rotate"):
        assert f"| `{name}` | {len(found[name]):,} |" in page
    for identity in (OLD_IDENTITY, NEW_IDENTITY):
        assert f"`{identity.public.fingerprint}`" in page
        assert f"`{identity.public.ed25519.hex()}`" in page


def test_records_of_every_kind_say_their_kind_first() -> None:
    kinds: tuple[type[Any], ...] = (PersonRecord, RevokeRecord, RotateRecord)
    for number, kind in enumerate(kinds, 1):
        octets = next(encode(one) for one in _examples() if isinstance(one, kind))
        assert octets[:4] == b"\x01\x00\x01" + bytes([number])
    assert kind_of(b"\x01\x00\x01") == 0
    assert Fingerprint(ANNA.fingerprint) == REVOKED.fingerprint


def _examples() -> list[Any]:
    return [ANNA.record(), REVOKED, MOVED]
