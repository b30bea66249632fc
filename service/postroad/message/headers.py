"""Header blocks, address lists and encoded words, by a bounded scanner over bytes.

Purpose: find what doors and delivery need in the headers of a letter that anybody may have written.
Invariants: linear time and no recursion, whatever comes in; nothing raises on garbage, the best
guess is given instead; at most HEADER_READ_BYTES_MAX octets are read, and ADDRESSES_MAX addresses.
Why not the standard library: `email.policy.default` fails on `To: a:b:;;`, and comments nested 300
deep exhaust its stack.
See: RFC 5322 sections 2.2, 3.4 and 4.4, RFC 2047.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from encodings.aliases import aliases

from postroad.base import limits

_FIELD = re.compile(rb"[^\n]*(?:\n[ \t][^\n]*)*\n?")
_NAME = re.compile(rb"([!-9;-~]+)[ \t]*:")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_TOKEN = re.compile(
    rb'(?P<quoted>"[^"\\]*(?:\\.[^"\\]*)*"?)'
    rb"|(?P<literal>\[[^\]\\,;<>]*(?:\\.[^\]\\,;<>]*)*\]?)"
    rb"|(?P<special>[()<>,;:@])"
    rb"|(?P<space>[\x00-\x20\x7f]+)"
    rb'|(?P<atom>[^\x00-\x20\x7f"\[()<>,;:@]+)',
    re.DOTALL,
)
_COMMENT_MARK = re.compile(rb"[()]|\\.", re.DOTALL)
_ENCODED_WORD = r"=\?[^?\s]{1,60}\?[bBqQ]\?[^?\r\n]*\?="
_WORDS = re.compile(rf"({_ENCODED_WORD})(?:[ \t\r\n]+(?={_ENCODED_WORD}))?")
_HALVES = re.compile("[\ud800-\udfff]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


@dataclass(frozen=True, slots=True)
class Field:
    """One header field. A line that is no field has an empty name."""

    name: bytes  # as written
    value: bytes  # after the colon, folded as it stands, without the last line end
    octets: bytes  # the whole field as it stands, line ends included


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One address; parts that are missing are empty. Quotes and quoted pairs are taken off."""

    name: bytes
    local: bytes
    domain: bytes
    route: bytes = b""

    @property
    def address(self) -> str:
        """`local@domain` for comparing; octets that are not UTF-8 become U+FFFD."""
        return b"@".join((self.local, self.domain)).decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class GroupBegins:
    name: bytes


@dataclass(frozen=True, slots=True)
class GroupEnds:
    pass


AddressItem = Mailbox | GroupBegins | GroupEnds


def header_size(octets: bytes) -> int:
    """Octets up to and with the empty line; all of them when there is no empty line."""
    return body_start(octets, 0, len(octets))


def body_start(octets: bytes, start: int, end: int) -> int:
    """Where the body begins that belongs to the header at `start`; `end` when there is none."""
    for line_end in (b"\r\n", b"\n"):
        if octets.startswith(line_end, start, end):
            return start + len(line_end)
    with_return = octets.find(b"\n\r\n", start, end)
    without = octets.find(b"\n\n", start, end if with_return < 0 else with_return)
    if without >= 0:
        return without + 2
    return with_return + 3 if with_return >= 0 else end


def fields(header: bytes) -> list[Field]:
    """The fields of a header block in their order; stops at the empty line, if there is one."""
    found: list[Field] = []
    header = header[: limits.HEADER_READ_BYTES_MAX]
    at = 0
    while at < len(header) and not header.startswith((b"\r\n", b"\n"), at):
        field = _FIELD.match(header, at)
        assert field is not None  # the pattern matches the empty string
        octets = field.group()
        named = _NAME.match(octets)
        value = octets[named.end() :] if named else octets
        value = value.removesuffix(b"\n").removesuffix(b"\r")
        found.append(Field(named.group(1) if named else b"", value, octets))
        at = field.end()
    return found


def wanted(*names: bytes) -> re.Pattern[bytes]:
    """What `first_of` looks for."""
    return re.compile(
        rb"\n(" + b"|".join(map(re.escape, names)) + rb")[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)",
        re.IGNORECASE,
    )


def first_of(header: bytes, names: re.Pattern[bytes]) -> dict[bytes, bytes]:
    """The first value of each wanted name, in lower case; does not slow down on many others."""
    found: dict[bytes, bytes] = {}
    for field in names.finditer(b"\n" + header[: limits.HEADER_READ_BYTES_MAX]):
        found.setdefault(field.group(1).lower(), field.group(2))
    return found


def all_of(header: bytes, name: bytes) -> list[bytes]:
    """The values of all fields of this name, unfolded and stripped."""
    wanted = name.lower()
    return [unfold(field.value) for field in fields(header) if field.name.lower() == wanted]


def first(header: bytes, name: bytes) -> bytes | None:
    """The value of the first field of this name, unfolded and stripped."""
    return next(iter(all_of(header, name)), None)


def unfold(value: bytes) -> bytes:
    """Take out the line ends of folding (RFC 5322 section 2.2.3) and the white space around."""
    return _FOLD.sub(b"", value).strip(b" \t\r\n")


def addresses(value: bytes) -> list[Mailbox]:
    """All mailboxes of an address list, those in groups too."""
    return [item for item in address_list(value) if isinstance(item, Mailbox)]


def address_list(value: bytes) -> list[AddressItem]:
    """An address list with its groups; every group that begins also ends.

    Nothing that a reader could take for an address is dropped: what does not follow the grammar
    turns up as a mailbox of its own, or within one."""
    scan = _AddressScan()
    for kind, text in tokens(value[: limits.HEADER_READ_BYTES_MAX]):
        scan.take(kind, text)
        if len(scan.items) >= limits.ADDRESSES_MAX:
            break
    else:
        scan.finish_mailbox()
    if scan.in_group:
        scan.items.append(GroupEnds())
    return scan.items


def tokens(value: bytes) -> Iterator[tuple[str, bytes]]:
    """Words, specials and comments: (kind, text), with quoting taken off."""
    at = 0
    while at < len(value):
        token = _TOKEN.match(value, at)
        assert token is not None  # the alternatives cover every octet
        kind, text, at = token.lastgroup or "", token.group(), token.end()
        if text == b"(":
            comment, at = _comment(value, at)
            yield "comment", comment
        elif kind == "quoted":
            closed = len(text) > 1 and text.endswith(b'"')
            yield "word", _QUOTED_PAIR.sub(rb"\1", text[1:-1] if closed else text[1:])
        elif kind in ("atom", "literal"):
            yield "word", text
        elif kind == "special":
            yield "special", text


def _comment(value: bytes, start: int) -> tuple[bytes, int]:
    """The text of the comment that was opened before `start`, and where it ends."""
    depth = 1
    for mark in _COMMENT_MARK.finditer(value, start):
        depth += {b"(": 1, b")": -1}.get(mark.group(), 0)
        if depth == 0:
            return _QUOTED_PAIR.sub(rb"\1", value[start : mark.start()]).strip(), mark.end()
    return _QUOTED_PAIR.sub(rb"\1", value[start:]).strip(), len(value)


class _AddressScan:
    """Puts tokens together: `words` before an angle bracket are a name, without one an address."""

    def __init__(self) -> None:
        self.items: list[AddressItem] = []
        self.in_group = False
        self._reset()

    def _reset(self) -> None:
        self.words: list[bytes] = []
        self.angle: list[bytes] | None = None
        self.in_angle = False
        self.route = b""
        self.comment = b""

    def take(self, kind: str, text: bytes) -> None:
        if kind == "comment":
            self.comment = text
        elif kind == "word":
            (self.angle if self.in_angle and self.angle is not None else self.words).append(text)
        elif self.in_angle:
            self._special_in_angle(text)
        elif text == b"<":
            if self.angle is not None:
                self.finish_mailbox()
            self.angle, self.in_angle = [], True
        elif text == b"@":
            self.words.append(text)
        elif text == b":" and not self.in_group and b"@" not in self.words and self.angle is None:
            self.items.append(GroupBegins(b" ".join(self.words)))
            self.in_group = True
            self._reset()
        elif text in (b",", b";", b":"):
            self.finish_mailbox()
            if text == b";" and self.in_group:
                self.items.append(GroupEnds())
                self.in_group = False

    def _special_in_angle(self, text: bytes) -> None:
        assert self.angle is not None
        routed = self.angle[:1] == [b"@"]  # <@one,@two:local@domain>, RFC 5322 section 4.4
        if text == b">":
            self.in_angle = False
        elif text == b":" and routed:
            self.route = b"".join(self.angle)
            self.angle = []
        elif text in (b",", b";") and not routed:  # nobody closed it
            self.finish_mailbox()
            self.take("special", text)
        elif text != b"<":
            self.angle.append(text)

    def finish_mailbox(self) -> None:
        if self.angle is None and not self.words:
            self._reset()
            return
        spec = self.words if self.angle is None else self.angle
        name = self.comment if self.angle is None or not self.words else b" ".join(self.words)
        if b"@" in spec:
            at = len(spec) - 1 - spec[::-1].index(b"@")
            local, domain = b"".join(spec[:at]), b"".join(spec[at + 1 :])
        else:
            local, domain = b" ".join(spec), b""
        self.items.append(Mailbox(name, local, domain, self.route))
        self._reset()


# Encoded words ------------------------------------------------------------------------------------

# Only names that the standard library lists: looking up any other name costs memory for ever. The
# ones taken out are not character sets, or are slow.
_CHARSETS = {
    name: codec
    for alias, codec in aliases.items()
    for name in (alias, codec)
    if not codec.endswith("_codec") and codec not in ("punycode", "idna", "mbcs", "rot_13")
} | {
    "iso_8859_8_i": "iso8859_8",
    "iso_8859_8_e": "iso8859_8",
    "gb2312": "gb18030",  # what calls itself so is usually the larger set
    "gbk": "gb18030",
    "ks_c_5601_1987": "cp949",
    "euc_kr": "cp949",
    "iso_8859_1": "cp1252",
    "us_ascii": "utf_8",
    "ascii": "utf_8",
    "x_sjis": "cp932",
    "cp874": "cp874",
    "koi8_r": "koi8_r",
    "koi8_u": "koi8_u",
    "unicode_1_1_utf_7": "utf_7",
}


def known_charset(name: str) -> bool:
    return _normalised(name) in _CHARSETS


def decode_text(octets: bytes, charset: str) -> str:
    """Text in a charset that the sender named; an unknown one is taken for UTF-8, then Latin-1."""
    codec = _CHARSETS.get(_normalised(charset))
    if codec is None:
        try:
            return octets.decode("utf-8")
        except UnicodeDecodeError:
            return octets.decode("latin-1")
    # UTF-7 can say half a character, which nothing that is written anywhere may hold.
    return _HALVES.sub("\ufffd", octets.decode(codec, "replace"))


def _normalised(charset: str) -> str:
    return charset.lower().replace("-", "_").replace(" ", "_")[:40]


def decode_words(value: bytes) -> str:
    """A header value for people: unfolded, encoded words decoded, control characters taken out.

    Words of one charset that follow each other are decoded as one, as many programs do: else a
    character that is cut between two would be another one here than there."""
    text = unfold(value[: limits.HEADER_READ_BYTES_MAX]).decode("utf-8", "replace")
    pieces: list[str] = []
    charset, octets = "", bytearray()
    for number, piece in enumerate(_WORDS.split(text)):
        if number % 2:
            named, more = _word(piece)
            if named != charset:
                pieces.append(decode_text(bytes(octets), charset))
                charset, octets = named, bytearray()
            octets += more
        elif piece:
            pieces += (decode_text(bytes(octets), charset), piece)
            octets.clear()
    pieces.append(decode_text(bytes(octets), charset))
    return _CONTROLS.sub(" ", "".join(pieces)).strip()


def _word(word: str) -> tuple[str, bytes]:
    """The charset of an encoded word, and its octets."""
    charset, encoding, coded = word[2:-2].split("?", 2)
    octets = coded.encode("utf-8", "replace")
    octets = binascii.a2b_qp(octets, header=True) if encoding in "qQ" else decode_base64(octets)
    return charset.partition("*")[0].lower(), octets


_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


def decode_base64(octets: bytes) -> bytes:
    """As many octets as can be had from base64 with noise in it, or with its end cut off."""
    clean = _NOT_BASE64.sub(b"", octets)
    clean = clean[: len(clean) - (len(clean) % 4 == 1)]
    return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))
