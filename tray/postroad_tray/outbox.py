"""From the thread of the bus to the thread that draws: one after the other, and never a heap.

Purpose: what happened waits here until whoever draws has time for it.
Invariants: what is taken out is taken in the order in which it was put in, and only in the thread
that draws; a picture that nobody has looked at yet gives way to the next one, which takes its place
at the end. `post` is called once for all that waits. Nothing is taken out after `shut`. A listener
that fails is logged, and the others hear all the same.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)
Deliver = Callable[[], None]
PostTo = Callable[[Deliver], None]  # have it called in the thread that draws, from any thread
HINTS_MAX = 200  # that wait; what comes beyond is left out


class Outbox:
    def __init__(self, post: PostTo) -> None:
        self._post = post
        self._lock = threading.Lock()
        self._waiting: deque[Deliver] = deque()
        self._picture: Deliver | None = None
        self._hints = 0
        self._is_posted = False
        self._is_shut = False

    def put(self, deliver: Deliver) -> None:
        """An answer: each one is delivered."""
        with self._lock:
            self._waiting.append(deliver)
        self._call()

    def put_picture(self, deliver: Deliver) -> None:
        with self._lock:
            if self._picture is not None:
                self._waiting.remove(self._picture)
            self._picture = deliver
            self._waiting.append(deliver)
        self._call()

    def put_hint(self, deliver: Deliver) -> None:
        """A signal: there is room for so many."""
        with self._lock:
            if self._hints >= HINTS_MAX:
                return
            self._hints += 1
            self._waiting.append(deliver)
        self._call()

    def shut(self) -> None:
        """In the thread that draws: what waits is forgotten."""
        with self._lock:
            self._is_shut = True
            self._waiting.clear()

    def _call(self) -> None:
        with self._lock:
            if self._is_posted or self._is_shut:
                return
            self._is_posted = True
        try:
            self._post(self._deliver)
        except Exception as error:  # whoever draws has ended, before we were told
            log.info("nobody draws any more: %s", error)
            self.shut()

    def _deliver(self) -> None:
        """What waits now; what comes meanwhile is posted anew, so that others have their turn."""
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
            self._picture, self._hints, self._is_posted = None, 0, False
        for deliver in waiting:
            if self._is_shut:
                return
            try:
                deliver()
            except Exception:
                log.exception("what the session bus told could not be shown")
