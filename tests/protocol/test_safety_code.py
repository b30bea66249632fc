"""What a camera read, or somebody read out, compared with whom we think they are."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad.base.errors import PermanentFailure
from postroad.protocol import link_text, safety_code
from postroad.protocol.safety_code import Comparison, code, compare
from postroad.sealing.safety import Keys

ANNA, BORA, MALLORY = (Keys(bytes([n]) * 32, bytes([n + 1]) * 32) for n in (10, 20, 30))
NUMBER = tuple(f"{n:05}" for n in range(12))


@pytest.mark.parametrize(
    ("shown", "is_"),
    [
        (code(BORA, ANNA), Comparison.MATCHES),
        (code(ANNA, BORA), Comparison.OWN),
        (code(MALLORY, ANNA), Comparison.SOMEBODY_ELSES),
        (code(BORA, MALLORY), Comparison.FOR_SOMEBODY_ELSE),
        (code(MALLORY, MALLORY), Comparison.SOMEBODY_ELSES),
        (" ".join(NUMBER), Comparison.MATCHES),
        ("\n".join(NUMBER), Comparison.MATCHES),
        ("".join(NUMBER), Comparison.MATCHES),
        (" ".join(reversed(NUMBER)), Comparison.DIFFERENT),
    ],
)
def test_a_code_says_who_shows_it_and_to_whom(shown: str, is_: Comparison) -> None:
    assert compare(shown, ANNA, BORA, NUMBER) is is_


def test_a_code_that_a_mail_program_wrapped_is_read() -> None:
    shown = code(BORA, ANNA)
    assert compare(f"{shown[:40]}\n  {shown[40:]}\n", ANNA, BORA, NUMBER) is Comparison.MATCHES


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        ("", "12 groups"),
        ("12345 67890", "12 groups"),
        (" ".join(NUMBER) + " 1", "12 groups"),
        ("١" * 60, "12 groups"),  # digits, but not ours
        (code(BORA, ANNA)[:-1], "damaged"),
        (code(BORA, ANNA) + "?", "damaged"),
        (safety_code.SCHEME, "damaged"),
        ("postroad:AAAA", "12 groups"),
        (link_text.write(safety_code.SCHEME, bytes([2]) + bytes(64)), "update yours"),
        (link_text.write(safety_code.SCHEME, bytes([1]) + bytes(63)), "update yours"),
    ],
)
def test_what_is_neither_code_nor_number_is_refused_in_words(shown: str, why: str) -> None:
    with pytest.raises(PermanentFailure, match=why):
        compare(shown, ANNA, BORA, NUMBER)


@given(st.text() | st.text().map(lambda text: safety_code.SCHEME + text))
def test_no_text_matches_by_chance_and_none_is_a_fault(text: str) -> None:
    with suppress(PermanentFailure):
        assert compare(text, ANNA, BORA, NUMBER) is not Comparison.MATCHES
