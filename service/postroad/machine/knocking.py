"""Knock at an address from a fresh socket, to learn whether a stranger's word gets through.

Purpose: what a link at hand cannot tell, because our own packets made the hole that it uses.
Invariants: a few datagrams or one connection for each call; nothing of us is told but that we are
there; an answer repeats what only the addressee could read.
See: RFC 9000 section 6 (who is asked in an unknown version answers with those that it knows),
RFC 8999 section 5.1.
"""

import asyncio
import os
from typing import cast

from postroad.base import limits
from postroad.base.errors import Unreachable
from postroad.base.ids import HostPort
from postroad.timeouts import timeout

VERSION_OF_NOBODY = bytes.fromhex("1a2a3a4a")  # RFC 9000 section 15: reserved for this purpose
KNOCK_BYTES = 1200  # a server may ignore less (RFC 9000 section 5.2.2)
TIMES_SECONDS = (0.0, 0.3, 0.6)  # datagrams may be lost
ANSWER_BYTES_MAX = 512
PING = "GET /ping HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"


async def knock_quic(at: HostPort) -> float:
    """Seconds until a QUIC endpoint answered there; Unreachable."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with timeout(limits.KNOCK_SECONDS_MAX):
            transport, knocker = await loop.create_datagram_endpoint(
                _Knocker, remote_addr=(at.host, at.port)
            )
            try:
                for seconds in TIMES_SECONDS:
                    await asyncio.wait({knocker.answered}, timeout=seconds)
                    if not knocker.answered.done():
                        transport.sendto(knocker.word)
                await knocker.answered
            finally:
                transport.close()
    except (OSError, TimeoutError) as error:
        raise Unreachable(f"nobody answers at {at}") from error
    return loop.time() - began


class _Knocker(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        mine, theirs = os.urandom(8), os.urandom(8)
        head = b"\xc0" + VERSION_OF_NOBODY + b"\x08" + theirs + b"\x08" + mine
        self.word = head.ljust(KNOCK_BYTES, b"\0")
        self._expected = bytes(4) + b"\x08" + mine + b"\x08" + theirs
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        is_answer = data[:1] >= b"\x80" and data[1:].startswith(self._expected)
        if is_answer and not self.answered.done():
            self.answered.set_result(None)

    def error_received(self, exc: Exception) -> None:
        if not self.answered.done():
            self.answered.set_exception(cast(OSError, exc))

    def connection_lost(self, exc: Exception | None) -> None:
        self.answered.cancel()


async def knock_tcp(at: HostPort) -> float:
    """Seconds until somebody took a connection there; Unreachable."""
    began = asyncio.get_running_loop().time()
    try:
        async with timeout(limits.KNOCK_SECONDS_MAX):
            _, writer = await asyncio.open_connection(at.host, at.port)
            writer.transport.abort()
    except (OSError, TimeoutError) as error:
        raise Unreachable(f"nobody answers at {at}") from error
    return asyncio.get_running_loop().time() - began


async def ask_relay(at: HostPort) -> float:
    """Seconds until a relay there answered on a new connection; Unreachable."""
    began = asyncio.get_running_loop().time()
    try:
        async with timeout(limits.KNOCK_SECONDS_MAX):
            reader, writer = await asyncio.open_connection(at.host, at.port, limit=ANSWER_BYTES_MAX)
            try:
                writer.write(PING.format(host=at).encode())
                answer = await reader.readline()
            finally:
                writer.transport.abort()
    except (OSError, ValueError, TimeoutError) as error:
        raise Unreachable(f"no relay answers at {at}") from error
    words = answer.split()
    if not (words[:1] == [b"HTTP/1.1"] and words[1:2] == [b"200"]):
        raise Unreachable(f"what answers at {at} is no relay")
    return asyncio.get_running_loop().time() - began
