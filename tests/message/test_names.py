"""Names in From that pretend to be somebody else's."""

from __future__ import annotations

import pytest

from fakes import someone
from postroad.message.names import like, named_address
from postroad.message.submitted import Disguised, check_author, check_name

ANNA, BORA = str(someone("anna").address), str(someone("bora").address)
BORAS_PRINT = someone("bora").fingerprint


@pytest.mark.parametrize(
    "name",
    [
        BORA,
        f"Bora <{BORA}>",
        "bora@example.org",
        "bora\uff20example.org",
        "bora@exam\u200bple.org",
        "\u202ebora@example.org",
        "(bora@example.org)",
        "BORA@EXAMPLE.ORG",
        f"Bora {BORAS_PRINT}",
        f"bora.{BORAS_PRINT.upper()}",
    ],
)
def test_an_address_that_is_not_its_authors_shows_in_whatever_dress(name: str) -> None:
    assert named_address(name, ANNA) is not None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Anna",
        "Anna @ work",
        "A. N. Na",
        "Anna (home)",
        ANNA,
        ANNA.upper(),
        "me@home",
        "50% @ 3",
    ],
)
def test_an_honest_name_is_none(name: str) -> None:
    assert named_address(name, ANNA) is None


def test_ones_own_tagged_address_is_ones_own() -> None:
    local, _, rest = ANNA.partition(".")
    assert named_address(ANNA, f"{local}+club.{rest}") is None


@pytest.mark.parametrize("name", ["Bora", "b0ra", "B\u043era", "BORA", "bor\u00e4"])
def test_a_name_that_reads_like_a_contacts_is_told(name: str) -> None:
    assert like(name, [("anna", ANNA), ("bora", BORA)]) == BORA


@pytest.mark.parametrize("name", ["", "Cora", "!!!", "\u200b"])
def test_a_name_of_ones_own_is_nobodys(name: str) -> None:
    assert like(name, [("anna", ANNA), ("bora", BORA), ("", "nobody")]) is None


def test_encoded_words_hide_nothing() -> None:
    word = "=?utf-8?b?Ym9yYUBleGFtcGxlLm9yZw==?="  # bora@example.org
    header = f"From: {word} <{ANNA}>\r\n\r\n".encode()
    with pytest.raises(Disguised, match=r"bora@example\.org"):
        check_name(check_author(header, (ANNA,)))
