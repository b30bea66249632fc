"""Messages of D-Bus, written by a library: the only module of the tray that imports one.

Purpose: from what is meant to octets. `dbus-next` by default; `dbus-fast`, which has the same API,
where POSTROAD_DBUS_LIBRARY asks for it. Of their connections and their reading nothing is used.
Invariant: nothing is written that the bus would hang up on.
See: D-Bus Specification 0.43, "Type System"; docs/adr/0029-tray.md.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from postroad_tray import lean, plain
from postroad_tray.client import Typed
from postroad_tray.connection import Kit, Sent
from postroad_tray.tongue import _

LIBRARY = "POSTROAD_DBUS_LIBRARY"  # for tests, and for whoever's Python imports dbus-next no more


class Library(StrEnum):
    NEXT = "dbus-next"
    FAST = "dbus-fast"


@dataclass(frozen=True, slots=True)
class _Kit:
    message: Any
    message_type: Any
    flag: Any
    variant: Any

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


def kit(library: Library) -> Kit:
    """Of this library; ValueError: it is not here."""
    try:
        return _next() if library is Library.NEXT else _fast()
    except ImportError as error:
        raise ValueError(
            _("The Python package {name} is missing, or too old for this Python.").format(
                name=library.value
            )
        ) from error


def wanted(variables: Mapping[str, str] = os.environ) -> Library:
    """What the environment asks for; ValueError: there is no such one."""
    asked = variables.get(LIBRARY) or Library.NEXT
    if asked not in set(Library):
        raise ValueError(
            _("{variable} is {said}, and can be {known}.").format(
                variable=LIBRARY, said=plain.line(asked), known=", ".join(Library)
            )
        )
    return Library(asked)


def _next() -> Kit:
    with lean.parts_of("dbus_next"):
        import dbus_next.errors  # noqa: F401  (first: they import one another in a circle)
        from dbus_next.constants import MessageFlag, MessageType
        from dbus_next.message import Message
        from dbus_next.signature import Variant

    return _Kit(Message, MessageType, MessageFlag, Variant)


def _fast() -> Kit:
    from dbus_fast import Message, MessageFlag, MessageType, Variant

    return _Kit(Message, MessageType, MessageFlag, Variant)
