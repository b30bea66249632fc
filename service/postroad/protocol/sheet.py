"""The printed revocation: a record as lines that a person, a camera or a scanner can bring back.

Purpose: whoever has the sheet can end the identity from any computer, without its keys and without
its 24 words, and can do nothing else with it.
Layout: lines of 40 octets: `001: `, base32 (RFC 4648, upper case, no padding) in groups of 8, and 4
characters of checksum: base32(SHA-256("postroad sheet" | number u8 | octets))[:4]. What stands
between lines, and in which order they come, does not matter; each may come several times.
See: docs/protocol/records.md.
"""

import base64
import hashlib
import re
from collections.abc import Iterator
from itertools import chain, pairwise

from postroad.base.errors import PermanentFailure

OCTETS_A_LINE = 40
LINES_A_CODE = 20  # of a QR code: large enough to be read by a telephone from paper
TIMES_MAX = (
    20  # that each line may stand there: more of them are no sheet, and take seconds to look at
)
_GROUP = 8
_CONFUSED = str.maketrans("018", "OIB")  # not in base32; what was read instead of these letters


def to_lines(octets: bytes) -> list[str]:
    """The lines of a sheet, in their order."""
    starts = range(0, len(octets), OCTETS_A_LINE)
    pieces = [octets[start : start + OCTETS_A_LINE] for start in starts]
    return [_line(number, piece) for number, piece in enumerate(pieces, 1)]


def to_codes(lines: list[str]) -> list[str]:
    """What the QR codes of a sheet say: all its lines, some in each."""
    starts = range(0, len(lines), LINES_A_CODE)
    return [" ".join(lines[start : start + LINES_A_CODE]) for start in starts]


def from_text(text: str, size: int) -> bytes:
    """The `size` octets that a text with these lines holds, whatever stands around them.

    PermanentFailure names the lines that are missing or wrong, all at once."""
    wanted = -(-size // OCTETS_A_LINE)
    found: dict[int, bytes] = {}
    wrong: set[int] = set()
    for count, (number, body) in enumerate(_candidates(text)):
        if count == wanted * TIMES_MAX:
            raise PermanentFailure(
                f"There are more than {count} lines in it, and a sheet has {wanted}. Copy those of "
                "one sheet, or what its QR codes say, into a file."
            )
        length = min(OCTETS_A_LINE, size - (number - 1) * OCTETS_A_LINE)
        octets = _octets(number, body, length) if 1 <= number <= wanted else None
        if octets is None:
            wrong.add(number)
        else:
            found[number] = octets
    if not found:
        raise PermanentFailure(
            "There is no line of a revocation sheet in this text. They look like "
            "001: ABCDEFGH ... WXYZ; copy them, or what the QR codes say, into a file."
        )
    missing = [number for number in range(1, wanted + 1) if number not in found]
    if missing:
        misread = [number for number in missing if number in wrong]
        absent = [number for number in missing if number not in wrong]
        parts = []
        if misread:
            parts.append(f"{_named(misread)} not copied rightly")
        if absent:
            parts.append(f"{_named(absent)} missing")
        raise PermanentFailure(f"Of the {wanted} lines of the sheet, {', and '.join(parts)}.")
    return b"".join(found[number] for number in range(1, wanted + 1))


def _line(number: int, piece: bytes) -> str:
    body = _base32(piece)
    groups = [body[at : at + _GROUP] for at in range(0, len(body), _GROUP)]
    return f"{number:03}: {' '.join(groups)} {_checksum(number, piece)}"


def _candidates(text: str) -> Iterator[tuple[int, str]]:
    """What looks like a line, as its number and its characters with the checksum at their end.

    Lines stand one after the other in a QR code, so one ends where the next number begins."""
    upper = " ".join(text.upper().split())
    marks = re.finditer(r"(?<![A-Z0-9])([0-9]{3}): ?", upper)
    for mark, following in pairwise(chain(marks, (None,))):
        assert mark is not None
        rest = upper[mark.end() : following.start() if following else None]
        body = re.match(r"[A-Z0-9 ]*", rest)
        assert body is not None
        yield int(mark[1]), body[0].replace(" ", "").translate(_CONFUSED)


def _octets(number: int, characters: str, length: int) -> bytes | None:
    """So many octets, when the checksum behind them holds. More may stand behind it: a page has
    other words too."""
    size = len(_base32(bytes(length)))
    body, checksum = characters[:size], characters[size : size + 4]
    try:
        octets = base64.b32decode(body + "=" * (-len(body) % 8))
    except ValueError:
        return None
    return octets if _base32(octets) == body and _checksum(number, octets) == checksum else None


def _base32(octets: bytes) -> str:
    return base64.b32encode(octets).decode().rstrip("=")


def _checksum(number: int, octets: bytes) -> str:
    digest = hashlib.sha256(b"postroad sheet" + bytes([number]) + octets).digest()
    return base64.b32encode(digest).decode()[:4]


def _named(numbers: list[int]) -> str:
    listed = ", ".join(map(str, numbers[:12])) + (" and others" if len(numbers) > 12 else "")
    return f"line {listed} is" if len(numbers) == 1 else f"lines {listed} are"
