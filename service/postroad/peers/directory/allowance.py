"""How much of us one peer may use: so many questions at once, and then so many a second."""

from collections import OrderedDict
from dataclasses import dataclass

from postroad.base.ids import PeerId

PEERS_REMEMBERED_MAX = 1024  # whoever comes when all places are taken pushes out the quietest


@dataclass(slots=True)
class _Left:
    amount: float
    at: float  # seconds elapsed


class Allowance:
    """A bucket of tokens for each peer."""

    def __init__(self, at_once: int, per_second: float) -> None:
        self._at_once = float(at_once)
        self._per_second = per_second
        self._peers: OrderedDict[PeerId, _Left] = OrderedDict()

    def takes(self, peer: PeerId, elapsed: float) -> bool:
        """Whether this peer may do it once more at this moment; then it is counted."""
        left = self._peers.setdefault(peer, _Left(self._at_once, elapsed))
        self._peers.move_to_end(peer)
        if len(self._peers) > PEERS_REMEMBERED_MAX:
            self._peers.popitem(last=False)
        grown = left.amount + (elapsed - left.at) * self._per_second
        left.amount, left.at = min(self._at_once, grown), elapsed
        if left.amount < 1.0:
            return False
        left.amount -= 1.0
        return True
