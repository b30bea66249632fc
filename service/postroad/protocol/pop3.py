"""One client's POP3 conversation, as a state machine that touches nothing.

Purpose: `receive` bytes, and get back what the door must do next (at most one errand at a time);
`answer` it; `take_output`. Each command is a generator that yields errands and is resumed with
their answers, so that its story reads from top to bottom.
Invariants: numbers, sizes and unique ids are those of the moment of logging in, whatever happens to
the mailbox meanwhile; nothing is removed but by QUIT, all of it in one errand, and whoever leaves
in another way has removed nothing; whoever was given a note in place of a damaged letter removes
nothing of it (store/maildrop); octets of a letter go out as they are, but for what section 3 of
RFC 1939 adds to them; no more of a letter than a piece is in memory. There is no STLS: the socket
is on loopback. Longer than 400 lines: errands, commands and what becomes of octets are read beside
the one RFC that they follow.
See: RFC 1939, 2449 (CAPA), 3206 (AUTH-RESP-CODE), 5034 (AUTH), 6856 (UTF8); ADR 25.
"""

import re
from array import array
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from postroad.base import limits
from postroad.protocol.sasl import read_plain

CAPABILITIES = (
    b"TOP", b"UIDL", b"USER", b"SASL PLAIN", b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING",
    b"UTF8 USER", b"EXPIRE NEVER", b"IMPLEMENTATION Postroad",
)  # fmt: skip
LINES_MAX = 2000  # of a list, said at once
OUTPUT_BYTES_MAX = 64 * limits.KIB  # waiting for the client before a long answer pauses
NUMBER_DIGITS_MAX = 9
WRONG = b"-ERR [AUTH] Wrong user name or password."


# Answers ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Failed:
    """It cannot be done now; the sentence is for people."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Done:
    pass


@dataclass(frozen=True, slots=True)
class PasswordChecked:
    right: bool


@dataclass(frozen=True, slots=True)
class Maildrop:
    """What was in the mailbox at one moment: UIDs rise, sizes are parallel to them."""

    uid_validity: int
    uids: "array[int]"
    sizes: "array[int]"


@dataclass(frozen=True, slots=True)
class Gone:
    """Somebody else removed that letter."""


@dataclass(frozen=True, slots=True)
class LetterOpened:
    size: int
    is_damaged: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """The next octets of the opened letter; none: it is at its end."""

    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Removed:
    """They are gone for good, but for so many of which a note was given out in their place."""

    kept: int = 0


Answer = Failed | Done | PasswordChecked | Maildrop | Gone | LetterOpened | Piece | Removed


# Errands ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CheckPassword:
    """Answer: PasswordChecked. The door makes a wrong one wait."""

    user: str
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LookIntoMaildrop:
    """Answer: Maildrop."""


@dataclass(frozen=True, slots=True)
class OpenLetter:
    """Answer: LetterOpened, or Gone."""

    uid: int


@dataclass(frozen=True, slots=True)
class ReadOn:
    """Answer: Piece, of the letter that was opened last."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Answer: Removed, for good; Failed: they are all there."""

    uids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MakeRoom:
    """Send the output so far, and answer Done once the client has taken it."""


Errand = CheckPassword | LookIntoMaildrop | OpenLetter | ReadOn | Remove | MakeRoom
A = TypeVar("A", bound=Answer)
Steps = Generator[Errand, Answer, None]


class _Refused(Exception):
    """The command ends with this -ERR."""

    def __init__(self, said: bytes) -> None:
        super().__init__(said)
        self.said = said


class Session:
    def __init__(self) -> None:
        self._input = bytearray()
        self._output: list[bytes] = []
        self._output_size = 0
        self._running: Steps | None = None
        self._line_wanted = False  # AUTH waits for the client's answer
        self._line = b""
        self._user: str | None = None
        self._maildrop: Maildrop | None = None
        self._marked: set[int] = set()  # places in the maildrop
        self.in_midst = False  # of an answer of many lines: another sentence would be part of it
        self.closing = False
        self._say(b"+OK Postroad is ready.")

    # For the door ---------------------------------------------------------------------------------

    def receive(self, octets: bytes) -> Errand | None:
        """Take bytes from the client; the next errand to act on, if any."""
        self._input += octets
        return self._advance()

    def answer(self, answer: Answer) -> Errand | None:
        """What became of the errand; the next one, if any."""
        errand = self._resume(answer)
        return self._advance() if errand is None else errand

    def take_output(self) -> bytes:
        """What is to be sent; empty when there is nothing."""
        octets = b"".join(self._output)
        self._output.clear()
        self._output_size = 0
        return octets

    @property
    def logged_in(self) -> bool:
        return self._maildrop is not None

    def bye(self, sentence: str) -> None:
        """Refuse to go on; the door closes when the output is sent."""
        if not self.closing:
            if not self.in_midst:
                self._say(b"-ERR [SYS/TEMP] " + _printable(sentence))
            self.closing = True

    # Running commands -----------------------------------------------------------------------------

    def _say(self, line: bytes) -> None:
        self._send(line + b"\r\n")

    def _send(self, octets: bytes) -> None:
        if octets:
            self._output.append(octets)
            self._output_size += len(octets)

    def _advance(self) -> Errand | None:
        """Go on as far as the input reaches; a loop, since a client may send many at once."""
        while not self.closing and (self._running is None or self._line_wanted):
            line = self._next_line()
            if line is None:
                return None
            if self._running is None:
                self._running = self._command(line)
                errand = self._resume(None)
            else:
                self._line, self._line_wanted = line, False
                errand = self._resume(Done())
            if errand is not None:
                return errand
        return None

    def _next_line(self) -> bytes | None:
        most = limits.POP3_SASL_BYTES_MAX if self._line_wanted else limits.POP3_LINE_BYTES_MAX
        end = self._input.find(b"\n", 0, most)
        if end < 0:
            if len(self._input) >= most:
                self._say(b"-ERR That line is too long, so the next command cannot be found.")
                self.closing = True
            return None
        line = bytes(self._input[:end])
        del self._input[: end + 1]
        return line.removesuffix(b"\r")

    def _resume(self, answer: Answer | None) -> Errand | None:
        """Let the running command go on (None: begin it); its next errand, if it has one now."""
        assert self._running is not None
        try:
            if answer is None:
                errand = next(self._running)
            elif isinstance(answer, Failed):
                errand = self._running.throw(
                    _Refused(b"-ERR [SYS/TEMP] " + _printable(answer.sentence))
                )
            else:
                errand = self._running.send(answer)
        except StopIteration:
            self._running = None
            return None
        return None if self._line_wanted else errand

    def _command(self, line: bytes) -> Steps:
        """One command from its line to its answer."""
        name, _, rest = line.partition(b" ")
        user, self._user = self._user, None  # PASS comes right after USER, or USER comes again
        try:
            yield from self._do(name.upper(), rest, user)
        except _Refused as error:
            if self.in_midst:  # there is no other way to say that the letter is not whole
                self.closing = True
            else:
                self._say(error.said)

    def _do(self, name: bytes, rest: bytes, user: str | None) -> Steps:
        match name:
            case b"CAPA":
                _words(rest, 0)
                self._say(b"+OK This is what is spoken here.")
                yield from self._list(CAPABILITIES)
            case b"QUIT":
                _words(rest, 0)
                yield from self._quit()
            case b"STLS":
                raise _Refused(b"-ERR There is nothing to encrypt: this never leaves the computer.")
            case b"USER" | b"PASS" | b"AUTH" | b"UTF8" if self._maildrop is not None:
                raise _Refused(b"-ERR You are logged in already.")
            case b"USER":
                if not rest:
                    raise _Refused(b"-ERR USER needs a name after it.")
                self._user = rest.decode("utf-8", "replace")
                self._say(b"+OK Now the password.")
            case b"PASS":
                if user is None:
                    raise _Refused(b"-ERR First USER, then PASS.")
                yield from self._log_in(user, rest)
            case b"AUTH":
                yield from self._authenticate(rest)
            case b"UTF8":
                _words(rest, 0)
                self._say(b"+OK Letters are sent as they are in any case.")
            case b"STAT" | b"LIST" | b"UIDL" | b"RETR" | b"TOP" | b"DELE" | b"NOOP" | b"RSET":
                if self._maildrop is None:
                    raise _Refused(b"-ERR Log in first.")
                yield from self._do_logged_in(name, rest, self._maildrop)
            case _:
                raise _Refused(b"-ERR That command is not known here.")

    def _do_logged_in(self, name: bytes, rest: bytes, maildrop: Maildrop) -> Steps:
        match name:
            case b"STAT":
                _words(rest, 0)
                there = self._there(maildrop)
                self._say(b"+OK %d %d" % (len(there), sum(maildrop.sizes[at] for at in there)))
            case b"LIST":
                yield from self._tell_each(rest, maildrop, lambda at: b"%d" % maildrop.sizes[at])
            case b"UIDL":
                yield from self._tell_each(rest, maildrop, lambda at: unique_id(maildrop, at))
            case b"RETR":
                (word,) = _words(rest, 1)
                yield from self._retrieve(maildrop.uids[self._place(word, maildrop)], None)
            case b"TOP":
                word, lines = _words(rest, 2)
                at = self._place(word, maildrop)
                yield from self._retrieve(maildrop.uids[at], _Top(_number(lines)))
            case b"DELE":
                (word,) = _words(rest, 1)
                self._marked.add(self._place(word, maildrop))
                self._say(b"+OK It goes at QUIT.")
            case b"RSET":
                _words(rest, 0)
                self._marked.clear()
                self._say(b"+OK Nothing goes at QUIT.")
            case _:  # NOOP
                _words(rest, 0)
                self._say(b"+OK")

    def _there(self, maildrop: Maildrop) -> Sequence[int]:
        """The places of all letters that are not marked."""
        everywhere = range(len(maildrop.uids))
        return [at for at in everywhere if at not in self._marked] if self._marked else everywhere

    def _place(self, word: bytes, maildrop: Maildrop) -> int:
        """Where in the maildrop the letter of this number is."""
        number = _number(word)
        if not 1 <= number <= len(maildrop.uids):
            raise _Refused(b"-ERR There is no letter of that number.")
        if number - 1 in self._marked:
            raise _Refused(b"-ERR You have deleted that one; RSET brings all of them back.")
        return number - 1

    # Logging in, and out --------------------------------------------------------------------------

    def _log_in(self, user: str, password: bytes) -> Steps:
        checked = _expect(PasswordChecked, (yield CheckPassword(user, password)))
        if not checked.right:
            raise _Refused(WRONG)
        maildrop = _expect(Maildrop, (yield LookIntoMaildrop()))
        self._maildrop = maildrop
        there = len(maildrop.uids), sum(maildrop.sizes)
        self._say(b"+OK Welcome: %d letters, %d octets." % there)

    def _authenticate(self, rest: bytes) -> Steps:
        mechanism, _, coded = rest.partition(b" ")
        if mechanism.upper() != b"PLAIN":
            raise _Refused(b"-ERR Only AUTH PLAIN is spoken here.")
        if not coded:
            self._send(b"+ \r\n")
            self._line_wanted = True
            yield MakeRoom()  # seen by nobody: `_resume` keeps it back until the line is there
            coded = self._line
            if coded == b"*":
                raise _Refused(b"-ERR Given up.")
        try:
            given = read_plain(coded)
        except ValueError:
            raise _Refused(b"-ERR That is not base64.") from None
        if given is None:
            raise _Refused(WRONG)
        yield from self._log_in(*given)

    def _quit(self) -> Steps:
        self.closing = True
        if self._maildrop is not None and self._marked:
            gone = tuple(self._maildrop.uids[at] for at in sorted(self._marked))
            try:
                kept = _expect(Removed, (yield Remove(gone))).kept
            except _Refused as error:
                raise _Refused(error.said + b" Nothing was deleted.") from error
            damaged = b"%d damaged, and not deleted: IMAP shows what is left. " % kept
            self._say(b"+OK %d deleted. %bGoodbye." % (len(gone) - kept, damaged if kept else b""))
        else:
            self._say(b"+OK Goodbye.")

    # Answers of many lines ------------------------------------------------------------------------

    def _tell_each(self, rest: bytes, maildrop: Maildrop, tell: Callable[[int], bytes]) -> Steps:
        """One line for the letter that is asked for, or for all that are there."""
        if rest.strip():
            (word,) = _words(rest, 1)
            at = self._place(word, maildrop)
            self._say(b"+OK %d %b" % (at + 1, tell(at)))
            return
        there = self._there(maildrop)
        self._say(b"+OK %d letters" % len(there))
        yield from self._list(b"%d %b" % (at + 1, tell(at)) for at in there)

    def _list(self, lines: Iterable[bytes]) -> Steps:
        self.in_midst = True
        for batch in _batches(lines):
            self._send(batch)
            yield from self._make_room()
        self._say(b".")
        self.in_midst = False

    def _retrieve(self, uid: int, top: "_Top | None") -> Steps:
        opened = yield OpenLetter(uid)
        if isinstance(opened, Gone):
            raise _Refused(b"-ERR Another program has deleted that letter.")
        letter = _expect(LetterOpened, opened)
        about = b" in place of a letter that is damaged" if letter.is_damaged else b""
        self._say(b"+OK %d octets%b" % (letter.size, about))
        self.in_midst = True
        stuffing = Stuffing()
        while octets := _expect(Piece, (yield ReadOn())).octets:
            self._send(stuffing.feed(octets if top is None else top.feed(octets)))
            if top is not None and top.ended:
                break
            yield from self._make_room()
        self._send(stuffing.end())
        self.in_midst = False

    def _make_room(self) -> Steps:
        """Wait for the client when enough is waiting for it."""
        if self._output_size >= OUTPUT_BYTES_MAX:
            yield MakeRoom()


# Octets -------------------------------------------------------------------------------------------

# After a bare LF a dot is a dot, except where a program that ends lines at LF would see the end of
# the letter there, and take the rest of it for our answers to its next commands.
_DOT = re.compile(rb"\r\n\.|\n\.(?=\r?\n)")
UNDECIDED_BYTES_MAX = 4
_UNDECIDED = re.compile(rb"\r?(?:\n(?:\.\r?)?)?\Z")


class Stuffing:
    """Makes a letter, fed piece by piece, into the lines of an answer (RFC 1939 section 3)."""

    def __init__(self) -> None:
        self._held = b"\r\n"  # a letter begins as a line does
        self._unsaid = 2  # of what is held: that was never part of it

    def feed(self, octets: bytes) -> bytes:
        text = self._held + octets
        undecided = _UNDECIDED.search(text, max(len(text) - UNDECIDED_BYTES_MAX, 0))
        assert undecided is not None
        end = undecided.start()
        self._held = text[end:]
        return self._stuffed(text, end)

    def end(self) -> bytes:
        """The rest, a line end where the letter has none, and the line with the dot."""
        missing = b"" if self._held.endswith(b"\r\n") else b"\r\n"
        text = self._held + missing
        return self._stuffed(text, len(text)) + b".\r\n"

    def _stuffed(self, text: bytes, end: int) -> bytes:
        pieces, at = [], 0
        if b"\n." in text:
            for found in _DOT.finditer(text):
                if found.end() > end:
                    break
                pieces += [text[at : found.end()], b"."]
                at = found.end()
        pieces.append(text[at:end])
        said = b"".join(pieces)
        left_out = min(self._unsaid, end)
        self._unsaid -= left_out
        return said[left_out:]


class _Top:
    """Cuts a letter after its header, the empty line and some lines of its body."""

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._in_header = True
        self._line = b""  # the first octets of the line under way
        self.ended = False

    def feed(self, octets: bytes) -> bytes:
        at = 0
        while not self.ended:
            end = octets.find(b"\n", at)
            line = self._line + octets[at : len(octets) if end < 0 else end]
            if end < 0:
                self._line = line[:2]
                return octets
            at, self._line = end + 1, b""
            if not self._in_header:
                self._lines -= 1
            elif line in (b"", b"\r"):
                self._in_header = False
            self.ended = not self._in_header and self._lines <= 0
        return octets[:at]


def unique_id(maildrop: Maildrop, at: int) -> bytes:
    """The same for the same letter in each session, and never that of another one."""
    return b"%d.%d" % (maildrop.uid_validity, maildrop.uids[at])


def _words(rest: bytes, count: int) -> list[bytes]:
    words = rest.split()
    if len(words) != count:
        raise _Refused(b"-ERR That command takes %d arguments." % count)
    return words


def _number(word: bytes) -> int:
    if not word.isdigit() or len(word) > NUMBER_DIGITS_MAX:
        raise _Refused(b"-ERR That is not a number that could be meant here.")
    return int(word)


def _printable(sentence: str) -> bytes:
    """One line of ASCII, short enough for RFC 2449's 512 octets."""
    return " ".join(sentence.split()).encode("ascii", "replace")[:400]


def _batches(lines: Iterable[bytes]) -> Iterator[bytes]:
    batch: list[bytes] = []
    for line in lines:
        batch.append(line + b"\r\n")
        if len(batch) == LINES_MAX:
            yield b"".join(batch)
            batch = []
    yield b"".join(batch)


def _expect(kind: type[A], answer: Answer) -> A:
    assert isinstance(answer, kind), answer
    return answer
