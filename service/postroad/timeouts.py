"""`asyncio.timeout`, kept to in a task that was asked to end, too.

Before Python 3.11.3 (Debian 12 has 3.11.2) a limit that runs out in such a task does not raise
TimeoutError, but ends the task. A task is asked to end when its node stops; before Python 3.13 it
looks so for ever once it waited at the end of a TaskGroup and left it by the error of a child.
Where that happens within a limit, the limit ends the task before 3.13, as `asyncio.timeout` does.
Source: CPython's issues 102780 and 116720. See: docs/adr/0031-groups-and-limits.md.
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class timeout:  # it stands where `asyncio.timeout` stood
    """As `asyncio.timeout`: TimeoutError after `seconds`; None: never."""

    def __init__(self, seconds: float | None) -> None:
        self._limit = asyncio.timeout(seconds)  # noqa: TID251
        self._task: asyncio.Task[object] | None = None
        self._requests = 0  # to end the task, from before

    async def __aenter__(self) -> asyncio.Timeout:
        limit = await self._limit.__aenter__()
        self._task = asyncio.current_task()
        assert self._task is not None
        self._requests = self._task.cancelling()
        return limit

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._limit.__aexit__(kind, error, trace)  # where that is right, it raises
        assert self._task is not None
        is_due = self._limit.expired() and self._task.cancelling() <= self._requests
        if is_due and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error
