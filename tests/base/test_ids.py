"""Fingerprints, and how nodes are named to people."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from postroad.base.ids import (
    FINGERPRINT_CHARACTERS,
    HostPort,
    fingerprint_from_digest,
    is_fingerprint,
    short,
)

BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
digests = st.binary(min_size=32, max_size=32)


@given(digests)
def test_every_fingerprint_is_recognized_and_fits_an_address(digest: bytes) -> None:
    made = fingerprint_from_digest(digest)
    assert len(made) == FINGERPRINT_CHARACTERS
    assert is_fingerprint(made)
    assert made == made.lower()


def test_fingerprints_do_not_change_from_one_version_to_the_next() -> None:
    """Addresses are printed on cards."""
    assert fingerprint_from_digest(bytes(32)) == "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaoje"
    digest = hashlib.sha256(b"anna").digest()
    assert fingerprint_from_digest(digest) == "kvlzwvlys3im4f3eyr762zcptm27l4bf"


def test_a_fingerprint_with_any_one_character_mistyped_is_noticed() -> None:
    """Three characters of checksum let one slip in 32768 pass; this one has none."""
    right = fingerprint_from_digest(hashlib.sha256(b"anna").digest())
    for at in range(FINGERPRINT_CHARACTERS):
        for character in BASE32:
            if character != right[at]:
                assert not is_fingerprint(right[:at] + character + right[at + 1 :])


def test_two_neighbours_swapped_are_noticed() -> None:
    """By chance one in 32768 is not; none of these is that one."""
    for number in range(50):
        right = fingerprint_from_digest(hashlib.sha256(bytes([number])).digest())
        for at in range(FINGERPRINT_CHARACTERS - 1):
            swapped = right[:at] + right[at + 1] + right[at] + right[at + 2 :]
            assert swapped == right or not is_fingerprint(swapped)


def test_what_is_not_a_fingerprint_is_not_taken_for_one() -> None:
    right = fingerprint_from_digest(bytes(32))
    for wrong in (
        "",
        right[:-1],
        right + "a",
        right.upper(),
        right.replace("a", "\u0430"),  # the Cyrillic letter
        right[:-1] + "\n",
        "1" + right[1:],
        " " + right[1:],
    ):
        assert not is_fingerprint(wrong)


@given(st.text(max_size=40))
def test_no_text_upsets_the_check(text: str) -> None:
    assert is_fingerprint(text) in (True, False)


def test_places_are_written_as_people_know_them() -> None:
    assert str(HostPort("192.0.2.7", 443)) == "192.0.2.7:443"
    assert str(HostPort("2001:db8::7", 443)) == "[2001:db8::7]:443"
    assert short(bytes.fromhex("00112233445566")) == "00112233"
