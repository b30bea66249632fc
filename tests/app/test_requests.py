"""First contact as people do it: two real nodes, commands, and what a mail program sees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from person import ClaimFailed, Person, ended, knock, meet, until


@pytest.fixture
def strangers(short_folder: Path) -> Iterator[list[Person]]:
    """Anna and Bora, who know Hana, and not each other."""
    made = [Person(name, short_folder, slot) for slot, name in enumerate(("hana", "anna", "bora"))]
    with ended(made):
        for one in made:
            one.set_up()
            one.start()
        hana, anna, bora = made
        meet(hana, anna)
        meet(hana, bora)
        yield [anna, bora]


def test_a_request_is_listed_shown_accepted_and_answered(strangers: list[Person]) -> None:
    anna, bora = strangers
    knock(anna, bora, "first words")
    until(lambda: bora.find("first words", "Requests"), "the request is in Requests")
    assert bora.find("first words") is None
    (listed,) = bora.postroad("requests")["requests"]
    assert (listed["address"], listed["subject"]) == (anna.address, "first words")
    assert "1 letter of a stranger waits for your answer." in bora.type("status").stdout
    told = bora.type("requests").stdout
    assert anna.address in told
    assert "postroad requests show" in told
    shown = bora.type("requests", "show", "anna").stdout
    assert "(not a contact)" in shown
    assert "\n> Hello!" in shown  # marked as the stranger's
    missing = bora.type("requests", "accept", "nobody")
    assert missing.returncode == 1
    assert "postroad requests" in missing.stderr
    assert bora.postroad("requests", "accept", listed["id"][:8])["address"] == anna.address
    until(lambda: anna.find("You and Bora"), "Anna is told")
    assert bora.find("first words") is not None
    assert bora.postroad("requests")["requests"] == []
    assert anna.address in bora.type("contacts").stdout
    assert bora.address in anna.type("contacts").stdout
    events = [one["event"] for one in bora.postroad("audit")["entries"]]
    assert "request accepted" in events


def test_a_request_moved_in_a_mail_program_is_accepted_and_one_refused_is_gone(
    strangers: list[Person],
) -> None:
    anna, bora = strangers
    knock(anna, bora, "to be refused")
    until(lambda: bora.find("to be refused", "Requests"), "the request is in Requests")
    refused = bora.type("requests", "refuse", "anna").stdout
    assert "told that you do not want it" in refused
    assert bora.find("to be refused", "Requests") is None
    until(lambda: anna.find("Not delivered: to be refused"), "Anna is told of the refusal")
    with bora.imap("Archive") as imap:
        before = imap.status("INBOX", "(MESSAGES RECENT UNSEEN UIDNEXT)")
    knock(anna, bora, "to be accepted")
    until(lambda: bora.find("to be accepted", "Requests"), "the next one is there")
    with bora.imap("Archive") as imap:  # nothing of it is new in INBOX
        assert imap.status("INBOX", "(MESSAGES RECENT UNSEEN UIDNEXT)") == before
    with bora.imap("Requests") as imap:
        assert imap.uid("MOVE", "1:*", "INBOX")[0] == "OK"
    until(lambda: anna.find("You and Bora"), "Anna is told")


def test_who_takes_none_says_so_to_whoever_writes(strangers: list[Person]) -> None:
    anna, bora = strangers
    bora.stop()
    with bora.config.open("a") as config:
        config.write('strangers = "refuse"\n')
    bora.start()
    octets = f"From: {anna.address}\r\nTo: {bora.address}\r\n\r\nHello!\r\n".encode()
    said: list[str] = []

    def is_refused() -> bool:
        try:
            anna.submit(bora.address, octets)
        except OSError as error:
            said.append(str(error))
        return bool(said) and "from their contacts only" in said[-1]

    until(is_refused, "Anna's own node refuses", 60)
    assert "strangers in your configuration" in bora.type("requests").stdout
    with pytest.raises(ClaimFailed, match="No request called"):
        bora.postroad("requests", "accept", "anna")
