"""The letter in which two people are introduced, so that Reply works and the address is learnt."""

from datetime import UTC, datetime
from email.utils import format_datetime
from enum import Enum

from postroad.base.ids import Instant
from postroad.message.address import Address


class Occasion(Enum):
    """Why the letter is written."""

    INVITATION_ACCEPTED = "{} accepted your invitation", "{} accepted your Postroad invitation."
    INVITATION_ANSWERED = (
        "You and {} can write to each other now",
        "{} knows that you accepted the invitation.",
    )
    PROPOSAL_ACCEPTED = (
        "You and {} can write to each other now",
        "A contact introduced you two, and {} said yes.",
    )
    REQUEST_ACCEPTED = (
        "You and {} can write to each other now",
        "{} has read the letter that you wrote, and made you a contact.",
    )


def write(author: Address, to: Address, occasion: Occasion, *, now: Instant, token: bytes) -> bytes:
    """An RFC 5322 letter from `author`."""
    name, other = author.name.capitalize(), to.name.capitalize()
    subject, text = (words.format(name) for words in occasion.value)
    lines = [
        f"From: {name} <{author}>",
        f"To: {other} <{to}>",
        f"Subject: {subject}",
        f"Date: {format_datetime(datetime.fromtimestamp(now, UTC))}",
        f"Message-ID: <{token.hex()}@postroad.alt>",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 7bit",
        "Auto-Submitted: auto-generated",
        "",
        text,
        "",
        "From now on you can write to each other: just reply to this letter, or write to",
        str(author),
        "",
        "This letter was written by Postroad and is signed with the key of that address.",
        "",
    ]
    return "\r\n".join(lines).encode()
