"""Who calls is known only of the connection on which they called."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from postroad.contract import BUS_NAME, ROOT_PATH, BusError
from postroad.doors.dbus.board import Look
from postroad.doors.dbus.bus import Bus, Library
from postroad.doors.dbus.carried import Call, Written
from postroad.doors.dbus.interfaces import PEER
from postroad.doors.dbus.look import plain
from postroad.doors.dbus.teller import Teller
from postroad.protocol.health import Facts, judge

SECONDS_MAX = 20.0
CALLER = ":1.5"  # each bus begins to count anew


class Line:
    """A connection of which the bus says late who calls, if it does so at all."""

    def __init__(self, on_call: Callable[[Call], None], before: Line | None) -> None:
        """`before`: the connection before this one; without, this one is that, and ends."""
        self._on_call = on_call
        self._before = before
        self._closed = asyncio.Event()
        self.known = asyncio.Event()
        self.answered: list[Call] = []

    async def request_name(self, name: str) -> bool:
        assert name == BUS_NAME
        self._on_call(Call(CALLER, ROOT_PATH, PEER, "Ping", "", []))
        if self._before is not None:  # the last word of the old bus comes while the new one waits
            asyncio.get_running_loop().call_soon(self._before.known.set)
            asyncio.get_running_loop().call_later(0.2, self.known.set)
        return True

    def knows(self, sender: str) -> bool:
        return False

    async def is_owners(self, sender: str) -> bool:
        await self.known.wait()
        return True

    async def wait_closed(self) -> str:
        if self._before is None:
            asyncio.get_running_loop().call_later(0.1, self._closed.set)
        await self._closed.wait()
        return "The bus went."

    def write(self, signature: str, body: list[Any], weight: int = 1) -> Written:
        return Written(signature, b"", weight)

    def answer(self, call: Call, written: Written) -> None:
        self.answered.append(call)

    def close(self) -> None:
        self._closed.set()


class Nobody:
    """The side of the node, which hears nothing here."""

    def connected(self) -> None: ...

    def disconnected(self, why: str) -> None: ...

    def named(self, trouble: str) -> None: ...

    def ask(self, asked: object, answered: object) -> None: ...


def test_a_call_after_the_bus_came_back_is_answered_though_one_before_it_never_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines: list[Line] = []
    answered = threading.Event()

    async def connect(_: Any, __: str, on_call: Callable[[Call], None], ___: Any) -> Line:
        line = Line(on_call, lines[0] if lines else None)
        lines.append(line)
        if len(lines) == 2:
            line.answer = lambda *_: answered.set()  # type: ignore[method-assign]
        return line

    monkeypatch.setattr(Bus, "connect", connect)

    async def scene() -> None:
        teller = Teller("unix:path=/nowhere", Library.NEXT, Nobody())
        teller.start(asyncio.get_running_loop())
        teller.show(Look(plain(judge(Facts()))))
        assert await asyncio.to_thread(answered.wait, SECONDS_MAX), "it was swallowed"
        teller.stop()
        await asyncio.to_thread(teller.join, SECONDS_MAX)

    asyncio.run(scene())
    assert not lines[0].answered


class Forgetful(Line):
    """A connection over which what the node said cannot be told: it has another type."""

    def __init__(self) -> None:
        super().__init__(lambda _: None, None)
        self.refused: list[tuple[str, str]] = []

    def knows(self, sender: str) -> bool:
        return True

    def write(self, signature: str, body: list[Any], weight: int = 1) -> Written:
        raise TypeError("a fault of ours: secret")

    def refuse(self, call: Call, error_name: str, sentence: str) -> None:
        self.refused.append((error_name, sentence))


def test_an_answer_that_cannot_be_said_is_a_failure_that_is_told() -> None:
    teller, line = Teller("unix:path=/nowhere", Library.NEXT, Nobody()), Forgetful()
    teller._bus = line  # type: ignore[assignment]
    teller._called(Call(CALLER, "/", PEER, "Ping", "", []))
    ((name, sentence),) = line.refused
    assert name == BusError.FAILED
    assert "secret" not in sentence
