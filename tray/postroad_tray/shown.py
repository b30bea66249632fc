"""What is known of the service, and the pictures of it that whoever draws gets.

Invariants: between two pictures there is a pause, however much changes; the last state is always
among them; two that are the same are one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from postroad_tray import facts
from postroad_tray.facts import Link, Picture

PICTURE_SECONDS = 0.1  # between two pictures


class Shown:
    """`objects` as they were told by `told_by` (a unique name; nobody, where more was said than we
    have heard); `change` either, then `show`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, draw: Callable[[Picture], None]) -> None:
        self._loop = loop
        self._draw_picture = draw
        self._last: Picture | None = None
        self._at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.objects = facts.Objects()
        self.told_by = ""
        self.link = Link.ASKED

    def show(self, link: Link | None = None) -> None:
        """Have this drawn, with what else happens until it is time for it."""
        self.link = link or self.link
        if self._timer is None:
            wait = self._at + PICTURE_SECONDS - self._loop.time()
            self._timer = self._loop.call_later(max(wait, 0.0), self._draw)

    def _draw(self) -> None:
        self._timer = None
        self._at = self._loop.time()
        picture = self.objects.picture(self.link)
        if picture != self._last:
            self._last = picture
            self._draw_picture(picture)
