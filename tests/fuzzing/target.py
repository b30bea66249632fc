"""One parser of bytes from outside, as both Hypothesis and Atheris drive it.

A target takes any octets. It may end in nothing, or in an error that its callers are made for; what
else is raised, a property that does not hold, or more CPU than an event loop can spare (A7) is a
find.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

CPU_SECONDS_MAX = 0.25  # promise A7


class TooSlow(AssertionError):
    """It took longer than any input may hold up the loop."""


@dataclass(frozen=True, slots=True)
class Target:
    """`covers`: the functions, as `room.module.name`, that it feeds. `seeds`: what is well formed,
    to begin with. `errors`: what may be raised."""

    name: str
    feed: Callable[[bytes], None]
    covers: tuple[str, ...]
    seeds: Callable[[], list[bytes]]
    errors: tuple[type[Exception], ...] = field(default=())
    bytes_max: int = 4096

    def run(self, octets: bytes) -> None:
        """Feed it; raises what is a find."""
        began = time.process_time()
        with suppress(*self.errors):
            self.feed(octets)
        seconds = time.process_time() - began
        if seconds > CPU_SECONDS_MAX:
            raise TooSlow(f"{self.name}: {seconds:.2f} s of CPU for {len(octets)} octets")


def text(octets: bytes) -> str:
    """Any text: whatever is not UTF-8 becomes what a socket or terminal would make of it."""
    return octets.decode("utf-8", "surrogateescape")


def pieces(octets: bytes, sizes: bytes) -> list[bytes]:
    """The octets cut by these sizes, over and over: what a parser says must not depend on it."""
    steps = [size + 1 for size in sizes] or [1]
    found, at, turn = [], 0, 0
    while at < len(octets):
        found.append(octets[at : at + steps[turn % len(steps)]])
        at += len(found[-1])
        turn += 1
    return found
