"""The MIME structure of a letter: its parts, where they lie in the octets, what they say they are.

Purpose: one bounded scan at intake, from which BODYSTRUCTURE, sections and search are answered.
Invariants: at most MIME_PARTS_MAX parts, MIME_DEPTH_MAX deep; each octet is looked at once for each
level that it lies under; nothing recurses and nothing raises, whatever comes in. What lies beyond
the limits stays readable as part of the last part that was within them.
See: RFC 2045 section 5, RFC 2046 section 5.1, RFC 2183, RFC 3282, RFC 2557.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from postroad.base import limits
from postroad.message.headers import body_start, first_of, tokens, unfold, wanted

Parameters = tuple[tuple[bytes, bytes], ...]

_HEADER_BYTES_IN_ALL = 4 * limits.HEADER_READ_BYTES_MAX  # of all parts; what is beyond is not read
_SCANNED_BYTES_MAX = 5 * limits.LETTER_BYTES_MAX  # over all levels: a fraction of a second
_FIELDS = wanted(
    b"content-type",
    b"content-transfer-encoding",
    b"content-id",
    b"content-description",
    b"content-md5",
    b"content-disposition",
    b"content-language",
    b"content-location",
)
_CHARSET_DEFAULT = ((b"charset", b"us-ascii"),)


@dataclass(frozen=True, slots=True)
class Part:
    """One part, or the whole letter. Offsets are into the octets of the letter."""

    start: int  # of its header
    body: int  # of its body: behind the empty line
    end: int  # behind its last octet; the line end before a boundary is not in it
    type: bytes
    subtype: bytes
    parameters: Parameters
    encoding: bytes
    lines: int  # line ends in the body
    id: bytes | None = None
    description: bytes | None = None
    md5: bytes | None = None
    disposition: tuple[bytes, Parameters] | None = None
    language: tuple[bytes, ...] = ()
    location: bytes | None = None
    parts: list["Part"] = field(default_factory=list)

    @property
    def is_multipart(self) -> bool:
        return self.type.lower() == b"multipart"

    @property
    def is_letter(self) -> bool:
        """Whether its body is a letter again; that letter is its only part."""
        return self.type.lower() == b"message" and self.subtype.lower() == b"rfc822"

    @property
    def is_text(self) -> bool:
        return self.type.lower() == b"text"

    def parameter(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.parameters if key.lower() == name), None)


@dataclass(frozen=True, slots=True)
class _Found:
    """An extent of octets that will become a part."""

    start: int
    end: int
    depth: int
    siblings: list[Part]
    in_digest: bool = False


def structure(octets: bytes) -> Part:
    """The tree of parts of a whole letter."""
    top: list[Part] = []
    waiting = deque([_Found(0, len(octets), 0, top)])
    known = 1
    scanned = 0
    header_bytes_left = _HEADER_BYTES_IN_ALL
    while waiting:
        found = waiting.popleft()
        body = body_start(octets, found.start, found.end)
        header_end = min(body, found.start + min(limits.HEADER_READ_BYTES_MAX, header_bytes_left))
        said = _Said(octets[found.start : header_end])
        header_bytes_left -= header_end - found.start
        kind, subtype, parameters = said.content_type(found.in_digest)
        inner: list[tuple[int, int]] = []
        if kind.lower() in (b"multipart", b"message"):
            scanned += found.end - body
        bounded = found.depth < limits.MIME_DEPTH_MAX and scanned <= _SCANNED_BYTES_MAX
        room = limits.MIME_PARTS_MAX - known if bounded else 0
        if kind.lower() == b"multipart":
            inner = _split(octets, body, found.end, _value(parameters, b"boundary"), room)
        elif (kind.lower(), subtype.lower()) == (b"message", b"rfc822") and room:
            inner = [(body, found.end)]
        if not inner and kind.lower() in (b"multipart", b"message"):
            # Without parts it is no multipart that a mail program could show; its text is.
            kind, subtype, parameters = _without_parts(kind, subtype, parameters)
        counted = kind.lower() in (b"text", b"message")
        lines = octets.count(b"\n", body, found.end) if counted else 0
        part = said.part(found.start, body, found.end, kind, subtype, parameters, lines)
        found.siblings.append(part)
        known += len(inner)
        digest = part.is_multipart and subtype.lower() == b"digest"
        waiting.extend(
            _Found(start, end, found.depth + 1, part.parts, digest) for start, end in inner
        )
    return top[0]


def walk(top: Part) -> Iterator[Part]:
    """A part and all parts in it, in the order of the letter."""
    waiting = [top]
    while waiting:
        part = waiting.pop()
        yield part
        waiting.extend(reversed(part.parts))


def _split(
    octets: bytes, start: int, end: int, boundary: bytes | None, at_most: int
) -> list[tuple[int, int]]:
    """The extents between the delimiter lines of a multipart body."""
    boundary = (boundary or b"").rstrip()
    if not boundary or not at_most:
        return []
    delimiter = re.compile(rb"\n--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    extents: list[tuple[int, int]] = []
    open_at: int | None = None
    # The line end before the first delimiter may be the one that ended the header.
    for found in delimiter.finditer(octets, max(start - 1, 0), end):
        if open_at is not None:
            before = found.start() - octets.startswith(b"\r", found.start() - 1)
            extents.append((open_at, max(open_at, before)))
        open_at = None
        if found.group(1):
            break
        if len(extents) == at_most:  # the rest stays readable in the last one
            extents[-1] = (extents[-1][0], end)
            break
        line_end = octets.find(b"\n", found.end(), end)
        open_at = line_end + 1 if line_end >= 0 else end
    if open_at is not None:  # nobody closed it
        extents.append((open_at, end))
    return extents


def _without_parts(
    kind: bytes, subtype: bytes, parameters: Parameters
) -> tuple[bytes, bytes, Parameters]:
    if kind.lower() == b"message" and subtype.lower() != b"rfc822":
        return kind, subtype, parameters  # message/delivery-status and the like
    return b"text", b"plain", _CHARSET_DEFAULT


class _Said:
    """What the header of one part says about it; the first field of each name counts."""

    def __init__(self, header: bytes) -> None:
        self._values = first_of(header, _FIELDS)

    def _text(self, name: bytes) -> bytes | None:
        return unfold(self._values[name]) or None if name in self._values else None

    def content_type(self, in_digest: bool) -> tuple[bytes, bytes, Parameters]:
        if b"content-type" not in self._values:
            if in_digest:  # RFC 2046 section 5.1.5
                return b"message", b"rfc822", ()
            return b"text", b"plain", _CHARSET_DEFAULT
        kind, parameters = value_and_parameters(self._values[b"content-type"])
        main, slash, subtype = kind.partition(b"/")
        if not main or not slash or not subtype:
            return b"text", b"plain", parameters or _CHARSET_DEFAULT
        return main, subtype, parameters

    def part(
        self,
        start: int,
        body: int,
        end: int,
        kind: bytes,
        subtype: bytes,
        parameters: Parameters,
        lines: int,
    ) -> Part:
        encoding, _ = value_and_parameters(self._values.get(b"content-transfer-encoding", b""))
        disposition = None
        if b"content-disposition" in self._values:
            disposition = value_and_parameters(self._values[b"content-disposition"])
        languages, _ = value_and_parameters(self._values.get(b"content-language", b""))
        location = self._text(b"content-location")
        return Part(
            start,
            body,
            end,
            kind,
            subtype,
            parameters,
            encoding or b"7bit",
            lines,
            self._text(b"content-id"),
            self._text(b"content-description"),
            self._text(b"content-md5"),
            disposition if disposition and disposition[0] else None,
            tuple(tag for tag in languages.split(b",") if tag),
            b"".join(location.split()) if location else None,
        )


def value_and_parameters(value: bytes) -> tuple[bytes, Parameters]:
    """`value; name=value; ...` taken apart: comments dropped, quotes taken off.

    RFC 2231 pieces (`name*0*`) are left as they stand: IMAP hands them on so."""
    pieces: list[list[bytes]] = [[]]
    before = ""
    for kind, text in tokens(unfold(value[: limits.HEADER_READ_BYTES_MAX])):
        if kind == "special" and text == b";":
            pieces.append([])
        elif kind != "comment":
            words = pieces[-1]
            # `name=my file.txt`, unquoted, is common; `name = value` must not get a space.
            has_value = bool(words) and b"=" in words[0] and not words[-1].endswith(b"=")
            if has_value and (before, kind) == ("word", "word") and len(pieces) > 1:
                words.append(b" ")
            words.append(text)
        before = kind
    parameters = []
    for words in pieces[1:]:
        name, equals, content = b"".join(words).partition(b"=")
        if name.strip() and equals:
            parameters.append((name.strip(), content))
    return b"".join(pieces[0]), tuple(parameters)


def _value(parameters: Parameters, name: bytes) -> bytes | None:
    return next((value for key, value in parameters if key.lower() == name), None)
