"""BODY[...] sections: read what the client asks for, cut it out of a letter.

See: RFC 9051 section 6.4.5; RFC 2046 for how parts are numbered.
"""

from dataclasses import dataclass
from enum import Enum

from postroad.message.headers import fields
from postroad.message.structure import Part, structure
from postroad.protocol.imap.arguments import Arguments, BadCommand
from postroad.protocol.imap.render import string

NUMBERS_MAX = 30


class Kind(Enum):
    ALL = ""
    HEADER = "HEADER"
    FIELDS = "HEADER.FIELDS"
    FIELDS_NOT = "HEADER.FIELDS.NOT"
    TEXT = "TEXT"
    MIME = "MIME"


@dataclass(frozen=True, slots=True)
class Section:
    numbers: tuple[int, ...] = ()
    kind: Kind = Kind.ALL
    names: tuple[bytes, ...] = ()

    @property
    def in_header(self) -> bool:
        """Whether the letter's own header block is enough to answer."""
        return not self.numbers and self.kind in (Kind.HEADER, Kind.FIELDS, Kind.FIELDS_NOT)

    def label(self) -> bytes:
        """As it stands between the brackets of the answer."""
        words = [b"%d" % number for number in self.numbers]
        if self.kind is not Kind.ALL:
            words.append(self.kind.value.encode())
        text = b".".join(words)
        if self.kind in (Kind.FIELDS, Kind.FIELDS_NOT):
            text += b" (%b)" % b" ".join(map(_name, self.names))
        return text


def _name(name: bytes) -> bytes:
    plain = name.replace(b"-", b"").replace(b"_", b"")
    return name if plain.isalnum() and plain.isascii() else string(name)


def read_section(arguments: Arguments) -> Section:
    """`[...]`; raises BadCommand."""
    arguments.expect(b"[")
    if arguments.skip(b"]"):
        return Section()
    words = arguments.word("a section").split(".")
    numbers: list[int] = []
    while words and words[0].isdigit() and len(words[0]) < 10:
        numbers.append(int(words.pop(0)))
    try:
        kind = Kind(".".join(words))
    except ValueError as error:
        raise BadCommand("There is no such section.") from error
    if 0 in numbers or len(numbers) > NUMBERS_MAX or (kind is Kind.MIME and not numbers):
        raise BadCommand("There is no such section.")
    names: tuple[bytes, ...] = ()
    if kind in (Kind.FIELDS, Kind.FIELDS_NOT):
        arguments.space()
        names = tuple(arguments.listed(lambda: arguments.astring("a header name")))
        if not names:
            raise BadCommand("Which header fields?")
    arguments.expect(b"]")
    return Section(tuple(numbers), kind, names)


class Letter:
    """One letter while its sections are being cut; its structure is scanned when first needed."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self._top: Part | None = None

    @property
    def top(self) -> Part:
        if self._top is None:
            self._top = structure(self.octets)
        return self._top

    def section(self, section: Section) -> memoryview | bytes | None:
        """The octets of a section; None when there is no such part."""
        if not section.numbers and section.kind is Kind.ALL:
            return memoryview(self.octets)
        found = self._part(section.numbers)
        if found is None:
            return None
        part, is_message = found
        match section.kind:
            case Kind.ALL:
                return memoryview(self.octets)[part.body : part.end]
            case Kind.MIME:
                return self.octets[part.start : part.body]
            case Kind.HEADER | Kind.FIELDS | Kind.FIELDS_NOT | Kind.TEXT:
                letter = part.parts[0] if section.numbers and part.is_letter else part
                if section.numbers and not is_message:
                    return None  # only a letter has HEADER and TEXT
                if section.kind is Kind.TEXT:
                    return memoryview(self.octets)[letter.body : letter.end]
                return in_header(self.octets[letter.start : letter.body], section)

    def _part(self, numbers: tuple[int, ...]) -> tuple[Part, bool] | None:
        """The numbered part, and whether it is a letter."""
        here, letter_above = self.top, True
        for position, number in enumerate(numbers):
            if position and here.is_letter and not letter_above:
                here, letter_above = here.parts[0], True
            if here.is_multipart:
                if number > len(here.parts):
                    return None
                here = here.parts[number - 1]
            elif number != 1 or not letter_above:
                return None  # a part that is no multipart has only itself, as 1
            letter_above = False
        return here, not numbers or here.is_letter


def in_header(header: bytes, section: Section) -> bytes:
    """HEADER, HEADER.FIELDS or HEADER.FIELDS.NOT of a header block."""
    if section.kind is Kind.HEADER:
        return header
    wanted = {name.lower() for name in section.names}
    keep = section.kind is Kind.FIELDS
    chosen = b"".join(
        field.octets for field in fields(header) if (field.name.lower() in wanted) is keep
    )
    return chosen + b"\r\n"
