"""Values of D-Bus out of octets, as Python has them.

Purpose: what others sent us is read here and not by a library: those that are compiled have been
seen to end a program over octets that are no message, and not every bus looks at what it passes on;
those that are not make an object of 200 bytes out of each value. Pure.
Invariants: whatever the octets and the signature are, reading them brings values or ValueError, in
a time and a memory that go with VALUES_MAX and the length. A variant is its value. Keys of a
dictionary are texts.
See: D-Bus Specification 0.43, "Type System", "Marshaling".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

DEPTH_MAX = 40  # of values in values; the specification has 64, and the service's are 5 deep
VALUES_MAX = 300_000  # in one message; of 2,000 contacts with a node each it has 100,000
SIGNATURE_LENGTH_MAX = 255
_FIXED = {  # how octets are read, and how many they are
    "y": ("B", 1), "b": ("I", 4), "n": ("h", 2), "q": ("H", 2), "i": ("i", 4), "u": ("I", 4),
    "x": ("q", 8), "t": ("Q", 8), "d": ("d", 8), "h": ("I", 4),
}  # fmt: skip
_TEXTS = "sog"
_EIGHT = "xtd({"  # begin at a multiple of eight


@dataclass(frozen=True, slots=True)
class Type:
    """`code` as in a signature; what is inside of it."""

    code: str
    inner: tuple[Type, ...] = ()


@lru_cache(maxsize=256)
def types(signature: str) -> tuple[Type, ...]:
    """ValueError: it is none."""
    if len(signature) > SIGNATURE_LENGTH_MAX:
        raise ValueError("a signature is too long")
    found: list[Type] = []
    at = 0
    while at < len(signature):
        one, at = _type(signature, at, 0)
        found.append(one)
    return tuple(found)


def _type(signature: str, at: int, depth: int) -> tuple[Type, int]:
    """The type that begins here, and where the next one does."""
    code = signature[at : at + 1]
    if depth > DEPTH_MAX:
        raise ValueError("types in types, too many of them")
    if code in _FIXED or (code and code in "sogv"):
        return Type(code), at + 1
    if code == "a" and signature[at + 1 : at + 2] == "{":
        key, at = _type(signature, at + 2, depth + 1)
        value, at = _type(signature, at, depth + 1)
        if signature[at : at + 1] != "}" or key.code not in _TEXTS:
            raise ValueError("a dictionary of another kind")
        return Type("a", (Type("{", (key, value)),)), at + 1
    if code == "a":
        inner, at = _type(signature, at + 1, depth + 1)
        return Type("a", (inner,)), at
    if code == "(":
        fields: list[Type] = []
        at += 1
        while signature[at : at + 1] != ")":
            one, at = _type(signature, at, depth + 1)
            fields.append(one)
        if fields:
            return Type("(", tuple(fields)), at + 1
    raise ValueError("no signature")


def read(octets: bytes, signature: str, *, order: str = "<", at: int = 0) -> list[Any]:
    """The values from there on; what comes after them is not looked at."""
    wanted = types(signature)
    reader = _Reader(octets, order, at)
    try:
        return [reader.value(one, 0) for one in wanted]
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"it breaks off, or is none ({error})") from error


class _Reader:
    def __init__(self, octets: bytes, order: str, at: int) -> None:
        self._octets = octets
        self._at = at
        self._left = VALUES_MAX
        self._length = struct.Struct(f"{order}I")
        self._fixed = {
            code: (struct.Struct(f"{order}{how}"), size) for code, (how, size) in _FIXED.items()
        }

    def value(self, kind: Type, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > DEPTH_MAX:
            raise ValueError("too many values, or too deep")
        code = kind.code
        if code in ("s", "o"):
            return self._text()
        if code == "v":
            return self._variant(depth)
        if code in self._fixed:
            packed, size = self._fixed[code]
            at = self._at + (-self._at & size - 1)
            (found,) = packed.unpack_from(self._octets, at)
            self._at = at + size
            return bool(found) if code == "b" else found
        if code == "a":
            return self._array(kind.inner[0], depth)
        if code == "(":
            self._align(8)
            return [self.value(one, depth + 1) for one in kind.inner]
        return self._short_text()

    def _align(self, size: int) -> None:
        self._at += -self._at & size - 1

    def _text(self) -> str:
        at = self._at + (-self._at & 3)
        (length,) = self._length.unpack_from(self._octets, at)
        end = at + 4 + length
        if end >= len(self._octets):
            raise ValueError("a text breaks off")
        self._at = end + 1
        return self._octets[at + 4 : end].decode()

    def _short_text(self) -> str:
        begin = self._at + 1
        end = begin + self._octets[self._at]
        if end >= len(self._octets):
            raise ValueError("a signature breaks off")
        self._at = end + 1
        return self._octets[begin:end].decode("ascii")

    def _variant(self, depth: int) -> Any:
        found = types(self._short_text())
        if len(found) != 1:
            raise ValueError("a variant is of one type")
        return self.value(found[0], depth + 1)

    def _array(self, inner: Type, depth: int) -> Any:
        self._align(4)
        (length,) = self._length.unpack_from(self._octets, self._at)
        self._at += 4
        if inner.code in _EIGHT:
            self._align(8)
        end = self._at + length
        if end > len(self._octets):
            raise ValueError("an array breaks off")
        if inner.code == "y":
            found = self._octets[self._at : end]
            self._at = end
            return found
        if inner.code == "{":
            return self._dictionary(inner, end, depth)
        values: list[Any] = []
        while self._at < end:
            values.append(self.value(inner, depth + 1))
        self._must_be_at(end)
        return values

    def _dictionary(self, inner: Type, end: int, depth: int) -> dict[str, Any]:
        key, value = inner.inner
        found: dict[str, Any] = {}
        while self._at < end:
            self._align(8)
            name = self.value(key, depth + 1)
            found[name] = self.value(value, depth + 1)
        self._must_be_at(end)
        return found

    def _must_be_at(self, end: int) -> None:
        if self._at != end:
            raise ValueError("an array ends within a value")
