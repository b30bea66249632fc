"""The one binary encoding of everything that nodes sign or say: fields in fixed order.

A message is its fields in the order of the class, each `tag u8 | length u16 | value`, big-endian.
Numbers have a fixed width. An absent optional field is left out; a list repeats its tag. Reading
then writing must give the same bytes, else the input is refused: one meaning has one encoding.

    @dataclass(frozen=True, slots=True)
    class Lease:
        drop: bytes = fixed(1, 16)
        until: int = number(2, 8)
        note: str | None = optional(text(3, 100))
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from postroad.base.errors import PeerMisbehaved

T = TypeVar("T")
FIELD_HEAD = 3
VALUE_BYTES_MAX = 0xFFFF
NUMBER_MAX = 2**63 - 1  # the largest integer of SQLite, and of most languages
# Controls, line separators and turns of direction: they forge lines, or hide what stands there.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Kind:
    """How one field is written: its tag, its value's encoding, and how often it may stand.

    `form`, `size_min` and `size_max` say the same as `write` and `read`, for docs/protocol/ to be
    held to it; `message`: what stands in a nested field."""

    tag: int
    write: Callable[[Any], bytes]
    read: Callable[[bytes], Any]
    form: str
    size_min: int
    size_max: int
    message: type[Any] | None = None
    count_min: int = 1
    count_max: int = 1
    is_list: bool = False


def _declare(kind: Kind) -> Any:
    return field(metadata={"tlv": kind})


def _kind_of(declared: Any) -> Kind:
    kind = declared.metadata["tlv"]
    assert isinstance(kind, Kind)
    return kind


_plans: dict[type[Any], tuple[tuple[str, Kind], ...]] = {}


def plan(message: type[Any]) -> tuple[tuple[str, Kind], ...]:
    """The fields of a message in their order: looked up once, not for every letter."""
    found = _plans.get(message)
    if found is None:
        found = tuple((declared.name, _kind_of(declared)) for declared in fields(message))
        _plans[message] = found
    return found


def octets(tag: int, size_min: int, size_max: int) -> Any:
    """Bytes of any length between the two bounds, both included."""

    def check(value: bytes) -> bytes:
        if not size_min <= len(value) <= size_max:
            raise PeerMisbehaved(f"field {tag} has {len(value)} bytes")
        return bytes(value)

    return _declare(Kind(tag, check, check, "bytes", size_min, size_max))


def fixed(tag: int, size: int) -> Any:
    """Exactly `size` bytes."""
    return octets(tag, size, size)


def number(tag: int, size: int) -> Any:
    """An unsigned number in exactly `size` bytes; one of 8 bytes stays below 2^63."""

    def write(value: int) -> bytes:
        assert value <= NUMBER_MAX, (tag, value)
        return value.to_bytes(size, "big")

    def read(value: bytes) -> int:
        if len(value) != size:
            raise PeerMisbehaved(f"field {tag} has {len(value)} bytes")
        found = int.from_bytes(value, "big")
        if found > NUMBER_MAX:
            raise PeerMisbehaved(f"field {tag} is too large a number")
        return found

    return _declare(Kind(tag, write, read, "number", size, size))


def flag(tag: int) -> Any:
    """One byte, 0 or 1: no other byte says yes."""

    def read(value: bytes) -> bool:
        if value not in (b"\0", b"\1"):
            raise PeerMisbehaved(f"field {tag} is neither yes nor no")
        return value == b"\1"

    return _declare(Kind(tag, lambda value: bytes([bool(value)]), read, "flag", 1, 1))


def text(tag: int, size_max: int, size_min: int = 0) -> Any:
    """UTF-8 of so many bytes, without what could not be seen on a screen."""

    def check(value: str) -> str:
        if _UNSEEN.search(value):
            raise PeerMisbehaved(f"field {tag} has control characters")
        return value

    def write(value: str) -> bytes:
        encoded = check(value).encode()
        assert size_min <= len(encoded) <= size_max, (tag, len(encoded))
        return encoded

    def read(value: bytes) -> str:
        if not size_min <= len(value) <= size_max:
            raise PeerMisbehaved(f"field {tag} has {len(value)} bytes")
        try:
            return check(value.decode())
        except UnicodeDecodeError as error:
            raise PeerMisbehaved(f"field {tag} is not UTF-8") from error

    return _declare(Kind(tag, write, read, "text", size_min, size_max))


def nested(tag: int, message: type[Any]) -> Any:
    """Another message of this encoding."""
    # Not checked for being canonical here: who reads the whole writes the whole again.
    size_min, size_max = sizes(message)
    return _declare(
        Kind(tag, encode, lambda value: _read(message, value), "", size_min, size_max, message)
    )


def optional(declared: Any) -> Any:
    """The field may be absent: its value is then None."""
    kind = _kind_of(declared)
    return _declare(replace(kind, count_min=0))


def several(declared: Any, count_max: int, count_min: int = 0) -> Any:
    """The field may stand up to `count_max` times: its value is a tuple."""
    kind = _kind_of(declared)
    return _declare(replace(kind, count_min=count_min, count_max=count_max, is_list=True))


def sizes(message: type[Any]) -> tuple[int, int]:
    """How many bytes a message of this kind has at least and at most."""
    kinds = [kind for _, kind in plan(message)]
    return (
        sum(kind.count_min * (FIELD_HEAD + kind.size_min) for kind in kinds),
        sum(kind.count_max * (FIELD_HEAD + kind.size_max) for kind in kinds),
    )


def hidden(declared: Any) -> Any:
    """The value stays out of the message's repr, so that none reaches a log by accident."""
    return field(metadata={"tlv": _kind_of(declared)}, repr=False)


def encode(message: Any) -> bytes:
    """The message's bytes. Values out of their bounds are our own bug."""
    written = bytearray()
    for name, kind in plan(type(message)):
        value = getattr(message, name)
        values = value if kind.is_list else () if value is None else (value,)
        assert kind.count_min <= len(values) <= kind.count_max, (name, len(values))
        for one in values:
            encoded = kind.write(one)
            assert len(encoded) <= VALUE_BYTES_MAX, (name, len(encoded))
            written += bytes([kind.tag]) + len(encoded).to_bytes(2, "big") + encoded
    return bytes(written)


def decode(message: type[T], octets: bytes) -> T:
    """The message that these bytes say, or PeerMisbehaved when they are not its one encoding."""
    read = _read(message, octets)
    if encode(read) != octets:
        raise PeerMisbehaved(f"{message.__name__}: not the canonical encoding")
    return read


def _read(message: type[T], octets: bytes) -> T:
    found = _split(octets)
    values: dict[str, Any] = {}
    at = 0
    for name, kind in plan(message):
        mine: list[Any] = []
        while at < len(found) and found[at][0] == kind.tag:
            mine.append(kind.read(found[at][1]))
            at += 1
            if len(mine) > kind.count_max:
                raise PeerMisbehaved(f"{message.__name__}: field {kind.tag} stands too often")
        if len(mine) < kind.count_min:
            raise PeerMisbehaved(f"{message.__name__}: field {kind.tag} is missing")
        values[name] = tuple(mine) if kind.is_list else mine[0] if mine else None
    if at != len(found):
        raise PeerMisbehaved(f"{message.__name__}: field {found[at][0]} does not belong there")
    return message(**values)


def _split(octets: bytes) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(octets):
        if at + FIELD_HEAD > len(octets):
            raise PeerMisbehaved("a field is cut short")
        size = int.from_bytes(octets[at + 1 : at + FIELD_HEAD], "big")
        end = at + FIELD_HEAD + size
        if end > len(octets):
            raise PeerMisbehaved("a field is cut short")
        found.append((octets[at], octets[at + FIELD_HEAD : end]))
        at = end
    return found
