"""The line to the service: `client.Client` over the session bus, in a thread of its own.

Purpose: what menu, pages and notifications hold on to, in the thread that draws. What happens in
the other thread is in `worker`, and between the two is `outbox`.
Invariants: whoever draws never waits here. Nothing is called in the other thread.
See: docs/adr/0029-tray.md.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from postroad_tray import library
from postroad_tray.client import Answer, Offer, Question, Signal
from postroad_tray.facts import Picture
from postroad_tray.library import Library
from postroad_tray.outbox import Outbox, PostTo
from postroad_tray.worker import Delivery, Worker

log = logging.getLogger(__name__)


def address(variables: Mapping[str, str] = os.environ) -> str:
    """Of the session bus; empty without a session. sd_bus_open_user(3)."""
    named = variables.get("DBUS_SESSION_BUS_ADDRESS")
    runtime = variables.get("XDG_RUNTIME_DIR")
    return named or (f"unix:path={Path(runtime) / 'bus'}" if runtime else "")


def _nothing(_answer: Answer) -> None: ...


class Line:
    """`start` it; `close` it in the end."""

    def __init__(
        self,
        post: PostTo,
        *,
        bus_address: str | None = None,
        spoken_by: Library | None = None,
        offer: Offer | None = None,
        offered: Callable[[bool], None] = lambda is_ours: None,
    ) -> None:
        """`offered` hears whether the name of `offer` is ours, as soon as there is a bus."""
        self._outbox = Outbox(post)
        self._picture = Picture()
        self._listeners: list[Callable[[Picture], None]] = []
        self._hearers: list[Callable[[Signal], None]] = []
        self._is_closed = False
        self._loop = asyncio.new_event_loop()
        self._worker = Worker(
            self._loop,
            address() if bus_address is None else bus_address,
            # Loaded here: Qt walks through what is loaded, and fails where another thread loads.
            library.kit(spoken_by or library.wanted()),
            offer,
            Delivery(self._outbox, self._draw, self._hear, offered),
        )
        self._thread = threading.Thread(target=self._run, name="bus", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        with (
            asyncio.Runner(loop_factory=lambda: self._loop) as runner,
            suppress(asyncio.CancelledError),
        ):
            runner.run(self._worker.work())

    @property
    def picture(self) -> Picture:
        return self._picture

    def watch(self, listener: Callable[[Picture], None]) -> None:
        self._listeners.append(listener)
        listener(self._picture)

    def hear(self, listener: Callable[[Signal], None]) -> None:
        self._hearers.append(listener)

    def listen(self, destination: str, interface: str) -> None:
        self._tell(self._worker.listen, destination, interface)

    def ask(self, question: Question, then: Callable[[Answer], None] = _nothing) -> None:
        self._tell(self._worker.ask, question, then)

    def start_service(self, then: Callable[[Answer], None] = _nothing) -> None:
        self._tell(self._worker.start_service, then)

    def look_closely(self, wanted: bool, who: str = "window") -> None:
        self._tell(self._worker.look_closely, wanted, who)

    def close(self) -> None:
        """It waits for nothing; `join` does."""
        self._is_closed = True
        self._outbox.shut()
        self._tell(self._worker.stop)
        if self._thread.ident is None:  # it has never begun
            self._loop.close()

    def join(self, seconds: float) -> None:
        """Until the connection is given back, at most so long."""
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _tell(self, what: Callable[..., None], *words: Any) -> None:
        with suppress(RuntimeError):  # the thread has ended
            self._loop.call_soon_threadsafe(what, *words)

    # In the thread that draws

    def _draw(self, picture: Picture) -> None:
        self._picture = picture
        self._to_all(self._listeners, picture)

    def _hear(self, signal: Signal) -> None:
        self._to_all(self._hearers, signal)

    def _to_all(self, listeners: list[Callable[[Any], None]], news: object) -> None:
        for listener in list(listeners):
            if self._is_closed:
                return
            try:
                listener(news)
            except Exception:
                log.exception("a change could not be shown")
