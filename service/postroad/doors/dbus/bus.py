"""A connection to the session bus: the only module that imports a D-Bus library.

Purpose: take calls, answer, send signals; what they mean is others' business. `dbus-next` by
default; `dbus-fast`, which has the same API, where it is asked for.
Invariants: all of it runs in a thread of its own (`door`), since the library blocks while it
connects and reads for as long as somebody writes. No handler raises into the library, which would
show a traceback to whoever called. What waits to be sent has an end: beyond it signals wait, and
calls go without an answer. One message is at most MESSAGE_BYTES_MAX long: a longer one ends the
connection, before it is read. Callers of another user are not answered.
See: D-Bus Specification 0.43; docs/adr/0021-dbus.md for what of the library is mended here.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from socket import socket
from typing import Any

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, TemporaryFailure
from postroad.doors.dbus.values import Typed

log = logging.getLogger(__name__)
DAEMON, DAEMON_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"
CONNECT_SECONDS_MAX = 10.0
MESSAGE_BYTES_MAX = limits.MIB
READ_AT_ONCE = 16  # messages, before what waits to be sent has its turn
UNSENT_MAX = 2000  # in objects told of: about a kilobyte each
CALLERS_KNOWN_MAX = 1024
PROCESSOR_SHARE = 0.25  # of one core, in the long run; whoever calls more often waits
PROCESSOR_BURST_SECONDS = 0.1
_QUEUED = 2  # DBUS_REQUEST_NAME_REPLY_IN_QUEUE


class Library(StrEnum):
    """Who speaks D-Bus for us."""

    NEXT = "dbus-next"
    FAST = "dbus-fast"


@dataclass(frozen=True, slots=True)
class Call:
    """A method call as it came, variants in `body` as `Typed`."""

    sender: str
    path: str
    interface: str
    member: str
    signature: str
    body: list[Any]
    message: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Kit:
    """What we use of a library."""

    bus: Any
    message: Any
    message_type: Any
    flag: Any
    variant: Any


class Bus:
    """One connection, from `connect` until `wait_closed` returns."""

    def __init__(
        self,
        kit: _Kit,
        raw: Any,
        on_call: Callable[[Call], None],
        on_name: Callable[[str], None],
    ) -> None:
        self._kit = kit
        self._raw = raw
        self._on_call = on_call
        self._on_name = on_name
        self._uids: dict[str, int] = {}
        self._unsent = 0
        self._drained = asyncio.Event()
        self._drained.set()
        self._pace = _Pace()
        self._closed = False

    @classmethod
    async def connect(
        cls,
        library: Library,
        address: str,
        on_call: Callable[[Call], None],
        on_name: Callable[[str], None] = lambda _: None,
    ) -> "Bus":
        """A connection to the bus at this address. `on_call` hears of method calls, `on_name` of
        names that became ours later than they were asked for. TemporaryFailure says why not."""
        kit = _next() if library is Library.NEXT else _fast()
        raw = None
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                raw = kit.bus(bus_address=address)
                bus = cls(kit, raw, on_call, on_name)
                raw.add_message_handler(bus._heard)
                await raw.connect()
                raw._writer.sock = _Patient(raw._writer.sock)
        except Exception as error:  # each library has errors of its own
            if raw is not None:
                _close(raw)
            raise TemporaryFailure(str(error) or type(error).__name__) from error
        return bus

    async def request_name(self, name: str) -> bool:
        """Whether the name is ours now; if not, it becomes ours when whoever has it goes."""
        reply = await self._ask("RequestName", "su", [name, 0])
        return bool(reply[0] != _QUEUED)

    async def is_owners(self, sender: str) -> bool:
        """Whether the caller is a program of the user that we run as."""
        uid = self._uids.get(sender)
        if uid is None:
            (uid,) = await self._ask("GetConnectionUnixUser", "s", [sender])
            if len(self._uids) >= CALLERS_KNOWN_MAX:
                self._uids.pop(next(iter(self._uids)))
            self._uids[sender] = uid
        return uid == os.getuid()

    def knows(self, sender: str) -> bool:
        """Whether `is_owners` is known to be true, without asking."""
        return self._uids.get(sender) == os.getuid()

    async def _ask(self, member: str, signature: str, body: list[Any]) -> list[Any]:
        message = self._kit.message(
            destination=DAEMON,
            path=DAEMON_PATH,
            interface=DAEMON,
            member=member,
            signature=signature,
            body=body,
        )
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                reply = await self._raw.call(message)
        except Exception as error:
            raise TemporaryFailure(f"The session bus did not answer ({error}).") from error
        if reply.message_type != self._kit.message_type.METHOD_RETURN:
            raise TemporaryFailure(f"The session bus refused: {reply.body}")
        return list(reply.body)

    def answer(self, call: Call, signature: str, body: list[Any], weight: int = 1) -> None:
        """`weight`: how many objects it tells of."""
        self._reply(call, weight, signature=signature, body=body)

    def refuse(self, call: Call, error_name: str, sentence: str) -> None:
        self._reply(call, 1, error_name=error_name, signature="s", body=[sentence])

    def _reply(self, call: Call, weight: int, **more: Any) -> None:
        kind = self._kit.message_type
        if call.message.flags & self._kit.flag.NO_REPLY_EXPECTED or self._unsent > UNSENT_MAX:
            return
        self._send(
            weight,
            message_type=kind.ERROR if "error_name" in more else kind.METHOD_RETURN,
            reply_serial=call.message.serial,
            destination=call.sender,
            **more,
        )

    async def signal(
        self, path: str, interface: str, member: str, signature: str, body: list[Any]
    ) -> None:
        """Send it to whoever listens, once there is room for it."""
        while self._unsent > UNSENT_MAX // 10:
            self._drained.clear()
            await self._drained.wait()
        kind = self._kit.message_type.SIGNAL
        self._send(
            1,
            message_type=kind,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=body,
        )

    def _send(self, weight: int, *, body: list[Any], **fields: Any) -> None:
        if self._closed:
            return
        try:
            message = self._kit.message(body=[self._wired(one) for one in body], **fields)
            sent = self._raw.send(message)
        except Exception:  # of a type that it should not have: a fault of ours
            log.exception("it could not be said on the session bus")
            return
        self._unsent += weight

        def done(future: asyncio.Future[Any]) -> None:
            self._unsent -= weight
            if not self._unsent:
                self._drained.set()
            if not future.cancelled():
                future.exception()  # the connection has ended, which is told elsewhere

        sent.add_done_callback(done)

    def _wired(self, value: Any) -> Any:
        if isinstance(value, Typed):
            return self._kit.variant(value.signature, self._wired(value.value))
        if isinstance(value, dict):
            return {key: self._wired(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self._wired(one) for one in value]
        return value

    def _heard(self, message: Any) -> bool:
        """What the library asks about each message: whether it is dealt with."""
        try:
            if message.message_type == self._kit.message_type.METHOD_CALL:
                self._on_call(
                    Call(
                        message.sender or "",
                        message.path,
                        message.interface or "",
                        message.member,
                        message.signature,
                        [self._unwired(one) for one in message.body],
                        message,
                    )
                )
                self._pace.keep()
                return True
            if message.member == "NameAcquired" and message.sender == DAEMON:
                self._on_name(str(message.body[0]))
        except Exception:
            log.exception("a call over the session bus failed")
            return bool(message.message_type == self._kit.message_type.METHOD_CALL)
        return False

    def _unwired(self, value: Any) -> Any:
        if isinstance(value, self._kit.variant):
            return Typed(value.signature, self._unwired(value.value))
        if isinstance(value, dict):
            return {key: self._unwired(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self._unwired(one) for one in value]
        return value

    async def wait_closed(self) -> str:
        """Until the connection has ended: why, in words."""
        try:
            await self._raw.wait_for_disconnect()
        except PeerMisbehaved as error:
            return str(error)
        except Exception as error:
            return f"The session bus has gone ({str(error) or type(error).__name__})."
        finally:
            self._closed = True
            self._drained.set()
            _close(self._raw)
        return "The session bus has closed the connection."

    def close(self) -> None:
        """End the connection; `wait_closed` returns then."""
        self._closed = True
        self._raw.disconnect()


class _Patient:
    """The socket for those libraries that take one that is full for one that is broken."""

    def __init__(self, sock: socket) -> None:
        self._sock = sock

    def send(self, octets: memoryview) -> int:
        """How many were taken; none while there is no room, and the library waits for some."""
        try:
            return self._sock.send(octets)
        except BlockingIOError:
            return 0


class _Pace:
    """Let this thread have its share of the processor and no more, however much it is asked: the
    one core on which Python runs is also the one on which letters are sealed."""

    def __init__(self) -> None:
        self._used = time.thread_time()
        self._looked = time.monotonic()
        self._debt = 0.0

    def keep(self) -> None:
        """Wait as long as it takes. While the thread waits, the bus keeps what it has for us."""
        used, now = time.thread_time(), time.monotonic()
        earned = (now - self._looked) * PROCESSOR_SHARE
        self._debt = max(self._debt + used - self._used - earned, 0.0)
        self._used, self._looked = used, now
        if self._debt > PROCESSOR_BURST_SECONDS:
            time.sleep(self._debt - PROCESSOR_BURST_SECONDS + 0.005)


def _close(raw: Any) -> None:
    """Free the descriptors, which not every library does."""
    for held in (getattr(raw, "_stream", None), getattr(raw, "_sock", None)):
        if held is not None:
            with suppress(OSError):
                held.close()


def _next() -> _Kit:
    """dbus-next, with an end to what has none in it."""
    import dbus_next
    from dbus_next._private.unmarshaller import Unmarshaller
    from dbus_next.aio import MessageBus

    class Bounded(Unmarshaller):  # type: ignore[misc]
        def read(self, n: int, prefetch: bool = False) -> int:
            if n > MESSAGE_BYTES_MAX:
                raise PeerMisbehaved(f"A program sent a message of {n} bytes over the session bus.")
            return int(super().read(n, prefetch))

    class InTurn(MessageBus):  # type: ignore[misc]
        _unmarshaller: Any

        def _create_unmarshaller(self) -> Any:
            return Bounded(self._stream)

        def _message_reader(self) -> None:
            """Its own reads on while somebody writes, and meanwhile nothing is sent."""
            if self._disconnected:
                return
            try:
                for _ in range(READ_AT_ONCE):
                    if not self._unmarshaller.unmarshall():
                        return
                    self._on_message(self._unmarshaller.message)
                    self._unmarshaller = self._create_unmarshaller()
            except Exception as error:
                self._finalize(error)
            else:  # the stream may hold more, of which the socket knows nothing
                self._loop.call_soon(self._message_reader)

        async def _auth_readline(self) -> str:
            """Its own reads for ever when the bus goes."""
            line = b""
            while not line.endswith(b"\r\n"):
                octet = await self._loop.sock_recv(self._sock, 1)
                if not octet or len(line) > limits.KIB:
                    raise ConnectionError("it broke off")
                line += octet
            return line[:-2].decode("ascii", "replace")

    return _kit(dbus_next, InTurn)


def _fast() -> _Kit:
    import dbus_fast
    from dbus_fast.aio import MessageBus

    return _kit(dbus_fast, MessageBus)


def _kit(library: Any, bus: Any) -> _Kit:
    return _Kit(bus, library.Message, library.MessageType, library.MessageFlag, library.Variant)
