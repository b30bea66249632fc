"""Keep the node's clock honest: hear what peers say of the time, and tell whether ours may be
believed.

Purpose: `base.seams.SureClock` for the whole house. Nothing is sent for it: where peers see us is
asked anyway (`Client.who`), and their answers tell their time.
Invariants: only those count whose key a link of ours proved and whom the owner knows, each person
once; what the clock did is written down each hour, and tells nothing of whom we asked.
See: protocol/clock.py for what is concluded.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Protocol

from postroad.base import limits
from postroad.base.errors import TemporaryFailure
from postroad.base.ids import Instant, PeerId, SureInstant
from postroad.base.seams import Clock
from postroad.protocol import clock
from postroad.protocol.clock import Because, Judgement, Memory, Reading, Steady, Voice

log = logging.getLogger(__name__)


class Notebook(Protocol):
    """What the store keeps for it: `store.clock_memory`."""

    async def whose(self, peer: PeerId) -> str | None:
        """The person whose node this is; None: nobody's that the owner trusts."""

    async def load(self) -> Memory | None: ...

    async def save(self, memory: Memory) -> None: ...


class Timekeeper:
    """`base.seams.SureClock`. Unconfirmed until `begin`."""

    def __init__(self, clock: Clock, notebook: Notebook) -> None:
        self._clock = clock
        self._notebook = notebook
        self._steady = Steady(self._read())
        self._voices: dict[PeerId, Voice] = {}
        self._confirmed = False
        self._news = asyncio.Event()

    async def begin(self) -> None:
        """Take up what is known of the clock from before."""
        self._steady = clock.resume(await self._notebook.load(), self._read())

    def now(self) -> Instant:
        return self._clock.now()

    def elapsed(self) -> float:
        return self._clock.elapsed()

    def sure_now(self) -> SureInstant | None:
        now = self._read()
        return SureInstant(Instant(now.now)) if self._look(now).confirmed else None

    @property
    def confirmed(self) -> bool:
        return self.sure_now() is not None

    def judgement(self) -> Judgement:
        """Whether the clock is confirmed, and why."""
        return self._look(self._read())

    async def changed(self) -> bool:
        """Wait until the wall clock was set, or is confirmed: whether it is. One task waits."""
        await self._news.wait()
        self._news.clear()
        return self.confirmed

    def errors(self) -> list[float]:
        """By how many seconds our clock is ahead of each person's."""
        return clock.errors_of(self._voices.values(), self._read())

    def wants_voice(self, peer: PeerId) -> bool:
        """Whether this peer should be asked for its time, should there be a link to it anyhow."""
        return peer not in self._voices and not self.confirmed

    async def heard(self, peer: PeerId, now: int) -> None:
        """This peer, whom we asked, told its time."""
        told = Reading(float(now), self._clock.elapsed())
        whose = await self._notebook.whose(peer)
        if whose is None:
            return
        self._voices.pop(peer, None)
        self._voices[peer] = Voice(whose, told)
        while len(self._voices) > limits.OBSERVATIONS_MAX:
            self._voices.pop(next(iter(self._voices)))
        self._look(self._read())

    async def keep(self) -> None:
        """Look at the clock, and write down for how long it was steady."""
        now = self._read()
        judgement = self._look(now)
        uptime = self._steady.uptime_at(now.elapsed)
        if judgement.because is Because.CONTRADICTED:
            uptime = 0.0
        await self._notebook.save(Memory(now, min(uptime, limits.CLOCK_UPTIME_SECONDS)))

    async def keep_quietly(self) -> None:
        """The same when the node stops: what the disk does not take, was an hour's knowledge."""
        with suppress(TemporaryFailure):
            await self.keep()

    def _read(self) -> Reading:
        return Reading(self._clock.now(), self._clock.elapsed())

    def _look(self, now: Reading) -> Judgement:
        """Judge, and tell of what changed."""
        steady = clock.watch(self._steady, now)
        stepped = steady is not self._steady
        was_confirmed = self._confirmed and not stepped
        self._steady = steady
        judgement = clock.judge(steady, self._voices.values(), now, was_confirmed=was_confirmed)
        news, self._confirmed = judgement.confirmed and not was_confirmed, judgement.confirmed
        if stepped:
            log.warning("the clock was set: nothing is destroyed until it is confirmed again")
        if news:
            log.info("the clock is confirmed: %s", judgement.because)
        if stepped or news:
            self._news.set()
        return judgement
