"""A revocation on paper, as docs/protocol/records.md says (The sheet)."""

from __future__ import annotations

import base64
import hashlib
import re

from second_reader.tlv import Refused, must

LINE = 40
_CONFUSED = str.maketrans("018", "OIB")


def read(text: str, size: int) -> bytes:
    """The octets of a sheet, whose lines stand in any order, and in any company."""
    lines: dict[int, bytes] = {}
    parts = re.split(r"\b([0-9]{3}):", text.upper())
    for number, characters in zip(map(int, parts[1::2]), parts[2::2], strict=True):
        length = min(LINE, size - (number - 1) * LINE)
        if number > 0 and length > 0:
            found = _line(number, "".join(characters.split()).translate(_CONFUSED), length)
            if found is not None:
                lines[number] = found
    wanted = range(1, -(-size // LINE) + 1)
    missing = [number for number in wanted if number not in lines]
    must(not missing, f"lines {missing} are missing, or wrong")
    return b"".join(lines[number] for number in wanted)


def _line(number: int, characters: str, length: int) -> bytes | None:
    count = -(-length * 8 // 5)
    body, checksum = characters[:count], characters[count : count + 4]
    try:
        octets = base64.b32decode(body + "=" * (-len(body) % 8))
    except ValueError:
        return None
    said = hashlib.sha256(b"postroad sheet" + bytes([number]) + octets).digest()
    holds = base64.b32encode(said).decode()[:4] == checksum
    return octets if holds and base64.b32encode(octets).decode().rstrip("=") == body else None


def vector(octets: bytes, given: bytes) -> bytes:
    """The sheet of these octets."""
    try:
        found = read(octets.decode("ascii"), len(given))
    except UnicodeDecodeError as error:
        raise Refused("not ASCII") from error
    must(found == given, "another sheet")
    return found
