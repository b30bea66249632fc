"""Write what the owner sees of a stranger's letter: its text, and who is known to have signed it.

Purpose: nothing that the stranger wrote reaches a mail program but as plain text. The From is our
own words about the address that signed; how the stranger calls themselves stands in the text. Each
line of the text that is theirs is quoted (RFC 3676 section 4.5), so that none passes for ours.
Invariant: pure; at most REQUEST_TEXT_BYTES_MAX octets of the letter's text.
See: docs/adr/0011-strangers.md.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from postroad.base import limits
from postroad.base.ids import Instant
from postroad.message import headers, names
from postroad.message.address import Address
from postroad.message.bounce import encoded_subject
from postroad.message.plain import Plain, is_seen, plain

SUBJECT_CHARACTERS_MAX = 120
NAME_CHARACTERS_MAX = 60
_MESSAGE_ID = re.compile(rb"<[!-;=?-~]{1,250}>")


@dataclass(frozen=True, slots=True)
class Stranger:
    """Who signed the letter; `like`: the contact whose name theirs is read as."""

    address: Address
    called: str  # as they call themselves in From
    like: str | None


def stranger(letter: bytes, address: Address, contacts: list[tuple[str, str]]) -> Stranger:
    """The author of a letter that was checked; `contacts`: name and address of each."""
    head = letter[: headers.header_size(letter)]
    mailboxes = headers.addresses(headers.first(head, b"from") or b"")
    called = (
        _shown(headers.decode_words(mailboxes[0].name), NAME_CHARACTERS_MAX) if mailboxes else ""
    )
    like = names.like(called, contacts) or names.like(address.name, contacts)
    return Stranger(address, called, like)


def write(letter: bytes, who: Stranger, to: str, *, written: Instant, token: bytes) -> bytes:
    """The message that lies in Requests, without our trace fields."""
    head = letter[: headers.header_size(letter)]
    about = headers.first(head, b"message-id")
    message_id = about.decode() if about and _MESSAGE_ID.fullmatch(about) else None
    lines = [
        f'From: "{who.address.name} (not a contact)" <{who.address}>',
        f"To: <{to}>",
        f"Subject: {encoded_subject(subject_of(head))}",
        f"Date: {format_datetime(datetime.fromtimestamp(written, UTC))}",
        f"Message-ID: {message_id or f'<{token.hex()}@postroad.alt>'}",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        *_told(who),
        "",
    ]
    text = plain(letter)
    body = _quoted(text.text)
    return "".join(f"{line}\r\n" for line in [*lines, *body, *_left_out(text)]).encode()


def subject_of(header: bytes) -> str:
    """The subject on one line, with nothing in it that hides or turns."""
    said = headers.decode_words(headers.first(header, b"subject") or b"")
    return _shown(said, SUBJECT_CHARACTERS_MAX) or "(no subject)"


def _told(who: Stranger) -> list[str]:
    told = [
        "[Postroad: this is from somebody who is not among your contacts. What they wrote is shown",
        'as plain text, each line of it behind a ">". Move it to your INBOX to accept them as a',
        "contact; delete it to leave it unanswered.]",
    ]
    if who.called:
        told += ["", "[Postroad: they call themselves:]", *_quoted(who.called)]
    if who.like is not None:
        told += [
            f"[Postroad: Careful: that reads like your contact {who.like}, who is somebody else.]"
        ]
    return told


def _quoted(text: str) -> list[str]:
    """Somebody else's lines, each marked as theirs."""
    return [f"> {line}".rstrip(" ") for line in text.rstrip("\n").split("\n")]


def _left_out(text: Plain) -> list[str]:
    left = []
    if text.is_cut:
        kilobytes = limits.REQUEST_TEXT_BYTES_MAX // limits.KIB
        left.append(f"[Postroad: the rest is not shown; it was longer than {kilobytes} KiB.]")
    if text.attachments:
        left.append("[Postroad: what was attached is not shown.]")
    return ["", *left] if left else []


def _shown(text: str, most: int) -> str:
    seen = "".join(one for one in text if one == " " or is_seen(one)).strip()
    return seen if len(seen) <= most else seen[: most - 1] + "\u2026"
