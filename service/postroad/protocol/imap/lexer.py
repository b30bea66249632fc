"""Cut the client's bytes into commands: lines of text with literals between them.

Purpose: nothing is read twice. Text is scanned for its line end once, and a literal is collected by
counting; so any split of the input costs the same and means the same.
Invariants: holds at most IMAP_LINE_BYTES_MAX of text, the literals that the session accepted, and
one read; what the session refused is skipped without being kept.
See: RFC 9051 section 4.3, RFC 7888 (LITERAL+).
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

from postroad.base import limits

_LITERAL = re.compile(rb"\{(\d{1,10})(\+?)\}\Z")


@dataclass(frozen=True, slots=True)
class Whole:
    """One command: text, literal, text, ... , text; literal announcements are still in the text."""

    pieces: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Dropped:
    """The end of a command with a refused literal that the client sent without asking."""

    text: bytes  # its first line


@dataclass(frozen=True, slots=True)
class LiteralOffered:
    """The session must now call `accept` or `refuse`."""

    text: bytes  # the first line of the command so far
    size: int
    waits: bool  # the client waits for "+"; otherwise the octets come anyway
    held: int  # octets that this command already holds


@dataclass(frozen=True, slots=True)
class Overlong:
    """A line beyond the limit: where the next command begins cannot be known."""


class _State(Enum):
    TEXT = auto()
    OFFERED = auto()
    LITERAL = auto()
    SKIPPING = auto()


class Lexer:
    def __init__(self) -> None:
        self._buffer = bytearray()
        self._seen = 0  # octets of the buffer without a line end
        self._pieces: list[bytes] = []
        self._literal = bytearray()
        self._missing = 0  # octets of the literal that are still to come
        self._waits = False
        self._text_size = 0
        self._refused = False
        self._state = _State.TEXT

    def feed(self, octets: bytes) -> None:
        self._buffer += octets

    def next(self) -> Whole | Dropped | LiteralOffered | Overlong | None:
        """What the bytes so far amount to; None: more of them are needed."""
        while True:
            if self._state is _State.OFFERED:
                return None
            if self._state is not _State.TEXT:
                if not self._take_literal():
                    return None
                continue
            line = self.next_line()
            if line is None:
                full = len(self._buffer) + self._text_size > limits.IMAP_LINE_BYTES_MAX
                return Overlong() if full else None
            self._text_size += len(line)
            if self._text_size > limits.IMAP_LINE_BYTES_MAX:
                return Overlong()
            self._pieces.append(line)
            literal = _LITERAL.search(line)
            if literal is None:
                return self._finish()
            self._missing = int(literal.group(1))
            self._waits = not literal.group(2)
            self._state = _State.OFFERED
            held = sum(map(len, self._pieces))
            return LiteralOffered(self._pieces[0], self._missing, self._waits, held)

    def next_line(self) -> bytes | None:
        """One line by itself, for what is no command: DONE, a SASL answer."""
        end = self._buffer.find(b"\n", self._seen)
        if end < 0:
            self._seen = len(self._buffer)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._seen = 0
        return line.removesuffix(b"\r")

    @property
    def waiting_bytes(self) -> int:
        """Octets that came and were not asked for yet."""
        return len(self._buffer)

    def accept(self) -> None:
        """Collect the offered literal."""
        assert self._state is _State.OFFERED
        self._state = _State.LITERAL

    def refuse(self) -> None:
        """Forget the command; octets that come anyway are skipped."""
        assert self._state is _State.OFFERED
        if self._waits:
            self._reset()
        else:
            self._refused = True
            self._state = _State.SKIPPING

    def _take_literal(self) -> bool:
        """Move what came of the literal; whether it is complete."""
        taken = min(self._missing, len(self._buffer))
        if self._state is _State.LITERAL:
            self._literal += memoryview(self._buffer)[:taken]
        del self._buffer[:taken]
        self._missing -= taken
        if self._missing:
            return False
        self._pieces.append(bytes(self._literal))
        self._literal = bytearray()
        self._state = _State.TEXT
        return True

    def _finish(self) -> Whole | Dropped:
        whole: Whole | Dropped
        whole = Dropped(self._pieces[0]) if self._refused else Whole(tuple(self._pieces))
        self._reset()
        return whole

    def _reset(self) -> None:
        self._pieces = []
        self._text_size = 0
        self._refused = False
        self._state = _State.TEXT
