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
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from postroad.base.errors import PeerMisbehaved

T = TypeVar("T")
VALUE_BYTES_MAX = 0xFFFF
NUMBER_MAX = 2**63 - 1  # the largest integer of SQLite, and of most languages
# Controls, line separators and turns of direction: they forge lines, or hide what stands there.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one field is written: its tag, its value's encoding, and how often it may stand."""

    tag: int
    write: Callable[[Any], bytes]
    read: Callable[[bytes], Any]
    count_min: int = 1
    count_max: int = 1
    is_list: bool = False


def _declare(kind: _Kind) -> Any:
    return field(metadata={"tlv": kind})


def _kind_of(declared: Any) -> _Kind:
    kind = declared.metadata["tlv"]
    assert isinstance(kind, _Kind)
    return kind


_plans: dict[type[Any], tuple[tuple[str, _Kind], ...]] = {}


def _plan(message: type[Any]) -> tuple[tuple[str, _Kind], ...]:
    """The fields of a message in their order: looked up once, not for every letter."""
    plan = _plans.get(message)
    if plan is None:
        plan = tuple((declared.name, _kind_of(declared)) for declared in fields(message))
        _plans[message] = plan
    return plan


def octets(tag: int, size_min: int, size_max: int) -> Any:
    """Bytes of any length between the two bounds, both included."""

    def check(value: bytes) -> bytes:
        if not size_min <= len(value) <= size_max:
            raise PeerMisbehaved(f"field {tag} has {len(value)} bytes")
        return bytes(value)

    return _declare(_Kind(tag, check, check))


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

    return _declare(_Kind(tag, write, read))


def text(tag: int, size_max: int) -> Any:
    """UTF-8 of at most `size_max` bytes, without what could not be seen on a screen."""

    def check(value: str) -> str:
        if _UNSEEN.search(value):
            raise PeerMisbehaved(f"field {tag} has control characters")
        return value

    def write(value: str) -> bytes:
        encoded = check(value).encode()
        assert len(encoded) <= size_max, (tag, len(encoded))
        return encoded

    def read(value: bytes) -> str:
        if len(value) > size_max:
            raise PeerMisbehaved(f"field {tag} has {len(value)} bytes")
        try:
            return check(value.decode())
        except UnicodeDecodeError as error:
            raise PeerMisbehaved(f"field {tag} is not UTF-8") from error

    return _declare(_Kind(tag, write, read))


def nested(tag: int, message: type[Any]) -> Any:
    """Another message of this encoding."""
    # Not checked for being canonical here: who reads the whole writes the whole again.
    return _declare(_Kind(tag, encode, lambda value: _read(message, value)))


def optional(declared: Any) -> Any:
    """The field may be absent: its value is then None."""
    kind = _kind_of(declared)
    return _declare(_Kind(kind.tag, kind.write, kind.read, 0, 1))


def several(declared: Any, count_max: int, count_min: int = 0) -> Any:
    """The field may stand up to `count_max` times: its value is a tuple."""
    kind = _kind_of(declared)
    return _declare(_Kind(kind.tag, kind.write, kind.read, count_min, count_max, is_list=True))


def hidden(declared: Any) -> Any:
    """The value stays out of the message's repr, so that none reaches a log by accident."""
    return field(metadata={"tlv": _kind_of(declared)}, repr=False)


def encode(message: Any) -> bytes:
    """The message's bytes. Values out of their bounds are our own bug."""
    written = bytearray()
    for name, kind in _plan(type(message)):
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
    for name, kind in _plan(message):
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
        if at + 3 > len(octets):
            raise PeerMisbehaved("a field is cut short")
        size = int.from_bytes(octets[at + 1 : at + 3], "big")
        end = at + 3 + size
        if end > len(octets):
            raise PeerMisbehaved("a field is cut short")
        found.append((octets[at], octets[at + 3 : end]))
        at = end
    return found
