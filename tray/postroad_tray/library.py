"""Messages of D-Bus, written and read by a library: the only module of the tray that imports one.

Purpose: from what is meant to octets and back. `dbus-next` by default; `dbus-fast`, which has the
same API, where POSTROAD_DBUS_LIBRARY asks for it. Of their connections nothing is used.
Invariants: whatever the octets are, reading them brings a message or ValueError, and what is kept
of it afterwards has an end. Nothing is written that the bus would hang up on.
See: D-Bus Specification 0.43, "Type System"; docs/adr/0029-tray.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO
from typing import Any

from postroad_tray.client import Typed
from postroad_tray.connection import Came, Kit, Sent
from postroad_tray.wire import Head

LIBRARY = "POSTROAD_DBUS_LIBRARY"  # for tests, and for whoever's Python imports dbus-next no more
SIGNATURES_MAX = 500  # that dbus-next keeps; it would keep each that it ever saw
DEPTH_MAX = 40  # of values in values; the specification has 64, and ours are 5 deep


class Library(StrEnum):
    NEXT = "dbus-next"
    FAST = "dbus-fast"


@dataclass(frozen=True, slots=True)
class _Kit:
    """`unmarshall`: from octets to a message of the library's, or None."""

    message: Any
    message_type: Any
    flag: Any
    variant: Any
    unmarshall: Callable[[bytes], Any]

    def write(self, serial: int, sent: Sent) -> bytes:
        try:
            message = self.message(
                message_type=self.message_type(int(sent.kind)),
                serial=serial,
                destination=sent.destination or None,
                path=sent.path or None,
                interface=sent.interface or None,
                member=sent.member or None,
                error_name=sent.error_name or None,
                reply_serial=sent.reply_to or None,
                flags=self.flag(sent.flags),
                signature=sent.signature,
                body=[self._wired(one) for one in sent.body],
            )
            return bytes(message._marshall(False))
        except Exception as error:  # each library has errors of its own
            raise ValueError(str(error) or type(error).__name__) from error

    def read(self, head: Head, octets: bytes) -> Came:
        try:
            message = self.unmarshall(octets)
            if message is None:
                raise ValueError("it is not whole")
            return Came(
                head,
                message.path or "",
                message.interface or "",
                message.member or "",
                message.signature,
                [self._unwired(one) for one in message.body],
                message.error_name or "",
            )
        except Exception as error:  # RecursionError, too: values in values without an end
            raise ValueError(str(error) or type(error).__name__) from error

    def _wired(self, value: Any) -> Any:
        if isinstance(value, Typed):
            return self.variant(value.signature, self._wired(value.value))
        if isinstance(value, Mapping):
            return {self._wired(key): self._wired(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self._wired(one) for one in value]
        if isinstance(value, str) and "\0" in value:
            raise ValueError("a text over the bus cannot have a zero in it")
        return value

    def _unwired(self, value: Any, depth: int = 0) -> Any:
        if depth > DEPTH_MAX:
            raise ValueError("values in values, too many of them")
        if isinstance(value, self.variant):
            return self._unwired(value.value, depth + 1)
        if isinstance(value, dict):
            return {key: self._unwired(one, depth + 1) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self._unwired(one, depth + 1) for one in value]
        return value


def kit(library: Library) -> Kit:
    return _next() if library is Library.NEXT else _fast()


def wanted(variables: Mapping[str, str] = os.environ) -> Library:
    """What the environment asks for; ValueError: there is no such one."""
    return Library(variables.get(LIBRARY) or Library.NEXT)


def _next() -> Kit:
    import dbus_next
    from dbus_next._private.unmarshaller import Unmarshaller
    from dbus_next.signature import SignatureTree

    def unmarshall(octets: bytes) -> Any:
        if len(SignatureTree._cache) > SIGNATURES_MAX:
            SignatureTree._cache.clear()
        return Unmarshaller(BytesIO(octets)).unmarshall()

    return _of(dbus_next, unmarshall)


def _fast() -> Kit:
    import dbus_fast
    from dbus_fast._private.unmarshaller import Unmarshaller

    return _of(dbus_fast, lambda octets: Unmarshaller(BytesIO(octets)).unmarshall())  # type: ignore[arg-type]


def _of(library: Any, unmarshall: Callable[[bytes], Any]) -> Kit:
    return _Kit(
        library.Message, library.MessageType, library.MessageFlag, library.Variant, unmarshall
    )
