"""What a letter must be before its owner's node takes it, and the little that is done to it.

Purpose: refuse what is not a letter or not the owner's, in words; then make it ready to be sealed.
Invariants: the octets stay as they came (promise M5), but for two things. Bcc fields are taken
out, because one sealed copy goes to each recipient and would show the blind ones to all, and so is
our result field, which only a recipient's node writes; our trace fields stand on top. A missing
Date or Message-ID is supplied there too, as RFC 6409 section 8 allows, so that nothing below the
first line of the mail program's own moves. A missing From is refused: whom it is from is for its
writer to say.
See: docs/architecture.md (promises); RFC 5322 section 3.6, RFC 6409, RFC 5321 section 4.4.
"""

import re
from collections.abc import Collection
from datetime import UTC, datetime
from email.utils import format_datetime

from postroad.base import limits
from postroad.base.errors import PermanentFailure
from postroad.base.ids import Instant
from postroad.message import address, headers, names, result
from postroad.message.headers import Mailbox

# What goes out of a letter before it is sealed: whom its other readers should not see, and what
# only the recipient's own node may say.
TAKEN_OUT = frozenset({b"bcc", b"resent-bcc", result.NAME})
TOKEN_BYTES = 16
SHOWN_CHARACTERS_MAX = 60
_MBOX_LINE = re.compile(r">?From ")
_TRAILING_TAG = re.compile(r"\+[^+@]*(?=@)")


class NotALetter(PermanentFailure):
    """It is not an RFC 5322 message, or not one that every reader would read alike."""


class HeaderTooLarge(PermanentFailure):
    """Its header block is beyond what a reader must be ready for."""


class Forged(PermanentFailure):
    """It says that it is from somebody else than the owner."""


class Disguised(Forged):
    """The name in its From is made to look like another address."""


def prepare(octets: bytes, own: Collection[str], *, now: Instant, token: bytes) -> bytes:
    """The letter as it will be sealed and filed; raises one of the three above.

    `own` are the owner's addresses; `token` is 16 random bytes for a missing Message-ID."""
    header = checked_header(octets, limits.HEADER_BYTES_MAX)
    found = headers.fields(header)
    author = check_author(header, own)
    check_name(author, header)
    blind = any(field.name.lower() in TAKEN_OUT for field in found)
    trace = trace_fields(header, now=now, token=token, domain=author.address.rpartition("@")[2])
    if not blind:
        return trace + octets
    kept = b"".join(field.octets for field in found if field.name.lower() not in TAKEN_OUT)
    end = sum(len(field.octets) for field in found)
    return b"".join((trace, kept, memoryview(octets)[end:]))


def checked_header(octets: bytes, size_max: int) -> bytes:
    """The header of a letter that every reader reads alike; NotALetter, HeaderTooLarge."""
    check_text(octets)
    size = headers.header_size(octets[: size_max + 1])
    if size > size_max:
        raise HeaderTooLarge(
            f"The letter's header is larger than {size_max // limits.KIB} KiB. "
            "Write to fewer people at once, or shorten it."
        )
    header = octets[:size]
    line = 1
    for field in headers.fields(header):
        if not field.name:
            raise NotALetter(_no_field(line, field.octets))
        line += field.octets.count(b"\n")
    return header


def check_text(octets: bytes) -> None:
    """Refuse what one server takes for a line end and another does not, and NUL."""
    lines = octets.count(b"\r\n")
    if octets.count(b"\n") != lines or octets.count(b"\r") != lines:
        raise NotALetter("The letter has a bare CR or LF in it; every line must end with CR LF.")
    if b"\0" in octets:
        raise NotALetter("The letter has a NUL in it; encode binary parts as base64.")


def is_own(claimed: str, own: Collection[str]) -> bool:
    """Whether this is one of the owner's addresses, perhaps with a +tag; case does not matter."""
    claimed = claimed.lower()
    try:
        untagged = str(address.parse(claimed).canonical)
    except PermanentFailure:  # an ordinary address: a tag can only stand before the @
        untagged = _TRAILING_TAG.sub("", claimed)
    return any(one.lower() in (claimed, untagged) for one in own)


def trace_fields(header: bytes, *, now: Instant, token: bytes, domain: str) -> bytes:
    """What we put on top: when we took it, and the Date and Message-ID that it lacks.

    Received names neither the computer nor the network that the letter was written in."""
    assert len(token) == TOKEN_BYTES
    date = format_datetime(datetime.fromtimestamp(now, UTC))
    lines = [f"Received: from localhost by localhost (Postroad) with ESMTPA;\r\n\t{date}\r\n"]
    if headers.first(header, b"date") is None:
        lines.append(f"Date: {date}\r\n")
    if headers.first(header, b"message-id") is None:
        lines.append(f"Message-ID: <{token.hex()}@{domain}>\r\n")
    return "".join(lines).encode()


def check_author(header: bytes, own: Collection[str]) -> Mailbox:
    """From must be one address and the owner's; so must Sender, where it stands."""
    author = _one(header, b"from", "From")
    if author is None:
        raise NotALetter("The letter has no From field. Set your name and address in the program.")
    if not is_own(author.address, own):
        resent = headers.first(header, b"resent-from") is not None
        hint = "Forward it instead of resending it." if resent else _whose(own)
        raise Forged(f"The letter says that it is from {author.address}, which is not you. {hint}")
    sender = _one(header, b"sender", "Sender")
    if sender is not None and not is_own(sender.address, own):
        raise Forged(f"The letter's Sender is {sender.address}, which is not you. {_whose(own)}")
    return author


def author(header: bytes) -> Mailbox | None:
    """The first address in From, of a letter that was checked or not."""
    found = headers.addresses(headers.first(header, b"from") or b"")
    return found[0] if found else None


def check_name(author: Mailbox, header: bytes) -> None:
    """Refuse a From with an address in it that is not the author's own (ADR 11): in the name, and
    in comments and whatever else some program shows of it."""
    shown = (author.name, headers.first(header, b"from") or b"")
    found = (names.named_address(headers.decode_words(one), author.address) for one in shown)
    pretended = next(filter(None, found), None)
    if pretended is not None:
        raise Disguised(
            f"The name in the letter's From says {pretended}, which is another address than "
            f"{author.address}. Put your own name there."
        )


def check_result(header: bytes) -> None:
    """Refuse what says of itself what only the recipient's node may say of it.

    A first line that begins with white space would go on with our field, which is put on top."""
    if result.stands_in(header) or header.startswith((b" ", b"\t")):
        raise Forged(f"The letter has a {result.FIELD} field of its own.")


def _one(header: bytes, name: bytes, shown: str) -> Mailbox | None:
    """The one address of a field that stands once; None when it is absent."""
    values = headers.all_of(header, name)
    if not values:
        return None
    items = headers.address_list(values[0])
    if len(values) > 1 or len(items) != 1:
        raise Forged(f"The letter's {shown} must be one address and stand once.")
    if not isinstance(items[0], Mailbox) or items[0].route:
        raise Forged(f"The letter's {shown} must be a plain address, without group or route.")
    return items[0]


def _no_field(number: int, octets: bytes) -> str:
    """What is wrong with a line that should be a header field, so that its writer finds it."""
    text = octets.partition(b"\r\n")[0].decode("ascii", "replace")
    if number == 1 and _MBOX_LINE.match(text):
        return (
            'The letter begins with the line of an mbox file, "From" without a colon, which is no '
            "part of a letter. Take that line out."
        )
    shown = f", {text[:SHOWN_CHARACTERS_MAX]!r}," if text.strip() else ", of white space only,"
    return (
        f"Line {number} of the letter{shown} is not a header field. "
        "An empty line must stand between the header and the text."
    )


def _whose(own: Collection[str]) -> str:
    return f"Write as {' or '.join(sorted(own)[:3])}."
