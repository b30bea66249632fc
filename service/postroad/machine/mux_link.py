"""A link made of one asyncio connection: `protocol.mux` with tasks, a clock and waiting.

Purpose: `base.seams.Link` and `Stream` over any pair of StreamReader and StreamWriter.
Invariants: the reading task never waits for whoever uses a stream, so that none holds up another;
a peer that says nothing for SILENCE_SECONDS_MAX is gone; whoever waits hears of the end.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any, assert_never

from postroad.base import limits
from postroad.base.errors import LinkClosed, PeerMisbehaved
from postroad.base.ids import HostPort, PeerId, short
from postroad.base.seams import Path
from postroad.protocol import mux
from postroad.timeouts import timeout

log = logging.getLogger(__name__)

UNSENT_BYTES_MAX = 256 * limits.KIB  # of all streams together; then writers wait
ARRIVED_MAX = 2 * limits.INCOMING_STREAMS_MAX
UNREAD_ANSWERS_BYTES_MAX = 1 * limits.MIB  # the same, and the peer reads nothing of it: it is gone
PING_SECONDS = 10.0
SILENCE_SECONDS_MAX = 30.0


class MuxLink:
    """`base.seams.Link`. Takes over a connection whose peer has proven its key.

    `transport`: the TCP beneath, to end it for good; `reader`, `writer`: TLS."""

    def __init__(
        self,
        peer: PeerId,
        at: HostPort,
        transport: asyncio.WriteTransport,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        dialled: bool,
        gone: Callable[["MuxLink"], None],
    ) -> None:
        self.mux = mux.Mux(dialled)
        self._peer = peer
        self._path = Path(True, at, 0.0)
        self._transport = transport
        self._reader = reader
        self._writer = writer
        self._gone = gone
        self._closed = False
        self._streams: dict[int, MuxStream] = {}
        self._opened: set[MuxStream] = set()
        self._opening = asyncio.Semaphore(limits.STREAMS_PER_LINK_MAX)
        self._arrived: asyncio.Queue[MuxStream | None] = asyncio.Queue()  # bounded by the mux
        self._unsent = asyncio.Event()
        self._has_heard = True
        self._tasks = {
            asyncio.create_task(self._until_the_end(work), name=f"link {short(peer)}")
            for work in (self._hear, self._say, self._watch)
        }

    @property
    def peer(self) -> PeerId:
        return self._peer

    @property
    def closed(self) -> bool:
        return self._closed

    def path(self) -> Path:
        return self._path

    async def open(self) -> "MuxStream":
        await self._opening.acquire()
        if self._closed:
            self._opening.release()
            raise LinkClosed(f"the link to {short(self._peer)} has ended")
        stream = MuxStream(self, None)
        self._opened.add(stream)
        return stream

    async def accept(self) -> "MuxStream":
        stream = await self._arrived.get()
        if stream is None or self._closed:
            self._arrived.put_nowait(None)  # for the next who asks
            raise LinkClosed(f"the link to {short(self._peer)} has ended")
        return stream

    async def close(self) -> None:
        self._end()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks.clear()
        # The peer may not want to hear of it: then TLS gives up after this time, too.
        with contextlib.suppress(OSError, TimeoutError):
            async with timeout(limits.LINK_CLOSE_SECONDS_MAX):
                await self._writer.wait_closed()
        self._transport.abort()

    @property
    def has_room(self) -> bool:
        return self.mux.pending < UNSENT_BYTES_MAX

    def send(self) -> None:
        """What the mux has to say is to go out."""
        self._unsent.set()

    def begin(self, stream: "MuxStream") -> int:
        number = self.mux.begin()
        self._streams[number] = stream
        return number

    def end(self, stream: "MuxStream", number: int | None) -> None:
        if number is not None:
            self._streams.pop(number, None)
        if stream in self._opened:
            self._opened.remove(stream)
            self._opening.release()

    async def _until_the_end(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except (OSError, PeerMisbehaved) as error:
            log.debug("link ended: %r", error, extra={"peer": short(self._peer)})
        finally:
            self._end()

    async def _hear(self) -> None:
        while octets := await self._reader.read(limits.LINK_READ_BYTES):
            self._has_heard = True
            for event in self.mux.receive(octets):
                self._take_in(event)
            if self.mux.pending > UNREAD_ANSWERS_BYTES_MAX:
                raise PeerMisbehaved("it asks and does not read the answers")
            self.send()
            await asyncio.sleep(0)  # whoever talks without a pause does not have the loop alone

    def _take_in(self, event: mux.Event) -> None:
        match event:
            case mux.Began(number):
                # The mux bounds what is open; what was begun and aborted waits here as well.
                if self._arrived.qsize() >= ARRIVED_MAX:
                    raise PeerMisbehaved("it begins more exchanges than anybody could take up")
                stream = self._streams[number] = MuxStream(self, number)
                self._arrived.put_nowait(stream)
            case mux.Said(number, octets):
                self._streams[number].hear(octets)
            case mux.Finished(number):
                self._streams[number].hear_end()
            case mux.Aborted(number):
                self._streams[number].lose()
            case mux.Refused(number):
                self._streams[number].hear_refusal()
            case mux.Granted(number):
                self._streams[number].wake()
            case _:
                assert_never(event)

    async def _say(self) -> None:
        while True:
            await self._unsent.wait()
            self._unsent.clear()
            while octets := self.mux.take():
                self._writer.write(octets)
                for stream in list(self._streams.values()):
                    stream.wake()
                await self._writer.drain()

    async def _watch(self) -> None:
        silence_seconds = 0.0
        while silence_seconds < SILENCE_SECONDS_MAX:
            await asyncio.sleep(PING_SECONDS)
            silence_seconds = 0.0 if self._has_heard else silence_seconds + PING_SECONDS
            if not self._has_heard:
                self.mux.ping()
                self.send()
            self._has_heard = False

    def _end(self) -> None:
        if self._closed:
            return
        self._closed = True
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(OSError):
            self._writer.write(self.mux.take())
        self._writer.close()
        # A peer that reads nothing more, nor hangs up, would have its socket with us for ever.
        asyncio.get_running_loop().call_later(limits.LINK_CLOSE_SECONDS_MAX, self._transport.abort)
        for stream in [*self._streams.values(), *self._opened]:
            stream.lose()
        self._arrived.put_nowait(None)
        self._gone(self)


class MuxStream:
    """`base.seams.Stream`."""

    def __init__(self, link: MuxLink, number: int | None) -> None:
        self._link = link
        self._number = number  # ours get one when their first byte is written
        self._unread = bytearray()
        self._is_heard = False  # to the end that the peer made
        self._is_written = False  # to the end that we made
        self._is_refused = False  # the peer wants no more, but what it said can still be read
        self._is_lost = False  # by abort, by the peer's, or with the link
        self._news = asyncio.Event()

    async def read(self, size: int) -> bytes:
        await self._until(lambda: bool(self._unread) or self._is_heard)
        if not self._unread:
            return b""
        octets = bytes(self._unread[:size])
        del self._unread[: len(octets)]
        if self._number is not None:
            self._link.mux.consumed(self._number, len(octets))
            self._link.send()
        self._settle()
        return octets

    async def write(self, octets: bytes) -> None:
        assert not self._is_written, "written after finish"
        self._check_writing()
        at = 0
        while at < len(octets):
            await self._until(lambda: self._is_refused or self._room > 0)
            self._check_writing()
            piece = octets[at : at + min(self._room, mux.DATA_BYTES_MAX)]
            self._link.mux.send(self._begun(), piece)
            self._link.send()
            at += len(piece)
            await self._yield()

    async def finish(self) -> None:
        if not self._is_written:
            self._check()
            self._is_written = True
            if not self._is_refused:  # else the peer has enough, and need not be told
                self._link.mux.finish(self._begun())
                self._link.send()
            self._settle()

    def abort(self) -> None:
        if not self._is_lost and not self._is_over:
            if self._number is not None:
                self._link.mux.abort(self._number)
                self._link.send()
            self.lose()

    def lose(self) -> None:
        """Nothing more can come or go: whoever waits on this stream hears it now."""
        if not self._is_lost and not self._is_over:
            self._is_lost = True
            self._unread.clear()
            self._link.end(self, self._number)
            self.wake()

    def hear(self, octets: bytes) -> None:
        self._unread += octets
        self.wake()

    def hear_end(self) -> None:
        self._is_heard = True
        self.wake()
        self._settle()

    def hear_refusal(self) -> None:
        self._is_refused = True
        self.wake()
        self._settle()

    def wake(self) -> None:
        self._news.set()

    @property
    def _room(self) -> int:
        if not self._link.has_room:
            return 0
        return mux.WINDOW_BYTES if self._number is None else self._link.mux.credit(self._number)

    @property
    def _is_over(self) -> bool:
        """Both have said all, whether or not anybody asked for the end."""
        is_read = self._is_heard and not self._unread
        return is_read and (self._is_written or self._is_refused)

    def _begun(self) -> int:
        if self._number is None:
            self._number = self._link.begin(self)
        return self._number

    def _settle(self) -> None:
        if self._is_over and not self._is_lost:
            self._link.end(self, self._number)

    def _check(self) -> None:
        if self._is_lost:
            raise LinkClosed(f"the exchange with {short(self._link.peer)} was broken off")

    def _check_writing(self) -> None:
        self._check()
        if self._is_refused:
            raise LinkClosed(f"{short(self._link.peer)} does not read any more")

    async def _yield(self) -> None:
        """Let the other streams take their turn."""
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.abort()
            raise

    async def _until(self, ready: Callable[[], bool]) -> None:
        self._check()
        try:
            while not ready():
                self._news.clear()
                await self._news.wait()
                self._check()
        except asyncio.CancelledError:
            self.abort()  # nobody knows how much of it was done
            raise
