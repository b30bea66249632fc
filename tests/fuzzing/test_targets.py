"""Every target with its corpus, with what is well formed, and with what Hypothesis makes of both.

Minutes of Atheris for each: make soak ONLY=fuzz.
"""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzzing import registry
from fuzzing.registry import TARGETS
from mutating import octets

pytestmark = pytest.mark.parametrize("name", TARGETS)


def test_the_corpus_is_taken_as_it_should_be(name: str) -> None:
    target = TARGETS[name]
    kept = registry.corpus(name)
    assert kept, "every target has a corpus"
    assert len(kept) <= registry.INPUTS_MAX
    for one in (b"", *kept, *target.seeds()):
        target.run(one)


def test_what_is_well_formed_reaches_the_end(name: str) -> None:
    """Else the targets would test nothing but how soon octets are refused."""
    target = TARGETS[name]
    reached = 0
    for one in target.seeds():
        try:
            target.feed(one)
            reached += 1
        except target.errors:
            pass
    assert reached >= 1


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_noise_and_broken_octets_are_no_find(name: str, data: st.DataObject) -> None:
    target = TARGETS[name]
    if data.draw(st.booleans()):
        target.run(data.draw(st.binary(max_size=200)))
        return
    begin = data.draw(st.sampled_from([*target.seeds(), *registry.corpus(name)]))
    dice = random.Random(data.draw(st.integers(0, 2**32)))
    for _ in range(data.draw(st.integers(1, 3))):
        begin = octets.broken(dice, begin)[1] or b"\0"
    target.run(begin[: target.bytes_max])
