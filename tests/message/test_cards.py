"""Contacts for other programs: what stands in a name stays in the name."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad.message import cards
from postroad.message.cards import Card

ADDRESS = "anna.giodrzd2xwwhpvmi76qht7fxae74ankj@postroad.alt"


def read_vcards(text: str) -> list[dict[str, str]]:
    """Written from RFC 6350, and not from what is tested."""
    assert text.endswith("\r\n")
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    unfolded = re.sub(r"\r\n[ \t]", "", text)
    found: list[dict[str, str]] = []
    for line in unfolded.removesuffix("\r\n").split("\r\n"):
        name, _, value = line.partition(":")
        name = name.partition(";")[0]
        if name == "BEGIN":
            found.append({})
        elif name != "END":
            assert name not in found[-1]
            value = re.sub(r"\\(.)", lambda m: "\n" if m[1] in "nN" else m[1], value)
            found[-1][name] = value
    return found


def read_ldif(text: str) -> list[dict[str, list[str]]]:
    """Written from RFC 2849."""
    assert all(len(line.encode()) <= 76 for line in text.split("\n"))
    found = []
    for entry in re.sub(r"\n ", "", text).split("\n\n"):
        if not entry:
            continue
        read: dict[str, list[str]] = {}
        for line in entry.split("\n"):
            name, _, value = line.partition(":")
            if value.startswith(":"):
                value = base64.b64decode(value[1:].strip(), validate=True).decode()
            else:
                assert value.isascii()
                value = value.removeprefix(" ")
            read.setdefault(name, []).append(value)
        found.append(read)
    return found


NAMES = [
    "Anna",
    'O\'Neill, "J"; \\ & Co <x>',
    "Zoë Übergröße " * 4,
    "名前" * 30,
    "a\r\nEMAIL:evil@example.org",
    "a\n\ndn: cn=evil\nmail: evil@example.org",
    "=1+1",
    " #x ",
    ":<x",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_vcard_has_one_person_with_that_name_and_no_more(name: str) -> None:
    (read,) = read_vcards(cards.vcards([Card(name, ADDRESS)]))
    wanted = re.sub(r"\r\n|\r", "\n", name)
    assert (read["FN"], read["NICKNAME"], read["EMAIL"]) == (wanted, wanted, ADDRESS)
    assert read["VERSION"] == "4.0"
    assert read["UID"] == "postroad-giodrzd2xwwhpvmi76qht7fxae74ankj"


@pytest.mark.parametrize("name", NAMES)
def test_an_ldif_entry_has_one_person_with_that_name_and_no_more(name: str) -> None:
    (read,) = read_ldif(cards.ldif([Card(name, ADDRESS)]))
    assert (read["cn"], read["mail"]) == ([name], [ADDRESS])
    assert read["mozillaNickname"] == [name]


@given(st.lists(st.text(min_size=1, max_size=80), max_size=4))
def test_whatever_the_names_are_as_many_come_out(names: list[str]) -> None:
    written = [Card(name, ADDRESS) for name in names]
    read = read_vcards(cards.vcards(written)) if names else []
    assert [one["FN"] for one in read] == [re.sub(r"\r\n|\r", "\n", name) for name in names]
    assert [one["cn"] for one in read_ldif(cards.ldif(written))] == [[name] for name in names]
