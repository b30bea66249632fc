"""What menu, pages and notifications know of the service, and what they may ask of it.

Purpose: the one way to the bus, for either way of drawing (Qt, GTK). Whoever draws has one thread,
and nothing here makes it wait.
Invariants: every listener and every `then` is called in the thread of whoever draws, one after the
other, in the order of what happened; none after `close`. Every question has an answer, if only that
there was none within its time.
See: docs/adr/0029-tray.md; `bus.Line` is the real one, and `worker` what it has in a thread of its
own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from postroad import contract
from postroad_tray.facts import KINDS, Contact, Message, Peer, Picture, Request

ANSWER_SECONDS = 10.0  # for what makes others work; what is only read comes within SILENT_SECONDS
SILENT_SECONDS = 1.5  # a service that says nothing for so long is shown as such


@dataclass(frozen=True, slots=True)
class Typed:
    """A value with its D-Bus signature, in `a{sv}` and wherever a variant is meant."""

    signature: str
    value: Any


@dataclass(frozen=True, slots=True)
class Question:
    """A method call: `signature` and `body` as D-Bus has them."""

    member: str
    signature: str = ""
    body: Sequence[Any] = ()
    object_path: str = contract.ROOT_PATH
    interface: str = contract.MANAGER_INTERFACE
    destination: str = contract.BUS_NAME
    seconds: float = ANSWER_SECONDS


def question_about(
    one: Peer | Message | Contact | Request,
    member: str,
    signature: str = "",
    body: Sequence[Any] = (),
    seconds: float = ANSWER_SECONDS,
) -> Question:
    """A method of the object that it was read from."""
    (interface,) = (name for name, (_field, kind) in KINDS.items() if isinstance(one, kind))
    return Question(member, signature, body, one.object_path, interface, seconds=seconds)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, variants unwrapped; or the name of an error (`contract.BusError`, or another
    of D-Bus) and a sentence that may be shown."""

    values: tuple[Any, ...] = ()
    error_name: str = ""
    sentence: str = ""

    @property
    def is_good(self) -> bool:
        return not self.error_name

    @property
    def value(self) -> Any:
        """The first value, or None."""
        return self.values[0] if self.values else None

    @property
    def second(self) -> Any:
        """The second value, or None."""
        return self.values[1] if len(self.values) > 1 else None

    @property
    def fields(self) -> dict[str, Any]:
        """The first value, where it is an `a{sv}`; else nothing."""
        return self.value if isinstance(self.value, dict) else {}


@dataclass(frozen=True, slots=True)
class Signal:
    """A hint of the Manager's (`MessageFailed` and so on), or a signal of another service that was
    asked for (`Client.listen`)."""

    interface: str
    member: str
    object_path: str
    values: tuple[Any, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Offer:
    """What this program does for others: a name on the bus, and one object with these methods, by
    their names; each has the signature of what it takes, and is called where it is drawn."""

    name: str
    object_path: str
    interface: str
    methods: Mapping[str, tuple[str, Callable[[Sequence[Any]], None]]]


class Client(Protocol):
    """`bus.Line` is the real one; tests of pages have `tests/tray/standing_in.py`."""

    @property
    def picture(self) -> Picture: ...

    def watch(self, listener: Callable[[Picture], None]) -> None:
        """Hear of each picture, from now on, and of the one that there is at once."""

    def hear(self, listener: Callable[[Signal], None]) -> None:
        """Hear of signals."""

    def listen(self, destination: str, interface: str) -> None:
        """Have the signals of another service told to those who hear."""

    def ask(self, question: Question, then: Callable[[Answer], None] = ...) -> None: ...

    def start_service(self, then: Callable[[Answer], None] = ...) -> None:
        """Have the bus start it; the only call here that does."""

    def look_closely(self, wanted: bool, who: str = "window") -> None:
        """Ask again and again whether it still answers: while somebody looks at us, at the window
        or at whatever else calls itself otherwise."""

    def close(self) -> None: ...
