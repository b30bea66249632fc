"""When something is asked again that nobody tells of. Pure."""

from __future__ import annotations

AFTER_FAILURE_SECONDS = 5


class Again:
    """Once in so many seconds, and sooner where there was no good answer; by the clock on the wall.
    One that was set back is so much time gone by, too: else nothing would be asked until it is
    there again."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._wait = seconds
        self._asked_at: float | None = None

    def is_due(self, now: float) -> bool:
        return self._asked_at is None or abs(now - self._asked_at) >= self._wait

    def asked(self, now: float) -> None:
        self._asked_at = now
        self._wait = self._seconds

    def failed(self) -> None:
        """What was asked last had no good answer."""
        self._wait = min(AFTER_FAILURE_SECONDS, self._seconds)
