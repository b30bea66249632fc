"""Rotation and revocation of an identity whose keys a passphrase wraps: real nodes, real files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.test_keys import FIRST, SLOT, answer, entropy_of, lines, secrets_on_disk, start_locked
from app.test_node import all_subjects, letter
from person import Person, meet, until
from postroad.base.errors import Locked

NAMES = ("anna", "bora")
WRONG = "five words that somebody guessed"


@pytest.fixture
def two(tmp_path: Path, quiet_network: None) -> Iterator[list[Person]]:
    """Anna, whose keys are wrapped, and Bora who knows her; both nodes run."""
    made = [Person(name, tmp_path, SLOT + at, link="tls") for at, name in enumerate(NAMES)]
    try:
        for one in made:
            one.set_up()
            one.start()
        meet(*made)
        answer(made[0], "keys", "protect", "--passphrase", stdin=lines(FIRST))
        yield made
    finally:
        for one in made:
            one.kill()


def keys_file(person: Person) -> bytes:
    return (person.folder / "data" / "keys").read_bytes()


def unlock(person: Person) -> None:
    answer(person, "unlock", stdin=lines(FIRST))
    person.end_start()


def test_a_rotation_stays_wrapped_and_letters_go_on_after_the_next_unlock(
    two: list[Person],
) -> None:
    anna, bora = two
    was, before = anna.address, keys_file(anna)
    begun = answer(anna, "identity", "rotate", stdin=lines(FIRST))
    words = begun["words"].split()
    asked = " ".join(words[number - 1] for number in begun["asked"])
    assert keys_file(anna) == before
    done = answer(anna, "identity", "rotate", "--finish", stdin=lines(asked))
    assert (done["was"], done["address"]) == (was, begun["new_address"])
    anna.address = done["address"]

    # Bora writes to the old address while Anna's node is locked; it waits.
    until(lambda: "Subject: anna has a new key" in all_subjects(bora), "Bora is told")
    anna.stop()
    with pytest.raises(Locked):  # the file is wrapped as it was
        entropy_of(anna)
    start_locked(anna)
    wrong = answer(anna, "unlock", stdin=lines(WRONG), code=1)
    assert "not the passphrase" in wrong["error"]
    old, new = was.encode(), anna.address.encode()
    bora.submit(was, letter(bora, anna, "while locked").replace(new, old))
    unlock(anna)
    assert answer(anna, "identity")["former"] == [was]
    assert answer(anna, "keys")["protection"] == "passphrase"
    until(lambda: "Subject: while locked" in all_subjects(anna), "Anna has what waited")
    anna.submit(bora.address, letter(anna, bora, "as the new one"))
    until(lambda: "Subject: as the new one" in all_subjects(bora), "Bora has it")
    (contact,) = answer(bora, "contacts")["contacts"]
    assert (contact["address"], contact["verified"]) == (anna.address, False)

    # What opened the keys of before opens those of now, and nothing else does.
    answer(anna, "keys", "protect", "--plain", stdin=lines(WRONG), code=1)
    answer(anna, "keys", "protect", "--plain", stdin=lines(FIRST))
    anna.stop()
    assert secrets_on_disk(anna, entropy_of(anna)) == [str(anna.folder / "data" / "keys")]


def test_a_wrong_passphrase_in_the_middle_leaves_nothing_half_made(
    two: list[Person], tmp_path: Path
) -> None:
    anna, bora = two
    was, before = anna.address, keys_file(anna)
    begun = answer(anna, "identity", "rotate", stdin=lines(FIRST))
    # Somebody who does not know it begins anew, and has no words to finish with.
    answer(anna, "identity", "rotate", stdin=lines(WRONG), code=1)
    refused = answer(anna, "identity", "rotate", "--finish", stdin=lines(WRONG), code=1)
    assert "Nothing was changed" in refused["error"]
    answer(anna, "identity", "sheet", str(tmp_path / "sheet"), stdin=lines(WRONG), code=1)
    assert not (tmp_path / "sheet").exists()
    assert keys_file(anna) == before

    # Killed between the words and their owner's showing them: all is as it was, and wrapped.
    anna.kill()
    start_locked(anna)
    words = begun["words"].split()
    asked = " ".join(words[number - 1] for number in begun["asked"])
    locked = answer(anna, "identity", "rotate", "--finish", stdin=lines(asked), code=5)
    assert "postroad unlock" in locked["error"]
    answer(anna, "unlock", stdin=lines(WRONG), code=1)
    unlock(anna)
    over = answer(anna, "identity", "rotate", "--finish", stdin=lines(asked), code=1)
    assert "No new words were shown" in over["error"]
    assert anna.postroad("identity") == {"address": was, "former": [], "is_ended": False}
    bora.submit(anna.address, letter(bora, anna, "as ever"))
    until(lambda: "Subject: as ever" in all_subjects(anna), "Anna has it")


def test_a_sheet_ends_an_identity_whose_node_waits_for_its_passphrase(
    two: list[Person], tmp_path: Path
) -> None:
    anna, bora = two
    page = tmp_path / "sheet.html"
    answer(anna, "identity", "sheet", str(page), stdin=lines(FIRST))
    anna.stop()
    start_locked(anna)
    # At the locked node nothing can be published; on anybody else's computer it can.
    locked = answer(anna, "revoke", "--from-sheet", str(page), "--yes", code=5)
    assert "postroad unlock" in locked["error"]
    ended = answer(bora, "revoke", "--from-sheet", str(page), "--yes")
    assert ended["is_yours"] is False
    assert answer(bora, "contacts")["contacts"][0]["revoked"]
    unlock(anna)
    # Bora's node tells Anna's when it comes, and it stops.
    until(lambda: answer(anna, "identity")["is_ended"], "Anna's node hears of it")
    refused = answer(anna, "identity", "rotate", stdin=lines(FIRST), code=1)
    assert "Your identity was revoked" in refused["error"]


def test_the_owners_own_sheet_ends_an_identity_with_wrapped_keys(
    two: list[Person], tmp_path: Path
) -> None:
    anna, bora = two
    page = tmp_path / "sheet.html"
    answer(anna, "identity", "sheet", str(page), stdin=lines(FIRST))
    # Whoever has the sheet needs neither keys nor passphrase.
    assert answer(anna, "revoke", "--from-sheet", str(page), "--yes")["is_yours"]
    until(lambda: answer(bora, "contacts")["contacts"][0]["revoked"], "Bora is told")
    for words in (("invite",), ("accept", answer(bora, "invite")["link"])):
        refused = answer(anna, *words, code=1)
        assert "was revoked" in refused["error"]
    anna.stop()
    start_locked(anna)
    unlock(anna)
    assert answer(anna, "identity")["is_ended"]
