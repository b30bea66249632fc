"""An event loop whose clock jumps: waiting costs no time, and one seed is one history.

Invariants: virtual time passes only when nothing is ready to run; tasks hash by their birth,
because `TaskGroup` cancels its children in the order of a set; a loop that would wait for ever, or
never would again, says so.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from itertools import count
from typing import Any, TypeVar

from postroad.base.ids import Instant, SureInstant

T = TypeVar("T")


class LoopClock:
    """`base.seams.SureClock`, and right. Runs with the event loop, virtual or not."""

    def __init__(self) -> None:
        self._asleep = 0.0

    def now(self) -> Instant:
        return Instant(self.elapsed() + 1_800_000_000.0)

    def sure_now(self) -> SureInstant | None:
        return SureInstant(self.now())

    def elapsed(self) -> float:
        return asyncio.get_running_loop().time() + self._asleep

    def sleep(self, seconds: float) -> None:
        """Time passes, and the loop does not notice: as when a computer is suspended."""
        self._asleep += seconds


TURNS_MAX = 20_000  # of the loop, while its clock stands still


class SleepsForEver(RuntimeError):
    """Nothing is ready, nothing is planned: in the real world this would hang."""


class NeverSleeps(RuntimeError):
    """Somebody is busy without end: in the real world this would burn a processor."""


class _Jumping(selectors.SelectSelector):
    """Never waits: it puts the loop's clock forward by what it should have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise SleepsForEver("every task waits, and no timer is set")
            if timeout > 0.0:
                self.now += timeout
                self._turns = 0
        self._turns += 1
        if self._turns > TURNS_MAX:
            raise NeverSleeps(f"{TURNS_MAX} turns of the loop, and no time has passed")
        return ready


class _Task(asyncio.Task[T]):
    """A task hashed by its birth in its loop, so that sets of tasks iterate alike in every run."""

    def __init__(self, *arguments: Any, birth: int, **options: Any) -> None:
        self._birth = birth
        super().__init__(*arguments, **options)

    def __hash__(self) -> int:
        return self._birth


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)
        self._births = count()
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        return self._jumping.now

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, work: Any, **options: Any
    ) -> asyncio.Task[Any]:
        return _Task(work, loop=loop, birth=next(self._births), **options)


def run(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` on a virtual clock that begins at 0."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
