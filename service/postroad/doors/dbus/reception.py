"""What becomes of one call: an answer read from the board, a refusal, or a question to the node.

Purpose: the rules of D-Bus, without a bus: which objects there are, which methods and properties
they have, what an argument of a wrong type is told.
Invariants: whatever comes is answered; an error that a person may see is a sentence.
See: D-Bus Specification, "Standard Interfaces" and "Invalid Arguments".
"""

from dataclasses import dataclass
from typing import Any

from postroad.contract import (
    CONTACT_PATH,
    DEVICE_PATH,
    MESSAGE_INTERFACE,
    MESSAGE_PATH,
    PEER_PATH,
    REQUEST_PATH,
    ROOT_PATH,
    BusError,
)
from postroad.doors.dbus import interfaces
from postroad.doors.dbus.board import Board, Shown
from postroad.doors.dbus.interfaces import Interface, Method
from postroad.doors.dbus.methods import Asked, InvalidArgument, asked
from postroad.doors.dbus.values import Typed, clean

_STANDARD_ERROR = "org.freedesktop.DBus.Error"
_GONE = {
    PEER_PATH: (BusError.NO_SUCH_PEER, "No node of a contact is called that."),
    MESSAGE_PATH: (
        BusError.NO_SUCH_MESSAGE,
        "No letter of that number is shown: it has ended, or older ones fill the list.",
    ),
    CONTACT_PATH: (BusError.NO_SUCH_CONTACT, "You have no contact of that fingerprint."),
    REQUEST_PATH: (BusError.NO_SUCH_REQUEST, "No request of that number waits."),
    DEVICE_PATH: (BusError.NO_SUCH_DEVICE, "You have no device of that key."),
}
_SHOWN_MAX = 80  # characters of what a caller said, in a sentence about it


@dataclass(frozen=True, slots=True)
class Said:
    """An answer. `weight`: how many objects it tells of."""

    signature: str
    body: list[Any]
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Refused:
    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class ForTheNode:
    asked: Asked
    signature: str  # of the answer


Outcome = Said | Refused | ForTheNode


def receive(
    board: Board, path: str, interface: str, member: str, signature: str, body: list[Any]
) -> Outcome:
    """What becomes of this call. An empty `interface` is any that has such a method."""
    shown = board.objects.get(path)
    offered = _offered(shown, is_root=path == ROOT_PATH)
    if shown is None and not (path == "/" or _leads_somewhere(board, path)):
        if not _may_be_in_the_queue(path, interface, member):
            return _no_such_object(path)
        offered = [interfaces.ours()[MESSAGE_INTERFACE]]
    chosen = [one for one in offered if interface in ("", one.name)]
    if not chosen:
        return _refused("UnknownInterface", f"This object has no interface {_said(interface)}.")
    found = next((one for one in chosen if member in one.methods), None)
    if found is None:
        return _refused("UnknownMethod", f"There is no method {_said(member)} here.")
    method = found.methods[member]
    if signature != method.takes:
        return _refused(
            "InvalidArgs", f"{method.name} takes {method.takes or 'nothing'}, not {signature}."
        )
    return _answered(board, path, shown, found, method, body)


def _answered(
    board: Board,
    path: str,
    shown: Shown | None,
    interface: Interface,
    method: Method,
    body: list[Any],
) -> Outcome:
    match interface.name, method.name:
        case interfaces.PEER, "Ping":
            return Said("", [])
        case interfaces.PEER, "GetMachineId":
            return _machine_id()
        case interfaces.INTROSPECTABLE, _:
            offered = _offered(shown, is_root=path == ROOT_PATH)
            return Said("s", [interfaces.introspection(offered, board.children(path))])
        case interfaces.PROPERTIES, "Get":
            return _property(shown, *body)
        case interfaces.PROPERTIES, "GetAll":
            return _properties(shown, *body)
        case interfaces.PROPERTIES, _:
            name, member, _value = body
            found = _property(shown, name, member)
            readable = isinstance(found, Said)
            return _refused("PropertyReadOnly", "It cannot be set.") if readable else found
        case interfaces.OBJECT_MANAGER, _:
            objects = {
                one: {each.interface: each.typed()}
                for one, each in board.objects.items()
                if one.startswith(f"{ROOT_PATH}/") or one == ROOT_PATH
            }
            return Said("a{oa{sa{sv}}}", [objects], len(objects) + 1)
        case _:
            name = path.rpartition("/")[2]
            try:
                wanted = asked(interface.name, method.name, name, body)
            except InvalidArgument as error:
                return Refused(BusError.INVALID_ARGUMENT, str(error))
            assert wanted is not None, "each method of ours stands in the table"
            return ForTheNode(wanted, method.gives)


def _offered(shown: Shown | None, *, is_root: bool) -> list[Interface]:
    standard = [
        one
        for name, one in interfaces.standard().items()
        if (name != interfaces.OBJECT_MANAGER or is_root)
        and (name != interfaces.PROPERTIES or shown is not None)
    ]
    return standard if shown is None else [interfaces.ours()[shown.interface], *standard]


def _leads_somewhere(board: Board, path: str) -> bool:
    return path in _GONE or bool(board.children(path))


def _may_be_in_the_queue(path: str, interface: str, member: str) -> bool:
    """Whether the node has to be asked: of many letters not all are objects, and each of them can
    be tried again and cancelled."""
    above, _, name = path.rpartition("/")
    return (
        above == MESSAGE_PATH
        and name.isascii()
        and name.isdigit()
        and interface in ("", MESSAGE_INTERFACE)
        and member in interfaces.ours()[MESSAGE_INTERFACE].methods
    )


def _no_such_object(path: str) -> Refused:
    above = path.rpartition("/")[0]
    if above in _GONE:
        return Refused(*_GONE[above])
    return _refused("UnknownObject", f"There is no object {_said(path)}.")


def _property(shown: Shown | None, interface: str, name: str) -> Outcome:
    if shown is None or interface not in ("", shown.interface):
        if interface in interfaces.standard():
            return _refused("UnknownProperty", f"{interface} has no properties.")
        return _refused("UnknownInterface", f"This object has no interface {_said(interface)}.")
    if name not in shown.properties:
        return _refused("UnknownProperty", f"There is no property {_said(name)} here.")
    return Said("v", [shown.typed([name])[name]])


def _properties(shown: Shown | None, interface: str) -> Outcome:
    if shown is not None and interface in ("", shown.interface):
        return Said("a{sv}", [shown.typed()])
    if interface in interfaces.standard():
        return Said("a{sv}", [dict[str, Typed]()])
    return _refused("UnknownInterface", f"This object has no interface {_said(interface)}.")


def _machine_id() -> Outcome:
    try:
        with open("/etc/machine-id", encoding="ascii") as file:
            return Said("s", [file.read(64).strip()])
    except (OSError, ValueError):
        return _refused("Failed", "This machine has no id that can be read.")


def _refused(name: str, sentence: str) -> Refused:
    return Refused(f"{_STANDARD_ERROR}.{name}", sentence)


def _said(words: str) -> str:
    return clean(words, _SHOWN_MAX)
