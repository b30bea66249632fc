"""Many streams on one ordered connection: frames, and credit so that none can crowd out another.

Purpose: what the frames of TLS links mean; the caller has the connection, the clock and the tasks.
Invariants: a peer can make us keep at most WINDOW_BYTES unread for each of INCOMING_STREAMS_MAX
streams; whatever breaks the rules is PeerMisbehaved, and the link must then be closed.

A frame is `kind u8 | stream u32 | size u16 | body`, big-endian. Who dialled numbers its streams
0, 2, 4 and so on, the other 1, 3, 5. A stream begins with its first DATA or FINISH. Each side may
send as much DATA on a stream as it has credit: WINDOW_BYTES at first, more with each CREDIT. ABORT
ends both directions, except that what was finished before it stays said.
See: RFC 9113 section 5 for an elder relation.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved

HEADER_BYTES = 7
DATA_BYTES_MAX = 16 * limits.KIB  # one TLS record, and the unit in which streams take turns
WINDOW_BYTES = 128 * limits.KIB
GRANT_BYTES = WINDOW_BYTES // 4  # credit is given back in such steps, not for each octet
PING_BYTES = 8
STREAM_MAX = 2**32 - 1


class Kind(IntEnum):
    DATA = 1
    FINISH = 2
    ABORT = 3
    CREDIT = 4
    PING = 5
    PONG = 6


@dataclass(frozen=True, slots=True)
class Began:
    """The peer began a stream; what it says on it follows."""

    stream: int


@dataclass(frozen=True, slots=True)
class Said:
    stream: int
    octets: bytes


@dataclass(frozen=True, slots=True)
class Finished:
    """The peer has said all."""

    stream: int


@dataclass(frozen=True, slots=True)
class Aborted:
    """The stream is over; what was not read yet does not count."""

    stream: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The peer reads no more; all that it said was finished before, and counts."""

    stream: int


@dataclass(frozen=True, slots=True)
class Granted:
    """More may be sent on this stream."""

    stream: int


Event = Began | Said | Finished | Aborted | Refused | Granted


@dataclass(slots=True)
class _Stream:
    credit: int = WINDOW_BYTES  # what we may still send
    window: int = WINDOW_BYTES  # what the peer may still send
    read: int = 0  # read by us, and not yet given back as credit
    is_said: bool = False
    is_heard: bool = False


class Mux:
    """One end of one connection."""

    def __init__(self, dialled: bool) -> None:
        self._parity = 0 if dialled else 1
        self._next = self._parity
        self._next_of_peer = 1 - self._parity
        self._streams: dict[int, _Stream] = {}
        self._incoming = 0
        self._received = bytearray()
        self._output = bytearray()
        self._read: dict[int, None] = {}  # streams that are owed credit, in order
        self._ping = False
        self._pong: bytes | None = None

    def receive(self, octets: bytes) -> list[Event]:
        """What these bytes from the peer mean. Raises PeerMisbehaved."""
        self._received += octets
        return [event for frame in self._frames() for event in self._hear(*frame)]

    def begin(self) -> int:
        """The number of a new stream of ours: say something on it before you begin another.

        The caller counts how many are open."""
        number, self._next = self._next, self._next + 2
        if number > STREAM_MAX:
            raise PeerMisbehaved("all the numbers of this link are used up")
        self._streams[number] = _Stream()
        return number

    def credit(self, number: int) -> int:
        """How much may be sent on this stream now; 0 when it is over."""
        stream = self._streams.get(number)
        return stream.credit if stream else 0

    def send(self, number: int, octets: bytes) -> None:
        """Say this, which is no more than a frame holds and `credit` allows."""
        stream = self._streams[number]
        assert 0 < len(octets) <= min(stream.credit, DATA_BYTES_MAX)
        assert not stream.is_said
        stream.credit -= len(octets)
        self._write(Kind.DATA, number, octets)

    def finish(self, number: int) -> None:
        stream = self._streams[number]
        assert not stream.is_said
        stream.is_said = True
        self._write(Kind.FINISH, number)
        self._drop_when_over(number, stream)

    def abort(self, number: int) -> None:
        """Break a stream off; nothing happens when it is over."""
        if number in self._streams:
            self._write(Kind.ABORT, number)
            self._drop(number)

    def consumed(self, number: int, size: int) -> None:
        """So much of what the peer said was read: it may say more."""
        stream = self._streams.get(number)
        if stream and not stream.is_heard:
            stream.read += size
            if stream.read >= GRANT_BYTES:
                self._read[number] = None

    def ping(self) -> None:
        """Ask for a sign of life."""
        self._ping = True

    @property
    def pending(self) -> int:
        """How many bytes of output wait to be taken, apart from a few of our answers."""
        return len(self._output)

    def take(self) -> bytes:
        """The bytes to send now, b"" when there are none."""
        # Answers are written only here, so that a peer who asks and never reads costs us nothing.
        for number in self._read:
            stream = self._streams.get(number)
            if stream:
                self._write(Kind.CREDIT, number, stream.read.to_bytes(4, "big"))
                stream.window += stream.read
                stream.read = 0
        self._read.clear()
        if self._pong is not None:
            self._write(Kind.PONG, 0, self._pong)
            self._pong = None
        if self._ping:
            self._write(Kind.PING, 0, bytes(PING_BYTES))
            self._ping = False
        octets = bytes(self._output)
        self._output.clear()
        return octets

    def _write(self, kind: Kind, number: int, body: bytes = b"") -> None:
        self._output += kind.to_bytes(1, "big") + number.to_bytes(4, "big")
        self._output += len(body).to_bytes(2, "big") + body

    def _frames(self) -> Iterator[tuple[int, int, bytes]]:
        at = 0
        try:
            while len(self._received) - at >= HEADER_BYTES:
                size = int.from_bytes(self._received[at + 5 : at + 7], "big")
                if size > DATA_BYTES_MAX:
                    raise PeerMisbehaved(f"a frame of {size} bytes")
                end = at + HEADER_BYTES + size
                if len(self._received) < end:
                    break
                number = int.from_bytes(self._received[at + 1 : at + 5], "big")
                yield self._received[at], number, bytes(self._received[at + HEADER_BYTES : end])
                at = end
        finally:
            del self._received[:at]

    def _hear(self, kind: int, number: int, body: bytes) -> Iterator[Event]:
        match kind:
            case Kind.DATA | Kind.FINISH:
                if number == self._next_of_peer:
                    self._admit(number)
                    yield Began(number)
                yield from self._hear_speech(number, body, kind == Kind.FINISH)
            case Kind.ABORT:
                yield from self._hear_abort(number, body)
            case Kind.CREDIT:
                yield from self._hear_credit(number, body)
            case Kind.PING | Kind.PONG:
                if number != 0 or len(body) != PING_BYTES:
                    raise PeerMisbehaved("a malformed sign of life")
                if kind == Kind.PING:
                    self._pong = body  # one answer is enough for any number of questions
            case _:
                raise PeerMisbehaved(f"a frame of unknown kind {kind}")

    def _admit(self, number: int) -> None:
        if self._incoming >= limits.INCOMING_STREAMS_MAX:
            raise PeerMisbehaved("too many streams at once")
        self._next_of_peer += 2
        self._incoming += 1
        self._streams[number] = _Stream()

    def _hear_speech(self, number: int, body: bytes, is_end: bool) -> Iterator[Event]:
        if bool(body) == is_end:
            raise PeerMisbehaved("data without any, or an end with some")
        stream = self._find(number)
        if stream is None:
            return
        if stream.is_heard:
            raise PeerMisbehaved("more on a stream that was finished")
        if len(body) > stream.window:
            raise PeerMisbehaved("more data than credit")
        if is_end:
            stream.is_heard = True
            yield Finished(number)
            self._drop_when_over(number, stream)
        else:
            stream.window -= len(body)
            yield Said(number, body)

    def _hear_abort(self, number: int, body: bytes) -> Iterator[Event]:
        if body:
            raise PeerMisbehaved("an abort with data")
        stream = self._find(number)
        if stream is not None:
            self._drop(number)
            yield Refused(number) if stream.is_heard else Aborted(number)

    def _hear_credit(self, number: int, body: bytes) -> Iterator[Event]:
        granted = int.from_bytes(body, "big")
        if len(body) != 4 or not granted:
            raise PeerMisbehaved("a malformed credit")
        stream = self._find(number)
        if stream is not None:
            stream.credit += granted
            if stream.credit > WINDOW_BYTES:
                raise PeerMisbehaved("credit for what was never sent")
            yield Granted(number)

    def _find(self, number: int) -> _Stream | None:
        """The stream, or None for one that is over: the peer may not have heard of it yet."""
        end = self._next if number % 2 == self._parity else self._next_of_peer
        if number >= end:
            raise PeerMisbehaved(f"stream {number} was never begun")
        return self._streams.get(number)

    def _drop_when_over(self, number: int, stream: _Stream) -> None:
        if stream.is_said and stream.is_heard:
            self._drop(number)

    def _drop(self, number: int) -> None:
        del self._streams[number]
        self._incoming -= number % 2 != self._parity
