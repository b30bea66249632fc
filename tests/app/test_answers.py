"""Every command's real answer is what `postroad schema` says of it; someone types them all.

`Person.postroad` holds each answer to its schema, here and wherever else a test types a command.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest
from click.testing import CliRunner

import answer_check
from app.test_helper import Box
from app.test_program import every_command
from person import ClaimFailed, Person, ended, knock, meet, until
from postroad.app import shapes
from postroad.app.answers import ANSWERS, fields_of
from postroad.app.cli import main

SLOT = 30
NOT_ANSWERED_HERE = {
    "log",  # tests/app/test_journal_real.py types it, beside a journal
    "watch",  # tests/app/test_watch.py
    # tests/system types them, where a systemd is
    *(f"service {one}" for one in ("disable", "enable", "restart", "status", "trial")),
}


def commands_with_json() -> set[str]:
    return {
        path
        for path, command in every_command().items()
        if any("--json" in one.opts for one in command.params)
    }


@pytest.fixture
def crowd(short_folder: Path, quiet_network: None) -> Iterator[list[Person]]:
    """Hana, who knows Anna, Bora and Carl, who do not know each other."""
    names = ("hana", "anna", "bora", "carl")
    made = [_Recorded(name, short_folder, SLOT + at) for at, name in enumerate(names)]
    with ended(made):
        for one in made:
            one.set_up()
            one.start()
        for guest in made[1:]:
            meet(made[0], guest)
        yield list(made)


typed: set[str] = set()


class _Recorded(Person):
    """Somebody of whom it is known which commands they have typed."""

    def postroad(self, *words: str) -> dict[str, Any]:
        answer = super().postroad(*words)
        named = [" ".join(words[:count]) for count in (2, 1)]
        typed.add(next(one for one in named if one in ANSWERS))
        return answer


def test_every_command_is_typed_and_answers_as_it_is_described(
    crowd: list[Person], tmp_path: Path
) -> None:
    hana, anna, bora, carl = crowd
    typed.update({"setup", "invite", "accept"})  # by the fixture
    for words in ("status", "identity", "devices", "keys", "policy", "version", "helpers"):
        anna.postroad(words)
    for command in (["audit"], ["audit", "verify"], ["store"], ["store", "check"], ["netcheck"]):
        anna.postroad(*command)
    anna.postroad("doctor", "--report")
    for what in ("sample", "check", "reload"):
        anna.postroad("config", what)

    people_and_letters(hana, anna, bora, carl)
    hana.postroad("statistics")
    letters_by_hand(anna, hana, tmp_path)
    keys_and_identity(anna, carl, tmp_path)
    a_helper(hana, tmp_path)

    assert commands_with_json() - typed - NOT_ANSWERED_HERE == set()


def people_and_letters(hana: Person, anna: Person, bora: Person, carl: Person) -> None:
    until(lambda: hana.postroad("peers")["peers"], "there are peers")
    hana.postroad("peers", "ping", "anna")
    hana.postroad("contacts")
    hana.postroad("contacts", "show", "anna")
    hana.postroad("contacts", "rename", "anna", "Anna B.")
    hana.postroad("contacts", "rename", "Anna B.", "anna")
    hana.postroad("contacts", "export", "--format", "vcard")
    hana.postroad("verify", "anna")
    hana.postroad("verify", "anna", "--matches")
    hana.postroad("verify", "anna", "--forget")
    hana.postroad("introduce", "bora", "carl")
    until(lambda: bora.postroad("proposals")["proposals"], "Bora has it")
    until(lambda: carl.postroad("proposals")["proposals"], "Carl has it")
    (proposal,) = bora.postroad("proposals")["proposals"]
    bora.postroad("proposals", "accept", proposal["id"])
    carl.postroad("proposals", "decline", proposal["id"])
    made = hana.postroad("invite", "--name", "Dora", "--expires", "2h")
    hana.postroad("invitations")
    hana.postroad("invitations", "withdraw", made["id"])

    for writer in (anna, carl):
        knock(writer, bora, f"of {writer.name}")
        until(lambda: bora.find(f"of {writer.name}", "Requests"), "it is in Requests")  # noqa: B023
    bora.postroad("requests")
    bora.postroad("requests", "show", "anna")
    bora.postroad("requests", "accept", "anna")
    bora.postroad("requests", "refuse", "carl")

    carl.stop()
    hana.submit(carl.address, letter(hana, carl))
    until(lambda: hana.postroad("queue")["queue"], "it waits")
    (waiting,) = hana.postroad("queue")["queue"]
    hana.postroad("queue", "retry", str(waiting["id"]))
    hana.postroad("queue", "cancel", str(waiting["id"]))
    hana.postroad("contacts", "block", "carl")
    hana.postroad("contacts", "unblock", "carl")
    hana.postroad("contacts", "remove", "carl")
    carl.start()


def letters_by_hand(anna: Person, hana: Person, tmp_path: Path) -> None:
    anna.postroad("pause", "--for", "1h")
    anna.submit(hana.address, letter(anna, hana))
    anna.postroad("status")
    file = str(tmp_path / "letters.bundle")
    assert anna.postroad("bundle", "write", file)["letters"] == 1
    read = hana.postroad("bundle", "read", file, "--answer", str(tmp_path / "back.bundle"))
    assert read["filed"] == 1
    anna.postroad("queue")
    anna.postroad("resume")


def keys_and_identity(anna: Person, carl: Person, tmp_path: Path) -> None:
    for program in ("thunderbird", "mutt"):
        anna.postroad("mail-client", program)
    anna.password = anna.postroad("password")["password"]
    assert anna.postroad("test-letter")["mailbox"] == "INBOX"
    anna.postroad("unlock")
    anna.postroad("keys", "protect", "--plain")
    anna.postroad("identity", "sheet", str(tmp_path / "sheet.html"))
    lost = "ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1"
    anna.postroad("devices", "revoke", lost, "--yes")
    anna.postroad("devices")
    begun = anna.postroad("identity", "rotate")
    words = begun["words"].split()
    asked = " ".join(words[at - 1] for at in begun["asked"])
    done = anna.type("identity", "rotate", "--finish", "--json", stdin=asked + "\n")
    assert answer_check.fault(["identity", "rotate"], json.loads(done.stdout)) == ""
    carl.postroad("identity", "sheet", str(tmp_path / "carls.html"))
    carl.postroad("revoke", "--from-sheet", str(tmp_path / "carls.html"), "--yes")
    carl.stop()
    carl.postroad("backup", "to", str(tmp_path / "stick"))
    carl.postroad("backup")
    carl.postroad("backup", "check", str(tmp_path / "stick"))
    carl.postroad("store", "compact")


def a_helper(hana: Person, tmp_path: Path) -> None:
    box = Box(tmp_path, slot=300)
    box.start()
    try:
        hana.postroad("accept", box.link())
        hana.postroad("helpers")
        until(lambda: asked(box, "people")["people"], "the helper serves Hana")
        asked(box, "invite")
        asked(box, "status")
        asked(box, "remove", "hana")
        hana.postroad("helpers", "remove", "box")
    finally:
        box.stop()


def asked(box: Box, *words: str) -> dict[str, Any]:
    done = box.type(*words, "--json")
    answer: dict[str, Any] = json.loads(done.stdout)
    assert answer_check.fault(["helper", *words], answer) == ""
    typed.add(f"helper {words[0]}")
    return answer


def letter(author: Person, to: Person) -> bytes:
    head = f"From: {author.address}\r\nTo: {to.address}\r\nSubject: hello\r\n"
    return f"{head}\r\nHello!\r\n".encode()


# The schemas themselves


def test_every_command_that_answers_is_described_and_nothing_else() -> None:
    assert commands_with_json() - ANSWERS.keys() == set(), "describe them in app/answers.py"
    assert ANSWERS.keys() - commands_with_json() == set()
    for name, variants in ANSWERS.items():
        for shape in variants:
            for path, one in fields_of(shape):
                inside = one.items or one
                assert one.about or inside.fields, f"{name}: {path} says nothing about itself"


def test_a_schema_is_printed_for_programs() -> None:
    for name in ("", *ANSWERS):
        done = CliRunner().invoke(main, ["schema", *name.split()])
        assert done.exit_code == 0, done.output
        assert fastjsonschema.compile(json.loads(done.stdout)) is not None
    printed = json.loads(CliRunner().invoke(main, ["schema", "queue", "retry"]).stdout)
    check = fastjsonschema.compile(printed)
    good = {"version": 1, "tried": [{"id": 1, "recipient": "x"}]}
    check(good)
    check({**good, "new": "a field of tomorrow"})
    for bad in ({}, {**good, "version": 2}, {"version": 1}, {**good, "tried": [{"id": "1"}]}):
        with pytest.raises(fastjsonschema.JsonSchemaException):
            check(bad)
    unknown = CliRunner().invoke(main, ["schema", "frobnicate"])
    assert unknown.exit_code == 2
    assert "postroad --help" in unknown.stderr


def test_whoever_adds_a_field_has_to_describe_it() -> None:
    good = {"version": 1, "was_paused": True}
    assert answer_check.fault(["resume"], good) == ""
    assert "new" in answer_check.fault(["resume"], {**good, "new": 1})
    assert "was_paused" in answer_check.fault(["resume"], {"version": 1})
    assert "does not describe" in answer_check.fault(["frobnicate"], good)
    assert answer_check.fault(["resume"], {"version": 1, "error": "No."}) == ""
    assert answer_check.fault(["resume"], {"error": "No."}) != ""


def test_a_person_in_a_test_hears_of_an_answer_that_is_not_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ANSWERS, "version", ({"postroad": shapes.whole("not that")},))
    monkeypatch.setattr(answer_check, "_checks", answer_check._checks.__wrapped__)
    with pytest.raises(ClaimFailed, match=r"is not as app/answers\.py says"):
        Person("anna", tmp_path, SLOT).postroad("version")
