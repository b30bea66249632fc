"""Whether the owner has paused the node, and until when: it outlasts a restart.

Purpose: one place that knows, tells, and lets others wait for the pause to begin or to end.
Kept in a file of its own in the data folder, since it is asked before the network is joined. One
that cannot be read counts as no pause: a node that works by mistake harms less than one that never
does.
Invariants: what was said is durable; one task waits at a time, and clears the event that woke it.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from postroad.base import limits
from postroad.base.errors import DiskFull, PeerMisbehaved, TemporaryFailure
from postroad.base.ids import Instant
from postroad.base.seams import Clock, Disk
from postroad.base.tlv import decode, encode, number, optional
from postroad.store.database import in_words
from postroad.timeouts import timeout

log = logging.getLogger(__name__)
FILE_NAME = "pause"
LOOK_SECONDS_MAX = 10 * limits.MINUTE  # the loop's clock stands still while a computer sleeps


@dataclass(frozen=True, slots=True)
class Pause:
    """`until`: seconds UTC; None: until the owner ends it."""

    until: int | None = optional(number(1, 8))


ENDED = Pause(0)


class Pauses:
    def __init__(self, disk: Disk, clock: Clock) -> None:
        self._disk = disk
        self._clock = clock
        self._pause = _load(disk)
        if self._pause is not None and self._is_over(self._pause):
            self._pause = None
            with suppress(OSError, DiskFull):  # or a wrong clock could bring it back
                disk.write(FILE_NAME, encode(ENDED))
        self._changed = asyncio.Event()
        self._changing = asyncio.Lock()
        self.on_change: Callable[[], None] = lambda: None

    @property
    def pause(self) -> Pause | None:
        """The pause that the node is in."""
        return self._pause

    async def begin(self, until: Instant | None) -> None:
        """Pause from now on; it is durable when this returns. Raises DiskFull, TemporaryFailure."""
        pause = Pause(None if until is None else int(until))
        await asyncio.shield(self._change(pause))

    async def end(self) -> None:
        """Be back from now on; durable, too. Raises DiskFull, TemporaryFailure."""
        await asyncio.shield(self._change(None))

    async def _change(self, pause: Pause | None, *, instead_of: Pause | None = None) -> None:
        """Write it down, then do it; not if another word than `instead_of` was the last.

        One at a time, and whoever asks may be cancelled: what is written down is also done."""
        async with self._changing:
            if instead_of is not None and self._pause is not instead_of:
                return
            # A pause that ended is not removed: a power cut could bring the file back.
            octets = encode(pause or ENDED)
            try:
                await self._disk.run(lambda: self._disk.write(FILE_NAME, octets))
            except OSError as error:
                raise in_words(error) from error
            self._pause = pause
            self._changed.set()
            self.on_change()

    async def wait_for_begin(self) -> None:
        while self._pause is None:
            await self._changed.wait()
            self._changed.clear()

    async def wait_for_end(self) -> None:
        """Until there is no pause, or its time is over: it is then over for good, whatever the
        clock says later."""
        while (pause := self._pause) is not None:
            if self._is_over(pause):
                try:
                    await self._change(None, instead_of=pause)
                except TemporaryFailure as error:
                    log.warning("the end of the pause could not be kept: %s", error)
                    if self._pause is pause:
                        self._pause = None
                continue
            seconds = None
            if pause.until is not None:
                left = pause.until - self._clock.now()
                seconds = min(max(left, 0.05), LOOK_SECONDS_MAX)
            try:
                async with timeout(seconds):
                    await self._changed.wait()
                    self._changed.clear()
            except TimeoutError:
                continue

    def _is_over(self, pause: Pause) -> bool:
        return pause.until is not None and self._clock.now() >= pause.until


def _load(disk: Disk) -> Pause | None:
    try:
        with disk.open(FILE_NAME) as file:
            return decode(Pause, file.read(limits.KIB))
    except FileNotFoundError:
        return None
    except (OSError, PeerMisbehaved) as error:
        log.warning("the pause cannot be read, and counts as none: %s", error)
        return None
