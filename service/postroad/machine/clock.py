"""The kernel's clocks."""

import time

from postroad.base.ids import Instant


class SystemClock:
    """`base.seams.Clock`."""

    def now(self) -> Instant:
        return Instant(time.time())  # noqa: TID251  (this is the clock that everybody asks)

    def elapsed(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)
