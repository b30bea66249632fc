"""Why a letter waits: whatever the queue keeps as text is found again in parts, and is the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad.delivery import reasons
from postroad.delivery.reasons import in_parts
from postroad.phrases import Phrase, joined
from postroad.protocol.delivery import AMONG_REQUESTS, REFUSALS, where
from postroad.store import circle

NAME = "o'hara {name}. A holder said: x"
ALL = [
    reasons.NOBODY_REACHED,
    reasons.NO_ROOM,
    reasons.NOBODY,
    reasons.TAKES_NONE,
    reasons.THEIRS_IS_REVOKED,
    AMONG_REQUESTS,
    *(reason for _status, reason in REFUSALS.values()),
    reasons.blocked(NAME),
    reasons.no_key(NAME),
    circle.refusal(NAME),
    reasons.holder_said('"Come\nback."'),
    reasons.node_misbehaved("{words} {n}"),
    where(1),
    where(12),
    joined(where(3), reasons.node_said('"Not now."')),
]


@pytest.mark.parametrize("reason", ALL)
def test_each_of_our_sentences_is_found_again_with_what_was_put_into_it(reason: Phrase) -> None:
    kept = "".join(reason)  # as a column of a table has it
    found = in_parts(kept)
    assert type(kept) is str
    assert isinstance(found, Phrase)
    assert (found, found.parts) == (reason, reason.parts)


@given(st.text(max_size=60) | st.builds("It waits at {} of the recipient's holders. {}".format,
       st.integers(0, 99), st.text(max_size=20)))  # fmt: skip
def test_whatever_else_stands_there_stays_as_it_is(kept: str) -> None:
    assert in_parts(kept) == kept


@pytest.mark.parametrize(
    "kept",
    [
        f"It waits at {'9' * 5000} of the recipient's holders.",
        f"It waits at {'9' * 1500} of the recipient's holders.",
        "It waits at one of the recipient's holders. " * 40 + "x",
        "It waits at one of the recipient's holders. " * 5000 + "x",
        f"A holder said: {'x' * 5000}",
        "It waits at 007 of the recipient's holders.",
    ],
    ids=lambda kept: f"{kept[:20]} {len(kept)}",
)
def test_a_text_that_would_be_too_much_to_take_apart_stays_as_it_is(kept: str) -> None:
    assert in_parts(kept) == kept


def test_where_it_waits_is_found_once_and_what_stands_behind_is_left() -> None:
    twice = "It waits at 2 of the recipient's holders. It waits at 3 of the recipient's holders."
    found = in_parts(twice)
    assert isinstance(found, Phrase)
    assert [part.template for part in found.parts] == [where(2).parts[0].template, "{text}"]
    assert type(in_parts(f"A holder said: {'x' * 5000}")) is str
