"""`postroad test-letter`: the mail program of somebody new has something to show."""

from __future__ import annotations

import email
import email.policy
from pathlib import Path

from person import Person

SLOT = 91


def test_a_letter_of_our_own_is_in_the_inbox_at_once_and_one_is_enough(tmp_path: Path) -> None:
    anna = Person("anna", tmp_path, SLOT, link="tls")
    anna.set_up()
    try:
        anna.start()
        said = anna.type("test-letter")
        assert said.stdout == (
            "A letter is in your INBOX now. Does your mail program show it?\n"
        )
        again = anna.type("test-letter")
        assert again.returncode == 1
        assert "One was written just now." in again.stderr
        with anna.imap() as imap:
            assert imap.select("INBOX")[1] == [b"1"]
            fetched = imap.fetch("1", "(RFC822)")[1][0]
    finally:
        anna.kill()
    assert isinstance(fetched, tuple)
    octets = fetched[1]
    letter = email.message_from_bytes(octets, policy=email.policy.default)
    assert letter["Subject"] == "Your mail program reads your mailbox"
    assert str(letter["To"]) == anna.address
    assert letter["Auto-Submitted"] == "auto-generated"
    assert anna.address in octets.decode().replace("\r\n", " ")
