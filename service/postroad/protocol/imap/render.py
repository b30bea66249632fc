"""ENVELOPE, BODY and BODYSTRUCTURE as they go over the wire, made once at intake.

Invariants: whatever the letter contains, what comes out is well-formed IMAP: strings that a quoted
string cannot hold become literals of exact size, and octets that no literal may hold are dropped.
See: RFC 9051 sections 4.3 and 7.5.2.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from postroad.base import limits
from postroad.message.headers import (
    GroupBegins,
    GroupEnds,
    Mailbox,
    address_list,
    first_of,
    header_size,
    unfold,
    wanted,
)
from postroad.message.structure import Parameters, Part, structure

QUOTED_BYTES_MAX = 1000  # longer ones go as literals, for clients with short line buffers
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*\Z")
_ESCAPED = re.compile(rb'(["\\])')
_FIELDS = wanted(
    b"date",
    b"subject",
    b"from",
    b"sender",
    b"reply-to",
    b"to",
    b"cc",
    b"bcc",
    b"in-reply-to",
    b"message-id",
)
NIL = b"NIL"


@dataclass(frozen=True, slots=True)
class Rendered:
    """What the store keeps beside a letter, so that listing a mailbox never parses one."""

    header_size: int  # octets up to and with the empty line
    envelope: bytes
    body: bytes
    body_structure: bytes
    header: bytes  # the header block as it stands, at most HEADER_READ_BYTES_MAX octets of it


def render(octets: bytes) -> Rendered:
    """Scan a letter once; never raises, linear in its size."""
    top = structure(octets)
    size = header_size(octets)
    header = octets[: min(size, limits.HEADER_READ_BYTES_MAX)]
    return Rendered(
        size, envelope(header), body(top, octets), body(top, octets, extended=True), header
    )


def string(octets: bytes | None) -> bytes:
    """An nstring: NIL, quoted, or a literal."""
    if octets is None:
        return NIL
    if len(octets) <= QUOTED_BYTES_MAX and _QUOTABLE.match(octets):
        return b'"' + _ESCAPED.sub(rb"\\\1", octets) + b'"'
    octets = octets.replace(b"\x00", b"")
    return b"{%d}\r\n%b" % (len(octets), octets)


def envelope(header: bytes) -> bytes:
    """ENVELOPE of a header block; the first field of each name counts."""
    values = first_of(header, _FIELDS)

    def text(name: bytes) -> bytes:
        return string(unfold(values[name])) if name in values else NIL

    author = _addresses(values.get(b"from", b""))
    sender = _addresses(values.get(b"sender", b""))
    reply_to = _addresses(values.get(b"reply-to", b""))
    return b"(%b)" % b" ".join(
        (
            text(b"date"),
            text(b"subject"),
            author,
            author if sender == NIL else sender,  # RFC 9051: never NIL when From is there
            author if reply_to == NIL else reply_to,
            _addresses(values.get(b"to", b"")),
            _addresses(values.get(b"cc", b"")),
            _addresses(values.get(b"bcc", b"")),
            text(b"in-reply-to"),
            text(b"message-id"),
        )
    )


def _addresses(value: bytes) -> bytes:
    items = b"".join(map(_address, address_list(unfold(value))))
    return b"(%b)" % items if items else NIL


def _address(item: Mailbox | GroupBegins | GroupEnds) -> bytes:
    match item:
        case GroupBegins(name):
            return b"(NIL NIL %b NIL)" % string(name)
        case GroupEnds():
            return b"(NIL NIL NIL NIL)"
        case Mailbox(name, local, domain, route):
            # An absent mailbox or host must not be NIL here: NIL marks a group.
            return b"(%b %b %b %b)" % (
                string(name or None),
                string(route or None),
                string(local),
                string(domain),
            )


def body(part: Part, octets: bytes, *, extended: bool = False) -> bytes:
    """BODY, or BODYSTRUCTURE when `extended`; recursion is bounded by the depth of the scan."""
    if part.is_multipart:
        inner = b"".join(body(one, octets, extended=extended) for one in part.parts)
        told = [inner + b" " + string(part.subtype)]
        if extended:
            told += [_parameters(part.parameters), *_extension(part)]
        return b"(%b)" % b" ".join(told)
    told = [
        string(part.type),
        string(part.subtype),
        _parameters(part.parameters),
        string(part.id),
        string(part.description),
        string(part.encoding),
        b"%d" % (part.end - part.body),
    ]
    if part.is_letter:
        (letter,) = part.parts
        told.append(envelope(octets[letter.start : letter.body]))
        told.append(body(letter, octets, extended=extended))
    if part.is_letter or part.is_text:
        told.append(b"%d" % part.lines)
    if extended:
        told += [string(part.md5), *_extension(part)]
    return b"(%b)" % b" ".join(told)


def _extension(part: Part) -> Iterable[bytes]:
    if part.disposition is None:
        yield NIL
    else:
        kind, parameters = part.disposition
        yield b"(%b %b)" % (string(kind), _parameters(parameters))
    if len(part.language) > 1:
        yield b"(%b)" % b" ".join(map(string, part.language))
    else:
        yield string(part.language[0] if part.language else None)
    yield string(part.location)


def _parameters(parameters: Parameters) -> bytes:
    if not parameters:
        return NIL
    return b"(%b)" % b" ".join(string(text) for pair in parameters for text in pair)
