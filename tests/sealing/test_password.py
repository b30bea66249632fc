"""The mailbox password: how it looks, and what is kept of it."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad.base.tlv import decode, encode
from postroad.sealing.password import (
    ALPHABET,
    ENTROPY_BYTES,
    PasswordVerifier,
    new_password,
    verifier,
)

SALT = bytes(range(16))
tokens = st.binary(min_size=ENTROPY_BYTES, max_size=ENTROPY_BYTES)


@given(tokens)
def test_a_password_is_eight_groups_of_four_that_nobody_misreads(token: bytes) -> None:
    password = new_password(token)
    groups = password.split("-")
    assert [len(group) for group in groups] == [4] * 8
    assert set("".join(groups)) <= set(ALPHABET)
    assert not set(ALPHABET) & set("lo01")
    assert len(set(ALPHABET)) == 32


@given(tokens)
def test_no_bit_of_the_password_is_wasted(token: bytes) -> None:
    """160 bits: from the password alone the 20 random bytes can be told."""
    letters = new_password(token).replace("-", "")
    bits = 0
    for letter in letters:
        bits = bits << 5 | ALPHABET.index(letter)
    assert bits.to_bytes(ENTROPY_BYTES, "big") == token


def test_the_password_opens_the_door_and_nothing_else_does() -> None:
    password = new_password(bytes(range(20)))
    kept = verifier(password, SALT)
    assert kept.verify(password.encode())
    for wrong in (
        b"",
        password.encode()[:-1],
        password.encode() + b" ",
        password.upper().encode(),
        password.replace("-", "").encode(),
        b"\xff" * 100,
        b"\0" * 1_000_000,
    ):
        assert not kept.verify(wrong)


def test_two_owners_with_one_password_have_nothing_in_common() -> None:
    one, other = verifier("same", bytes(16)), verifier("same", SALT)
    assert not {one.digest, one.stored_key, one.server_key} & {
        other.digest,
        other.stored_key,
        other.server_key,
    }
    assert b"same" not in encode(one)


def test_what_is_kept_is_the_same_after_it_was_read_again() -> None:
    kept = verifier("secret", SALT)
    assert decode(PasswordVerifier, encode(kept)) == kept


def test_scram_follows_the_example_of_rfc_7677() -> None:
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    kept = verifier("pencil", salt)
    message = (
        b"n=user,r=rOprNGfwEbeRWgbNEkqO,"
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    signature = hmac.digest(kept.stored_key, message, "sha256")
    client_key = bytes(one ^ other for one, other in zip(proof, signature, strict=True))
    assert hashlib.sha256(client_key).digest() == kept.stored_key
    assert kept.iterations == 4096
    assert base64.b64encode(hmac.digest(kept.server_key, message, "sha256")) == (
        b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    )


@pytest.mark.parametrize("size", [0, 19, 21])
def test_a_password_is_made_of_20_random_bytes_and_no_fewer(size: int) -> None:
    with pytest.raises(AssertionError):
        new_password(bytes(size))
