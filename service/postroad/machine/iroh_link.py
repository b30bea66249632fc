"""One link over iroh, and its streams.

Purpose: `base.seams.Link` and `Stream` on an iroh connection. Its errors become LinkClosed.
Invariants: whatever waits here ends when its link or its caller does; a stream is broken off when
nobody knows any more how much was said; what a peer can make us keep is bounded.
See: iroh_network.py, whose endpoint makes and takes them.
"""

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import iroh
from iroh import IrohError

from postroad.base import limits
from postroad.base.errors import LinkClosed
from postroad.base.ids import HostPort, PeerId, short
from postroad.base.seams import Path
from postroad.machine.iroh_binding import free

log = logging.getLogger(__name__)
T = TypeVar("T")

PIECE_BYTES_MAX = 256 * limits.KIB  # one crossing into Rust: the loop stands still while it copies
ROUND_TRIP_MS_MIN = 0.5  # iroh counts whole ones, and has measured each link that is up
GIVEN_UP = 1  # the error code of a reset or stopped stream; the number means nothing to us


class IrohLink:
    """`base.seams.Link`."""

    def __init__(self, connection: iroh.Connection, gone: Callable[["IrohLink"], None]) -> None:
        self._connection = connection
        self._peer = PeerId(connection.remote_id().to_bytes())
        self._gone = gone
        self._closed = False
        self._path = Path(False, None, 0.0)
        self._streams: set[IrohStream] = set()
        self._accepted_alive = 0
        self._opening = asyncio.Semaphore(limits.STREAMS_PER_LINK_MAX)
        self._arrived: asyncio.Queue[IrohStream | None] = asyncio.Queue()  # by _accepted_alive
        self._tasks: set[asyncio.Task[Any]] = set()
        self._door = self.start(self._keep_door())

    @property
    def peer(self) -> PeerId:
        return self._peer

    @property
    def closed(self) -> bool:
        return self._closed or self._connection.close_reason() is not None

    def path(self) -> Path:
        ways = [] if self.closed else self._connection.paths()
        if ways:
            # iroh selects one for all links to a peer; while this link has not got that one, its
            # packets go the best of those that it has.
            way = min(ways, key=lambda one: (not one.is_selected, not one.is_ip, one.rtt_ms))
            at = host_port(way.remote_addr) if way.is_ip else None
            self._path = Path(way.is_ip, at, max(way.rtt_ms, ROUND_TRIP_MS_MIN) / 1000)
        return self._path

    async def open(self) -> "IrohStream":
        await self._opening.acquire()
        try:
            if self._closed:
                raise LinkClosed(f"the link to {short(self._peer)} is closed")
            stream = IrohStream(self, await self._connection.open_bi(), self._end_opened)
        except IrohError as error:
            self._opening.release()
            raise LinkClosed(f"the link to {short(self._peer)} has ended") from error
        except BaseException:
            self._opening.release()
            raise
        self._streams.add(stream)
        if self.closed:
            stream.lose()
        return stream

    async def accept(self) -> "IrohStream":
        stream = await self._arrived.get()
        if stream is None or self.closed:
            self._arrived.put_nowait(None)  # for the next who asks
            raise LinkClosed(f"the link to {short(self._peer)} has ended")
        return stream

    async def close(self) -> None:
        self._end()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Let something run that ends with this link at the latest; `close` waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _keep_door(self) -> None:
        try:
            while True:
                stream = IrohStream(self, await self._connection.accept_bi(), self._end_accepted)
                self._streams.add(stream)
                self._accepted_alive += 1
                if self._accepted_alive > limits.INCOMING_STREAMS_MAX:
                    stream.abort()  # iroh lets a peer begin 100, and 1.25 MB wait on each
                else:
                    self._arrived.put_nowait(stream)
        except IrohError as error:
            log.debug("link ended: %r", error, extra={"peer": short(self._peer)})
        finally:
            self._end()

    def _end(self) -> None:
        if not self._closed:
            self._closed = True
            if self._connection.close_reason() is None:
                self._connection.close(0, b"")
            free(self._connection)
            self._door.cancel()
            for stream in list(self._streams):
                stream.lose()  # and with it, those who wait for a place to open one
            self._arrived.put_nowait(None)
            self._gone(self)

    def _end_opened(self, stream: "IrohStream") -> None:
        if stream in self._streams:
            self._streams.remove(stream)
            self._opening.release()

    def _end_accepted(self, stream: "IrohStream") -> None:
        if stream in self._streams:
            self._streams.remove(stream)
            self._accepted_alive -= 1


class IrohStream:
    """`base.seams.Stream`."""

    def __init__(
        self, link: IrohLink, stream: iroh.BiStream, ended: Callable[["IrohStream"], None]
    ) -> None:
        self._link = link
        self._receiving = stream.recv()
        self._sending = stream.send()
        free(stream)
        self._ended = ended
        self._ahead = b""  # received, and not yet read
        self._looking: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_heard = False  # to the end that the peer made
        self._is_written = False  # to the end that we made
        self._is_refused = False  # the peer wants no more, but what it said can still be read
        self._is_lost = False  # by abort, by the peer's, or with the link

    async def read(self, size: int) -> bytes:
        while not self._ahead and not self._is_heard:
            self._check()
            await self._join(self._look_ahead())
        octets, self._ahead = self._ahead[:size], self._ahead[size:]
        self._watch_for_the_end()
        return octets

    async def write(self, octets: bytes) -> None:
        assert not self._is_written, "written after finish"
        for start in range(0, len(octets), PIECE_BYTES_MAX):
            self._check()
            piece = octets[start : start + PIECE_BYTES_MAX]
            if self._is_refused or not await self._say(partial(self._sending.write_all, piece)):
                raise LinkClosed(f"{short(self._link.peer)} does not read any more")

    async def finish(self) -> None:
        if not self._is_written:
            self._check()
            if not self._is_refused:  # else the peer has enough, and need not be told
                await self._say(self._sending.finish)
            self._is_written = True
            self._settle()
            self._watch_for_the_end()

    def abort(self) -> None:
        if not self._is_lost and not self._is_over:
            self._link.start(self._give_up())
            self._break_off()

    def lose(self) -> None:
        """Nothing more can come or go, for the link has ended."""
        if not self._is_lost and not self._is_over:
            self._break_off()
            free(self._receiving, self._sending)

    def _break_off(self) -> None:
        self._is_lost = True
        self._ahead = b""
        for task in self._tasks:
            task.cancel()
        self._ended(self)

    @property
    def _is_over(self) -> bool:
        """Both have said all, whether or not anybody asked for the end."""
        return self._is_heard and (self._is_written or self._is_refused)

    def _settle(self) -> None:
        if self._is_over and not self._is_lost:
            self._ended(self)
            free(self._receiving, self._sending)

    def _check(self) -> None:
        if self._is_lost:
            raise LinkClosed(f"the exchange with {short(self._link.peer)} was broken off")

    def _watch_for_the_end(self) -> None:
        """Who has said all may not ask for the end, but the stream's place must become free."""
        if self._is_written and not (self._ahead or self._is_heard or self._is_lost):
            self._look_ahead()

    def _look_ahead(self) -> asyncio.Task[None]:
        if self._looking is None:
            self._looking = self._start(self._receive())
        return self._looking

    async def _receive(self) -> None:
        try:
            self._ahead = await self._receiving.read(limits.LINK_READ_BYTES)
        except IrohError as error:
            # After a reset iroh would answer the next read with b"", as if all had been said.
            log.debug("a stream was broken off: %r", error, extra={"peer": short(self._link.peer)})
            self.abort()
        else:
            self._is_heard = not self._ahead
            self._settle()
        finally:
            self._looking = None

    async def _say(self, say: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Whether the peer still reads."""

        async def attempt() -> bool:
            with contextlib.suppress(IrohError):
                await say()
                return True
            return False

        task = self._start(attempt())
        await self._join(task)
        self._check()
        if task.result():
            return True
        if self._link.closed:
            raise LinkClosed(f"the link to {short(self._link.peer)} has ended")
        if not self._is_refused:
            self._is_refused = True
            self._settle()
        return False

    async def _give_up(self) -> None:
        # What was finished stays readable for the peer: only the unfinished halves are cut off.
        try:
            if not self._is_written:
                with contextlib.suppress(IrohError):
                    await self._sending.reset(GIVEN_UP)
            if not self._is_heard:
                with contextlib.suppress(IrohError):
                    await self._receiving.stop(GIVEN_UP)
        finally:
            free(self._receiving, self._sending)

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """One operation of iroh's, in a task that `abort` and the end of the link cancel."""
        task = self._link.start(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _join(self, task: asyncio.Task[Any]) -> None:
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            self.abort()  # nobody knows how much of it was done
            raise


def parse_address(text: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]:
    host, _, port = text.rpartition(":")
    return ipaddress.ip_address(host.strip("[]")), int(port)


def host_port(text: str) -> HostPort:
    host, port = parse_address(text)
    if isinstance(host, ipaddress.IPv6Address) and host.ipv4_mapped is not None:
        host = host.ipv4_mapped
    return HostPort(str(host), port)
