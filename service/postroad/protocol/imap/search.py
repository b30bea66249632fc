"""SEARCH: read the program, and decide for one message as far as is known about it.

Purpose: `evaluate` answers True, False, or None for "more must be loaded": first only with flags
and UIDs, then with date, size and header, then with the octets. So most searches load little.
See: RFC 3501 section 6.4.4, RFC 9051 section 6.4.4.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from typing import assert_never

from postroad.base import limits
from postroad.base.ids import Instant
from postroad.message.headers import all_of, decode_text, decode_words, fields
from postroad.message.plain import part_text
from postroad.message.structure import structure, walk
from postroad.protocol.imap.arguments import MONTHS, STAR, Arguments, BadCommand, Ranges
from postroad.protocol.imap.events import Column
from postroad.protocol.imap.flags import Flag

KEYS_MAX = 1000
DEPTH_MAX = 30
TEXT_BYTES_MAX = 4 * limits.MIB  # of one letter's text is searched
_SENT = re.compile(rb"(\d{1,2})[ \t-]+([A-Za-z]{3})[A-Za-z]*[ \t-]+(\d{4}|\d\d)\b")


class When(Enum):
    BEFORE = "BEFORE"
    ON = "ON"
    SINCE = "SINCE"


@dataclass(frozen=True, slots=True)
class Everything:
    pass


@dataclass(frozen=True, slots=True)
class HasFlag:
    flag: Flag


@dataclass(frozen=True, slots=True)
class HasKeyword:
    keyword: str  # in lower case


@dataclass(frozen=True, slots=True)
class InSet:
    ranges: Ranges
    uids: bool  # otherwise sequence numbers


@dataclass(frozen=True, slots=True)
class Dated:
    when: When
    day: date
    sent: bool  # by the Date header, otherwise by arrival


@dataclass(frozen=True, slots=True)
class Larger:
    size: int


@dataclass(frozen=True, slots=True)
class Smaller:
    size: int


@dataclass(frozen=True, slots=True)
class InHeader:
    name: bytes
    text: str


@dataclass(frozen=True, slots=True)
class InBody:
    text: str


@dataclass(frozen=True, slots=True)
class InText:
    text: str


@dataclass(frozen=True, slots=True)
class Not:
    key: "Key"


@dataclass(frozen=True, slots=True)
class Or:
    one: "Key"
    other: "Key"


@dataclass(frozen=True, slots=True)
class All:
    keys: tuple["Key", ...]


Key = (
    Everything | HasFlag | HasKeyword | InSet | Dated | Larger | Smaller
    | InHeader | InBody | InText | Not | Or | All
)  # fmt: skip

_FLAGS: dict[str, Key] = {
    "ALL": Everything(),
    "ANSWERED": HasFlag(Flag.ANSWERED),
    "DELETED": HasFlag(Flag.DELETED),
    "DRAFT": HasFlag(Flag.DRAFT),
    "FLAGGED": HasFlag(Flag.FLAGGED),
    "RECENT": HasFlag(Flag.RECENT),
    "SEEN": HasFlag(Flag.SEEN),
    "UNANSWERED": Not(HasFlag(Flag.ANSWERED)),
    "UNDELETED": Not(HasFlag(Flag.DELETED)),
    "UNDRAFT": Not(HasFlag(Flag.DRAFT)),
    "UNFLAGGED": Not(HasFlag(Flag.FLAGGED)),
    "UNSEEN": Not(HasFlag(Flag.SEEN)),
    "OLD": Not(HasFlag(Flag.RECENT)),
    "NEW": All((HasFlag(Flag.RECENT), Not(HasFlag(Flag.SEEN)))),
}
_DATES: dict[str, tuple[When, bool]] = {when.value: (when, False) for when in When} | {
    f"SENT{when.value}": (when, True) for when in When
}


# Reading ------------------------------------------------------------------------------------------


class Reader:
    """Reads one program; raises BadCommand."""

    def __init__(self, arguments: Arguments, charset: str) -> None:
        self._arguments = arguments
        self._charset = charset
        self._count = 0

    def keys(self, depth: int = 0) -> Key:
        keys = [self._key(depth)]
        while not self._arguments.at_end() and not self._arguments.peek(b")"):
            self._arguments.space()
            if self._arguments.at_end():
                break
            keys.append(self._key(depth))
        return keys[0] if len(keys) == 1 else All(tuple(keys))

    def _key(self, depth: int) -> Key:
        arguments = self._arguments
        self._count += 1
        if self._count > KEYS_MAX or depth > DEPTH_MAX:
            raise BadCommand("That search has too many keys.")
        if arguments.skip(b"("):
            inner = self.keys(depth + 1)
            arguments.expect(b")")
            return inner
        if arguments.is_set():
            return InSet(arguments.number_set(), uids=False)
        name = arguments.word("a search key")
        if name in _FLAGS:
            return _FLAGS[name]
        arguments.space()
        if name in _DATES:
            when, sent = _DATES[name]
            return Dated(when, arguments.date(), sent)
        match name:
            case "BCC" | "CC" | "FROM" | "SUBJECT" | "TO":
                return InHeader(name.lower().encode(), self._text())
            case "HEADER":
                field = arguments.astring("a header name").lower()
                arguments.space()
                return InHeader(field, self._text())
            case "BODY":
                return InBody(self._text())
            case "TEXT":
                return InText(self._text())
            case "KEYWORD":
                return HasKeyword(arguments.atom().decode("ascii").lower())
            case "UNKEYWORD":
                return Not(HasKeyword(arguments.atom().decode("ascii").lower()))
            case "LARGER":
                return Larger(arguments.number())
            case "SMALLER":
                return Smaller(arguments.number())
            case "UID":
                return InSet(arguments.number_set(), uids=True)
            case "NOT":
                return Not(self._key(depth + 1))
            case "OR":
                one = self._key(depth + 1)
                arguments.space()
                return Or(one, self._key(depth + 1))
            case _:
                raise BadCommand(f"There is no search key {name}.")

    def _text(self) -> str:
        return folded(decode_text(self._arguments.astring(), self._charset))


def folded(text: str) -> str:
    """For comparing without regard to case and to runs of white space."""
    return " ".join(text.casefold().split())


# Deciding -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Candidate:
    """What is known of one message; None is what was not loaded yet."""

    number: int
    uid: int
    number_max: int  # what `*` stands for
    uid_max: int
    flags: int
    keywords: str
    date: Instant | None = None
    size: int | None = None
    header: bytes | None = None
    octets: bytes | None = None
    _text: str | None = None

    def text(self, octets: bytes) -> str:
        if self._text is None:
            self._text = folded(" ".join(_texts(octets)))
        return self._text


def evaluate(key: Key, message: Candidate) -> bool | None:
    """Whether the message matches; None when it must be asked again with more loaded."""
    match key:
        case Everything():
            return True
        case HasFlag(flag):
            return bool(message.flags & flag)
        case HasKeyword(keyword):
            return keyword in message.keywords.lower().split()
        case InSet(ranges, uids):
            number, most = (
                (message.uid, message.uid_max) if uids else (message.number, message.number_max)
            )
            return in_ranges(ranges, number, most)
        case Dated(when, day, sent):
            return _dated(when, day, sent, message)
        case Larger(size):
            return None if message.size is None else message.size > size
        case Smaller(size):
            return None if message.size is None else message.size < size
        case InHeader(name, text):
            if message.header is None:
                return None
            return any(text in folded(decode_words(one)) for one in all_of(message.header, name))
        case InBody(text):
            return None if message.octets is None else text in message.text(message.octets)
        case InText(text):
            if message.header is not None and text in _header_text(message.header):
                return True
            return None if message.octets is None else text in message.text(message.octets)
        case Not(inner):
            answer = evaluate(inner, message)
            return None if answer is None else not answer
        case Or(one, other):
            answers = (evaluate(one, message), evaluate(other, message))
            return True if True in answers else None if None in answers else False
        case All(keys):
            unknown = False
            for inner in keys:
                answer = evaluate(inner, message)
                if answer is False:
                    return False
                unknown = unknown or answer is None
            return None if unknown else True
        case _:
            assert_never(key)


def levels(key: Key) -> tuple[Column, ...]:
    """What to load, step by step, for the messages that a search has not decided yet."""
    keys = list(_simple(key))
    found: list[Column] = []
    if any(isinstance(one, Larger | Smaller) or _by_arrival(one) for one in keys):
        found.append(Column.NONE)
    if any(isinstance(one, InHeader | InText) or _by_date_header(one) for one in keys):
        found.append(Column.HEADER)
    if any(isinstance(one, InBody | InText) for one in keys):
        found.append(Column.HEADER | Column.OCTETS)
    return tuple(found)


def _by_arrival(key: Key) -> bool:
    return isinstance(key, Dated) and not key.sent


def _by_date_header(key: Key) -> bool:
    return isinstance(key, Dated) and key.sent


def _simple(key: Key) -> Iterator[Key]:
    """The keys without Not, Or and All around them."""
    match key:
        case Not(inner):
            yield from _simple(inner)
        case Or(one, other):
            yield from _simple(one)
            yield from _simple(other)
        case All(keys):
            for inner in keys:
                yield from _simple(inner)
        case _:
            yield key


def in_ranges(ranges: Ranges, number: int, most: int) -> bool:
    """`*` is the greatest number in use, also where a range names it from above."""
    return any((min(low, most) if high == STAR else low) <= number <= high for low, high in ranges)


def _dated(when: When, day: date, sent: bool, message: Candidate) -> bool | None:
    found: date | None
    if sent:
        if message.header is None:
            return None
        found = sent_day(message.header)
        if found is None:
            return False
    else:
        if message.date is None:
            return None
        found = moment(message.date).date()
    if when is When.BEFORE:
        return found < day
    return found == day if when is When.ON else found >= day


def moment(instant: Instant) -> datetime:
    """UTC; what no calendar holds is shown as the nearest that one does."""
    try:
        return datetime.fromtimestamp(instant, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def sent_day(header: bytes) -> date | None:
    """The day in the Date header, in the sender's own zone."""
    found = _SENT.search(next(iter(all_of(header, b"date")), b""))
    if found is None or found.group(2).lower() not in MONTHS:
        return None
    year = int(found.group(3))
    if len(found.group(3)) == 2:  # RFC 5322 section 4.3
        year += 2000 if year < 50 else 1900
    try:
        return date(year, MONTHS.index(found.group(2).lower()) + 1, int(found.group(1)))
    except ValueError:
        return None


def _header_text(header: bytes) -> str:
    return folded(
        " ".join(
            one.name.decode("ascii") + ": " + decode_words(one.value) for one in fields(header)
        )
    )


def _texts(octets: bytes) -> Iterator[str]:
    """The readable parts of a letter, decoded, up to a limit; the headers of letters in it too."""
    looked_at = 0
    for part in walk(structure(octets)):
        looked_at += part.end - part.body if part.is_text else 0
        if looked_at > TEXT_BYTES_MAX:
            return
        if part.is_letter:
            letter = part.parts[0]
            yield _header_text(octets[letter.start : letter.body])
        elif part.is_text or part.type.lower() == b"message":
            yield part_text(octets, part)
