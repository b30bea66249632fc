"""Read the arguments of one command, token by token.

Purpose: the grammar's small words (atom, astring, number, date, list), read once from left to right
over the pieces that the lexer cut. Raises BadCommand on everything else.
See: RFC 9051 section 9; RFC 3501 section 9 for what only revision 1 has.
"""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from typing import TypeVar

from postroad.base.ids import Instant
from postroad.protocol.imap.names import decode_name

T = TypeVar("T")

STAR = 1 << 32  # `*` in a set: above every number
SET_RANGES_MAX = 10_000
Ranges = tuple[tuple[int, int], ...]

_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_ASTRING = re.compile(rb'[^\x00-\x20\x7f(){%*"\\]+')
_ITEM = re.compile(rb"[A-Za-z0-9.]+")
_LIST_NAME = re.compile(rb'[^\x00-\x20\x7f(){"\\]+')
_QUOTED = re.compile(rb'"((?:[^"\\\r\n]|\\["\\])*)"')
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_LITERAL = re.compile(rb"\{\d{1,10}\+?\}\Z")
_NUMBER = re.compile(rb"\d{1,20}")
_SET = re.compile(
    rb"(?:\d{1,10}|\*)(?::(?:\d{1,10}|\*))?(?:,(?:\d{1,10}|\*)(?::(?:\d{1,10}|\*))?)*"
)
_DATE = re.compile(rb'"?(\d{1,2})-([A-Za-z]{3})-(\d{4})"?')
_DATE_TIME = re.compile(
    rb'"( ?\d|\d\d)-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-]\d\d)(\d\d)"'
)
MONTHS = (
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
)  # fmt: skip


class BadCommand(Exception):
    """Not in the grammar; the sentence goes to the client behind BAD."""


class Arguments:
    def __init__(self, pieces: tuple[bytes, ...]) -> None:
        self._pieces = pieces
        self._piece = 0
        self._text = pieces[0]
        self._at = 0

    # Looking ------------------------------------------------------------------------------------

    def peek(self, octets: bytes) -> bool:
        return self._text.startswith(octets, self._at)

    def at_end(self) -> bool:
        return self._at >= len(self._text) and self._piece == len(self._pieces) - 1

    def skip(self, octets: bytes) -> bool:
        """Step over these octets, if they come next."""
        if self.peek(octets):
            self._at += len(octets)
            return True
        return False

    def expect(self, octets: bytes) -> None:
        if not self.skip(octets):
            raise BadCommand(f"Expected {octets.decode()!r}.")

    def space(self) -> None:
        self.expect(b" ")

    def end(self) -> None:
        self.skip(b" ")  # some clients leave one at the end
        if not self.at_end():
            raise BadCommand("There is more behind the end of the command.")

    def skip_word(self, word: bytes) -> bool:
        """Step over a keyword of the grammar and the space or end behind it."""
        found = self._text[self._at : self._at + len(word)].upper() == word
        behind = self._text[self._at + len(word) : self._at + len(word) + 1]
        if not found or behind not in (b"", b" "):
            return False
        self._at += len(word) + len(behind)
        return True

    def skip_tag(self) -> None:
        found = self._text.find(b" ")
        self._at = len(self._text) if found < 0 else found

    def rest(self) -> bytes:
        """What is left of the line."""
        rest = self._text[self._at :]
        self._at = len(self._text)
        return rest

    def _match(self, pattern: re.Pattern[bytes], what: str) -> re.Match[bytes]:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise BadCommand(f"Expected {what}.")
        self._at = found.end()
        return found

    # Words --------------------------------------------------------------------------------------

    def atom(self, what: str = "a word") -> bytes:
        return self._match(_ATOM, what).group()

    def word(self, what: str = "a word") -> str:
        """An atom that is a keyword of the grammar, in upper case."""
        return self.atom(what).decode("ascii").upper()

    def item_name(self) -> str:
        """A word of FETCH, up to its bracket, in upper case."""
        return self._match(_ITEM, "what to fetch").group().decode("ascii").upper()

    def string(self, what: str = "a string") -> bytes:
        if self.peek(b'"'):
            return _ESCAPED.sub(rb"\1", self._match(_QUOTED, what).group(1))
        if self.peek(b"{"):
            return self.literal()
        raise BadCommand(f"Expected {what}.")

    def literal(self) -> bytes:
        self._match(_LITERAL, "a literal")
        if self._piece + 2 >= len(self._pieces):
            raise BadCommand("Expected a literal.")
        literal = self._pieces[self._piece + 1]
        self._piece += 2
        self._text = self._pieces[self._piece]
        self._at = 0
        return literal

    def astring(self, what: str = "a string") -> bytes:
        if self.peek(b'"') or self.peek(b"{"):
            return self.string(what)
        return self._match(_ASTRING, what).group()

    def nstring(self) -> bytes | None:
        if self.peek(b'"') or self.peek(b"{"):
            return self.string()
        if self.word() == "NIL":
            return None
        raise BadCommand("Expected a string or NIL.")

    def mailbox(self) -> str:
        return decode_name(self.astring("a mailbox name"))

    def list_pattern(self) -> str:
        if self.peek(b'"') or self.peek(b"{"):
            return decode_name(self.string())
        return decode_name(self._match(_LIST_NAME, "a mailbox pattern").group())

    def number(self) -> int:
        return int(self._match(_NUMBER, "a number").group())

    def flag(self) -> bytes:
        if self.skip(b"\\"):
            return b"\\" + (b"*" if self.skip(b"*") else self.atom("a flag"))
        return self.atom("a flag")

    def listed(self, item: Callable[[], T]) -> list[T]:
        """`(item item ...)`, possibly empty."""
        self.expect(b"(")
        items: list[T] = []
        while not self.skip(b")"):
            if items:
                self.space()
            items.append(item())
        return items

    def one_or_listed(self, item: Callable[[], T]) -> list[T]:
        """`(item ...)`, or items without brackets up to the end."""
        if self.peek(b"("):
            return self.listed(item)
        items = [item()]
        while self.skip(b" "):
            items.append(item())
        return items

    # Sets and dates ------------------------------------------------------------------------------

    def is_set(self) -> bool:
        return _SET.match(self._text, self._at) is not None

    def number_set(self) -> Ranges:
        """A set of sequence numbers or UIDs, as (low, high) pairs; `*` is STAR."""
        text = self._match(_SET, "a set of message numbers").group()
        ranges = []
        for item in text.split(b","):
            low, _, high = item.partition(b":")
            ends = sorted(STAR if end == b"*" else int(end) for end in (low, high or low))
            if ends[0] == 0 or (ends[1] >= STAR and b"*" not in item):
                raise BadCommand("Message numbers go from 1 to 4294967295.")
            ranges.append((ends[0], ends[1]))
        if len(ranges) > SET_RANGES_MAX:
            raise BadCommand("Too many ranges in one set.")
        return tuple(ranges)

    def date(self) -> date:
        """A day; the time zone is of no account in searches."""
        day, month, year = self._match(_DATE, "a date like 1-Feb-2026").groups()
        try:
            return date(int(year), MONTHS.index(month.lower()) + 1, int(day))
        except ValueError as error:
            raise BadCommand("There is no such day.") from error

    def date_time(self) -> Instant:
        found = self._match(_DATE_TIME, "a date and time")
        day, month, year, hour, minute, second, zone_hours, zone_minutes = found.groups()
        try:
            zone = timedelta(hours=int(zone_hours), minutes=int(zone_hours[:1] + zone_minutes))
            moment = datetime(
                int(year), MONTHS.index(month.lower()) + 1, int(day),
                int(hour), int(minute), min(int(second), 59), tzinfo=timezone(zone),
            )  # fmt: skip
            return Instant(moment.timestamp())
        except (ValueError, OverflowError) as error:
            raise BadCommand("There is no such date and time.") from error
