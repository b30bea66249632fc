"""What a mail program and the submission door say to each other, without touching anything.

Purpose: the arguments of MAIL and RCPT as facts, the octets of DATA as one letter, and replies.
Invariants: exactly CR LF . CR LF ends a letter, however the octets are cut into chunks; memory is
bounded by the greatest letter; what is not understood is refused with a reply, never guessed.
See: RFC 5321 sections 3.3, 4.1.2 and 4.5.2; RFC 1870, 3461, 4954, 6152, 6531.
"""

import re
import textwrap
from dataclasses import dataclass

from postroad.base import limits
from postroad.base.errors import DiskFull, PermanentFailure, TemporaryFailure
from postroad.message import notify, submitted
from postroad.message.envelope import NOTIFY_DEFAULT, Notify

END = b"\r\n.\r\n"
# In transit each dot at the start of a line is doubled: three octets at least become four.
TRANSIT_BYTES_MAX = limits.LETTER_BYTES_MAX * 4 // 3 + 4
DRAIN_BYTES_MAX = 4 * limits.LETTER_BYTES_MAX  # read on this far for the sake of a good answer
REPLY_CHARACTERS_MAX = 400  # in one line, of the 512 octets that RFC 5321 allows

_PATH = re.compile(
    r"<(?:@[^<>: ]+:)?"  # a source route is to be ignored: RFC 5321 appendix C
    r'(?P<local>[^\x00-\x20\x7f<>()\[\]\\,;:@"]+|"(?:[^"\\\x00-\x1f\x7f]|\\[ -~])*")@'
    r'(?P<domain>[^\x00-\x20\x7f<>()\[\]\\,;:@"]+|\[[^\[\]\x00-\x20\x7f<>\\]+\])>'
)
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\x00-\x20=\x7f][^\x00-\x20\x7f]*))?")


@dataclass(frozen=True, slots=True)
class Reply:
    """What is said to a command."""

    code: int
    enhanced: str  # RFC 3463
    text: str  # one sentence


class Refused(Exception):
    """The command is not obeyed; the reply says why."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.reply = Reply(code, enhanced, text)


@dataclass(frozen=True, slots=True)
class Mail:
    """MAIL FROM, understood. An empty address is the null return path."""

    address: str
    utf8: bool = False
    envelope_id: str | None = None
    return_full: bool = False


@dataclass(frozen=True, slots=True)
class Rcpt:
    """RCPT TO, understood."""

    address: str
    notify: Notify = NOTIFY_DEFAULT
    original: str | None = None


def read_mail(argument: str) -> Mail:
    """`FROM:<address> parameters`, or Refused."""
    path, given = _split(argument, "FROM")
    utf8, envelope_id, return_full = False, None, False
    for name, value in given.items():
        match name, value:
            case "SIZE", str() if value.isdecimal() and value.isascii() and len(value) <= 20:
                if int(value) > limits.LETTER_BYTES_MAX:
                    raise too_large()
            case "BODY", str() if value.upper() in ("7BIT", "8BITMIME"):
                pass  # we are 8-bit clean either way
            case "SMTPUTF8", None:
                utf8 = True
            case "RET", str() if (full := notify.read_return_full(value)) is not None:
                return_full = full
            case "ENVID", str() if (decoded := notify.read_envelope_id(value)) is not None:
                envelope_id = decoded
            case "AUTH", str():
                pass  # whom a relay trusts (RFC 4954 section 5); there is only the owner here
            case "SIZE" | "BODY" | "SMTPUTF8" | "RET" | "ENVID" | "AUTH", _:
                raise Refused(501, "5.5.4", f"The value of {name} is not allowed.")
            case _:
                raise Refused(555, "5.5.4", f"The parameter {name} is not known here.")
    return Mail("" if path == "<>" else _address(path, utf8), utf8, envelope_id, return_full)


def read_rcpt(argument: str, *, utf8: bool) -> Rcpt:
    """`TO:<address> parameters`, or Refused."""
    path, given = _split(argument, "TO")
    wanted, original = NOTIFY_DEFAULT, None
    for name, value in given.items():
        match name, value:
            case "NOTIFY", str() if (read := notify.read_notify(value)) is not None:
                wanted = read
            case "ORCPT", str() if notify.decode_original(value) is not None:
                original = value
            case "NOTIFY" | "ORCPT", _:
                raise Refused(501, "5.5.4", f"The value of {name} is not allowed.")
            case _:
                raise Refused(555, "5.5.4", f"The parameter {name} is not known here.")
    return Rcpt(_address(path, utf8), wanted, original)


def too_large() -> Refused:
    greatest = limits.LETTER_BYTES_MAX // limits.MIB
    return Refused(552, "5.3.4", f"The letter is larger than {greatest} MiB.")


class LetterReader:
    """Takes the octets after 354 in chunks, and finds where the letter ends."""

    def __init__(self) -> None:
        self.size = 0  # octets taken so far
        self._taken = bytearray(b"\r\n")  # so that a dot in the first line is found as well
        self._last = b"\r\n"  # up to four octets before the next chunk

    @property
    def oversized(self) -> bool:
        """It cannot become a letter any more; chunks are read and forgotten."""
        return self.size > TRANSIT_BYTES_MAX

    @property
    def hopeless(self) -> bool:
        """It is so large that the connection is better closed."""
        return self.size > DRAIN_BYTES_MAX

    def feed(self, chunk: bytes) -> bytes | None:
        """What follows the letter's end, or None when it is not in this chunk."""
        # An end that began in an earlier chunk ends within the first four octets of this one.
        at = (self._last + chunk[: len(END) - 1]).find(END)
        end = at + len(END) - len(self._last) if at >= 0 else -1
        if end < 0:
            at = chunk.find(END)
            end = at + len(END) if at >= 0 else -1
        taken = chunk[:end] if end >= 0 else chunk
        self.size += len(taken)
        if self.oversized:
            self._taken.clear()
        else:
            self._taken += taken
        self._last = (self._last + taken)[1 - len(END) :]
        return chunk[end:] if end >= 0 else None

    def letter(self) -> bytes:
        """The letter, without the dots of transit; Refused when it is too large."""
        if self.oversized:
            raise too_large()
        # Never more than two copies of a large letter: the ends are cut off where it lies.
        taken, self._taken = self._taken, bytearray()
        del taken[-len(b".\r\n") :]
        if b"\r\n." in taken:
            taken = taken.replace(b"\r\n.", b"\r\n")
        del taken[: len(b"\r\n")]
        if len(taken) > limits.LETTER_BYTES_MAX:
            raise too_large()
        return bytes(taken)


FAILED_HERE = Reply(451, "4.3.0", "Postroad failed here; nothing was sent. Try again later.")


def answer(error: Exception) -> Reply | None:
    """What the client is told about an exception; None for one that nobody foresaw."""
    match error:
        case Refused():
            return error.reply
        case submitted.NotALetter():
            return Reply(554, "5.6.0", str(error))
        case submitted.HeaderTooLarge():
            return Reply(552, "5.3.4", str(error))
        case submitted.Forged():
            return Reply(554, "5.7.1", str(error))
        case DiskFull():
            return Reply(452, "4.3.1", str(error))
        case TemporaryFailure():
            return Reply(451, "4.3.0", str(error))
        case PermanentFailure():
            return Reply(550, "5.0.0", str(error))
        case _:
            return None


def written(reply: Reply, *, utf8: bool) -> str:
    """The lines of a reply; beyond ASCII only for a client that asked for it (RFC 6531)."""
    text = "".join(one if one.isprintable() else " " for one in " ".join(reply.text.split()))
    if not utf8:
        text = text.encode("ascii", "replace").decode()
    lines = textwrap.wrap(text, REPLY_CHARACTERS_MAX) or [""]
    before = "".join(f"{reply.code}-{reply.enhanced} {line}\r\n" for line in lines[:-1])
    return f"{before}{reply.code} {reply.enhanced} {lines[-1]}"


def _split(argument: str, keyword: str) -> tuple[str, dict[str, str | None]]:
    """The path and the parameters of MAIL or RCPT; names in upper case, each at most once."""
    example = f"{keyword}:<name@example.org>"
    said, colon, rest = argument.partition(":")
    path, end, parameters = rest.strip().partition(">")
    if said.strip().upper() != keyword or not colon or not path.startswith("<") or not end:
        raise Refused(501, "5.5.4", f"Write the address in angle brackets: {example}")
    if '"' in path:  # a quoted local part may hold spaces and brackets
        found = _PATH.match(rest.strip())
        if found is None:
            raise Refused(501, "5.1.3", "That is not an address.")
        path, parameters = found.group()[:-1], rest.strip()[found.end() :]
    if parameters and not parameters.startswith(" "):
        raise Refused(501, "5.5.4", f"Write a space after the address: {example}")
    given: dict[str, str | None] = {}
    for word in parameters.split():
        named = _PARAMETER.fullmatch(word)
        if named is None or named.group(1).upper() in given:
            raise Refused(501, "5.5.4", "A parameter is malformed or stands twice.")
        given[named.group(1).upper()] = named.group(2)
    return f"{path}>", given


def _address(path: str, utf8: bool) -> str:
    found = _PATH.fullmatch(path)
    if found is None or len(found["local"].encode("utf-8", "replace")) > 64:
        raise Refused(501, "5.1.3", "That is not an address.")
    address = f"{found['local']}@{found['domain']}"
    if not address.isascii():
        if any("\udc80" <= character <= "\udcff" for character in address):
            raise Refused(501, "5.1.3", "The address is not UTF-8.")
        if not utf8:
            raise Refused(553, "5.6.7", "An address beyond ASCII needs SMTPUTF8 after MAIL FROM.")
    return address
