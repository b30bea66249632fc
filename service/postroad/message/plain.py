"""The plain text of a letter: what of it may be shown when nothing of its author is trusted.

Purpose: one text part, or what an HTML part says in words, with everything taken out that hides,
turns or draws. Markup is never interpreted, only removed.
Invariants: linear time and bounded memory, whatever comes in; nothing raises.
See: docs/adr/0011-strangers.md.
"""

import binascii
import html
import re
import unicodedata
from dataclasses import dataclass

from postroad.base import limits
from postroad.message.headers import decode_base64, decode_text
from postroad.message.structure import Part, structure, walk

# Looked at, of one part: all that a stranger's letter can have, and not all of 25 MiB.
READ_BYTES_MAX = 4 * limits.OPEN_LETTER_BYTES_MAX
HTML_CHARACTERS_MAX = 16 * limits.REQUEST_TEXT_BYTES_MAX  # looked at: markup has to go out of it
_HIDDEN = re.compile(
    r"<(style|script|head|title|template)\b.*?(?:</\1\b[^<>]*>?|\Z)|<!--.*?(?:-->|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_BREAK = re.compile(r"<(?:br|/p|/div|/tr|/li|/h[1-6]|hr)\b[^<>]*>", re.IGNORECASE)
_MARKUP = re.compile(r"<[^<>]*>?")
_SPACES = re.compile(r"[ \t\xa0]+")
_LINE_ENDS = re.compile(r"\r\n?|[\u2028\u2029\x0b\x0c\x85]")
_EMPTY_LINES = re.compile(r"\n{3,}")
_LINE_CHARACTERS_MAX = 900  # RFC 5322 section 2.1.1: below 998 octets after UTF-8 where it matters


@dataclass(frozen=True, slots=True)
class Plain:
    """`is_whole`: the text is all that there is to read: not cut, and nothing attached."""

    text: str  # lines end with \n
    is_cut: bool
    attachments: int

    @property
    def is_whole(self) -> bool:
        return not self.is_cut and not self.attachments


def plain(octets: bytes, size_max: int = limits.REQUEST_TEXT_BYTES_MAX) -> Plain:
    """The text of a letter, of at most so many octets in UTF-8."""
    chosen: Part | None = None
    attachments = 0
    for part in walk(structure(octets)):
        if part.is_multipart:
            continue
        kind = (part.type.lower(), part.subtype.lower())
        if _is_attached(part) or kind not in ((b"text", b"plain"), (b"text", b"html")):
            attachments += 1
        elif chosen is None or (chosen.subtype.lower() == b"html" and kind[1] == b"plain"):
            chosen = part
        elif kind[1] == b"plain":
            attachments += 1  # a second text; an HTML part beside a plain one says the same
    if chosen is None:
        return Plain("", is_cut=False, attachments=attachments)
    is_cut = chosen.end - chosen.body > READ_BYTES_MAX
    text = part_text(octets, chosen, READ_BYTES_MAX)
    if chosen.subtype.lower() == b"html":
        text = without_markup(text)
    clean = readable(text)
    cut = _cut(clean, size_max)
    return Plain(cut, is_cut or len(cut) < len(clean), attachments)


def part_text(octets: bytes, part: Part, size_max: int | None = None) -> str:
    """The text of one part, or of its first `size_max` octets, with its transfer encoding and
    character set undone."""
    content = octets[part.body : part.end][:size_max]
    match part.encoding.lower():
        case b"base64":
            content = decode_base64(content)
        case b"quoted-printable":
            content = binascii.a2b_qp(content)
        case _:  # 7bit, 8bit, binary, and what nobody knows
            pass
    charset = (part.parameter(b"charset") or b"utf-8").decode("ascii", "replace")
    return decode_text(content, charset)


def without_markup(text: str) -> str:
    """What HTML says in words. Hidden parts, comments and tags go; entities become characters."""
    text = _HIDDEN.sub(" ", text[:HTML_CHARACTERS_MAX])
    text = _SPACES.sub(" ", text.replace("\r", "").replace("\n", " "))
    text = _MARKUP.sub("", _BREAK.sub("\n", text))
    text = html.unescape(text)
    lines = (line.strip() for line in text.split("\n"))
    return _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip() + "\n"


def readable(text: str) -> str:
    """The text without controls, turns of direction and what has no width; long lines broken."""
    text = _LINE_ENDS.sub("\n", text)
    text = "".join(one for one in text if one in "\n\t" or is_seen(one))
    lines: list[str] = []
    for line in text.split("\n"):
        pieces = range(0, max(len(line), 1), _LINE_CHARACTERS_MAX // 4)
        lines += [line[at : at + _LINE_CHARACTERS_MAX // 4] for at in pieces]
    return "\n".join(lines).strip("\n") + "\n"


def is_seen(character: str) -> bool:
    """Whether a reader sees this character, and it turns nothing around.

    Controls (Cc), format characters (Cf: direction, zero width), surrogates and what is private or
    not assigned are not; nor are the fillers that count as letters or marks."""
    return (
        unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn")
        and character not in "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u3164\uffa0\u2800"
        and not "\ufe00" <= character <= "\ufe0f"
    )


def _is_attached(part: Part) -> bool:
    return part.disposition is not None and part.disposition[0].lower() != b"inline"


def _cut(text: str, size_max: int) -> str:
    octets = text.encode()
    if len(octets) <= size_max:
        return text
    return octets[:size_max].decode(errors="ignore")
