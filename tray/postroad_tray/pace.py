"""How much of anything others can make us do.

Purpose: a share of the processor, and so many of a kind in a second.
"""

from __future__ import annotations

import asyncio
import time

PROCESSOR_SHARE = 0.25  # of one core, in the long run
PROCESSOR_BURST_SECONDS = 0.5  # the first answer of a node with many contacts
PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX = 0.05, 1.0


class Pace:
    """Let us have our share of the processor and no more, however much comes."""

    def __init__(self) -> None:
        self._used = time.thread_time()
        self._looked = time.monotonic()
        self._debt = 0.0

    async def keep(self) -> None:
        """Wait as long as it takes."""
        used, now = time.thread_time(), time.monotonic()
        earned = (now - self._looked) * PROCESSOR_SHARE
        self._debt = max(self._debt + used - self._used - earned, 0.0)
        self._used, self._looked = used, now
        if self._debt > PROCESSOR_BURST_SECONDS:
            pause = (self._debt - PROCESSOR_BURST_SECONDS) / PROCESSOR_SHARE
            await asyncio.sleep(min(max(pause, PAUSE_SECONDS_MIN), PAUSE_SECONDS_MAX))


class Bucket:
    """So many at once, and so many a second after that."""

    def __init__(self, at_once: float, a_second: float) -> None:
        self._at_once = self._left = at_once
        self._a_second = a_second
        self._looked = 0.0

    def take(self, now: float) -> bool:
        """Whether there is one left."""
        self._left = min(self._at_once, self._left + (now - self._looked) * self._a_second)
        self._looked = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
