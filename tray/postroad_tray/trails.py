"""How fast each peer answered in the last hour, as far as this program was told. Pure.

Invariants: of each peer at most one value a minute and no more than an hour's; what a picture does
not tell any more is forgotten. A peer that is away leaves a gap, not a nought.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from postroad_tray.facts import Picture

SPAN_SECONDS = 3600
STEP_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Point:
    at: float
    milliseconds: float


Trail = tuple[Point, ...]


class Trails:
    """`note` each picture; `of` a peer's object path, the oldest point first."""

    def __init__(self) -> None:
        self._kept: dict[str, deque[Point]] = {}

    def note(self, picture: Picture, now: float) -> None:
        if not picture.is_there:
            return
        known = {one.object_path for one in picture.peers}
        for path in [one for one in self._kept if one not in known]:
            del self._kept[path]
        for peer in picture.peers:
            kept = self._kept.setdefault(peer.object_path, deque())
            while kept and kept[0].at <= now - SPAN_SECONDS:
                kept.popleft()
            while kept and kept[-1].at > now:  # the clock was set back
                kept.pop()
            if peer.online and peer.round_trip_milliseconds > 0:
                self._put(kept, Point(now, peer.round_trip_milliseconds))

    def _put(self, kept: deque[Point], point: Point) -> None:
        if kept and _minute(kept[-1].at) == _minute(point.at):
            kept[-1] = point
        else:
            kept.append(point)

    def of(self, object_path: str, now: float) -> Trail:
        kept = self._kept.get(object_path, ())
        return tuple(one for one in kept if now - SPAN_SECONDS < one.at <= now)


def _minute(at: float) -> int:
    return int(at // STEP_SECONDS)
