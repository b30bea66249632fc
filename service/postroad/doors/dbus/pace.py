"""How much of the processor the thread of the bus may have."""

import time

PROCESSOR_SHARE = 0.25  # of one core, in the long run; whoever calls more often waits
PROCESSOR_BURST_SECONDS = 0.1
WAIT_SECONDS_MIN = 0.005  # few waits that are worth a change of threads


class Pace:
    """Let this thread have its share of the processor and no more, however much it is asked: the
    one core on which Python runs is also the one on which letters are sealed."""

    def __init__(self) -> None:
        self._used = time.thread_time()
        self._looked = time.monotonic()
        self._debt = 0.0

    def keep(self) -> None:
        """Wait as long as it takes. While the thread waits, the bus keeps what it has for us."""
        used, now = time.thread_time(), time.monotonic()
        earned = (now - self._looked) * PROCESSOR_SHARE
        self._debt = max(self._debt + used - self._used - earned, 0.0)
        self._used, self._looked = used, now
        if self._debt > PROCESSOR_BURST_SECONDS:
            time.sleep(self._debt - PROCESSOR_BURST_SECONDS + WAIT_SECONDS_MIN)
