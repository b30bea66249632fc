"""iroh's relay protocol: the relay's end of one connection, from HTTP to packets.

Purpose: what the bytes of a client mean, and the bytes of each answer. The caller has the sockets,
the clock, the dice and the policy.
Invariants: of one connection no more is kept than a head, or a message and its pieces; before a key
is proven, a message may only be as long as the proof; an answer is never longer than what asked
for it, but for the challenge; what a receiver could stumble over is not passed on.

The client asks `GET /relay` to become a WebSocket of the subprotocol `iroh-relay-v2` (since iroh
0.98; we speak no older one). Each binary message is one frame: `kind u8 | body`.

    from us    CHALLENGE 16 random bytes
    from them  PROOF key (32), 64, signature (64) of BLAKE3's derive_key over the challenge
    from us    CONFIRMED, or DENIED length u8, why
    from them  TO key (32), ECN u8, datagram; or TO_MANY key, ECN, segment u16, datagrams
    from us    FROM or FROM_MANY: the same with the sender's key
    from us    GONE key: somebody who sent you packets has left; STATUS u8
    both ways  PING, PONG 8 bytes

TO_MANY holds datagrams of `segment` bytes, of which only the last may be shorter. iroh before 1.1.0
spins for ever on a segment that is longer than its buffer, and stops reading after a datagram that
is: we pass on neither, nor more segments than an honest sender makes.
`GET /ping` is answered too: clients measure by it which relay is near.
See: github.com/n0-computer/iroh, iroh-relay/src/protos/; RFC 6455.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from enum import IntEnum

from blake3 import blake3
from cryptography.exceptions import InvalidSignature

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import PeerId
from postroad.sealing.keys import SIGNATURE_BYTES, load_ed25519

VERSION = "iroh-relay-v2"
CHALLENGE_BYTES = 16
KEY_BYTES = 32
PING_BYTES = 8
HEAD_BYTES_MAX = 8 * limits.KIB
MESSAGE_BYTES_MAX = 64 * limits.KIB + 1  # a packet of iroh's, and its kind
PROOF_BYTES = 1 + KEY_BYTES + 1 + SIGNATURE_BYTES
CONTROL_BYTES_MAX = 125  # RFC 6455 section 5.5
# What an iroh endpoint has room for where its system does not coalesce; its path search stops
# at 1,452 bytes.
DATAGRAM_BYTES_MAX = 1472
SEGMENTS_MAX = 128  # what Linux takes in one send; most systems take fewer

_CONTEXT = "iroh-relay handshake v1 challenge signature"
_WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_METHOD = b"GET "
_SWITCHING = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Protocol: {VERSION}\r\nSec-WebSocket-Accept: "
)
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\0\r\n]*?)[ \t]*")
# A byte XOR a byte of the mask, for each of the 256: translating is the fastest way that the
# standard library has, twice as fast as long integers.
_UNMASKED = tuple(bytes(octet ^ mask for octet in range(256)) for mask in range(256))


class Kind(IntEnum):
    CHALLENGE = 0
    PROOF = 1
    CONFIRMED = 2
    DENIED = 3
    TO = 4
    TO_MANY = 5
    FROM = 6
    FROM_MANY = 7
    GONE = 8
    PING = 9
    PONG = 10
    STATUS = 13


class Status(IntEnum):
    HEALTHY = 0  # after one of the others
    SAME_KEY = 1  # another connection has proven the same key: packets go there
    SLOWED = 2  # more was sent than we pass on


class _Opcode(IntEnum):
    CONTINUED = 0
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class _State(IntEnum):
    HEAD = 0
    PROOF = 1
    VERDICT = 2  # the caller's
    READY = 3


@dataclass(frozen=True, slots=True)
class Proven:
    """The client has this key. Answer with `confirm` or `deny`."""

    peer: PeerId


@dataclass(slots=True)  # not frozen: made for each frame, and a frozen one costs three times more
class Packets:
    """`count` datagrams for `to`; `frame` is what `passed_on` needs."""

    to: PeerId
    count: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class Unfit:
    """Packets that we do not pass on, because their receiver could stumble."""


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing more will be said: send what `take` has, and close."""


Event = Proven | Packets | Unfit | Over


class Session:
    """One connection. `challenge`: CHALLENGE_BYTES that nobody can guess."""

    def __init__(self, challenge: bytes) -> None:
        assert len(challenge) == CHALLENGE_BYTES
        self._challenge = challenge
        self._state = _State.HEAD
        self._received = bytearray()
        self._pieces = bytearray()  # of a message that comes in several frames
        self._is_in_pieces = False
        self._output = bytearray()
        self._pong = b""
        self._is_over = False

    @property
    def is_ready(self) -> bool:
        """Whether packets may come and go."""
        return self._state is _State.READY and not self._is_over

    def receive(self, octets: bytes | bytearray | memoryview) -> list[Event]:
        """What these bytes mean. Raises PeerMisbehaved: close the connection then."""
        events: list[Event] = []
        if not self._is_over:
            looked_at = len(self._received)
            self._received += octets
            if self._state is _State.HEAD:
                self._hear_head(looked_at, events)
            if self._state is not _State.HEAD:
                self._hear_frames(events)
        return events

    def confirm(self) -> None:
        """Let the client in."""
        assert self._state is _State.VERDICT
        self._state = _State.READY
        self._output += message(bytes([Kind.CONFIRMED]))

    def deny(self, reason: str) -> None:
        """Send the client away, with a short sentence; close the connection then."""
        assert self._state is _State.VERDICT
        self._is_over = True
        why = reason.encode()[:100]  # one byte of length holds up to 127
        self._output += message(bytes([Kind.DENIED, len(why)]) + why)

    def take(self) -> bytes:
        """The bytes to send now."""
        # The last question alone is answered: whoever asks and never reads costs us nothing.
        octets = bytes(self._output) + self._pong
        self._output.clear()
        self._pong = b""
        return octets

    # HTTP

    def _hear_head(self, looked_at: int, events: list[Event]) -> None:
        received = self._received
        if not received.startswith(_METHOD[: len(received)]):
            raise PeerMisbehaved("not a request of HTTP")
        end = received.find(b"\r\n\r\n", max(looked_at - 3, 0), HEAD_BYTES_MAX)
        if end < 0:
            if len(received) >= HEAD_BYTES_MAX:
                raise PeerMisbehaved("a head of HTTP that does not end")
            return
        path, headers = _parse(received[:end].decode("latin-1"))
        del received[: end + 4]
        if path == "/relay" and _asks_for_us(headers):
            self._upgrade(headers["sec-websocket-key"])
            return
        if path == "/relay":
            self._answer("400 Bad Request", f"This relay speaks {VERSION} over WebSocket 13.\n")
        elif path == "/ping":
            self._answer("200 OK", "")
        else:
            self._answer("404 Not Found", "Here is a relay for iroh endpoints, and nothing else.\n")
        events.append(Over())

    def _upgrade(self, key: str) -> None:
        digest = hashlib.sha1(key.encode("latin-1") + _WEBSOCKET, usedforsecurity=False).digest()
        self._output += _SWITCHING.encode() + base64.b64encode(digest) + b"\r\n\r\n"
        self._output += message(bytes([Kind.CHALLENGE]) + self._challenge)
        self._state = _State.PROOF

    def _answer(self, status: str, text: str) -> None:
        self._is_over = True
        self._output += (
            f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\n"
            f"Access-Control-Allow-Origin: *\r\nConnection: close\r\n\r\n{text}"
        ).encode()

    # WebSocket

    def _hear_frames(self, events: list[Event]) -> None:
        received = self._received
        at, have = 0, len(received)
        while have - at >= 2 and not self._is_over:
            first, length = received[at], received[at + 1] - 128
            if length < 0 or first & 0x70:
                raise PeerMisbehaved("a WebSocket frame without a mask, or with an extension")
            start = at + 6
            if length >= 126:
                more = 2 if length == 126 else 8
                start += more
                if have < start:
                    break
                length = int.from_bytes(received[at + 2 : at + 2 + more], "big")
                if length < (126 if more == 2 else 0x10000):
                    raise PeerMisbehaved("a WebSocket frame whose length is written too long")
            self._check_length(first, length)
            end = start + length
            if have < end:
                break
            payload = received[start:end]
            _unmask(payload, received[start - 4 : start])
            at = end
            self._hear_frame(first, payload, events)
        del received[:at]

    def _check_length(self, first: int, length: int) -> None:
        """Before the frame is waited for."""
        if first & 8:
            longest = CONTROL_BYTES_MAX if first & 128 else -1
        else:
            longest = MESSAGE_BYTES_MAX if self._state is _State.READY else PROOF_BYTES
            longest -= len(self._pieces)
        if length > longest:
            raise PeerMisbehaved(f"a WebSocket frame of {length} bytes")

    def _hear_frame(self, first: int, payload: bytearray, events: list[Event]) -> None:
        opcode = first & 15
        if opcode <= _Opcode.BINARY:
            if opcode == 1 or self._is_in_pieces != (opcode == _Opcode.CONTINUED):
                raise PeerMisbehaved("a WebSocket frame out of place")
            if self._is_in_pieces:
                self._pieces += payload
                payload = self._pieces
            if first & 128:
                self._hear_message(payload, events)
                self._pieces.clear()
                self._is_in_pieces = False
            elif not self._is_in_pieces:
                self._pieces += payload
                self._is_in_pieces = True
            return
        match opcode:
            case _Opcode.CLOSE:
                self._is_over = True
                self._output += _frame(_Opcode.CLOSE, payload[:2])
                events.append(Over())
            case _Opcode.PING:
                self._pong = _frame(_Opcode.PONG, payload)
            case _Opcode.PONG:
                pass
            case _:
                raise PeerMisbehaved(f"a WebSocket frame of unknown kind {opcode}")

    # The frames of the relay

    def _hear_message(self, octets: bytearray, events: list[Event]) -> None:
        kind = octets[0] if octets else -1
        match self._state, kind:
            case _State.READY, Kind.TO | Kind.TO_MANY:
                events.append(_packets(kind, bytes(octets)))
            case _State.READY, Kind.PING | Kind.PONG if len(octets) == 1 + PING_BYTES:
                if kind == Kind.PING:
                    self._pong = message(bytes([Kind.PONG]) + octets[1:])
            case _State.PROOF, Kind.PROOF:
                events.append(Proven(_prove(bytes(octets), self._challenge)))
                self._state = _State.VERDICT
            case _:
                raise PeerMisbehaved(f"a frame of kind {kind} that has no place here")


def passed_on(packets: Packets, source: PeerId) -> bytes:
    """The bytes that bring these packets to whom they are for."""
    kind = packets.frame[0] - Kind.TO + Kind.FROM
    body = packets.frame[1 + KEY_BYTES :]
    size = 1 + KEY_BYTES + len(body)
    return b"".join((_header(_Opcode.BINARY, size), bytes([kind]), source, body))


def gone(peer: PeerId) -> bytes:
    """Tells a client that somebody who sent to it has left."""
    return message(bytes([Kind.GONE]) + peer)


def status(how: Status) -> bytes:
    """Tells a client how its connection is."""
    return message(bytes([Kind.STATUS, how]))


def ping() -> bytes:
    """Asks a client for a sign of life; any will do."""
    return message(bytes([Kind.PING]) + bytes(PING_BYTES))


def signed(challenge: bytes) -> bytes:
    """What a client signs to prove its key."""
    return blake3(challenge, derive_key_context=_CONTEXT).digest()


def message(octets: bytes) -> bytes:
    """One frame of ours as a WebSocket message."""
    return _frame(_Opcode.BINARY, octets)


def _frame(opcode: _Opcode, payload: bytes | bytearray) -> bytes:
    return _header(opcode, len(payload)) + payload


def _header(opcode: _Opcode, size: int) -> bytes:
    first = 128 | opcode
    if size < 126:
        return bytes((first, size))
    if size < 0x10000:
        return bytes((first, 126, size >> 8, size & 255))
    return bytes((first, 127)) + size.to_bytes(8, "big")


def _unmask(payload: bytearray, mask: bytearray) -> None:
    for lane in range(4):
        if mask[lane]:
            payload[lane::4] = payload[lane::4].translate(_UNMASKED[mask[lane]])


def _parse(head: str) -> tuple[str, dict[str, str]]:
    """The path and the headers of a request, names in lower case; PeerMisbehaved."""
    first, *lines = head.split("\r\n")
    words = first.split(" ")
    fields = [_HEADER.fullmatch(line) for line in lines]
    if len(words) != 3 or words[2] != "HTTP/1.1" or None in fields:
        raise PeerMisbehaved("a malformed head of HTTP")
    headers = {field[1].lower(): field[2] for field in fields if field is not None}
    return words[1].partition("?")[0], headers


def _asks_for_us(headers: dict[str, str]) -> bool:
    offered = [each.strip() for each in headers.get("sec-websocket-protocol", "").split(",")]
    return (
        headers.get("upgrade", "").lower() == "websocket"
        and headers.get("sec-websocket-version") == "13"
        and bool(headers.get("sec-websocket-key"))
        and VERSION in offered
    )


def _prove(octets: bytes, challenge: bytes) -> PeerId:
    key, signature = octets[1 : 1 + KEY_BYTES], octets[2 + KEY_BYTES :]
    if len(octets) != PROOF_BYTES or octets[1 + KEY_BYTES] != SIGNATURE_BYTES:
        raise PeerMisbehaved("a malformed proof of a key")
    try:
        load_ed25519(key).verify(signature, signed(challenge))
    except InvalidSignature as error:
        raise PeerMisbehaved("a key that was not proven") from error
    return PeerId(key)


def _packets(kind: int, frame: bytes) -> Packets | Unfit:
    start = 1 + KEY_BYTES + (1 if kind == Kind.TO else 3)  # kind, key, ECN, segment
    if len(frame) < start:
        raise PeerMisbehaved("a frame of packets without a head")
    size = len(frame) - start
    segment = size if kind == Kind.TO else int.from_bytes(frame[start - 2 : start], "big")
    if not 0 < segment <= DATAGRAM_BYTES_MAX or not 0 < size <= segment * SEGMENTS_MAX:
        return Unfit()
    return Packets(PeerId(frame[1 : 1 + KEY_BYTES]), -(-size // segment), frame)
