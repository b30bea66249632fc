"""Sentences in parts: the same in English, another thing in another language, and harmless."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad import phrases
from postroad.base.errors import Locked
from postroad.phrases import Phrase, counted, joined, phrase

GERMAN = {
    "{name} wrote.": "Es schrieb {name}.",
    "Look.": "Sehen Sie nach.",
    "{n} letter waits.": "{n} Brief wartet.",
    "{n} letters wait.": "{n} Briefe warten.",
    "{name} is off.": "{nobody} ist aus.",  # a catalogue with a mistake
}


def say(template: str) -> str:
    return GERMAN.get(template, template)


def count(one: str, more: str, n: int) -> str:
    return say(one if n == 1 else more)


def in_german(text: str, parts: object) -> str:
    return phrases.said(phrases.heard(text, parts), say, count)


def over_a_wire(text: str) -> str:
    """What a German reads who was told it by JSON."""
    told = json.loads(json.dumps({"text": text, "parts": phrases.told(text)}))
    return in_german(told["text"], told["parts"])


def test_it_is_its_english_wherever_english_is_wanted() -> None:
    waits = counted("{n} letter waits.", "{n} letters wait.", 1)
    made = joined(phrase("{name} wrote.", name="ben"), "", waits)
    assert made == "ben wrote. 1 letter waits."
    assert json.loads(json.dumps(made)) == "ben wrote. 1 letter waits."
    assert isinstance(str(Locked(made)), Phrase)


@dataclass(frozen=True)
class Kept:
    reason: str


@pytest.mark.parametrize(
    "copied",
    [
        copy.copy,
        copy.deepcopy,
        lambda one: pickle.loads(pickle.dumps(one)),
        lambda one: asdict(Kept(one))["reason"],
    ],
    ids=["copy", "deepcopy", "pickle", "asdict"],
)
def test_a_copy_has_the_same_parts(copied: Callable[[Phrase], Phrase]) -> None:
    made = joined(phrase("{name} wrote.", name="ben"), counted("{n} day", "{n} days", 2), "errno")
    found = copied(made)
    assert isinstance(found, Phrase)
    assert (found, found.parts) == (made, made.parts)


def test_each_part_is_said_anew_and_words_of_others_stay() -> None:
    wrote = phrase("{name} wrote.", name="{n} {name}")
    two = counted("{n} letter waits.", "{n} letters wait.", 2)
    made = joined(wrote, two, "errno 5", phrase("Look."))
    assert made == "{n} {name} wrote. 2 letters wait. errno 5 Look."
    assert over_a_wire(made) == "Es schrieb {n} {name}. 2 Briefe warten. errno 5 Sehen Sie nach."
    assert over_a_wire(counted("{n} letter waits.", "{n} letters wait.", 1)) == "1 Brief wartet."
    assert over_a_wire("As it is.") == "As it is."
    assert over_a_wire("") == ""


def test_a_catalogue_with_other_fields_leaves_the_english() -> None:
    said = phrases.said(phrase("{name} is off.", name="ben"), say, count)
    assert said == "ben is off."
    assert type(said) is str


ENGLISH = "ben wrote."
WRITTEN = {"template": "{name} wrote.", "arguments": {"name": "ben"}}


@pytest.mark.parametrize(
    "parts",
    [
        None,
        [],
        7,
        "{name} wrote.",
        [None],
        [{}],
        [{"template": ""}],
        [{"template": 7}],
        [{**WRITTEN, "arguments": {}}],
        [{**WRITTEN, "arguments": {"name": "eve"}}],
        [{**WRITTEN, "arguments": {"name": 7}}],
        [{**WRITTEN, "arguments": [["name", "ben"]]}],
        [{**WRITTEN, "plural": "{n} wrote.", "count": 2}],
        [{**WRITTEN, "plural": "{name} wrote.", "count": -1}],
        [{**WRITTEN, "plural": "{name} wrote.", "count": True}],
        [{**WRITTEN, "plural": "{name} wrote.", "count": 2**60}],
        [{"template": "{name.__class__} wrote.", "arguments": {"name": "ben"}}],
        [{"template": "{name!r} wrote.", "arguments": {"name": "ben"}}],
        [{"template": "{0} wrote.", "arguments": {"0": "ben"}}],
        [{"template": "Look.", "arguments": {}}],
        [WRITTEN] * 2,
        [WRITTEN] * 1000,
        [{**WRITTEN, "arguments": {"name": "ben", **{"x" * n: "" for n in range(1, 9)}}}],
        [{"template": "{a}", "arguments": {"a": "ben wrote." * 10_000}}],
    ],
)
def test_parts_that_do_not_come_to_the_english_are_not_believed(parts: object) -> None:
    assert in_german(ENGLISH, [WRITTEN]) == "Es schrieb ben."
    assert in_german(ENGLISH, parts) == ENGLISH


def test_the_bus_spells_them_in_its_way() -> None:
    spelt = [{"Template": "{name} wrote.", "Arguments": {"name": "ben"}}]
    assert in_german(ENGLISH, spelt) == "Es schrieb ben."


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inside: st.lists(inside, max_size=3)
    | st.dictionaries(
        st.sampled_from(["template", "plural", "count", "arguments", "name", "{"]),
        inside | st.sampled_from(["{name}", "{n}", "{text}", "{{", "{name[0]}"]),
        max_size=4,
    ),
    max_leaves=12,
)


@given(st.text(max_size=20), st.lists(JUNK, max_size=3) | JUNK)
def test_whatever_is_told_the_english_is_what_counts(english: str, parts: Any) -> None:
    assert phrases.heard(english, parts) == english
    assert isinstance(in_german(english, parts), str)
