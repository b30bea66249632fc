"""How much of a large letter has gone, while it is being brought on its way.

Purpose: what `postroad watch` and `queue` draw a bar of. Nothing waits for it, and nothing is kept.
Invariants: it tells of rounds that are under way, and of nothing else; a letter that goes to more
than one at once is as far as it is with whoever has most of it. The bell rings for each twentieth,
so that a large letter wakes whoever looks on no more often than a few small ones.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from postroad.base import limits
from postroad.base.bell import Bell

SHOWN_FROM_BYTES = 1 * limits.MIB
STEPS = 20


@dataclass(frozen=True, slots=True)
class Gone:
    """So many octets of the sealed letter have gone, of so many."""

    octets: int
    size: int


class Progress:
    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._gone: dict[int, dict[object, Gone]] = {}  # by parcels, and by who is sent it

    def of(self, parcel_id: int) -> Gone | None:
        """None: it is not being sent now, or is small, or nobody has taken a piece of it yet."""
        under_way = self._gone.get(parcel_id, {}).values()
        return max(under_way, key=lambda gone: gone.octets, default=None)

    def told(self, parcel_id: int) -> dict[str, Any]:
        """The same for whoever asks the node."""
        gone = self.of(parcel_id)
        return {
            "gone_bytes": None if gone is None else gone.octets,
            "sealed_bytes": None if gone is None else gone.size,
        }

    @contextmanager
    def of_a_round(self, parcel_id: int) -> Iterator[None]:
        """Its end is the end of what is told about it."""
        try:
            yield
        finally:
            if self._gone.pop(parcel_id, None) is not None:
                self._bell.ring()

    def counted(
        self, parcel_id: int, size: int, pieces: Callable[[], AsyncIterator[bytes]]
    ) -> Callable[[], AsyncIterator[bytes]]:
        """The same pieces: each counts as gone once the next is wanted; of whoever does not take
        all of them, none counts any more."""
        if size < SHOWN_FROM_BYTES:
            return pieces

        async def count() -> AsyncIterator[bytes]:
            octets, whose = 0, object()
            try:
                async for piece in pieces():
                    yield piece
                    octets += len(piece)
                    self._note(parcel_id, whose, Gone(octets, size))
            finally:
                if octets < size:
                    self._note(parcel_id, whose, None)

        return count

    def _note(self, parcel_id: int, whose: object, gone: Gone | None) -> None:
        before = self.of(parcel_id)
        each = self._gone.setdefault(parcel_id, {})
        if gone is None:
            each.pop(whose, None)
        else:
            each[whose] = gone
        if not each:
            del self._gone[parcel_id]
        if _step(before) != _step(self.of(parcel_id)):
            self._bell.ring()


def _step(gone: Gone | None) -> int | None:
    return None if gone is None else gone.octets * STEPS // gone.size
