"""Letters go from each computer to each other, by the mail programs that people have."""

from __future__ import annotations

import email
import email.policy
import itertools

import pytest

from person import until
from together import mail_programs as by
from together.computers import OWNERS, SECONDS_MAX, Computer

WAYS: dict[str, tuple[by.Send, by.Read]] = {
    "msmtp to mbsync": (by.send_by_msmtp, by.read_by_mbsync),
    "mutt to mutt": (by.send_by_mutt, by.read_by_mutt),
    "curl to curl": (by.send_by_curl, by.read_by_curl),
    "curl to curl over POP3": (by.send_by_curl, by.read_by_curl_over_pop3),
}
PAIRS = list(itertools.permutations(OWNERS.values(), 2))


@pytest.mark.parametrize(("writer", "reader"), PAIRS)
def test_letters_go_from_one_computer_to_the_other(
    computers: dict[str, Computer], writer: str, reader: str
) -> None:
    sender, recipient = computers[writer].owner, computers[reader].owner
    for way, (send, _) in WAYS.items():
        send(sender, recipient.address, f"{way}, {writer} to {reader}")
    for way, (_, read) in WAYS.items():
        subject, texts = f"{way}, {writer} to {reader}", [""]

        def is_there() -> bool:
            texts.append(read(recipient, subject))  # noqa: B023
            return bool(texts[-1])  # noqa: B023

        until(is_there, f"{subject}: it is there", SECONDS_MAX)
        found = email.message_from_string(texts[-1], policy=email.policy.default)
        assert (found["Subject"], found["To"]) == (subject, recipient.address)
        assert sender.address in found["From"]
        assert found.get_content().replace("\r\n", "\n") == by.TEXT, way
