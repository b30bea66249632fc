"""The letter in which two people are introduced, so that Reply works and the address is learnt."""

from datetime import UTC, datetime
from email.utils import format_datetime

from postroad.base.ids import Instant
from postroad.message.address import Address


def write(author: Address, to: Address, *, accepts: bool, now: Instant, token: bytes) -> bytes:
    """An RFC 5322 letter from `author`; `accepts`: they accept an invitation, else they gave it."""
    name, other = author.name.capitalize(), to.name.capitalize()
    if accepts:
        subject = f"{name} accepted your invitation"
        text = f"{name} accepted your Postroad invitation."
    else:
        subject = f"You and {name} can write to each other now"
        text = f"{name} knows that you accepted the invitation."
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
