"""Letters written and read with mutt."""

from email import message_from_bytes
from pathlib import Path

import pytest

from needed import needs
from person import Person, until
from programs import mutt

pytestmark = [
    pytest.mark.program,
    needs("mutt"),
]
Couple = tuple[Person, Person]


def test_a_letter_written_in_mutt_is_read_in_mutt(couple: Couple, tmp_path: Path) -> None:
    anna, bora = couple
    text = "Liebe Bora,\n.\n..\nein Punkt allein, und Grüße!\nFrom the beginning of a line.\n"
    mutt.send(anna, bora.address, "From mutt to mutt", text)
    until(lambda: bora.find("From mutt to mutt"), "it arrives")
    octets = mutt.fetch(bora, "From mutt to mutt", tmp_path / "fetched")
    letter = message_from_bytes(octets)
    assert letter["From"] == f"Anna <{anna.address}>"
    assert letter["To"] == bora.address
    body = letter.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert body.decode().replace("\r\n", "\n") == text


def test_an_attachment_survives_the_way_through_mutt(couple: Couple, tmp_path: Path) -> None:
    anna, bora = couple
    plans = tmp_path / "plans.bin"
    plans.write_bytes(bytes(range(256)) * 4000)
    mutt.send(anna, bora.address, "The plans by mutt", "See attachment.\n", plans)
    until(lambda: bora.find("The plans by mutt"), "it arrives")
    letter = message_from_bytes(mutt.fetch(bora, "The plans by mutt", tmp_path / "fetched"))
    parts = [one for one in letter.walk() if one.get_filename() == "plans.bin"]
    assert [one.get_payload(decode=True) for one in parts] == [plans.read_bytes()]


def test_mutt_shows_why_a_letter_to_nobody_is_not_taken(couple: Couple) -> None:
    anna, _ = couple
    with pytest.raises(AssertionError, match=r"550 5\.1\.1 .*example\.org"):
        mutt.send(anna, "nobody@example.org", "To nobody", "Hello?\n")
