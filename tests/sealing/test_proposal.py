"""A third person's word that two may get to know each other: for these two, and nobody else's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import NOW, someone
from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Instant
from postroad.base.tlv import decode, encode
from postroad.sealing.proposal import CONTEXT, SignedWord, Word, check_word, give_word

IVAN, ANNA, BORIS, MALLORY = map(someone, ("ivan", "anna", "boris", "mallory"))
PAIR = {str(ANNA.fingerprint), str(BORIS.fingerprint)}


def word() -> SignedWord:
    pair = (BORIS.fingerprint, ANNA.fingerprint)
    return give_word(pair, b"s" * 16, NOW, IVAN.device, IVAN.certificate)


def signed(changed: Word, by: object = IVAN) -> SignedWord:
    """Signed as well as somebody can who has these keys."""
    assert hasattr(by, "device")
    return SignedWord(changed, by.device.sign(CONTEXT, encode(changed)), by.certificate)  # type: ignore[attr-defined]


def test_both_show_each_other_the_same_word() -> None:
    check_word(word(), IVAN.fingerprint, PAIR, NOW)
    assert decode(SignedWord, encode(word())) == word()
    tickets = {word().word.ticket_of(one.fingerprint) for one in (ANNA, BORIS)}
    assert len(tickets | {b"s" * 16}) == 3
    assert "s" * 16 not in repr(word())


def test_it_is_good_for_these_two_by_this_introducer_and_for_no_longer_than_any() -> None:
    good = word().word
    wrong = [
        signed(good, MALLORY),  # somebody else's key
        replace(word(), certificate=MALLORY.certificate),
        signed(replace(good, introducer=MALLORY.fingerprint), MALLORY),
        signed(replace(good, one=good.other, other=good.one)),
        signed(replace(good, other=good.one)),  # somebody to themselves
        signed(replace(good, one=min(PAIR), other=MALLORY.fingerprint)),
        signed(replace(good, introducer=ANNA.fingerprint), ANNA),  # one of the two
        signed(replace(good, expires=good.expires + 2 * limits.DAY)),
        replace(word(), word=replace(good, secret=b"t" * 16)),
        replace(word(), word=replace(good, expires=good.expires + 1)),
    ]
    for one in wrong:
        with pytest.raises(PeerMisbehaved):
            check_word(one, IVAN.fingerprint, PAIR, NOW)


def test_that_it_has_expired_is_for_the_caller_to_see() -> None:
    later = Instant(NOW + limits.PROPOSAL_SECONDS + 1)
    check_word(word(), IVAN.fingerprint, PAIR, later)
    assert word().word.expires < later


@given(st.integers(0, len(encode(word())) - 1), st.integers(1, 255))
def test_no_byte_of_it_is_free(at: int, change: int) -> None:
    octets = bytearray(encode(word()))
    octets[at] ^= change
    with pytest.raises(PeerMisbehaved):
        check_word(decode(SignedWord, bytes(octets)), IVAN.fingerprint, PAIR, NOW)
