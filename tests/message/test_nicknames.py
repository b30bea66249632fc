"""Names for contacts: which there may be, and which are taken for another."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad.base.errors import PermanentFailure
from postroad.message import nicknames

FINGERPRINT = "giodrzd2xwwhpvmi76qht7fxae74ankj"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Anna", "Anna"),
        ("  Anna   Berg ", "Anna Berg"),
        ("Zoe\u0308", "Zoë"),  # one way to write it
        ("名前", "名前"),
        ("שרה", "שרה"),
        ("O'Neill, J. & Co", "O'Neill, J. & Co"),
        ("Mum \u2764", "Mum \u2764"),
        ("Anna-Maria Hohenstaufen-Wittelsbach", "Anna-Maria Hohenstaufen-Wittelsbach"),
    ],
)
def test_a_name_is_kept_in_one_normal_form(typed: str, kept: str) -> None:
    assert nicknames.checked(typed) == kept
    assert nicknames.checked(kept) == kept


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("", "at least one"),
        ("   ", "at least one"),
        ("a" * 61, "too long"),
        ("Anna\nBcc: x", "not shown"),
        ("Anna\tB", "not shown"),
        ("Anna\x1b[2J", "not shown"),
        ("Anna\u202egro", "not shown"),  # right-to-left override
        ("Anna\u2066x", "not shown"),
        ("An\u200bna", "not shown"),  # zero width
        ("An\u3164na", "not shown"),  # a filler is a letter
        ("Anna\u2028x", "not shown"),
        ("Anna\u00a0x", "not shown"),
        ("Anna\ue000", "not shown"),
        ("a" + "\u0301" * 4, "not shown"),
        ("=HYPERLINK(1)", "begins with"),
        ("+4912", "begins with"),
        ("-anna", "begins with"),
        ("@anna", "begins with"),
        ("\u0301anna", "begins with"),
        ("!", "begins with"),
        (f"anna.{FINGERPRINT}@postroad.alt", "looks like an address"),
        ("anna\uff20postroad.alt", "looks like an address"),  # a wide @
        ("anna\ufe6bpostroad.alt", "looks like an address"),
        (f"anna.{FINGERPRINT}", "looks like an address"),
        (FINGERPRINT.upper(), "looks like an address"),
        (FINGERPRINT.replace("a", "а"), "looks like an address"),  # Cyrillic
    ],
)
def test_what_is_no_name_is_refused_in_words(typed: str, why: str) -> None:
    with pytest.raises(PermanentFailure, match=why):
        nicknames.checked(typed)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anna", "anna"),
        ("Anna", "Ánna"),
        ("Anna", "An na."),
        ("Anna", "Аnnа"),  # Cyrillic
        ("Bill", "BiII"),
        ("Leo", "Le0"),
        ("Boris", "ΒΟRΙS"),  # Greek
        ("Omar", "Ornar"),
        ("Anna", "Ａｎｎａ"),  # wide
    ],
)
def test_names_that_look_alike_have_one_key(one: str, other: str) -> None:
    assert nicknames.key(one) == nicknames.key(other)


def test_a_number_makes_a_name_free() -> None:
    taken = {nicknames.key("anna"), nicknames.key("anna-2")}
    assert nicknames.free("ben", taken) == "ben"
    assert nicknames.free("anna", taken) == "anna-3"


@given(st.text(max_size=70))
def test_whatever_is_typed_is_a_name_of_one_shown_line_or_refused(typed: str) -> None:
    try:
        name = nicknames.checked(typed)
    except PermanentFailure:
        return
    assert len(name.splitlines()) == 1
    assert not any(unicodedata.category(one)[0] in "CZ" for one in name.replace(" ", ""))
    assert nicknames.key(name)
    assert "@" not in unicodedata.normalize("NFKC", name)
    assert nicknames.checked(name) == name


@pytest.mark.parametrize("piece", ["\u0327\u0301", " ", "a", "\ufdfa"])
def test_a_name_as_long_as_a_request_takes_no_time(piece: str) -> None:
    begun = time.process_time()
    with pytest.raises(PermanentFailure):
        nicknames.checked(piece * 30_000)
    assert time.process_time() - begun < 0.25
