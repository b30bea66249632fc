"""Write to the owner about a letter of theirs: late, returned, delivered, or delivered after all.

Purpose: a delivery status notification, for a person first and for programs second.
Invariants: it is a pure function of the facts, the moment and the token; `failed` with a 5.x status
is said only of a refusal that the recipient signed or an address that cannot exist, while expiry
is 4.4.7 and says that the letter may have arrived (promise M3); the return path is null, and
nothing is written about a notification (M11). Its address cannot be a person's: it has no
fingerprint.
See: docs/architecture.md (promises); RFC 3464, RFC 6522, RFC 3461 section 6, RFC 3834, RFC 6533.
"""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import Header
from email.utils import format_datetime
from enum import Enum

from postroad.base.ids import Instant
from postroad.message import headers, notify
from postroad.message.address import DOMAIN

AUTHOR = f"Postroad <postroad@{DOMAIN}>"
TOKEN_BYTES = 16
SUBJECT_CHARACTERS_MAX = 120
LINE_CHARACTERS_MAX = 76
_MESSAGE_ID = re.compile(rb"<[!-;=?-~]{1,250}>")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
_TO_ENCODE = re.compile(r"[^!-*,-<>-\[\]-~]")  # of an address in a 7-bit status: RFC 6533 section 3


class Notice(Enum):
    """What the owner is told, as the subject, the action of RFC 3464 and the status of RFC 3463."""

    DELAYED = ("Still on its way", "delayed", "4.4.1")
    DELIVERED = ("Delivered", "delivered", "2.0.0")
    REQUESTED = ("Waits for an answer", "relayed", "2.0.0")  # of somebody whom it asks for one
    REFUSED = ("Not delivered", "failed", "5.0.0")  # the status is the fate's
    EXPIRED = ("Delivery not confirmed", "failed", "4.4.7")
    CORRECTED = ("Delivered after all", "delivered", "2.0.0")  # EXPIRED was said before

    def __init__(self, subject: str, action: str, status: str) -> None:
        self.subject, self.action, self.status = subject, action, status


_STORIES = {
    Notice.DELAYED: (
        "Your letter has not arrived yet.",
        "You need not do anything, and sending it again would not help: Postroad goes on trying "
        "until {until}, and tells you if that does not succeed.",
    ),
    Notice.DELIVERED: (
        "Your letter has arrived in the mailbox.",
        "You asked to be told; there is nothing more to do.",
    ),
    Notice.REQUESTED: (
        "Your letter has arrived, but the recipient has to accept it first.",
        "There is nothing more to do, and sending it again would not help. Until they accept it, "
        "they see its text only, and nothing that was attached.",
    ),
    Notice.REFUSED: (
        "Your letter was not delivered, and Postroad does not try again.",
        "If the reason below can be put right, do that and send the letter again.",
    ),
    Notice.EXPIRED: (
        "Nobody has confirmed that your letter arrived, and the time for trying is over.",
        "It may have been delivered all the same. If it matters, ask the recipient in another way "
        "before you send it again. Should a confirmation still come, Postroad tells you.",
    ),
    Notice.CORRECTED: (
        "Your letter has arrived after all.",
        "Postroad told you before that nobody had confirmed it. The confirmation came late; there "
        "is no need to send it again.",
    ),
}


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of the letter for one recipient."""

    recipient: str
    reason: str = ""  # words for a person
    status: str | None = None  # of a refusal: 5.x.x
    original: str | None = None  # ORCPT as the mail program wrote it


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a notification says."""

    notice: Notice
    fates: tuple[Fate, ...]
    sender: str  # whose letter it was, and who is told
    letter: bytes
    accepted_at: Instant
    expires_at: Instant
    envelope_id: str | None = None
    return_full: bool = False


def notification(facts: Facts, *, now: Instant, token: bytes) -> bytes:
    """The notification as it is filed; `token` is 16 random bytes for its Message-ID."""
    assert len(token) == TOKEN_BYTES
    assert facts.fates
    returned, kind_of_returned = _returned(facts)
    boundary = f"postroad-{token.hex()}"
    while boundary.encode() in returned:
        boundary += "x"
    head = [
        "Return-Path: <>",
        f"From: {AUTHOR}",
        f"To: {_one_line(facts.sender)}",
        f"Subject: {_subject(facts)}",
        f"Date: {_date(now)}",
        f"Message-ID: <{token.hex()}@{DOMAIN}>",
        *_thread(facts.letter),
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"',
        "Content-Transfer-Encoding: 8bit",
    ]
    parts = [
        ("text/plain; charset=utf-8", _lines(_for_people(facts)).encode()),
        ("message/delivery-status", _lines(_for_programs(facts)).encode("ascii")),
        (kind_of_returned, returned),
    ]
    written = ["\r\n".join([*head, "", ""]).encode()]
    for content_type, octets in parts:
        written.append(f"--{boundary}\r\nContent-Type: {content_type}\r\n".encode())
        written.append(b"" if octets.isascii() else b"Content-Transfer-Encoding: 8bit\r\n")
        written += [b"\r\n", octets, b"\r\n"]  # the last line end is the boundary's
    written.append(f"--{boundary}--\r\n".encode())
    return b"".join(written)


def is_notification(header: bytes) -> bool:
    """Whether a letter is itself about another letter; then nothing is ever written about it."""
    if any(value.strip() == b"<>" for value in headers.all_of(header, b"return-path")):
        return True
    content_type = (headers.first(header, b"content-type") or b"").lower()
    return content_type.split(b";")[0].strip() == b"multipart/report"


def _for_people(facts: Facts) -> Iterator[str]:
    what, next_step = _STORIES[facts.notice]
    yield from _wrapped("This is the Postroad program on your own computer.")
    yield from ("", *_wrapped(what), "")
    subject = headers.decode_words(headers.first(facts.letter, b"subject") or b"")
    yield from _wrapped(f"Subject: {subject or '(none)'}", "         ")
    yield f"Sent:    {_for_person(facts.accepted_at)}"
    for fate in facts.fates:
        yield f"To:      {_one_line(fate.recipient)}"
        if fate.reason:
            yield from _wrapped(f"Because: {_one_line(fate.reason)}", "         ")
    until = _for_person(facts.expires_at)
    yield from ("", *_wrapped(next_step.format(until=until)), "")
    whole = facts.return_full and facts.notice.action == "failed"
    yield "Your letter is attached." if whole else "The header of your letter is attached."


def _for_programs(facts: Facts) -> Iterator[str]:
    """Two kinds of field groups, an empty line between each: RFC 3464 section 2.1."""
    yield "Reporting-MTA: dns; localhost"
    if facts.envelope_id:
        yield f"Original-Envelope-Id: {_ascii(facts.envelope_id)}"
    yield f"Arrival-Date: {_date(facts.accepted_at)}"
    for fate in facts.fates:
        yield ""
        original = notify.decode_original(fate.original) if fate.original else None
        if original is not None:
            kind, _, text = original.partition(";")
            # What the client wrote as \x{...} stays; only what it wrote as UTF-8 is encoded.
            shown = (
                _BEYOND_ASCII.sub(_hexadecimal, text) if kind.lower() == "utf-8" else _ascii(text)
            )
            yield f"Original-Recipient: {kind}; {shown}"
        if fate.recipient.isascii():
            yield f"Final-Recipient: rfc822; {_ascii(fate.recipient)}"
        else:
            yield f"Final-Recipient: utf-8; {_TO_ENCODE.sub(_hexadecimal, fate.recipient)}"
        yield f"Action: {facts.notice.action}"
        yield f"Status: {_status(facts.notice, fate)}"
        if fate.reason and facts.notice is Notice.REFUSED:
            yield f"Diagnostic-Code: x-postroad; {_ascii(fate.reason)}"
        if facts.notice is Notice.DELAYED:
            yield f"Will-Retry-Until: {_date(facts.expires_at)}"


def _lines(lines: Iterator[str]) -> str:
    return "".join(f"{line}\r\n" for line in lines)


def _status(notice: Notice, fate: Fate) -> str:
    if notice is not Notice.REFUSED or fate.status is None:
        return notice.status
    assert fate.status.startswith("5."), "a refusal is permanent, and nothing else is"
    return fate.status


def _returned(facts: Facts) -> tuple[bytes, str]:
    """The whole letter only with a failure, and only when asked for: RFC 3461 section 4.3."""
    if facts.return_full and facts.notice.action == "failed":
        return facts.letter, "message/rfc822"
    header = facts.letter[: headers.header_size(facts.letter)]
    return header.removesuffix(b"\r\n\r\n") + b"\r\n", "text/rfc822-headers; charset=utf-8"


def _thread(letter: bytes) -> Iterator[str]:
    """Fields that let a mail program show it beside the letter."""
    about = headers.first(letter, b"message-id")
    if about is not None and _MESSAGE_ID.fullmatch(about):
        yield f"In-Reply-To: {about.decode()}"
        yield f"References: {about.decode()}"


def _subject(facts: Facts) -> str:
    about = headers.decode_words(headers.first(facts.letter, b"subject") or b"")
    text = f"{facts.notice.subject}: {about or '(no subject)'}"
    if len(text) > SUBJECT_CHARACTERS_MAX:
        text = text[: SUBJECT_CHARACTERS_MAX - 1] + "…"
    return encoded_subject(text)


def encoded_subject(text: str) -> str:
    """A subject of our own words as it stands in its field: in encoded words where it must be."""
    charset = "us-ascii" if text.isascii() else "utf-8"
    return Header(text, charset, header_name="Subject").encode(linesep="\r\n")


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, LINE_CHARACTERS_MAX, subsequent_indent=indent)


def _one_line(text: str) -> str:
    return _CONTROLS.sub(" ", text).strip()


def _ascii(text: str) -> str:
    return _one_line(text).encode("ascii", "replace").decode()


def _hexadecimal(found: re.Match[str]) -> str:
    return f"\\x{{{ord(found.group()):02X}}}"


def _date(moment: Instant) -> str:
    return format_datetime(datetime.fromtimestamp(moment, UTC))


def _for_person(moment: Instant) -> str:
    at = datetime.fromtimestamp(moment, UTC)
    months = "January February March April May June July August September October November December"
    return f"{at.day} {months.split()[at.month - 1]} {at.year}, {at:%H:%M} UTC"
