"""One connection to a bus: calls and their answers, signals, and calls to us.

Purpose: what goes to and fro, whatever is meant by it; what it means is `worker.Worker`'s business.
The socket is ours (asyncio's streams), and so is reading (`wire`); a library writes (`Kit`).
Invariants: every call has an end. Nothing is read but what is an answer that we wait for, of whom
it was asked, or what `Listener.wants` by its head; nothing that comes raises out of here but
ConnectionError. The processor is ours for a share of the time only: whoever floods us is read
slower, and whoever goes on with it is hung up on.
See: D-Bus Specification 0.43; docs/adr/0029-tray.md.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from postroad.timeouts import timeout
from postroad_tray import wire
from postroad_tray.errors import DISCONNECTED, INVALID_ARGUMENTS, NO_REPLY
from postroad_tray.pace import Pace
from postroad_tray.wire import Came, Kind

log = logging.getLogger(__name__)
DAEMON, DAEMON_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"
CONNECT_SECONDS_MAX = 5.0
CLOSE_SECONDS_MAX = 1.0
READ_BYTES = 64 * wire.KIB
UNSENT_BYTES_MAX = 256 * wire.KIB
ASIDE_BYTES_MAX = 256 * wire.KIB  # of what is no answer: the service's are a few KiB
CROWD = 200  # messages, after which it may be that more come than we take
PROBE_SECONDS = 1.0
BEHIND_SECONDS_MAX = 5.0  # beyond, we hang up, since the bus keeps all that we do not take


@dataclass(frozen=True, slots=True)
class Sent:
    """A message to be sent; `reply_to` where it is an answer."""

    kind: Kind = Kind.CALL
    destination: str = ""
    path: str = ""
    interface: str = ""
    member: str = ""
    signature: str = ""
    body: Sequence[Any] = ()
    flags: int = 0
    reply_to: int = 0
    error_name: str = ""


class Flooded(ConnectionError):
    """There was no end of what came."""


class Kit(Protocol):
    """A library that knows how messages are written."""

    def write(self, serial: int, sent: Sent) -> bytes:
        """ValueError: it cannot be written so."""


class Listener(Protocol):
    def wants(self, head: Came) -> bool:
        """Whether a signal or a call is worth being read."""

    def heard(self, came: Came) -> None:
        """A signal, or a call to us."""

    def missed(self, head: Came) -> None:
        """One that was wanted and could not be read."""

    def alive(self, sender: str) -> None:
        """Something came from them, whatever it was."""


Then = Callable[[Came], None]


@dataclass(slots=True)
class _Waiting:
    answered: asyncio.Future[Came]
    of_whom: str  # a unique name, or the bus itself; empty: whoever has the name
    at_once: Then | None


class Connection:
    """From `open` until `listen` raises ConnectionError."""

    def __init__(
        self,
        kit: Kit,
        listener: Listener,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._kit = kit
        self._listener = listener
        self._reader, self._writer = streams
        self._serial = 0
        self._waiting: dict[int, _Waiting] = {}
        self._pace = Pace()
        self._came = 0  # messages, since the bus was asked how far behind we are
        self._probe = 0  # the serial of that question, while it is not answered
        self._probed_at = 0.0

    @classmethod
    async def open(cls, kit: Kit, listener: Listener, address: str) -> Connection:
        """ConnectionError says why not."""
        why: Exception = ConnectionError("there is no address")
        try:
            for path in wire.addresses(address):
                try:
                    async with timeout(CONNECT_SECONDS_MAX):
                        return cls(kit, listener, await _greeted(path))
                except (OSError, ValueError, asyncio.IncompleteReadError, TimeoutError) as error:
                    why = error
        except ValueError as error:
            why = error
        raise ConnectionError(str(why) or type(why).__name__) from why

    async def close(self) -> None:
        """Give the socket back; whoever waits for an answer hears that there is none."""
        for waiting in self._waiting.values():
            if not waiting.answered.done():
                waiting.answered.set_result(_error(DISCONNECTED, ""))
        self._writer.close()
        with suppress(OSError, TimeoutError):
            async with timeout(CLOSE_SECONDS_MAX):
                await self._writer.wait_closed()

    # What we send

    def send(self, sent: Sent) -> int:
        """Its serial. ValueError: it cannot be written so; ConnectionError: there is no room."""
        if self._writer.transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            raise ConnectionError("The session bus takes nothing.")
        self._serial += 1
        octets = self._kit.write(self._serial, sent)
        self._writer.write(octets)
        return self._serial

    async def call(self, sent: Sent, seconds: float, at_once: Then | None = None) -> Came:
        """The answer, which may be an error, NO_REPLY for instance. `at_once` has it before the
        next message is looked at: what others say after it counts after it."""
        try:
            serial = self.send(sent)
        except ValueError as error:
            return _error(INVALID_ARGUMENTS, str(error))
        except ConnectionError as error:
            return _error(NO_REPLY, str(error))
        is_one = sent.destination.startswith(":") or sent.destination == DAEMON
        of_whom = sent.destination if is_one else ""
        future: asyncio.Future[Came] = asyncio.get_running_loop().create_future()
        self._waiting[serial] = _Waiting(future, of_whom, at_once)
        try:
            async with timeout(seconds):
                return await future
        except TimeoutError:
            return _error(NO_REPLY, "")
        finally:
            self._waiting.pop(serial, None)

    # What comes

    async def listen(self) -> None:
        """Deal with what comes until the connection ends, and raise ConnectionError then."""
        stream = wire.Stream()
        while True:
            octets = await self._reader.read(READ_BYTES)
            if not octets:
                raise ConnectionError("The session bus has closed the connection.")
            try:
                for piece in stream.feed(octets):
                    self._take(piece)
                    await self._pace.keep()
            except ValueError as error:
                raise ConnectionError(str(error)) from error
            self._look_how_far_behind()
            await asyncio.sleep(0)  # others have their turn, also while there is no end of it

    def _look_how_far_behind(self) -> None:
        """The bus answers after all that it has for us already: where that takes long, what waits
        there grows."""
        now = time.monotonic()
        if self._probe:
            if now - self._probed_at > BEHIND_SECONDS_MAX:
                raise Flooded("The session bus was full of messages to this program.")
        elif self._came > CROWD and now - self._probed_at > PROBE_SECONDS:
            self._came, self._probed_at = 0, now
            question = Sent(
                destination=DAEMON, path=DAEMON_PATH, interface=f"{DAEMON}.Peer", member="Ping"
            )
            with suppress(ConnectionError):
                self._probe = self.send(question)

    def _take(self, piece: wire.Piece) -> None:
        head = piece.head
        self._came += 1
        self._listener.alive(head.sender)
        if self._probe and (head.reply_to, head.sender) == (self._probe, DAEMON):
            self._probe = 0
        elif head.kind in (Kind.RETURN, Kind.ERROR):
            waiting = self._waiting.get(head.reply_to)
            # Of somebody who has gone, the bus says so in their place.
            if waiting is not None and (
                waiting.of_whom in ("", head.sender) or head.sender == DAEMON
            ):
                self._take_answer(waiting, piece)
        elif self._listener.wants(head):
            is_short = piece.octets is not None and len(piece.octets) <= ASIDE_BYTES_MAX
            came = self._read(piece) if is_short else None
            try:
                if came is None:
                    self._listener.missed(head)
                else:
                    self._listener.heard(came)
            except Exception:
                log.exception("what came over the session bus could not be dealt with")

    def _take_answer(self, waiting: _Waiting, piece: wire.Piece) -> None:
        came = self._read(piece) or _error(NO_REPLY, "", piece.head.sender)
        if waiting.answered.done():
            return
        try:
            if waiting.at_once is not None:
                waiting.at_once(came)
        except Exception:
            log.exception("an answer over the session bus could not be dealt with")
        waiting.answered.set_result(came)

    def _read(self, piece: wire.Piece) -> Came | None:
        """None: it was too long, or is none that can be read."""
        try:
            return piece.read()
        except ValueError as error:
            log.info("a message over the session bus cannot be read: %s", error)
            return None


async def _greeted(path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connected, and known to the bus as a program of this user."""
    reader, writer = await asyncio.open_unix_connection(path, limit=READ_BYTES)
    try:
        writer.write(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        line = await reader.readuntil(b"\r\n")
        if not line.startswith(b"OK ") or len(line) > wire.LINE_BYTES_MAX:
            raise ConnectionError("The session bus does not take this user.")
        writer.write(b"BEGIN\r\n")
    except BaseException as error:
        writer.close()
        if isinstance(error, asyncio.LimitOverrunError):
            raise ConnectionError("The session bus does not greet as one.") from error
        raise
    return reader, writer


def _error(name: str, sentence: str, sender: str = "") -> Came:
    return Came(Kind.ERROR, sender=sender, error_name=name, body=[sentence])
