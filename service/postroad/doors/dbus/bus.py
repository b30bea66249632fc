"""A connection to the session bus: the only module that imports a D-Bus library.

Purpose: take calls, answer, send signals; what they mean is others' business. `dbus-next` by
default; `dbus-fast`, which has the same API, where it is asked for.
Invariants: all of it runs in a thread of its own (`door`), since the library blocks while it
connects and reads for as long as somebody writes. No handler raises into the library, which would
show a traceback to whoever called. What waits to be sent has an end: beyond it signals wait, and
calls go without an answer. One message is at most MESSAGE_BYTES_MAX long: a longer one ends the
connection, before it is read. Callers of another user are not answered. A call that was made
before, word for word and by the same program, is not read again (with `dbus-next`, which is slow at
it); the answers of one turn go as one piece.
See: D-Bus Specification 0.43; docs/adr/0021-dbus.md for what of the library is mended here.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from io import BytesIO
from typing import Any

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, TemporaryFailure
from postroad.doors.dbus import wire
from postroad.doors.dbus.carried import Call, Octets, Patient, Written
from postroad.doors.dbus.pace import Pace
from postroad.doors.dbus.values import Typed
from postroad.timeouts import timeout

log = logging.getLogger(__name__)
DAEMON, DAEMON_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"
CONNECT_SECONDS_MAX = 10.0
READ_AT_ONCE = 16  # messages, before what waits to be sent has its turn
READ_BYTES = 64 * limits.KIB
REPEATED_BYTES_MAX = 512  # of a call that is known again when it is made again
REPEATED_MAX = 64
UNSENT_MAX = 2000  # in objects told of: about a kilobyte each
CALLERS_KNOWN_MAX = 1024
_QUEUED = 2  # DBUS_REQUEST_NAME_REPLY_IN_QUEUE


class Library(StrEnum):
    """Who speaks D-Bus for us."""

    NEXT = "dbus-next"
    FAST = "dbus-fast"


@dataclass(frozen=True, slots=True)
class _Kit:
    """What we use of a library. `bus` makes a connection of an address, and of what is asked of
    each message before it is read: whether it is dealt with."""

    bus: Callable[[str, Callable[[bytes], bool]], Any]
    marshaller: Any
    message: Any
    message_type: Any
    flag: Any
    variant: Any


class Bus:
    """One connection, from `connect` until `wait_closed` returns."""

    def __init__(
        self,
        kit: _Kit,
        on_call: Callable[[Call], None],
        on_name: Callable[[str], None],
    ) -> None:
        self._kit = kit
        self._raw: Any = None
        self._on_call = on_call
        self._on_name = on_name
        self._uids: dict[str, int] = {}
        self._unsent = 0
        self._drained = asyncio.Event()
        self._drained.set()
        self._pace = Pace()
        self._repeated: dict[bytes, Call] = {}  # by all that they say but their serial
        self._said: bytes | None = None  # that, of the message that is read now
        self._replies: list[bytes] = []  # that go together at the end of this turn
        self._replies_weight = 0
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
        bus = cls(kit, on_call, on_name)
        raw = None
        try:
            async with timeout(CONNECT_SECONDS_MAX):
                raw = bus._raw = kit.bus(address, bus._is_known)
                raw.add_message_handler(bus._heard)
                await raw.connect()
                raw._writer.sock = Patient(raw._writer.sock)
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
            async with timeout(CONNECT_SECONDS_MAX):
                reply = await self._raw.call(message)
        except Exception as error:
            raise TemporaryFailure(f"The session bus did not answer ({error}).") from error
        if reply.message_type != self._kit.message_type.METHOD_RETURN:
            raise TemporaryFailure(f"The session bus refused: {reply.body}")
        return list(reply.body)

    def write(self, signature: str, body: list[Any], weight: int = 1) -> Written:
        """What `answer` sends, once or again and again. `weight`: how many objects it tells of."""
        wired = [self._wired(one) for one in body]
        return Written(signature, bytes(self._kit.marshaller(signature, wired).marshall()), weight)

    def answer(self, call: Call, written: Written) -> None:
        self._reply(call, written)

    def refuse(self, call: Call, error_name: str, sentence: str) -> None:
        self._reply(call, self.write("s", [sentence]), error_name)

    def _reply(self, call: Call, written: Written, error_name: str = "") -> None:
        if not call.wants_answer or self._unsent > UNSENT_MAX or self._closed:
            return
        serial = self._raw.next_serial()
        self._replies.append(
            wire.reply(
                serial, call.serial, call.sender, written.signature, written.octets, error_name
            )
        )
        self._replies_weight += written.weight
        self._unsent += written.weight
        if len(self._replies) == 1:
            asyncio.get_running_loop().call_soon(self._send_replies)

    def _send_replies(self) -> None:
        octets, weight = b"".join(self._replies), self._replies_weight
        self._replies, self._replies_weight = [], 0
        if not self._closed:
            sent = asyncio.get_running_loop().create_future()
            self._raw._writer.schedule_write(Octets(octets), sent)
            self._when_sent(sent, weight)

    async def signal(
        self, path: str, interface: str, member: str, signature: str, body: list[Any]
    ) -> None:
        """Send it to whoever listens, once there is room for it."""
        while self._unsent > UNSENT_MAX // 10:
            self._drained.clear()
            await self._drained.wait()
        if self._closed:
            return
        try:
            message = self._kit.message(
                message_type=self._kit.message_type.SIGNAL,
                path=path,
                interface=interface,
                member=member,
                signature=signature,
                body=[self._wired(one) for one in body],
            )
            sent = self._raw.send(message)
        except Exception:  # of a type that it should not have: a fault of ours
            log.exception("it could not be said on the session bus")
            return
        self._unsent += 1
        self._when_sent(sent, 1)

    def _when_sent(self, sent: asyncio.Future[Any], weight: int) -> None:
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
                call = Call(
                    message.sender or "",
                    message.path,
                    message.interface or "",
                    message.member,
                    message.signature,
                    [self._unwired(one) for one in message.body],
                    message.serial,
                    not message.flags & self._kit.flag.NO_REPLY_EXPECTED,
                )
                self._remember(call)
                self._on_call(call)
                self._pace.keep()
                return True
            if message.member == "NameAcquired" and message.sender == DAEMON:
                self._on_name(str(message.body[0]))
        except Exception:
            log.exception("a call over the session bus failed")
            return bool(message.message_type == self._kit.message_type.METHOD_CALL)
        return False

    def _is_known(self, message: bytes) -> bool:
        """Deal with a call that was made before, by the same program and word for word; it need not
        be read again."""
        self._said = None
        if not wire.is_call(message) or len(message) > REPEATED_BYTES_MAX:
            return False
        said = wire.without_serial(message)
        call = self._repeated.get(said)
        if call is None:
            self._said = said
            return False
        try:
            self._on_call(replace(call, serial=wire.serial_of(message)))
            self._pace.keep()
        except Exception:
            log.exception("a call over the session bus failed")
        return True

    def _remember(self, call: Call) -> None:
        if self._said is not None:
            if len(self._repeated) >= REPEATED_MAX:
                self._repeated.pop(next(iter(self._repeated)))
            self._repeated[self._said] = call

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


def _close(raw: Any) -> None:
    """Free the descriptors, which not every library does."""
    for held in (getattr(raw, "_stream", None), getattr(raw, "_sock", None)):
        if held is not None:
            with suppress(OSError):
                held.close()


def _next() -> _Kit:
    """dbus-next, with an end to what has none in it."""
    import dbus_next
    from dbus_next._private.marshaller import Marshaller
    from dbus_next._private.unmarshaller import Unmarshaller
    from dbus_next.aio import MessageBus

    class InTurn(MessageBus):  # type: ignore[misc]
        def __init__(self, address: str, is_known: Callable[[bytes], bool]) -> None:
            super().__init__(bus_address=address)
            self._is_known = is_known
            self._incoming = wire.Stream()
            self._goes_on = False

        def _message_reader(self) -> None:
            """Its own reads on while somebody writes, and meanwhile nothing is sent; and it makes
            room for whatever length a message says that it has."""
            if self._disconnected:
                return
            try:
                if not self._incoming.has_one:
                    octets = self._sock.recv(READ_BYTES)
                    if not octets:
                        raise EOFError("it broke off")
                    self._incoming.feed(octets)
                for message in self._incoming.take(READ_AT_ONCE):
                    if not self._is_known(message):
                        self._on_message(Unmarshaller(BytesIO(message)).unmarshall())
                if self._incoming.has_one and not self._goes_on:
                    self._goes_on = True
                    self._loop.call_soon(self._go_on)
            except BlockingIOError:
                return
            except Exception as error:
                self._finalize(error)

        def _go_on(self) -> None:
            """What is here already, of which the socket knows nothing."""
            self._goes_on = False
            self._message_reader()

        async def _auth_readline(self) -> str:
            """Its own reads for ever when the bus goes."""
            line = b""
            while not line.endswith(b"\r\n"):
                octet = await self._loop.sock_recv(self._sock, 1)
                if not octet or len(line) > limits.KIB:
                    raise ConnectionError("it broke off")
                line += octet
            return line[:-2].decode("ascii", "replace")

    return _kit(dbus_next, InTurn, Marshaller)


def _fast() -> _Kit:
    import dbus_fast
    from dbus_fast._private.marshaller import Marshaller
    from dbus_fast.aio import MessageBus

    return _kit(dbus_fast, lambda address, _: MessageBus(bus_address=address), Marshaller)


def _kit(library: Any, bus: Callable[..., Any], marshaller: Any) -> _Kit:
    return _Kit(
        bus, marshaller, library.Message, library.MessageType, library.MessageFlag, library.Variant
    )
