"""End a node whose computer has another policy than the one it was started under.

Purpose: a node that goes on with the old policy would be wider than allowed. Whoever started it
starts it again, and it reads the new one.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from postroad.app import policy as policies
from postroad.app.policy import Policy

POLICY_LOOK_SECONDS = 60.0


@asynccontextmanager
async def ended_by_another(policy: Policy, stop: Callable[[], object]) -> AsyncIterator[None]:
    """While within: `stop` is called when the computer's policy is another one than this, or one
    that nobody can read."""

    async def watch() -> None:
        while not policies.has_changed(policy):  # noqa: ASYNC110  (it is a file of somebody else's)
            await asyncio.sleep(POLICY_LOOK_SECONDS)
        stop()

    watching = asyncio.create_task(watch(), name="policy")
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait({watching})
