"""Write to the owner that somebody's keys changed or ended: in their INBOX, where it is seen.

Purpose: a contact's key never changes silently (promise I2). Pure functions of the facts, the
moment and the token; the return path is null, so nothing is ever written about them.
"""

import textwrap
from datetime import UTC, datetime
from email.utils import format_datetime

from postroad.base.ids import Instant
from postroad.message.address import DOMAIN
from postroad.message.bounce import AUTHOR, LINE_CHARACTERS_MAX

TOKEN_BYTES = 16


def ended(name: str, address: str, to: str, *, now: Instant, token: bytes) -> bytes:
    """A contact's identity was revoked."""
    return _letter(
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
    return _letter(
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


def _letter(to: str, subject: str, paragraphs: list[str], now: Instant, token: bytes) -> bytes:
    assert len(token) == TOKEN_BYTES
    lines = [
        "Return-Path: <>",
        f"From: {AUTHOR}",
        f"To: {to}",
        f"Subject: {subject}",
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
