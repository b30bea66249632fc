"""Fields, as docs/protocol/tlv.md says: one encoding for each meaning."""

from __future__ import annotations

Fields = list[tuple[int, bytes]]
_UNSEEN = ((0, 0x1F), (0x7F, 0x9F), (0x2028, 0x2029), (0x202A, 0x202E), (0x2066, 0x2069))


class Refused(ValueError):
    """What the pages do not allow; the text says what, for people."""


def must(holds: bool, what: str) -> None:
    if not holds:
        raise Refused(what)


def split(octets: bytes) -> Fields:
    found, at = [], 0
    while at < len(octets):
        size = int.from_bytes(octets[at + 1 : at + 3], "big")
        value = octets[at + 3 : at + 3 + size]
        must(len(octets) >= at + 3 and len(value) == size, "a field is cut short")
        found.append((octets[at], value))
        at += 3 + size
    return found


def tlv(*found: tuple[int, bytes]) -> bytes:
    """The fields, one after the other."""
    return b"".join(bytes([tag]) + len(value).to_bytes(2, "big") + value for tag, value in found)


def fields(octets: bytes, *tags: int) -> list[bytes]:
    """The values of a structure that has exactly these fields, in this order."""
    found = split(octets)
    must([tag for tag, _ in found] == list(tags), f"fields {[tag for tag, _ in found]}")
    return [value for _, value in found]


def count(octets: bytes, tag: int, low: int, high: int) -> int:
    """How often a list's tag stands there; no more and no less than it may."""
    times = sum(one == tag for one, _ in split(octets))
    must(low <= times <= high, f"field {tag} stands {times} times")
    return times


def sized(value: bytes, low: int, high: int | None = None) -> bytes:
    must(low <= len(value) <= (low if high is None else high), f"{len(value)} bytes")
    return value


def number(value: bytes, size: int) -> int:
    found = int.from_bytes(sized(value, size), "big")
    must(found < 2**63, "too large a number")
    return found


def flag(value: bytes) -> bool:
    must(value in (b"\0", b"\1"), "neither yes nor no")
    return value == b"\1"


def text(value: bytes, low: int, high: int) -> str:
    sized(value, low, high)
    try:
        found = value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("not UTF-8") from error
    for one in found:
        must(not any(low <= ord(one) <= high for low, high in _UNSEEN), "what cannot be seen")
    return found
