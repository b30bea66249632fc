"""Names in From that pretend to be somebody else's."""

from __future__ import annotations

import time

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
        "bora @ example.org",
        "bora" + " " * 5000 + "@" + " " * 5000 + "example.org",
        "\u200b" * 1000 + "bora@example.org",
        "x " * 5000 + "bora@example.org",
        "b\u0301ora@exa\u0308mple.org",
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
        "me@.",
        "@example.org",
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


@pytest.mark.parametrize("size", [1000, 10_000, 70_000])
@pytest.mark.parametrize(
    "piece", ["a", " ", "@", "a@", ".", " @", "\u0327\u0301", "\ufdfa", "(", "a "]
)
def test_a_name_as_long_as_a_header_takes_no_time(piece: str, size: int) -> None:
    name = (piece * size)[:size]
    begun = time.process_time()
    named_address(name, ANNA)
    like(name, [("bora", BORA)])
    assert time.process_time() - begun < 2.0


def test_a_name_behind_much_that_is_not_seen_is_read_all_the_same() -> None:
    assert like("\u200b" * 2000 + "Bora", [("bora", BORA)]) == BORA


@pytest.mark.parametrize(
    "author",
    [
        "=?utf-8?b?Ym9yYUBleGFtcGxlLm9yZw==?= <ANNA>",
        "=?utf-8?b?Ym9yYUBl?= =?utf-8?b?eGFtcGxlLm9yZw==?= <ANNA>",
        "=?utf-8?q?bora=EF=BC?= =?UTF-8?b?oGV4YW1wbGUub3Jn?= <ANNA>",  # cut within the @
        "=?utf-8?q?bora@example?= =?utf-8?q?.org?= <ANNA>",
        "=?utf-8?q?bora?=@example.org <ANNA>",
        "bora@example.org <ANNA>",
        '"bora"@example.org <ANNA>',
        "<ANNA> bora@example.org",
        "Anna (bora@example.org) <ANNA>",
        "(bora@example.org) ANNA (home)",
        "ANNA (bora@example.org)",
        f"Anna ({BORAS_PRINT}) <ANNA>",
    ],
)
def test_no_way_of_writing_an_author_hides_another_address(author: str) -> None:
    header = f"From: {author.replace('ANNA', ANNA)}\r\n\r\n".encode()
    with pytest.raises(Disguised, match=rf"bora@example\.org|{BORAS_PRINT}"):
        check_name(check_author(header, (ANNA,)), header)
