"""How fast something may go: a bucket that fills steadily and is drawn from.

What is drawn may be more than is there: the debt is waited for. Whoever waits after each draw takes
turns with all others who do, so that one who wants much delays nobody by more than a turn.
"""

from collections import OrderedDict
from collections.abc import Hashable

from postroad.base.ids import HostPort

SUBNET_BITS_IPV4, SUBNET_BITS_IPV6 = 24, 48  # one customer has as much, and an attacker many hosts


class Bucket:
    """Fills with `per_second` until it holds `burst`; full at first."""

    __slots__ = ("_at", "_burst", "_level", "_per_second")

    def __init__(self, per_second: float, burst: float, now: float) -> None:
        assert per_second > 0
        self._per_second = per_second
        self._burst = burst
        self._level = burst
        self._at = now

    def draw(self, size: float, now: float) -> float:
        """Take this much; how many seconds until it will have been there."""
        self._fill(now)
        self._level -= size
        return max(0.0, -self._level / self._per_second)

    def draw_if_there(self, size: float, now: float) -> bool:
        """Take this much, or nothing: for what is refused rather than made to wait."""
        self._fill(now)
        if self._level < size:
            return False
        self._level -= size
        return True

    def level(self, now: float) -> float:
        """How much is there."""
        self._fill(now)
        return self._level

    def _fill(self, now: float) -> None:
        if now > self._at:
            self._level = min(self._burst, self._level + (now - self._at) * self._per_second)
            self._at = now


class Allowance:
    """A bucket for each who comes: a peer, a host, a subnet. So often `at_once`, and then so often
    `per_second`; when `remembered_max` have come, whoever was quiet longest is forgotten."""

    def __init__(self, at_once: float, per_second: float, remembered_max: int = 1024) -> None:
        self._at_once = at_once
        self._per_second = per_second
        self._remembered_max = remembered_max
        self._buckets: OrderedDict[Hashable, Bucket] = OrderedDict()

    def takes(self, who: Hashable, now: float) -> bool:
        """Whether they may do it once more at this moment; then it is counted."""
        bucket = self._buckets.get(who) or Bucket(self._per_second, self._at_once, now)
        self._buckets[who] = bucket
        self._buckets.move_to_end(who)
        if len(self._buckets) > self._remembered_max:
            self._buckets.popitem(last=False)
        return bucket.draw_if_there(1, now)


def subnet(at: HostPort | None) -> Hashable:
    """The subnet of an address: whose many addresses count as one. None: reached over a relay."""
    if at is None:
        return None
    ip = at.ip
    bits = SUBNET_BITS_IPV4 if ip.version == 4 else SUBNET_BITS_IPV6
    return ip.version, int(ip) >> (ip.max_prefixlen - bits)
