"""When something is asked again that nobody tells of. Pure."""

from __future__ import annotations


class Again:
    """Once in so many seconds, by the clock on the wall. One that was set back is so much time gone
    by, too: else nothing would be asked until it is there again."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._asked_at: float | None = None

    def is_due(self, now: float) -> bool:
        return self._asked_at is None or abs(now - self._asked_at) >= self._seconds

    def asked(self, now: float) -> None:
        self._asked_at = now

    def forget(self) -> None:
        """There was no answer: it is due at once."""
        self._asked_at = None
