"""What who dialled says over TLS, as docs/protocol/tls.md says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from second_reader.keys import verify
from second_reader.tlv import must, sized

DATA, FINISH, ABORT, CREDIT, PING, PONG = range(1, 7)
DATA_MAX, WINDOW, STREAMS_MAX = 16_384, 131_072, 32


def proof(octets: bytes, nonce: bytes, certificate: bytes) -> bytes:
    """The device key of whoever dialled."""
    key, signature = sized(octets, 96)[:32], octets[32:]
    signed = sized(nonce, 32) + hashlib.sha256(certificate).digest()
    verify(key, b"postroad tls 1", signed, signature)
    return key


@dataclass
class Said:
    """What was said on each stream, by a dialler whom nobody has answered or given credit yet."""

    streams: dict[int, int] = field(
        default_factory=dict
    )  # open ones, and how much was said on them
    finished: set[int] = field(default_factory=set)
    begun: int = 0
    pings: int = 0

    def hear(self, kind: int, stream: int, body: bytes) -> None:
        must(DATA <= kind <= PONG, "a frame of unknown kind")
        if kind in (PING, PONG):
            must(stream == 0 and len(body) == 8, "a malformed sign of life")
            self.pings += kind == PING
            return
        if kind in (DATA, FINISH) and stream == 2 * self.begun:
            must(len(self.streams) < STREAMS_MAX, "too many streams")
            self.begun += 1
            self.streams[stream] = 0
        if kind in (DATA, FINISH):
            must(bool(body) == (kind == DATA), "data without any, or an end with some")
        elif kind == ABORT:
            must(not body, "an abort with data")
        else:
            must(len(body) == 4 and any(body), "a malformed credit")
        must(stream % 2 == 0 and stream < 2 * self.begun, "a stream that was never begun")
        if stream not in self.streams:
            return  # it is over, and the other side may not have heard so yet
        must(kind != CREDIT, "credit for what was never sent")
        if kind == ABORT:
            del self.streams[stream]
            return
        must(stream not in self.finished, "more on a stream that was finished")
        self.streams[stream] += len(body)
        must(self.streams[stream] <= WINDOW, "more than there is credit for")
        if kind == FINISH:
            self.finished.add(stream)


def read(octets: bytes) -> Said:
    """All frames that are whole."""
    said, at = Said(), 0
    while len(octets) >= at + 7:
        size = int.from_bytes(octets[at + 5 : at + 7], "big")
        must(size <= DATA_MAX, "too large a frame")
        if len(octets) < at + 7 + size:
            break
        stream = int.from_bytes(octets[at + 1 : at + 5], "big")
        said.hear(octets[at], stream, octets[at + 7 : at + 7 + size])
        at += 7 + size
    return said
