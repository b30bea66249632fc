"""The client's end of the relay protocol: what iroh would send, and what it never would."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

from postroad.protocol import relay as protocol
from postroad.protocol.relay import Kind
from postroad.sealing.keys import SigningKey

REQUEST = (
    b"GET /relay HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: iroh-relay-v2, iroh-relay-v1\r\n\r\n"
)


def frame(
    payload: bytes,
    *,
    first: int = 0x82,
    mask: bytes = b"\x12\x34\x56\x78",
    length: int | None = None,
) -> bytes:
    """A WebSocket frame of a client. `length`: what it claims, when that is not the truth."""
    size = len(payload) if length is None else length
    if size < 126:
        head = bytes([first, 128 | size])
    elif size < 0x10000:
        head = bytes([first, 128 | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([first, 128 | 127]) + size.to_bytes(8, "big")
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return head + mask + bytes(a ^ b for a, b in zip(payload, key, strict=True))


def proof(key: SigningKey, challenge: bytes) -> bytes:
    signature = key._key().sign(protocol.signed(challenge))
    return frame(bytes([Kind.PROOF]) + key.public + b"\x40" + signature)


def packet(to: bytes, octets: bytes) -> bytes:
    return frame(bytes([Kind.TO]) + to + b"\0" + octets)


def batch(to: bytes, segment: int, octets: bytes) -> bytes:
    return frame(bytes([Kind.TO_MANY]) + to + b"\0" + segment.to_bytes(2, "big") + octets)


class Client:
    """A connection to a relay; `messages` reads what the relay says."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.key = SigningKey(bytes(32))

    async def message(self) -> bytes:
        """The next message, kind and all; IncompleteReadError or ConnectionError at the end."""
        first, size = await self.reader.readexactly(2)
        if size == 126:
            size = int.from_bytes(await self.reader.readexactly(2), "big")
        elif size == 127:
            size = int.from_bytes(await self.reader.readexactly(8), "big")
        octets = await self.reader.readexactly(size)
        return octets if first == 0x82 else bytes([first]) + octets

    async def hello(self, key: SigningKey) -> bytes:
        """Prove a key; the verdict."""
        self.key = key
        self.writer.write(REQUEST)
        await self.reader.readuntil(b"\r\n\r\n")
        challenge = await self.message()
        assert challenge[0] == Kind.CHALLENGE
        self.writer.write(proof(key, challenge[1:]))
        return await self.message()

    async def is_closed(self) -> bool:
        """Wait until the relay has closed the connection, whatever it says before."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass
        return True


@contextlib.asynccontextmanager
async def connected(port: int, host: str = "127.0.0.1") -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 20)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def admitted(port: int, key: SigningKey) -> AsyncIterator[Client]:
    """A client that was let in."""
    async with connected(port) as client:
        assert await client.hello(key) == bytes([Kind.CONFIRMED])
        yield client


def keys(count: int, seed: int = 1) -> list[SigningKey]:
    dice = random.Random(seed)
    return [SigningKey(dice.randbytes(32)) for _ in range(count)]
