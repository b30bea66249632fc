"""Who is let in: those whom we know first, and of the others only so many.

Purpose: a handshake costs milliseconds, and whoever has it may keep a link busy; somebody with ten
thousand keys and some subnets shall cost no more of this computer than a fixed part, and keep none
of the owner's contacts out. Before a handshake only the address is known, so it is by that: a host
where we last knew one of ours is let in by an allowance of its own; strangers by subnet and in all,
with some places kept for subnets from which hardly anybody comes. After it, the key is known: each
stranger's exchanges are paced, so that the wire tells them to wait.
Invariants: nothing here waits for the disk; what is remembered is bounded.
See: docs/adr/0011-strangers.md.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable

from postroad.base import limits
from postroad.base.errors import TemporaryFailure
from postroad.base.ids import HostPort, PeerId
from postroad.base.seams import Clock
from postroad.peers.rates import Allowance, Bucket, subnet
from postroad.timeouts import timeout

log = logging.getLogger(__name__)
REMEMBERED_MAX = 4096  # subnets and strangers: some 200 bytes each


Known = tuple[frozenset[PeerId], frozenset[str]]
"""Whose nodes we know, by their keys, and the hosts where they were."""


class Admission:
    """Run `run` while the node is on the network."""

    def __init__(self, clock: Clock, load: Callable[[], Awaitable[Known]]) -> None:
        """`load`: whom we know by now."""
        self._clock = clock
        self._load = load
        self._wake = asyncio.Event()
        self._peers, self._hosts = frozenset[PeerId](), frozenset[str]()
        self._of_known = Allowance(
            limits.ARRIVALS_OF_KNOWN_AT_ONCE, limits.ARRIVALS_OF_KNOWN_PER_SECOND, REMEMBERED_MAX
        )
        now = clock.elapsed()
        self._subnets: OrderedDict[Hashable, Bucket] = OrderedDict()
        self._all = Bucket(limits.ARRIVALS_PER_SECOND, limits.ARRIVALS_AT_ONCE, now)
        self._reserved = Bucket(limits.ARRIVALS_RESERVED_PER_SECOND, limits.ARRIVALS_RESERVED, now)
        self._pace: OrderedDict[Hashable, Bucket] = OrderedDict()
        self._pace_of_all = Bucket(
            limits.STRANGERS_EXCHANGES_PER_SECOND, limits.STRANGERS_EXCHANGES_AT_ONCE, now
        )
        self.refused = 0  # before a handshake, since the node started

    async def run(self) -> None:
        while True:
            self._wake.clear()
            await self.refresh()
            try:
                async with timeout(limits.ACQUAINTANCES_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def refresh(self) -> None:
        try:
            self._peers, self._hosts = await self._load()
        except TemporaryFailure as error:  # whom we knew before is known still
            log.warning("it was not read whom we know: %s", error)

    def wake(self) -> None:
        """There may be others whom we know by now."""
        self._wake.set()

    def knows(self, peer: PeerId) -> bool:
        return peer in self._peers

    def admits(self, at: HostPort | None, peer: PeerId | None = None) -> bool:
        """Whether somebody at this address may shake hands. None: they come over a relay, which
        says who they are (`peer`)."""
        now = self._clock.elapsed()
        known = at.host if at is not None and at.host in self._hosts else None
        if known is None and peer is not None and self.knows(peer):
            known = peer.hex()
        if known is not None and self._of_known.takes(known, now):
            return True
        if self._admits_stranger(subnet(at), now):
            return True
        self.refused += 1
        if self.refused & (self.refused - 1) == 0:  # the first, the second, the fourth one, ...
            log.warning("strangers turned away: too many at once", extra={"count": self.refused})
        return False

    def _admits_stranger(self, where: Hashable, now: float) -> bool:
        bucket = _bucket(
            self._subnets,
            where,
            limits.ARRIVALS_OF_SUBNET_PER_SECOND,
            limits.ARRIVALS_OF_SUBNET_AT_ONCE,
            now,
        )
        if not bucket.draw_if_there(1, now):
            return False
        if self._all.draw_if_there(1, now):
            return True
        few = limits.ARRIVALS_OF_SUBNET_AT_ONCE - limits.ARRIVALS_OF_SUBNET_FEW
        return bucket.level(now) >= few and self._reserved.draw_if_there(1, now)

    def pause(self, peer: PeerId, at: HostPort | None) -> float:
        """How many seconds an exchange that this peer begins has to wait; it is counted."""
        if self.knows(peer):
            return 0.0
        now = self._clock.elapsed()
        own = _bucket(
            self._pace,
            peer,
            limits.STRANGER_EXCHANGES_PER_SECOND,
            limits.STRANGER_EXCHANGES_AT_ONCE,
            now,
        )
        of_subnet = _bucket(
            self._pace,
            subnet(at),
            limits.SUBNET_EXCHANGES_PER_SECOND,
            limits.SUBNET_EXCHANGES_AT_ONCE,
            now,
        )
        return max(one.draw(1, now) for one in (own, of_subnet, self._pace_of_all))


def _bucket(
    buckets: OrderedDict[Hashable, Bucket],
    who: Hashable,
    per_second: float,
    at_once: float,
    now: float,
) -> Bucket:
    """The bucket of whoever this is; when too many are remembered, the quietest is forgotten."""
    bucket = buckets.get(who) or Bucket(per_second, at_once, now)
    buckets[who] = bucket
    buckets.move_to_end(who)
    if len(buckets) > REMEMBERED_MAX:
        buckets.popitem(last=False)
    return bucket
