"""Write to the owner that somebody's keys changed or ended: in their INBOX, where it is seen.

Purpose: a contact's key never changes silently (promise I2). Pure functions of the facts, the
moment and the token; the return path is null, so nothing is ever written about them.
"""

import textwrap
from datetime import UTC, datetime
from email.utils import format_datetime

from postroad.base.ids import Instant
from postroad.message.address import DOMAIN
from postroad.message.bounce import AUTHOR, LINE_CHARACTERS_MAX, encoded_subject

TOKEN_BYTES = 16


def ended(name: str, address: str, to: str, *, now: Instant, token: bytes) -> bytes:
    """A contact's identity was revoked."""
    return letter_to_owner(
        to,
        f"{name} has revoked their identity",
        [
            f"The identity of {name} was revoked: {address}",
            "Whoever can revoke it has its keys, or the sheet that was printed with its 24 words. "
            "Most likely a computer or the words were lost or stolen.",
            "Postroad takes nothing from this address any more, and sends nothing there; letters "
            "of yours that were on their way come back to you.",
            f"Ask {name} in another way, best by voice, for an invitation to their new address, "
            "and believe no letter that explains this one.",
        ],
        now,
        token,
    )


def own_ended(address: str, *, is_whole: bool, now: Instant, token: bytes) -> bytes:
    """The owner's own identity, or this device of theirs, was revoked."""
    what = "Your identity was" if is_whole else "This device of yours was"
    next_step = (
        "Make a new one in another data folder (postroad setup), and invite your contacts again."
        if is_whole
        else "To go on with this computer, move its data folder away and run: postroad setup "
        "--restore"
    )
    return letter_to_owner(
        address,
        f"{what} revoked",
        [
            f"{what} revoked: {address}",
            "Nobody takes letters from here any more. You can still read all that is in your "
            "folders; letters of yours that were on their way come back to you.",
            "If it was you, by another device of yours or by the printed sheet, all is well. "
            "If it was not, somebody else has your 24 words, a copy of your keys, or the sheet.",
            next_step,
        ],
        now,
        token,
    )


def root_ended(name: str, address: str, to: str, *, now: Instant, token: bytes) -> bytes:
    """The identity that a contact went on from was revoked, and nobody had compared the new one."""
    return letter_to_owner(
        to,
        f"The key that {name} had before was revoked",
        [
            f"{name} has the address {address} because their key of before named that one. This "
            "key of before is revoked now: perhaps it was stolen, and the thief named the new one.",
            f"Until you know better, {name} is blocked. Ask them in another way, best by voice, "
            "and compare the safety number:",
            f"postroad verify {address}",
            "When it is the same on both sides, type:",
            f"postroad contacts unblock {address}",
        ],
        now,
        token,
    )


def rotated(name: str, before: str, after: str, to: str, *, now: Instant, token: bytes) -> bytes:
    """A contact's identity named its heir."""
    return letter_to_owner(
        to,
        f"{name} has a new key",
        [
            f"{name} has a new key, and with it a new address: {after}",
            f"Before: {before}",
            "The old key names the new one, and the new one says that it is so. Most likely "
            f"{name} wanted it so. But whoever stole the old key could do the same, so {name} is "
            "not verified any more. Compare the safety number, best by voice:",
            f"postroad verify {after}",
            "Letters that you write to the old address go to the new key, too.",
        ],
        now,
        token,
    )


def forked(name: str, address: str, other: str, to: str, *, now: Instant, token: bytes) -> bytes:
    """Two identities claim to be a contact's next one."""
    return letter_to_owner(
        to,
        f"Two different keys claim to be {name}",
        [
            f"The key that {name} had before named two others as the next. Only one of them can be "
            f"meant by {name}: somebody has stolen the key of before.",
            f"Postroad stays with the first that it heard of: {address}",
            f"The other one: {other}",
            f"Write nothing to {name} that matters before you have asked them in another way, best "
            "by voice, and compared the safety number:",
            f"postroad verify {address}",
        ],
        now,
        token,
    )


def taken(address: str, heir: str, *, now: Instant, token: bytes) -> bytes:
    """The owner's own identity was handed on to one that this node does not have."""
    return letter_to_owner(
        address,
        "Your identity was handed on to another one",
        [
            f"Somebody with the keys of your identity made another one its heir: {heir}",
            f"Your address here: {address}",
            "Nothing is sent or taken in as this address any more.",
            "If it was you, on another computer of yours: set this one up anew with the new 24 "
            "words (postroad setup --restore).",
            "If it was not, your keys or your 24 words are stolen. End this identity with its "
            "printed sheet (postroad revoke --from-sheet FILE), or from here: postroad identity "
            "sheet FILE makes one. Tell your contacts in another way, and invite them anew.",
        ],
        now,
        token,
    )


def letter_to_owner(
    to: str, subject: str, paragraphs: list[str], now: Instant, token: bytes
) -> bytes:
    """From this program to whoever runs it; nobody can answer it."""
    assert len(token) == TOKEN_BYTES
    lines = [
        "Return-Path: <>",
        f"From: {AUTHOR}",
        f"To: {to}",
        f"Subject: {encoded_subject(subject)}",
        f"Date: {format_datetime(datetime.fromtimestamp(now, UTC))}",
        f"Message-ID: <{token.hex()}@{DOMAIN}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        *textwrap.wrap("This is the Postroad program on your own computer.", LINE_CHARACTERS_MAX),
    ]
    for paragraph in paragraphs:
        lines += ["", *textwrap.wrap(paragraph, LINE_CHARACTERS_MAX, break_long_words=False)]
    return "\r\n".join([*lines, ""]).encode()
