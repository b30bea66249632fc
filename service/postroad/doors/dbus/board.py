"""What is shown on the bus at one moment: every object with its properties.

Purpose: the node writes a board when something has changed; whoever asks for a property reads it
there, and the node hears nothing of it. Two boards tell what to signal.
Invariant: a board never changes once it is made, so it may be read in another thread.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from postroad.contract import ROOT_PATH
from postroad.doors.dbus import interfaces
from postroad.doors.dbus.values import Typed


@dataclass(frozen=True, slots=True)
class Shown:
    """One object: each has one interface of ours."""

    interface: str
    properties: Mapping[str, Any]

    def typed(self, names: Sequence[str] | None = None) -> dict[str, Typed]:
        """Its properties with their types, or those of these names."""
        signatures = interfaces.ours()[self.interface].properties
        return {
            name: Typed(signatures[name], self.properties[name])
            for name in (self.properties if names is None else names)
        }


@dataclass(frozen=True, slots=True)
class Board:
    objects: Mapping[str, Shown]

    def children(self, path: str) -> list[str]:
        """The names of what lies right below this path; none when nothing does."""
        base = "/" if path == "/" else f"{path}/"
        below = (one.removeprefix(base) for one in self.objects if one.startswith(base))
        return sorted({one.partition("/")[0] for one in below if one})


@dataclass(frozen=True, slots=True)
class Signal:
    path: str
    interface: str
    member: str
    signature: str
    body: list[Any]


@dataclass(frozen=True, slots=True)
class Look:
    """What the node looks like now. `before_that`: a board to be told of first, on which what has
    ended stands as it ended; `events`: told between the two."""

    board: Board
    before_that: Board | None = None
    events: tuple[Signal, ...] = field(default=())


def news(told: Board, now: Board) -> Iterator[Signal]:
    """What to signal to whoever knows the one board, so that they know the other."""
    manager = interfaces.OBJECT_MANAGER
    for path, shown in now.objects.items():
        before = told.objects.get(path)
        if before is None:
            body = [path, {shown.interface: shown.typed()}]
            yield Signal(ROOT_PATH, manager, "InterfacesAdded", "oa{sa{sv}}", body)
            continue
        changed = [
            name for name, value in shown.properties.items() if before.properties[name] != value
        ]
        if changed:
            body = [shown.interface, shown.typed(changed), []]
            yield Signal(path, interfaces.PROPERTIES, "PropertiesChanged", "sa{sv}as", body)
    for path, shown in told.objects.items():
        if path not in now.objects:
            body = [path, [shown.interface]]
            yield Signal(ROOT_PATH, manager, "InterfacesRemoved", "oas", body)
