"""The letter by which an owner hears that a contact proposes somebody to them.

Purpose: their own node writes it, from what it has verified: the words of the introducer's node are
not shown, for they could name somebody else than the keys do. `envelope` makes those words.
See: RFC 3834.
"""

import textwrap
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from postroad.base.ids import Instant
from postroad.message.address import DOMAIN, Address
from postroad.message.bounce import AUTHOR, encoded_subject

LINE_CHARACTERS_MAX = 76


@dataclass(frozen=True, slots=True)
class Facts:
    """`introducer`: as the owner calls them; `remarks`: what they should know before they decide,
    in sentences."""

    id: str
    owner: Address
    introducer: str
    introducer_address: str
    other: Address
    expires_at: Instant
    remarks: tuple[str, ...] = ()


def write(facts: Facts, now: Instant, token: bytes) -> bytes:
    """The letter as it is filed; `token` is 16 random bytes for its Message-ID."""
    other = facts.other.name.capitalize()
    until = datetime.fromtimestamp(facts.expires_at, UTC)
    paragraphs = [
        ["This is the Postroad program on your own computer."],
        [f"{facts.introducer} <{facts.introducer_address}> proposes that you and {other} write to "
         "each other. This is the address:"],
        [f"   {facts.other}"],
        *([one] for one in facts.remarks),
        ["Nothing happens unless you both say yes. To say yes, type:"],
        [f"   postroad proposals accept {facts.id}"],
        ["To say no:"],
        [f"   postroad proposals decline {facts.id}"],
        [f"After {until:%d.%m.%Y}, {until:%H:%M} UTC, it is over. To say nothing is to say no."],
        [f"That {facts.introducer} proposes it does not prove that the address is {other}'s. When "
         "you have met, compare the safety number: postroad verify."],
    ]  # fmt: skip
    lines = [
        "Return-Path: <>",
        f"From: {AUTHOR}",
        f"To: {facts.owner}",
        f"Subject: {encoded_subject(f'{facts.introducer} introduces {other} to you')}",
        *_head(now, token),
    ]
    for (text,) in paragraphs:
        wrapped = [text] if text.startswith(" ") else textwrap.wrap(text, LINE_CHARACTERS_MAX)
        lines += [*wrapped, ""]
    return "\r\n".join(lines).encode()


def envelope(introducer: Address, to: Address, other: Address, now: Instant, token: bytes) -> bytes:
    """What a proposal says to a node that does not know what one is."""
    lines = [
        f"From: {introducer}",
        f"To: {to}",
        f"Subject: {introducer.name.capitalize()} introduces {other.name.capitalize()} to you",
        *_head(now, token),
        f"{introducer.name.capitalize()} proposes that you and {other} write to each other.",
        "",
    ]
    return "\r\n".join(lines).encode()


def _head(now: Instant, token: bytes) -> tuple[str, ...]:
    return (
        f"Date: {format_datetime(datetime.fromtimestamp(now, UTC))}",
        f"Message-ID: <{token.hex()}@{DOMAIN}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
    )
