"""Whoever draws, without Qt and without GTK: one thread (that of the test) in which a line to the
bus has everything called, and which keeps what it was shown."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from postroad_tray.bus import Line
from postroad_tray.client import Answer, Question, Signal
from postroad_tray.facts import Link, Picture

SECONDS_MAX = 30.0


class Drawing:
    """`took`: the longest that the thread that draws was kept by one thing that came."""

    def __init__(self) -> None:
        self._posted: queue.Queue[Callable[[], None]] = queue.Queue()
        self._thread = threading.get_ident()
        self.pictures: list[Picture] = []
        self.signals: list[Signal] = []
        self.took = 0.0

    def post(self, deliver: Callable[[], None]) -> None:
        self._posted.put(deliver)

    def see(self, picture: Picture) -> None:
        assert threading.get_ident() == self._thread, "another thread draws"
        self.pictures.append(picture)

    def hear(self, signal: Signal) -> None:
        assert threading.get_ident() == self._thread, "another thread draws"
        self.signals.append(signal)

    @property
    def now(self) -> Picture:
        return self.pictures[-1]

    def pump(self, seconds: float) -> None:
        """Draw what comes in so long."""
        self._pump(lambda: False, seconds)

    def until(self, holds: Callable[[], Any], what: str, seconds: float = SECONDS_MAX) -> float:
        """Draw until that is true; how long it took."""
        began = time.monotonic()
        assert self._pump(holds, seconds), f"within {seconds} s: {what}; {self.pictures[-1:]}"
        return time.monotonic() - began

    def until_link(self, link: Link, seconds: float = SECONDS_MAX) -> float:
        return self.until(lambda: self.now.link is link, f"the link is {link}", seconds)

    def _pump(self, holds: Callable[[], Any], seconds: float) -> bool:
        ends = time.monotonic() + seconds
        while not holds():
            left = ends - time.monotonic()
            if left <= 0:
                return False
            try:
                deliver = self._posted.get(timeout=left)
            except queue.Empty:
                return False
            began = time.perf_counter()
            deliver()
            self.took = max(self.took, time.perf_counter() - began)
        return True


class Asking:
    """A line, and the thread that draws what it tells."""

    def __init__(self, drawing: Drawing, line: Line) -> None:
        self.drawing = drawing
        self.line = line

    def answer(self, question: Question, seconds: float = SECONDS_MAX) -> Answer:
        return self.said(lambda then: self.line.ask(question, then), seconds)

    def said(
        self, work: Callable[[Callable[[Answer], None]], None], seconds: float = SECONDS_MAX
    ) -> Answer:
        answers: list[Answer] = []
        work(answers.append)
        self.drawing.until(lambda: answers, "there is an answer", seconds)
        return answers[0]


@contextmanager
def drawn(**how: Any) -> Iterator[Asking]:
    """A line that has begun. In the end its thread has ended, too."""
    drawing = Drawing()
    line = Line(drawing.post, **how)
    line.watch(drawing.see)
    line.hear(drawing.hear)
    line.start()
    try:
        yield Asking(drawing, line)
    finally:
        line.close()
        line.join(5.0)
    assert not [one for one in threading.enumerate() if one.name == "bus"], "its thread lives on"
