"""How many letters of strangers are looked at: before any is opened, or takes a place in a drop.

Purpose: whoever comes without a ticket shows a stamp, and then counts for their key, their subnet
and in all, for one recipient. All of it costs a hash and some look-ups in memory.
Invariants: no more is remembered than `Allowance` remembers; contacts are never counted here.
See: docs/adr/0011-strangers.md.
"""

from postroad.base import limits
from postroad.base.ids import Fingerprint
from postroad.base.seams import Clock
from postroad.peers.exchange import Exchange
from postroad.peers.rates import Allowance, subnet
from postroad.protocol import wire
from postroad.sealing import stamp as stamps


class StrangersGate:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        a_day = limits.REQUESTS_PER_STRANGER_A_DAY
        self._peers = Allowance(a_day, a_day / limits.DAY)
        in_subnet = limits.REQUESTS_PER_SUBNET_A_DAY
        self._subnets = Allowance(in_subnet, in_subnet / limits.DAY)
        self._all = Allowance(limits.REQUESTS_AT_ONCE, limits.REQUESTS_PER_SECOND)

    def objection(
        self, exchange: Exchange, recipient: Fingerprint, bits: int, stamp: bytes | None
    ) -> wire.No | None:
        """Why this stranger's letter is not taken now; None: it is, and is counted."""
        bits = bits or limits.STAMP_BITS
        now = self._clock.elapsed()
        if stamp is None or not stamps.is_good(
            stamp, exchange.peer, recipient, bits, self._clock.now()
        ):
            reason = f"A stranger's letter needs a stamp of {bits} bits, of about today."
            return wire.No(wire.Refusal.STAMP, reason)
        if not self._peers.takes((recipient, exchange.peer), now):
            return _too_many(
                f"A stranger may write {limits.REQUESTS_PER_STRANGER_A_DAY} letters a day to the "
                "recipient; this one is tried again tomorrow."
            )
        if not self._subnets.takes((recipient, subnet(exchange.path().address)), now):
            return _too_many("Too many strangers in your network write to the recipient today.")
        if not self._all.takes(recipient, now):
            return _too_many("Too many strangers write to the recipient just now.")
        return None


def _too_many(reason: str) -> wire.No:
    return wire.No(wire.Refusal.RATE, reason)
