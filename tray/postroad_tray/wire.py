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
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from urllib.parse import unquote_to_bytes

KIB, MIB = 1024, 1024 * 1024
HEAD_BYTES = 16  # of what is always there; the rest of a head are fields
FIELDS_BYTES_MAX = 4 * KIB
# 2,000 contacts and as many nodes are 3 MiB. Of four octets a library makes an object of 200.
MESSAGE_BYTES_MAX = 4 * MIB
LINE_BYTES_MAX = KIB  # of the greeting
_LITTLE, _BIG = ord("l"), ord("B")
_REPLY_SERIAL, _SENDER = 5, 7  # of the fields
_STRINGS = {b"s": 4, b"o": 4, b"g": 1}  # how many octets tell the length


class Kind(IntEnum):
    CALL = 1
    RETURN = 2
    ERROR = 3
    SIGNAL = 4


@dataclass(frozen=True, slots=True)
class Head:
    """What the bus itself says of a message: nobody can send under another's unique name."""

    kind: int
    serial: int
    sender: str
    reply_to: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A message. `octets`: None, where it is too long to be kept."""

    head: Head
    octets: bytes | None


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
        mark, kind, _, version = self._octets[at : at + 4]
        if mark not in (_LITTLE, _BIG) or version != 1:
            raise ValueError("The session bus sent what is no message of D-Bus.")
        order = "<" if mark == _LITTLE else ">"
        body, serial, fields = struct.unpack_from(f"{order}III", self._octets, at + 4)
        length = HEAD_BYTES + fields + -fields % 8 + body
        is_kept = length <= self._length_max and fields <= FIELDS_BYTES_MAX
        wanted = length if is_kept else HEAD_BYTES + min(fields, FIELDS_BYTES_MAX)
        if len(self._octets) - at < wanted:
            return None
        sender, reply_to = "", 0
        if fields <= FIELDS_BYTES_MAX:
            told = bytes(self._octets[at + HEAD_BYTES : at + HEAD_BYTES + fields])
            sender, reply_to = _read_fields(order, told)
        whole = bytes(self._octets[at : at + length]) if is_kept else None
        return Piece(Head(kind, serial, sender, reply_to), whole), length


def _read_fields(order: str, fields: bytes) -> tuple[str, int]:
    """The sender, and to which serial it is a reply. Fields that cannot be read are none."""
    sender, reply_to, at = "", 0, 0
    try:
        while at < len(fields):
            at += -at % 8
            code, length = fields[at], fields[at + 1]
            signature = fields[at + 2 : at + 2 + length]
            at += 3 + length
            if signature == b"u":
                at += -at % 4
                (number,) = struct.unpack_from(f"{order}I", fields, at)
                reply_to = number if code == _REPLY_SERIAL else reply_to
                at += 4
            elif (width := _STRINGS.get(signature)) is not None:
                at += -at % width
                size = fields[at]
                if width == 4:
                    (size,) = struct.unpack_from(f"{order}I", fields, at)
                text = fields[at + width : at + width + size]
                sender = text.decode("ascii") if code == _SENDER else sender
                at += width + size + 1
            else:
                break
    except (IndexError, struct.error, UnicodeDecodeError):
        pass
    return sender, reply_to


def addresses(text: str) -> list[str]:
    """Where to connect to, in this order: paths of sockets; those without a file begin with a zero.
    ValueError: none of them is one that we know."""
    found: list[bytes] = []
    for one in text.split(";"):
        transport, _, options = one.partition(":")
        named = dict(option.partition("=")[::2] for option in options.split(",") if option)
        if transport != "unix":
            continue
        if path := unquote_to_bytes(named.get("path", "")):
            if b"\0" in path:
                raise ValueError("The address of the session bus cannot be used.")
            found.append(path)
        elif hidden := unquote_to_bytes(named.get("abstract", "")):
            found.append(b"\0" + hidden)
    if not found:
        raise ValueError("The address of the session bus cannot be used.")
    return [one.decode("utf-8", "surrogateescape") for one in found]
