"""One conversation with a node: messages and raw bytes on one stream, each with a deadline.

Invariants: every wait has an end; a peer that is silent or dawdles counts as gone (LinkClosed).
See: protocol/wire.py for what is said.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from postroad.base import limits
from postroad.base.errors import LinkClosed, PeerMisbehaved, TemporaryFailure
from postroad.base.ids import PeerId
from postroad.base.seams import Path, Stream
from postroad.protocol import wire
from postroad.timeouts import timeout

T = TypeVar("T")
REFUSAL_SECONDS_MAX = 2.0  # to read on after a refusal, so that it is heard


class Refused(TemporaryFailure):
    """A peer said no; `refusal` says why, the text says it in the peer's own words, in quotation
    marks: owners read it among ours, in notices and at the command line."""

    def __init__(self, refusal: int, reason: str) -> None:
        seen = "".join(one if one.isprintable() else " " for one in reason)
        super().__init__(f'"{seen.replace(chr(34), chr(39))}"')  # they close no mark of ours
        self.refusal = refusal


@dataclass(slots=True)
class Counts:
    """How many messages this node has sent and heard since it started."""

    sent: int = 0
    heard: int = 0


@dataclass(slots=True)
class Exchange:
    """One conversation: messages and raw bytes on one stream."""

    stream: Stream
    peer: PeerId
    path: Callable[[], Path]  # how the link's packets travel now
    counts: Counts = field(default_factory=Counts)
    _unread: bytearray = field(default_factory=bytearray)

    async def send(self, message: wire.Message, letter: bytes = b"") -> None:
        """Send one message; LinkClosed when the peer does not read it in time.

        `letter`: what the message announces, when it is small enough to follow at once."""
        async with deadline(limits.ANSWER_SECONDS_MAX):
            await self.stream.write(wire.frame(message) + letter)
        self.counts.sent += 1

    async def finish(self) -> None:
        """Say that no more comes; LinkClosed when even that does not get through."""
        async with deadline(limits.ANSWER_SECONDS_MAX):
            await self.stream.finish()

    async def send_bulk(self, chunks: AsyncIterator[bytes]) -> None:
        """Send announced raw bytes; each piece has to leave within the limit."""
        try:
            async for chunk in chunks:
                async with deadline(limits.BULK_PAUSE_SECONDS_MAX):
                    await self.stream.write(chunk)
        finally:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()  # now, and not whenever its memory is wanted back

    async def receive(self, seconds: float = limits.ANSWER_SECONDS_MAX) -> wire.Message:
        """The peer's next message; LinkClosed when none came in time."""
        async with deadline(seconds):
            head = await self._exactly(wire.FRAME_HEAD)
            message = wire.unframe(head, await self._exactly(wire.body_size(head)))
        self.counts.heard += 1
        return message

    async def expect(self, kind: type[T], seconds: float = limits.ANSWER_SECONDS_MAX) -> T:
        """The peer's next message, which must be of this kind; Refused when it said no."""
        message = await self.receive(seconds)
        if isinstance(message, kind):
            return message
        if isinstance(message, wire.No):
            raise Refused(message.refusal, message.reason)
        raise PeerMisbehaved(f"answered with {type(message).__name__}, not {kind.__name__}")

    async def receive_bulk(self, size: int) -> AsyncIterator[bytes]:
        """Exactly `size` announced raw bytes, in pieces; a peer that dawdles is given up."""
        ends = asyncio.get_running_loop().time() + limits.BULK_PAUSE_SECONDS_MAX
        ends += size / limits.BULK_BYTES_PER_SECOND_MIN
        while size:
            left = ends - asyncio.get_running_loop().time()
            async with deadline(min(limits.BULK_PAUSE_SECONDS_MAX, max(left, 0.0))):
                piece = bytes(self._unread[:size]) or await self.stream.read(
                    min(size, limits.BULK_CHUNK_BYTES)
                )
            if not piece:
                raise LinkClosed("The peer ended in the middle of a letter.")
            del self._unread[: len(piece)]
            size -= len(piece)
            yield piece

    async def receive_at_once(self, size: int) -> bytes | None:
        """The letter of this size that follows its offer at once; None: it waits for Take.

        It is read also by who does not want it: unread it would keep the stream's place."""
        if size > limits.AT_ONCE_BYTES_MAX:
            return None
        return b"".join([piece async for piece in self.receive_bulk(size)])

    async def refuse(self, refusal: wire.Refusal, reason: str) -> None:
        """Say no, and give the peer a moment to hear it even while it still sends its letter."""
        await self.send(wire.No.because(refusal, reason))
        await self.finish()
        with suppress(TimeoutError):
            async with timeout(REFUSAL_SECONDS_MAX):
                while await self.stream.read(limits.BULK_CHUNK_BYTES):
                    pass

    async def _exactly(self, size: int) -> bytes:
        while len(self._unread) < size:
            piece = await self.stream.read(limits.BULK_CHUNK_BYTES)
            if not piece:
                raise LinkClosed("The peer ended without an answer.")
            self._unread += piece
        wanted = bytes(self._unread[:size])
        del self._unread[:size]
        return wanted


Answer = Callable[[wire.Message, Exchange], Awaitable[None]]
"""Answers what a peer began with this message."""


@asynccontextmanager
async def deadline(seconds: float) -> AsyncIterator[None]:
    """`timeout` whose end is LinkClosed: a peer that is silent is as good as gone."""
    try:
        async with timeout(seconds):
            yield
    except TimeoutError as error:
        raise LinkClosed("The peer did not answer in time.") from error
