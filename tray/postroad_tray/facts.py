"""What the service told of itself, read once at the door, into types that cannot be wrong.

Purpose: from the dictionaries of `GetManagedObjects` and `PropertiesChanged` to one `Picture`, from
which menu, icon, pages and notifications are drawn. Pure.
Invariants: whatever comes over the bus, reading it does not raise: what is missing or of a wrong
type becomes the empty value of its field, a word that we do not know the gravest of its kind, and
every text is plain (`plain`). Nothing is taken beyond OBJECTS_MAX of a kind. Problems are in the
reader's language from here on, where the service told of which parts their sentences are made.
See: docs/dbus.md; docs/adr/0029-tray.md.
"""

from __future__ import annotations

import dataclasses
import math
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from postroad import contract, phrases
from postroad.contract import Health, MessageState, Path, Severity, State
from postroad_tray import plain, tongue

OBJECTS_MAX = 2000
PROBLEMS_MAX = 50
SENTENCES_LENGTH_MAX = 800  # of what is said of a problem; the service has 500 in English
NUMBER_MAX = 2**53
T = TypeVar("T")
Told = Mapping[str, Any]  # properties by their names, variants unwrapped


class Link(StrEnum):
    """What there is between this program and the service."""

    NO_BUS = "no-bus"  # the desktop's session bus is not there
    ABSENT = "absent"  # nobody has the name: the service is off, or not installed
    ASKED = "asked"  # the first answer is not here yet
    SILENT = "silent"  # it is there, and does not answer in time
    THERE = "there"


class Trust(StrEnum):
    """Whether a contact is who they say they are."""

    VERIFIED = "verified"
    UNVERIFIED = "unverified"
    BLOCKED = "blocked"
    REVOKED = "revoked"


# For a word that a newer service says.
GRAVEST: Mapping[type[StrEnum], StrEnum] = {
    State: State.DEGRADED,
    Health: Health.BROKEN,
    Severity: Severity.BROKEN,
    MessageState: MessageState.LATE,
    Path: Path.NONE,
    Trust: Trust.UNVERIFIED,
}


@dataclass(frozen=True, slots=True)
class Problem:
    code: str = ""
    severity: Severity = Severity.BROKEN
    summary: str = ""
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """For mail programs, on 127.0.0.1 and ::1; a door that is shut has port 0."""

    smtp: int = 0
    imap: int = 0
    pop3: int = 0
    user_name: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """`org.postroad.Postroad1.Manager`."""

    version: str = ""
    state: State = State.STARTING
    sentence: str = ""
    health: Health = Health.OK
    problems: tuple[Problem, ...] = ()
    address: str = ""
    key: str = ""
    paused: bool = False
    paused_until: int = 0
    parcels_under_way: int = 0
    requests_waiting: int = 0
    contact_count: int = 0
    peers_online: int = 0
    peers_known: int = 0
    holders: int = 0
    endpoints: Endpoints = field(default_factory=Endpoints)


@dataclass(frozen=True, slots=True)
class Peer:
    """A node of a contact. `object_path` is its place on the bus, as with all below."""

    object_path: str
    name: str = ""
    key: str = ""
    address: str = ""
    contact: str = ""
    online: bool = False
    path: Path = Path.NONE
    round_trip_milliseconds: float = 0.0
    seen_at: int = 0
    trust: Trust = Trust.UNVERIFIED
    holds_for_us: bool = False
    we_hold_for_them: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """A letter to one recipient, on its way."""

    object_path: str
    letter: str = ""
    recipient: str = ""
    size: int = 0
    state: MessageState = MessageState.WAITING
    holders: int = 0
    tries: int = 0
    accepted_at: int = 0
    expires_at: int = 0
    next_try_at: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Contact:
    object_path: str
    name: str = ""
    address: str = ""
    fingerprint: str = ""
    online: bool = False
    seen_at: int = 0
    trust: Trust = Trust.UNVERIFIED
    verified_at: int = 0
    blocked: bool = False
    holds_for_us: bool = False
    we_hold_for_them: bool = False
    peers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """A letter of a stranger that waits for the owner's word."""

    object_path: str
    address: str = ""
    came_at: int = 0
    expires_at: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is known at one moment. Where the link is not THERE, the rest is what was told last,
    or empty: whoever draws it says so."""

    link: Link = Link.ASKED
    node: Node = field(default_factory=Node)
    peers: tuple[Peer, ...] = ()
    messages: tuple[Message, ...] = ()
    contacts: tuple[Contact, ...] = ()
    requests: tuple[Request, ...] = ()

    @property
    def is_there(self) -> bool:
        return self.link is Link.THERE

    def as_of_now(self) -> Picture:
        """It, with nobody in it who is said to be on at this moment, where that is not known."""
        if self.is_there:
            return self
        return replace(
            self,
            peers=tuple(
                replace(one, online=False, path=Path.NONE, round_trip_milliseconds=0.0)
                for one in self.peers
            ),
            contacts=tuple(replace(one, online=False) for one in self.contacts),
        )


KINDS: Mapping[str, tuple[str, type[Any]]] = {  # the field of a picture, and what is in it
    contract.PEER_INTERFACE: ("peers", Peer),
    contract.MESSAGE_INTERFACE: ("messages", Message),
    contract.CONTACT_INTERFACE: ("contacts", Contact),
    contract.REQUEST_INTERFACE: ("requests", Request),
}


class Objects:
    """What was told of each object, as far as it is ours and there is room; read only once."""

    def __init__(self) -> None:
        self._node = Node()
        self._found: dict[str, dict[str, Any]] = {name: {} for name, _ in KINDS.values()}

    def add(self, path: object, interfaces: object) -> None:
        """An object with these interfaces, and the properties of each."""
        if not isinstance(path, str) or not isinstance(interfaces, Mapping) or not is_ours(path):
            return
        if path == contract.ROOT_PATH and contract.MANAGER_INTERFACE in interfaces:
            self._node = read(Node, interfaces[contract.MANAGER_INTERFACE])
        for interface, (name, kind) in KINDS.items():
            found = self._found[name]
            if interface in interfaces and (path in found or len(found) < OBJECTS_MAX):
                found[path] = read(kind, interfaces[interface], object_path=path)

    def remove(self, path: object, interfaces: object) -> None:
        for interface in items(interfaces, len(KINDS)):
            name, _ = KINDS.get(interface, ("", None)) if isinstance(interface, str) else ("", None)
            if name and isinstance(path, str):
                self._found[name].pop(path, None)

    def change(self, path: object, interface: object, properties: object) -> None:
        """What is told anew of an object that is known."""
        if path == contract.ROOT_PATH and interface == contract.MANAGER_INTERFACE:
            self._node = amended(self._node, properties)
        elif isinstance(path, str) and isinstance(interface, str) and interface in KINDS:
            found = self._found[KINDS[interface][0]]
            if path in found:
                found[path] = amended(found[path], properties)

    def picture(self, link: Link) -> Picture:
        found = {name: tuple(some.values()) for name, some in self._found.items()}
        return Picture(link, self._node, **found)


def is_ours(path: str) -> bool:
    """Whether an object is below ours, and its name is none to wonder at."""
    is_below = path.startswith(f"{contract.ROOT_PATH}/") and len(path) <= plain.LINE_MAX
    return is_below or path == contract.ROOT_PATH


def objects(told: object) -> Objects:
    """Those of a whole answer of GetManagedObjects."""
    found = Objects()
    for path, interfaces in told.items() if isinstance(told, Mapping) else ():
        found.add(path, interfaces)
    return found


def picture(link: Link, told: Mapping[str, Mapping[str, Told]]) -> Picture:
    """What is told by these: properties by interface, by object path."""
    return objects(told).picture(link)


def read(kind: type[T], told: object, **known: object) -> T:
    """A dataclass of ours from properties; `known` are fields that are not told."""
    properties = told if isinstance(told, Mapping) else {}
    hints = _hints(kind)
    values = dict(known)
    for one in dataclasses.fields(kind):  # type: ignore[arg-type]
        if one.name not in known:
            name = _spelt(one.name)
            said = properties.get(name)
            if hints[one.name] is str and f"{name}Parts" in properties:
                values[one.name] = retold(properties, name, 2 * plain.LINE_MAX)
            elif said is not None:
                values[one.name] = _value(hints[one.name], said)
    return kind(**values)


def amended(one: T, told: object) -> T:
    """The same with what these properties say anew."""
    return read(type(one), told, **_untold(one, told))


def _untold(one: object, told: object) -> dict[str, object]:
    """The fields of it that are not told of."""
    properties = told if isinstance(told, Mapping) else {}
    return {
        each.name: getattr(one, each.name)
        for each in dataclasses.fields(one)  # type: ignore[arg-type]
        if each.name == "object_path" or properties.get(_spelt(each.name)) is None
    }


def items(told: object, count_max: int) -> Sequence[object]:
    """The first ones of a list; none, where it is no list."""
    return told[:count_max] if isinstance(told, list | tuple) else ()


def tables(told: object, count_max: int) -> list[Told]:
    """The first ones of a list of dictionaries, as far as they are some."""
    return [one for one in items(told, count_max) if isinstance(one, Mapping)]


def _spelt(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _problem(told: object) -> Problem:
    properties = told if isinstance(told, Mapping) else {}
    one = read(Problem, properties)
    return replace(
        one,
        summary=retold(properties, "Summary"),
        next_step=retold(properties, "NextStep"),
    )


def retold(told: Told, name: str, length_max: int = SENTENCES_LENGTH_MAX) -> str:
    """The sentences called so in the language of whoever reads them; English, where the service
    does not tell of which parts they are made."""
    english = told.get(name)
    known = phrases.heard(english, told.get(f"{name}Parts")) if isinstance(english, str) else ""
    if not isinstance(known, phrases.Phrase):
        return plain.line(known, length_max)

    def put(text: str) -> str:
        return plain.apart(plain.line(text, length_max))

    return plain.sentences(phrases.said(known, tongue._, tongue.many, put), length_max)


def as_one(sentences: str) -> str:
    """What the service told without its parts: in the reader's language as far as nothing was put
    into it."""
    pieces = re.split(r"(?<=[.:]) ", sentences[: phrases.LENGTH_MAX])
    for parts in ([sentences], pieces):
        told = phrases.heard(sentences, [{"template": one} for one in parts])
        said = phrases.said(told, tongue._, tongue.many)
        if said != sentences:
            return said
    return sentences


_HINTS: dict[type[Any], dict[str, Any]] = {}


def _hints(kind: type[Any]) -> dict[str, Any]:
    if kind not in _HINTS:
        _HINTS[kind] = get_type_hints(kind)
    return _HINTS[kind]


def _value(kind: Any, said: object) -> Any:
    if get_origin(kind) is tuple:
        one = get_args(kind)[0]
        return tuple(_value(one, item) for item in items(said, PROBLEMS_MAX))
    if isinstance(kind, types.GenericAlias) or not isinstance(kind, type):
        raise TypeError(f"no field of ours is a {kind}")
    if kind is Problem:
        return _problem(said)
    if dataclasses.is_dataclass(kind):
        return read(kind, said)
    if issubclass(kind, StrEnum):
        return kind(said) if isinstance(said, str) and said in set(kind) else GRAVEST[kind]
    if kind is bool:
        return said is True
    if kind is str:
        return plain.line(said)
    if isinstance(said, bool) or not isinstance(said, int | float) or not math.isfinite(said):
        said = 0
    number = min(max(said, 0), NUMBER_MAX)
    return float(number) if kind is float else int(number)
