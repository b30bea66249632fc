"""What the service manager shows of the node: one line, which follows the verdict.

Purpose: `systemctl --user status postroad` says what `postroad status` says. The node is looked at
after the bell rang, not more often than once a second, and once a minute without a bell.
Invariant: nothing is decided here, and a look that fails costs the line, never the node.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from postroad.base.bell import Bell
from postroad.contract import Severity
from postroad.machine.systemd import Manager
from postroad.timeouts import timeout

log = logging.getLogger(__name__)
Question = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
LOOK_SECONDS_MIN = 1.0  # between two looks
LOOK_SECONDS_MAX = 60.0  # for what rings no bell, such as the room on the disk


def line(told: Mapping[str, Any]) -> str:
    """The state in words, and the gravest problem if it is worth more than a remark. `told`: a
    verdict, as `Verdict.told` has it."""
    said = str(told["sentence"])
    gravest = next(iter(told["problems"]), None)
    if gravest is None or gravest["severity"] == Severity.INFO:
        return said
    return f"{said} {gravest['summary']} {gravest['next_step']}"


async def follow(manager: Manager, questions: Mapping[str, Question], bell: Bell) -> None:
    """Keep the manager's line true, until cancelled."""
    if not manager.listens:
        return
    rang = asyncio.Event()
    with bell.heard_by(rang.set):
        while True:
            rang.clear()
            try:
                manager.status(line(await questions["health"]({})))
            except Exception:
                log.exception("the service manager could not be told how the node is")
            await asyncio.sleep(LOOK_SECONDS_MIN)
            with suppress(TimeoutError):
                async with timeout(LOOK_SECONDS_MAX):
                    await rang.wait()
