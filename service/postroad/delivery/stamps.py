"""Make stamps: the work that our letters to strangers need (`sealing/stamp.py`).

Purpose: one for each recipient and day, made in small pieces in the database thread, so that
neither the event loop nor other work there waits for long.
Invariant: no more work is done than STAMP_BITS_MAX, whatever somebody's record asks for.
"""

import asyncio
from collections import OrderedDict
from functools import partial

from postroad.base import limits
from postroad.base.errors import TemporaryFailure
from postroad.base.ids import Fingerprint, PeerId
from postroad.base.seams import Clock
from postroad.sealing import stamp
from postroad.store.database import Database

REMEMBERED_MAX = 256


class Stamps:
    def __init__(self, database: Database, clock: Clock, me: PeerId) -> None:
        self._database = database
        self._clock = clock
        self._me = me
        self._made: OrderedDict[tuple[Fingerprint, int, int], bytes] = OrderedDict()
        self._making = asyncio.Lock()

    async def one_for(self, recipient: Fingerprint, bits: int) -> bytes:
        """A stamp for letters to them, of so many bits; 0: of as many as everybody's."""
        bits = bits or limits.STAMP_BITS
        if bits > limits.STAMP_BITS_MAX:
            raise TemporaryFailure(
                "They ask strangers for more work than your node does. Ask them for an invitation."
            )
        async with self._making:
            key = recipient, bits, stamp.today(self._clock.now())
            if key not in self._made:
                self._made[key] = await self._make(*key)
                if len(self._made) > REMEMBERED_MAX:
                    self._made.popitem(last=False)
            return self._made[key]

    async def _make(self, recipient: Fingerprint, bits: int, day: int) -> bytes:
        tries = limits.STAMP_TRIES_AT_ONCE
        start = 0
        while True:
            look = partial(stamp.search, self._me, recipient, bits, day, start, tries)
            found = await self._database.outside(look)
            if found is not None:
                return found
            start += tries
