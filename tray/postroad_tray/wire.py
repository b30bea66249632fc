"""D-Bus as octets: where the bus is, where one message ends, who sent it and what for.

Purpose: what is decided about a message before any of it is read: most of what a program of the
session can send us is of no interest, and is passed over for what it costs to count it. Pure.
Invariants: of a message that is longer than was agreed nothing is kept but its head, if that is
short; no head and no address, whatever it is made of, brings another error than ValueError.
See: D-Bus Specification 0.43, "Message Format", "Marshaling", "Server Addresses"; what the
libraries do instead stands in docs/adr/0029-tray.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any
from urllib.parse import unquote_to_bytes

from postroad_tray import values
from postroad_tray.tongue import _

KIB, MIB = 1024, 1024 * 1024
HEAD_BYTES = 16  # of what is always there; the rest of a head are fields
FIELDS_BYTES_MAX = 4 * KIB
# 2,000 contacts and as many nodes are 3 MiB.
MESSAGE_BYTES_MAX = 4 * MIB
LINE_BYTES_MAX = KIB  # of the greeting
_LITTLE, _BIG = ord("l"), ord("B")
_FIELDS = {
    1: "path", 2: "interface", 3: "member", 4: "error_name", 5: "reply_to", 7: "sender",
    8: "signature",
}  # fmt: skip


class Kind(IntEnum):
    CALL = 1
    RETURN = 2
    ERROR = 3
    SIGNAL = 4


@dataclass(frozen=True, slots=True)
class Came:
    """A message: what its head says, and, once that was read, its body. `sender` is the bus's word:
    nobody can send under the unique name of another."""

    kind: int
    serial: int = 0
    sender: str = ""
    reply_to: int = 0
    path: str = ""
    interface: str = ""
    member: str = ""
    error_name: str = ""
    signature: str = ""
    body: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """A message, its body unread. `octets`: None, where it is too long to be kept."""

    head: Came
    octets: bytes | None

    def read(self) -> Came:
        """With its body. ValueError: it cannot be read, or was not kept."""
        if self.octets is None:
            raise ValueError("it is too long")
        order = _order(self.octets[0])
        (fields,) = struct.unpack_from(f"{order}I", self.octets, 12)
        begin = HEAD_BYTES + fields + -fields % 8
        return replace(
            self.head, body=values.read(self.octets[begin:], self.head.signature, order=order)
        )


class Stream:
    """Takes octets as they come, and gives messages."""

    def __init__(self, length_max: int = MESSAGE_BYTES_MAX) -> None:
        self._length_max = length_max
        self._octets = bytearray()
        self._to_skip = 0

    @property
    def held(self) -> int:
        """How many octets are kept here."""
        return len(self._octets)

    def feed(self, octets: bytes) -> Iterator[Piece]:
        """The messages that are whole with these. ValueError: this is no stream of messages."""
        if self._to_skip:
            skipped = min(self._to_skip, len(octets))
            self._to_skip -= skipped
            octets = octets[skipped:]
        self._octets += octets
        at = 0
        try:
            while (found := self._next(at)) is not None:
                piece, length = found
                at += length
                yield piece
        finally:
            self._to_skip += max(at - len(self._octets), 0)
            del self._octets[:at]

    def _next(self, at: int) -> tuple[Piece, int] | None:
        """The message that begins here, and its length; None: more octets are needed."""
        if len(self._octets) - at < HEAD_BYTES:
            return None
        mark, kind, _flags, version = self._octets[at : at + 4]
        if mark not in (_LITTLE, _BIG) or version != 1:
            raise ValueError("The session bus sent what is no message of D-Bus.")
        order = _order(mark)
        body, serial, fields = struct.unpack_from(f"{order}III", self._octets, at + 4)
        length = HEAD_BYTES + fields + -fields % 8 + body
        is_kept = length <= self._length_max and fields <= FIELDS_BYTES_MAX
        wanted = length if is_kept else HEAD_BYTES + min(fields, FIELDS_BYTES_MAX)
        if len(self._octets) - at < wanted:
            return None
        told = bytes(self._octets[at : at + wanted]) if fields <= FIELDS_BYTES_MAX else b""
        head = _head(order, kind, serial, told)
        return Piece(head, told if is_kept else None), length


def _order(mark: int) -> str:
    return "<" if mark == _LITTLE else ">"


def _head(order: str, kind: int, serial: int, octets: bytes) -> Came:
    """What the fields say; of those that cannot be read, nothing."""
    try:
        (fields,) = values.read(octets, "a(yv)", order=order, at=HEAD_BYTES - 4)
    except ValueError:
        fields = []
    known = {_FIELDS[code]: value for code, value in fields if code in _FIELDS}
    fit: dict[str, Any] = {
        name: value
        for name, value in known.items()
        if isinstance(value, int if name == "reply_to" else str)
    }
    return Came(kind, serial, **fit)


def addresses(text: str) -> list[str]:
    """Where to connect to, in this order: paths of sockets; those without a file begin with a zero.
    ValueError: none of them is one that we know."""
    found: list[bytes] = []
    for one in text.split(";"):
        transport, _colon, options = one.partition(":")
        named = dict(option.partition("=")[::2] for option in options.split(",") if option)
        if transport != "unix":
            continue
        if path := unquote_to_bytes(named.get("path", "")):
            if b"\0" in path:
                raise ValueError(_("The address of the session bus cannot be used."))
            found.append(path)
        elif hidden := unquote_to_bytes(named.get("abstract", "")):
            found.append(b"\0" + hidden)
    if not found:
        raise ValueError(_("The address of the session bus cannot be used."))
    return [one.decode("utf-8", "surrogateescape") for one in found]
