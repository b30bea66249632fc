"""Give memory back that was only needed for a while.

Purpose: a node that rests is small. What a start, a large letter or many links needed stays with
the allocator, and so resident, until it is asked for it: some 3 MB after a start.
"""

import asyncio
import contextlib
import ctypes
from typing import Never

from postroad.base import limits

SETTLING_SECONDS = 5 * limits.MINUTE


def give_back() -> None:
    """malloc_trim(3); nothing where the C library has no such thing."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


async def stay_small() -> Never:
    """Give back what a start needed when the links that it makes are through, then each hour."""
    await asyncio.sleep(SETTLING_SECONDS)
    while True:
        give_back()
        await asyncio.sleep(limits.HOUR)
