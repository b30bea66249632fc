"""Contacts as their owner types them: two real nodes, and what their mail programs then see."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.test_node import all_subjects, letter
from person import Person, ended, meet, until


@pytest.fixture
def couple(short_folder: Path) -> Iterator[list[Person]]:
    """Anna and Bora, who have met."""
    made = [Person("anna", short_folder, 0), Person("bora", short_folder, 1)]
    with ended(made):
        for one in made:
            one.set_up()
            one.start()
        meet(*made)
        yield made


@pytest.fixture
def three(couple: list[Person]) -> Iterator[list[Person]]:
    """Anna, her contacts Bora and Carl, who do not know each other."""
    anna, bora = couple
    carl = Person("carl", anna.folder.parent, 2)
    try:
        carl.set_up()
        carl.start()
        meet(anna, carl)
        yield [anna, bora, carl]
    finally:
        carl.kill()


def test_two_contacts_are_introduced_and_an_invitation_is_taken_back(three: list[Person]) -> None:
    anna, bora, carl = three
    assert "Nobody proposes" in bora.type("proposals").stdout
    told = anna.type("introduce", "bora", "carl")
    assert "Nothing happens unless both say yes" in told.stdout
    until(lambda: bora.postroad("proposals")["proposals"], "Bora has it")
    until(lambda: carl.postroad("proposals")["proposals"], "Carl has it")
    assert "Subject: anna introduces Carl to you" in all_subjects(bora)
    (to_bora,) = bora.postroad("proposals")["proposals"]
    assert (to_bora["address"], to_bora["state"]) == (carl.address, "open")
    assert f"anna proposes {carl.address}" in bora.type("proposals").stdout
    done = bora.type("proposals", "accept", to_bora["id"])
    assert f"You said yes to {carl.address}." in done.stdout
    assert "they have not yet" in bora.type("proposals").stdout
    carl.type("proposals", "accept", to_bora["id"])  # both have the same word
    until(lambda: carl.address in bora.type("contacts").stdout, "they are contacts")
    assert f"{carl.address}  not verified" in bora.type("contacts").stdout
    bora.submit(carl.address, letter(bora, carl))
    until(lambda: "Subject: hello" in all_subjects(carl), "they write")
    late = carl.type("proposals", "decline", to_bora["id"])
    assert (late.returncode, late.stdout) == (1, "")
    nobody = carl.type("proposals", "decline", "ffffffff", "--json")
    assert "Nobody made you a proposal" in json.loads(nobody.stdout)["error"]

    made = anna.postroad("invite", "--expires", "2h", "--name", "Dear Dora")
    assert f"{made['id']}  open until" in anna.type("invitations").stdout
    assert "for Dear Dora" in anna.type("invitations").stdout
    assert "is withdrawn" in anna.type("invitations", "withdraw", made["id"]).stdout
    assert anna.type("invitations", "withdraw", made["id"]).returncode == 1
    assert "no time" in anna.type("invite", "--expires", "soon").stderr
    assert "between 10 minutes and 30 days" in anna.type("invite", "--expires", "31d").stderr

    assert "is no contact of yours any more" in anna.type("contacts", "remove", "carl").stdout
    assert carl.address not in anna.type("contacts").stdout


def test_a_contact_is_shown_renamed_verified_exported_and_blocked(
    couple: list[Person], tmp_path: Path
) -> None:
    anna, bora = couple
    assert f"{bora.address}  not verified" in anna.type("contacts").stdout
    assert anna.type("contacts", "rename", "bora", "Bora B.").stdout == (
        f"bora is called Bora B. now: {bora.address}\n"
    )
    refused = anna.type("contacts", "rename", "Bora B.", bora.address)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "looks like an address" in refused.stderr
    shown = anna.postroad("contacts", "show", "bora b.")
    assert (shown["name"], shown["address"], shown["verified"]) == ("Bora B.", bora.address, False)
    told = anna.type("contacts", "show", "bora b.").stdout
    assert f"not yet. Compare the safety number: postroad verify {bora.address}" in told

    number = anna.postroad("verify", "bora b.")["number"]
    assert number == bora.postroad("verify", "anna")["number"]
    at_bora = bora.type("verify", "anna", "--qr").stdout
    assert "   " + "  ".join(number[:4]) + "\n" in at_bora
    code = next(line for line in at_bora.splitlines() if line.startswith("postroad-verify:"))
    scanned = anna.type("verify", "Bora B.", "--scan", stdin=code + "\n")
    assert "It matches the safety number of you and Bora B." in scanned.stdout
    assert "--matches" in scanned.stdout
    own = bora.type("verify", "anna", "--code", code, "--matches")
    assert (own.returncode, "your own node shows" in own.stderr) == (1, True)
    wrong = anna.type("verify", "Bora B.", "--code", " ".join(reversed(number)), "--matches")
    assert "NOT the safety number" in wrong.stderr
    assert not anna.postroad("contacts", "show", "bora b.")["verified"]
    right = anna.type("verify", "Bora B.", "--code", " ".join(number), "--matches")
    assert "Bora B. is verified by you" in right.stdout
    assert f"{bora.address}  verified" in anna.type("contacts").stdout
    assert anna.type("verify", "Bora B.", "--forget", "--qr").returncode == 2
    assert "not verified any more" in anna.type("verify", "Bora B.", "--forget").stdout

    file = tmp_path / "contacts.ldif"
    done = anna.type("contacts", "export", "--format", "thunderbird", "--to", str(file))
    assert done.stdout == f"{file}: 1 contact.\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert f"mail: {bora.address}\n" in file.read_text()
    again = anna.type("contacts", "export", "--format", "thunderbird", "--to", str(file))
    assert (again.returncode, "already" in again.stderr) == (1, True)
    assert anna.type("contacts", "export", "--format", "vcard").stdout.startswith("BEGIN:VCARD")

    assert "Letters of theirs are refused" in anna.type("contacts", "block", "Bora B.").stdout
    assert f"{bora.address}  blocked" in anna.type("contacts").stdout
    bora.submit(anna.address, letter(bora, anna))
    until(lambda: "Subject: Not delivered: hello" in all_subjects(bora), "Bora is told")
    assert "Subject: hello" not in all_subjects(anna)
    assert anna.postroad("contacts", "export", "--format", "vcard")["left_out"] == 1
    assert "not blocked any more" in anna.type("contacts", "unblock", "Bora B.").stdout
    bora.submit(anna.address, letter(bora, anna, "again"))
    until(lambda: "Subject: again" in all_subjects(anna), "it arrives")
