"""Letters written and read with Thunderbird; Anna has it, and Bora has mutt."""

import hashlib
import os
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path

import pytest

from needed import needs
from person import Person, until
from programs import mutt, thunderbird
from programs.thunderbird import Thunderbird

pytestmark = [
    pytest.mark.program,
    needs(*thunderbird.NEEDED),
]
needs_mutt = needs("mutt")
Couple = tuple[Person, Person]


@pytest.fixture(scope="module")
def program(couple: Couple, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Thunderbird]:
    anna, _ = couple
    with thunderbird.running(anna, tmp_path_factory.mktemp("thunderbird")) as running:
        yield running


@needs_mutt
def test_a_letter_written_in_thunderbird_is_read_in_mutt(
    couple: Couple, program: Thunderbird, tmp_path: Path
) -> None:
    anna, bora = couple
    plans = tmp_path / "plans.bin"
    plans.write_bytes(b"".join(hashlib.sha256(bytes([n])).digest() for n in range(256)))
    text = "Liebe Bora, schöne Grüße!\n"
    assert program.send(bora.address, "From Thunderbird", text, plans) == "sent"
    until(lambda: bora.find("From Thunderbird"), "it arrives")
    letter = message_from_bytes(mutt.fetch(bora, "From Thunderbird", tmp_path / "fetched"))
    assert letter["From"] == f"Anna <{anna.address}>"
    assert letter["To"] == bora.address
    contents = [one.get_payload(decode=True) for one in letter.walk() if not one.is_multipart()]
    assert "Liebe Bora, schöne Grüße!".encode() in contents[0]
    assert contents[1] == plans.read_bytes()


def test_what_thunderbird_sent_is_kept_in_sent(couple: Couple, program: Thunderbird) -> None:
    anna, bora = couple
    assert program.send(bora.address, "A copy is kept", "Hello.\n") == "sent"
    until(lambda: anna.find("A copy is kept", "Sent"), "it is in the folder Sent")
    sent = anna.find("A copy is kept", "Sent")
    until(lambda: bora.find("A copy is kept"), "it arrives")
    arrived = bora.find("A copy is kept")
    assert sent is not None
    assert arrived is not None
    assert arrived.endswith(sent)  # byte for byte, below our trace fields


@pytest.mark.skipif(os.geteuid() != 0, reason="root, who can lay a file over Thunderbird's own")
def test_thunderbird_finds_the_doors_by_the_address_alone_and_asks_no_network(
    couple: Couple, program: Thunderbird
) -> None:
    """By the file of the package; a name and a password are all that is typed."""
    anna, _ = couple
    found = program.look_up(anna.address)
    assert found["name"] == "Postroad"
    servers = [found["incoming"], *found["others"], found["outgoing"]]
    assert [one["port"] for one in servers] == [10143, 10110, 10587]
    assert {one["host"] for one in servers} == {"127.0.0.1"}
    assert {one["user"] for one in servers} in ({anna.address}, {"%EMAILADDRESS%"})


@needs_mutt
def test_a_letter_written_in_mutt_is_shown_in_thunderbird(
    couple: Couple, program: Thunderbird
) -> None:
    anna, bora = couple
    mutt.send(bora, anna.address, "From mutt", "Liebe Anna,\n\nschöne Grüße zurück!\n")
    shown = program.fetch("From mutt")
    assert shown["author"] == f"Bora <{bora.address}>"
    assert shown["recipients"] == anna.address
    assert "schöne Grüße zurück!" in shown["text"]


def test_thunderbird_shows_the_doors_own_words_when_a_letter_is_not_taken(
    couple: Couple, program: Thunderbird
) -> None:
    _, bora = couple
    near = bora.address.replace("bora", "bara")[:-14] + "@postroad.alt"
    assert "end in @postroad.alt" in program.send("nobody@example.org", "To nobody", "Hello?\n")
    assert f"Did you mean Bora <{bora.address}>?" in program.send(near, "To nobody", "Hello?\n")
    assert program.send(bora.address, "To Bora after all", "Hello.\n") == "sent"


@pytest.mark.parametrize(("form", "kind"), [("thunderbird", "ldif"), ("vcard", "vcard")])
def test_contacts_are_imported_under_the_names_that_their_owner_gave_them(
    couple: Couple, program: Thunderbird, tmp_path: Path, form: str, kind: str
) -> None:
    anna, bora = couple
    name = "Bora Übergroß, genannt; \\B 名前 mit einem langen Namen fürwahr"
    before = anna.postroad("contacts")["contacts"][0]["name"]
    anna.postroad("contacts", "rename", bora.address, name)
    try:
        file = tmp_path / f"contacts.{kind}"
        done = anna.type("contacts", "export", "--format", form, "--to", str(file))
        assert done.returncode == 0, done.stderr
        (card,) = program.import_contacts(file, kind)
    finally:
        anna.postroad("contacts", "rename", bora.address, before)
    assert (card["name"], card["nickname"]) == (name, name)
    assert (card["address"], card["all"]) == (bora.address, [bora.address])
