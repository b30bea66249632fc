"""Wait at a relay, for those who cannot reach us directly: the nearest that lets us in.

Purpose: measure the relays of helpers and contacts, stay at one, notice when it is gone, and go to
the next. iroh is given one relay only: by itself it would take 52 s to leave one that is dead.
Invariants: measured only when there is a reason; a relay that failed us is left alone for a while;
we wait at nobody's who is no helper or contact of ours any more.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf
from statistics import median

from postroad.base import limits
from postroad.base.errors import Unreachable
from postroad.base.ids import PeerId, Relay, short
from postroad.base.seams import Clock, Endpoint
from postroad.peers.surroundings import Surroundings
from postroad.protocol import reach
from postroad.protocol.dialable import may_dial
from postroad.timeouts import timeout

log = logging.getLogger(__name__)

AGAIN_SECONDS_FIRST, AGAIN_SECONDS_MAX = 5.0, 10 * limits.MINUTE  # while none lets us in
SHUNNED_SECONDS = 10 * limits.MINUTE  # after it failed us
DOUBT_SECONDS = 30.0  # between looks at it that others' silence causes


class HomeRelay:
    """Run `run` for as long as the node is on the network. `own`: our own relay, when others reach
    it; `changed` hears that we wait elsewhere."""

    def __init__(
        self,
        endpoint: Endpoint,
        clock: Clock,
        around: Surroundings,
        own: Callable[[], Relay | None],
        changed: Callable[[], None],
    ) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._around = around
        self._own = own
        self._changed = changed
        self._offers: dict[PeerId, Relay] = {}
        self._tried: set[Relay] = set()  # at the last choice
        self._shunned: dict[Relay, float] = {}
        self._relay: Relay | None = None  # where we wait
        self._seconds: float | None = None
        self._checked_at = -inf
        self._check = asyncio.Event()
        self.is_content = True  # with our relay, or with nobody who offers one

    @property
    def relay(self) -> Relay | None:
        """Where we wait."""
        return self._relay

    @property
    def seconds(self) -> float | None:
        """How long it took to answer when it was chosen."""
        return self._seconds

    def begin(self) -> None:
        """The endpoint is a new one."""
        self._relay = self._seconds = None
        self._shunned.clear()
        self.is_content = False
        self._check.set()

    def check(self, *, moved: bool = False) -> None:
        """Something happened: is our relay still the right one? `moved`: we are somewhere else."""
        if moved:
            self._shunned.clear()
        self._check.set()

    async def check_offers(self) -> None:
        """Look whether somebody offers a relay who did not when we last chose."""
        if self._relay is None and not set(await self._offered()) <= self._tried:
            self._check.set()

    def take_offer(self, relay: Relay) -> None:
        """A contact relays for us at the address where we see it."""
        if not _may_use(relay) or self._offers.get(relay.peer) == relay:
            return
        self._offers[relay.peer] = relay
        while len(self._offers) > limits.RELAYS_TRIED_MAX:
            self._offers.pop(next(iter(self._offers)))
        if self._relay is None:
            self._check.set()

    def doubt(self) -> None:
        """Somebody could not be reached: is our relay still there?"""
        now = self._clock.elapsed()
        if self._relay is not None and now - self._checked_at > DOUBT_SECONDS:
            self._check.set()

    async def run(self) -> None:
        wait = AGAIN_SECONDS_FIRST
        while True:
            try:
                async with timeout(None if self.is_content else wait):
                    await self._check.wait()
            except TimeoutError:
                wait = min(2 * wait, AGAIN_SECONDS_MAX)
            self._check.clear()
            await self._choose()
            if self.is_content:
                wait = AGAIN_SECONDS_FIRST

    async def _choose(self) -> None:
        """Stay at a relay that answers; else measure those that are offered and go to the best."""
        self._checked_at = self._clock.elapsed()
        own = self._own()
        may_stay = self._relay is not None and self._relay.peer in await self._of_ours()
        if self._relay and may_stay and (own in (None, self._relay) or self._is_shunned(own)):
            with suppress(Unreachable):
                await self._endpoint.try_relay(self._relay)
                self.is_content = self._endpoint.home_relay() == self._relay
                if self.is_content:
                    return
        offered = await self._offered()
        self._tried = set(offered)
        seconds = await self._measure(offered)
        while (best := reach.choose_relay(seconds, self._relay)) is not None:
            if await self._wait_at(best):
                self._seconds = seconds[best]
                break
            self._shunned[best] = self._clock.elapsed() + SHUNNED_SECONDS
            del seconds[best]
        self.is_content = best is not None or not offered
        if best is None and self._relay is not None:
            log.warning("the relay at %s is gone, and there is no other", self._relay.address)
            self._relay = self._seconds = None
            await self._endpoint.use_relays(())
        self._changed()

    async def _wait_at(self, relay: Relay) -> bool:
        """Whether this relay has let us in."""
        await self._endpoint.use_relays((relay,))
        if self._endpoint.home_relay() != relay:
            log.info("the relay at %s does not let us in", relay.address)
            return False
        self._relay = relay
        log.info("waiting at the relay at %s", relay.address)
        return True

    def _is_shunned(self, relay: Relay | None) -> bool:
        return relay is not None and self._shunned.get(relay, -inf) > self._clock.elapsed()

    async def _of_ours(self) -> set[PeerId]:
        """Whose relays we may wait at: our own, helpers' that serve us, contacts'."""
        known = [*await self._around.helpers(), *await self._around.contacts()]
        return {self._endpoint.me, *(one.peer for one in known)}

    async def _offered(self) -> list[Relay]:
        """The relays that we may wait at, as far as we know; our own, if it is one, alone."""
        own = self._own()
        if own is not None and not self._is_shunned(own):
            return [own]
        helpers = await self._around.helpers()
        offers = [one.relay for one in helpers if one.relay is not None]
        of_ours = await self._of_ours()
        offers += [one for one in self._offers.values() if one.peer in of_ours]
        for contact in await self._around.contacts():
            relay = contact.relay
            if relay is not None and relay.peer == contact.peer and _may_use(relay):
                offers.append(relay)  # a node that says in its record that it relays
        fit = [one for one in dict.fromkeys(offers) if not self._is_shunned(one)]
        return fit[: limits.RELAYS_TRIED_MAX]

    async def _measure(self, relays: Sequence[Relay]) -> dict[Relay, float]:
        """How long each takes to answer, the median of three; those that answer."""

        async def one(relay: Relay) -> float | None:
            try:
                return median([await self._endpoint.try_relay(relay) for _ in range(3)])
            except Unreachable as error:
                log.info("%s", error, extra={"relay": short(relay.peer)})
                return None

        found = await asyncio.gather(*map(one, relays))
        return {
            relay: seconds
            for relay, seconds in zip(relays, found, strict=True)
            if seconds is not None
        }


def _may_use(relay: Relay) -> bool:
    """Whether to wait at a relay that a contact offers: others have to reach it as well."""
    return may_dial(relay.address, private=False)
