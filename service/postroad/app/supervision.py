"""Services that are to run as long as the node does.

Purpose: one that the disk failed begins again; a fault of our own ends the node, loudly.
Invariants: none ends in silence, whatever it and its tasks raise.
See: docs/adr/0031-groups-and-limits.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

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
    """`note` hears each time that it begins again: what failed, why, and in how many seconds.
    Raises what else ended it, and AssertionError where nothing did."""
    time = asyncio.get_running_loop().time
    wait = RESTART_SECONDS_FIRST
    why: BaseException | None = None
    while True:
        began = time()
        try:
            await _run(name, service)
        except* PostroadError as group:
            why = _first(group)
        if _is_to_end():  # a group of errors can swallow a cancellation
            log.info("%s failed when it was to end: %s", name, why)
            raise asyncio.CancelledError
        log.error("%s begins again: %s", name, why)
        note(name, str(why), wait)
        if time() - began > RESTART_SECONDS_MAX:
            wait = RESTART_SECONDS_FIRST
        await asyncio.sleep(wait)
        wait = min(2 * wait, RESTART_SECONDS_MAX)


async def _run(name: str, service: Service) -> NoReturn:
    """In a task of its own: one that waited at the end of a group, and left it by the error of a
    child, looks before Python 3.13 as if it were to end."""
    running = asyncio.create_task(service(), name=name)
    try:
        await running
    except asyncio.CancelledError as error:
        if running.done() and not running.cancelled() and (fault := running.exception()):
            raise fault from None  # we were told to end in the turn in which it failed
        if _is_to_end():
            raise
        raise AssertionError(f"{name} was cancelled by nobody's order") from error
    raise AssertionError(f"{name} ended")


def _is_to_end() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _first(group: BaseExceptionGroup[PostroadError]) -> BaseException:
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
