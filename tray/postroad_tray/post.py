"""Where the line to the bus has things called, before it is known who draws, and afterwards.

Purpose: the line begins at once, while Qt is being loaded; what comes meanwhile waits here.
Invariant: each thing is called once, in the order in which it came, in the thread of whoever draws.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from postroad_tray.outbox import Deliver, PostTo


class Post:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[Deliver] = queue.SimpleQueue()
        self._to: PostTo | None = None

    def __call__(self, deliver: Deliver) -> None:
        with self._lock:
            if self._to is None:
                self._waiting.put(deliver)
                return
        self._to(deliver)

    def to(self, post: PostTo) -> None:
        """From now on, and what has waited first."""
        with self._lock:
            self._to = post
            while not self._waiting.empty():
                post(self._waiting.get())

    def until(
        self, holds: Callable[[], bool], seconds_max: float, clock: Callable[[], float]
    ) -> bool:
        """Call what comes in this thread until that is so."""
        ends = clock() + seconds_max
        while not holds():
            left = ends - clock()
            if left <= 0:
                return False
            try:
                self._waiting.get(timeout=left)()
            except queue.Empty:
                return False
        return True
