"""Services that are to run as long as the node does.

Purpose: one that the disk failed begins again; a fault of our own ends the node, loudly.
Invariants: none ends in silence, whatever it and its tasks raise.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from postroad.base.errors import PostroadError

log = logging.getLogger(__name__)
RESTART_SECONDS_FIRST = 1.0
RESTART_SECONDS_MAX = 60.0
Service = Callable[[], Coroutine[Any, Any, None]]


async def keep_running(
    name: str,
    service: Service,
    note: Callable[[str, str, float], None] = lambda *_: None,
) -> None:
    """Begin again when the disk failed a service; a fault of our own ends the node, loudly. `note`
    hears of each failure: whose, why, and in how many seconds it begins again."""
    time = asyncio.get_running_loop().time
    wait = RESTART_SECONDS_FIRST
    while True:
        began = time()
        try:
            await _ended(name, service)
        except* PostroadError as group:
            log.error("%s begins again: %s", name, _first(group))
            note(name, str(_first(group)), wait)
        if _is_to_end():  # a group of errors can swallow a cancellation
            raise asyncio.CancelledError
        if time() - began > RESTART_SECONDS_MAX:
            wait = RESTART_SECONDS_FIRST
        await asyncio.sleep(wait)
        wait = min(2 * wait, RESTART_SECONDS_MAX)


async def _ended(name: str, service: Service) -> None:
    """Raise what ended a service, which does not end of itself. It runs in a task of its own: one
    that left a group by the error of a child looks, before Python 3.13, as if it were to end."""
    try:
        await asyncio.create_task(service(), name=name)
    except asyncio.CancelledError:
        if _is_to_end():
            raise
    raise AssertionError(f"{name} ended")


def _is_to_end() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _first(group: BaseExceptionGroup[PostroadError]) -> BaseException:
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
