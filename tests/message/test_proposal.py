"""The letter about a proposal: our own node's words, whatever names are in it."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest

from fakes import NOW, someone
from postroad.base.ids import Instant
from postroad.message import proposal
from postroad.message.address import parse

ANNA, BORIS, IVAN = (someone(name).address for name in ("anna", "boris", "ivan"))


@pytest.mark.parametrize("introducer", ["ivan", "Iván Ö.", "名前" * 20, "x" * 60])
def test_it_says_who_proposes_whom_and_how_to_decide(introducer: str) -> None:
    facts = proposal.Facts(
        "1a2b3c4d", ANNA, introducer, str(IVAN), BORIS, Instant(NOW + 60), ("WARNING: take care.",)
    )
    octets = proposal.write(facts, NOW, bytes(16))
    assert b"\n" not in octets.replace(b"\r\n", b"")
    letter = message_from_bytes(octets, policy=policy.default)
    assert not letter.defects
    assert letter["Subject"] == f"{introducer} introduces Boris to you"
    assert letter["From"].addresses[0].addr_spec == "postroad@postroad.alt"  # nobody can be that
    text = " ".join(letter.get_content().split())
    assert f"{introducer} <{IVAN}> proposes that you and Boris write to each other" in text
    assert str(BORIS) in text
    assert "postroad proposals accept 1a2b3c4d" in text
    assert "postroad proposals decline 1a2b3c4d" in text
    assert "WARNING: take care." in text
    assert "does not prove" in text
    assert "safety number" in text


def test_a_node_that_knows_no_proposals_reads_a_letter_of_the_introducer() -> None:
    octets = proposal.envelope(IVAN, ANNA, BORIS, NOW, bytes(16))
    letter = message_from_bytes(octets, policy=policy.default)
    assert not letter.defects
    assert parse(letter["From"].addresses[0].addr_spec) == IVAN
    assert parse(letter["To"].addresses[0].addr_spec) == ANNA
    assert str(BORIS) in letter.get_content()
