"""Mailbox names: modified UTF-7 on the wire, text inside, patterns of LIST.

Invariants: names are rows, never paths; `/` separates levels; INBOX is the same in every case.
See: RFC 3501 section 5.1.3 (modified UTF-7), RFC 9051 section 6.3.9.
"""

import binascii
import re
import unicodedata

from postroad.base.errors import PermanentFailure

SEPARATOR = "/"
NAME_CHARACTERS_MAX = 255
NAME_LEVELS_MAX = 16

_SHIFTED = re.compile(r"&([A-Za-z0-9+,]*)-")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+|&")


def decode_name(octets: bytes) -> str:
    """The text of a name; one that is not modified UTF-7 is taken as UTF-8 (RFC 9051)."""
    text = octets.decode("utf-8", "replace")
    try:
        decoded = _SHIFTED.sub(lambda found: _unshift(found.group(1)), text)
    except (binascii.Error, UnicodeDecodeError):
        decoded = text
    decoded = unicodedata.normalize("NFC", decoded)
    level, separator, rest = decoded.partition(SEPARATOR)
    return "INBOX" + separator + rest if level.upper() == "INBOX" else decoded


def _unshift(coded: str) -> str:
    if not coded:
        return "&"
    octets = binascii.a2b_base64(coded.replace(",", "/") + "=" * (-len(coded) % 4))
    return octets.decode("utf-16-be")


def encode_name(name: str) -> bytes:
    return _UNPRINTABLE.sub(_shift, name).encode("ascii")


def _shift(found: re.Match[str]) -> str:
    if found.group() == "&":
        return "&-"
    octets = found.group().encode("utf-16-be")
    coded = binascii.b2a_base64(octets, newline=False).decode("ascii")
    return "&" + coded.rstrip("=").replace("/", ",") + "-"


def checked_name(name: str) -> str:
    """A name for a new mailbox, without a separator at its end; raises PermanentFailure."""
    name = name.removesuffix(SEPARATOR)
    levels = name.split(SEPARATOR)
    if not all(levels) or len(levels) > NAME_LEVELS_MAX or len(name) > NAME_CHARACTERS_MAX:
        raise PermanentFailure(
            f"A mailbox name has 1 to {NAME_CHARACTERS_MAX} characters in at most "
            f"{NAME_LEVELS_MAX} levels, and no level is empty."
        )
    if any(character in "%*" or unicodedata.category(character)[0] == "C" for character in name):
        raise PermanentFailure("A mailbox name has no '%', no '*' and no control characters.")
    return name


def parents(name: str) -> list[str]:
    """The levels above a name, the topmost first."""
    levels = name.split(SEPARATOR)
    return [SEPARATOR.join(levels[:count]) for count in range(1, len(levels))]


def matches(pattern: str, name: str) -> bool:
    """LIST's wildcards: `*` is anything, `%` anything within a level.

    Keeps the set of places in the pattern that the name may have reached, so that no pattern is
    slow; raises PermanentFailure for one that is too long."""
    if len(pattern) > NAME_CHARACTERS_MAX:
        raise PermanentFailure("That pattern is too long.")
    places = _behind_wildcards(pattern, {0})
    for character in name:
        reached = set()
        for place in places:
            wanted = pattern[place : place + 1]
            if wanted == "*" or (wanted == "%" and character != SEPARATOR):
                reached.add(place)
            elif wanted == character and wanted not in "*%":
                reached.add(place + 1)
        places = _behind_wildcards(pattern, reached)
    return len(pattern) in places


def _behind_wildcards(pattern: str, places: set[int]) -> set[int]:
    """A wildcard may stand for nothing."""
    for place in sorted(places):
        while pattern[place : place + 1] in ("*", "%"):
            place += 1
            places.add(place)
    return places
