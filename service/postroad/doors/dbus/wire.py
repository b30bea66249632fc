"""Messages of D-Bus as octets: where one ends and the next begins, and how a reply begins.

Purpose: a program that asks the same thing a thousand times a second costs little: what it says is
cut out of the stream without being read, and the head of each answer is a few octets here.
Invariant: no message is longer than MESSAGE_BYTES_MAX: a longer one is told before it is kept.
See: D-Bus Specification, "Message Format" and "Marshaling".
"""

import struct

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved

MESSAGE_BYTES_MAX = limits.MIB
FIXED_BYTES = 16  # of the head: the rest are fields
METHOD_CALL, METHOD_RETURN, ERROR = 1, 2, 3
NO_REPLY_EXPECTED = 0x1
_LITTLE = ord("l")
_HEAD = struct.Struct("<BBBBIII")  # order, type, flags, version, body, serial, fields
_FIELD = struct.Struct("<B3sI")  # which, of what type, and a number: a serial, or a length
_VERSION = 1
_ERROR_NAME_FIELD, _REPLY_SERIAL_FIELD, _DESTINATION_FIELD, _SIGNATURE_FIELD = 4, 5, 6, 8


class Stream:
    """Takes octets as they come, and gives messages."""

    def __init__(self) -> None:
        self._octets = bytearray()

    def feed(self, octets: bytes) -> None:
        self._octets += octets

    @property
    def has_one(self) -> bool:
        """Whether a whole message is here; PeerMisbehaved when one is too long."""
        return self._end(0) is not None

    def take(self, at_most: int) -> list[bytes]:
        """The next messages, as far as they are here."""
        found: list[bytes] = []
        at = 0
        while len(found) < at_most and (end := self._end(at)) is not None:
            found.append(bytes(self._octets[at:end]))
            at = end
        del self._octets[:at]
        return found

    def _end(self, at: int) -> int | None:
        """Where the message ends that begins here; None: it is not whole yet."""
        if len(self._octets) - at < FIXED_BYTES:
            return None
        order = "<" if self._octets[at] == _LITTLE else ">"
        body, _, fields = struct.unpack_from(f"{order}III", self._octets, at + 4)
        length = FIXED_BYTES + _padded(fields) + body
        if length > MESSAGE_BYTES_MAX:
            raise PeerMisbehaved(
                f"A program sent a message of {length} bytes over the session bus."
            )
        return at + length if at + length <= len(self._octets) else None


def serial_of(message: bytes) -> int:
    order = "<" if message[0] == _LITTLE else ">"
    (serial,) = struct.unpack_from(f"{order}I", message, 8)
    return int(serial)


def without_serial(message: bytes) -> bytes:
    """The same for all messages that say the same."""
    return message[:8] + message[12:]


def is_call(message: bytes) -> bool:
    return message[1] == METHOD_CALL


def reply(
    serial: int, reply_to: int, destination: str, signature: str, body: bytes, error_name: str = ""
) -> bytes:
    """A whole message. `body`: what it says, as octets; `error_name`: of an error."""
    fields = _FIELD.pack(_REPLY_SERIAL_FIELD, b"\1u\0", reply_to)
    if error_name:
        fields = _aligned(fields) + _words(_ERROR_NAME_FIELD, error_name)
    if destination:
        fields = _aligned(fields) + _words(_DESTINATION_FIELD, destination)
    if signature:
        octets = b"%c\1g\0%c%b\0" % (_SIGNATURE_FIELD, len(signature), signature.encode())
        fields = _aligned(fields) + octets
    kind = ERROR if error_name else METHOD_RETURN
    head = _HEAD.pack(_LITTLE, kind, NO_REPLY_EXPECTED, _VERSION, len(body), serial, len(fields))
    return head + _aligned(fields) + body


def _words(field: int, text: str) -> bytes:
    octets = text.encode()
    return _FIELD.pack(field, b"\1s\0", len(octets)) + octets + b"\0"


def _aligned(octets: bytes) -> bytes:
    """What comes next begins at a multiple of eight."""
    return octets + bytes(-len(octets) % 8)


def _padded(length: int) -> int:
    return length + -length % 8
