"""Devices and the end of an identity as their owner types them: real nodes, real files."""

from __future__ import annotations

import json
import re
import smtplib
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.test_node import all_subjects, letter
from person import Person, ended, meet, until


@pytest.fixture
def three(short_folder: Path) -> Iterator[list[Person]]:
    """Anna, Bora who knows her, and Carl who knows Bora."""
    made = [Person(name, short_folder, slot) for slot, name in enumerate(("anna", "bora", "carl"))]
    with ended(made):
        for one in made:
            one.set_up()
            one.start()
        meet(made[0], made[1])
        meet(made[1], made[2])
        yield made


def test_a_printed_sheet_ends_an_identity_from_somebody_elses_computer(
    three: list[Person], tmp_path: Path
) -> None:
    anna, bora, carl = three
    page = tmp_path / "sheet.html"
    assert "print it" in anna.type("identity", "sheet", str(page)).stdout
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    again = anna.type("identity", "sheet", str(page))
    assert (again.returncode, "There is a file" in again.stderr) == (1, True)
    text = page.read_text()
    assert text.count("<svg") == 7
    assert anna.address in text
    # Somebody copies the lines by hand, and not all at once.
    lines = re.findall(r"^[0-9]{3}: .*$", text, re.MULTILINE)
    assert len(lines) == 135
    copy = tmp_path / "copy.txt"
    copy.write_text("\n".join(reversed(lines[1:])))
    half = carl.type("revoke", "--from-sheet", str(copy), "--yes")
    assert (half.returncode, "line 1 is missing" in half.stderr) == (1, True)
    copy.write_text("\n".join(reversed(lines)))
    unsure = carl.type("revoke", "--from-sheet", str(copy), stdin="n\n")
    assert (unsure.returncode, "Nothing was done" in unsure.stderr) == (1, True)
    asked = carl.type("revoke", "--from-sheet", str(copy), "--json")
    assert (asked.returncode, "--yes" in json.loads(asked.stdout)["error"]) == (2, True)
    ended = carl.postroad("revoke", "--from-sheet", str(copy), "--yes")
    assert (ended["fingerprint"], ended["is_yours"]) == (anna.address.split(".")[1][:32], False)
    # Bora's node would look for it within a day; here she does not wait.
    assert "is revoked, for ever" in bora.type("revoke", "--from-sheet", str(page), "--yes").stdout
    told = "Subject: anna has revoked their identity"
    until(lambda: told in all_subjects(bora), "Bora is told")
    assert f"{anna.address}  revoked" in bora.type("contacts").stdout
    assert "Their identity was revoked" in bora.type("contacts", "show", "anna").stdout
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        bora.submit(anna.address, letter(bora, anna))
    (answer,) = refused.value.recipients.values()
    assert answer[0] == 550
    assert b"revoked by its owner" in answer[1]


def test_devices_are_listed_and_this_one_cannot_revoke_itself(three: list[Person]) -> None:
    anna, _, _ = three
    (this,) = anna.postroad("devices")["devices"]
    assert (this["is_this"], this["is_revoked"], this["takes_mail"]) == (True, False, True)
    assert f"{this['id']}  this computer, certified until" in anna.type("devices").stdout
    own = anna.type("devices", "revoke", this["id"], "--yes")
    assert (own.returncode, "That is this computer" in own.stderr) == (1, True)
    nobody = anna.type("devices", "revoke", "12345678", "--yes")
    assert (nobody.returncode, "None of your devices has the number" in nobody.stderr) == (1, True)
    weak = anna.type("devices", "revoke", "00" * 32, "--yes")
    assert (weak.returncode, "no device's key" in weak.stderr) == (1, True)
    lost = "ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1"
    assert "is revoked" in anna.type("devices", "revoke", lost, "--yes").stdout
    listed = anna.postroad("devices")["devices"]
    assert [one["is_revoked"] for one in listed] == [False, True]
    assert "ed4928c6  revoked" in anna.type("devices").stdout
    twice = anna.type("devices", "revoke", "ed4928c6", "--yes")
    assert (twice.returncode, "revoked already" in twice.stderr) == (1, True)


def test_a_rotation_is_finished_only_by_who_has_the_new_words(three: list[Person]) -> None:
    anna, bora, _ = three
    was = anna.address
    begun = anna.postroad("identity", "rotate")
    words = begun["words"].split()
    assert (len(words), begun["address"]) == (24, was)
    wrong = anna.type("identity", "rotate", "--finish", stdin="no such words\n")
    assert (wrong.returncode, "Nothing was changed" in wrong.stderr) == (1, True)
    assert anna.postroad("identity") == {"address": was, "former": [], "is_ended": False}
    asked = " ".join(words[number - 1] for number in begun["asked"])
    done = anna.type("identity", "rotate", "--finish", stdin=asked + "\n")
    assert f"You are {begun['new_address']} now." in done.stdout
    again = anna.type("identity", "rotate", "--finish", stdin=asked + "\n")
    assert (again.returncode, "No new words were shown" in again.stderr) == (1, True)
    anna.address = begun["new_address"]
    assert f"before: {was}" in anna.type("identity").stdout

    until(lambda: "Subject: anna has a new key" in all_subjects(bora), "Bora is told")
    assert anna.address in bora.type("contacts").stdout
    # The mail program logs in as before, and has to write as the new one.
    new, old = anna.address.encode(), was.encode()
    with pytest.raises(smtplib.SMTPException) as refused:
        anna.submit(bora.address, letter(anna, bora).replace(new, old))
    assert anna.address in str(refused.value)
    anna.submit(bora.address, letter(anna, bora, "as the new one"))
    until(lambda: "Subject: as the new one" in all_subjects(bora), "Bora has it")
    bora.submit(
        was, letter(bora, anna, "to the old address").replace(anna.address.encode(), was.encode())
    )
    until(lambda: "Subject: to the old address" in all_subjects(anna), "Anna has it")
    anna.kill()
    anna.start()
    assert anna.postroad("status")["address"] == anna.address


def test_new_words_are_shown_to_a_person_who_then_shows_that_they_have_them(
    three: list[Person],
) -> None:
    anna, _, _ = three
    shown = anna.type("identity", "rotate", stdin="not these\n")
    assert "Your new 24 words" in shown.stdout
    assert "Nothing is changed yet. Show that you have them: words" in shown.stdout
    assert "Nothing was changed; look at your paper" in shown.stderr
    assert anna.postroad("identity")["former"] == []
