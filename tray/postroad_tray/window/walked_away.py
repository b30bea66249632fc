"""Whoever was shown a secret may have walked away from it: after a while it is to be taken away."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer

SHOWN_MS = 15 * 60_000


class WalkedAway(QTimer):
    """Calls `then` once the while is over in which no step was taken. A timer stands still while
    the computer sleeps: `look` goes by the clock of whoever draws. One that was set back is so much
    time gone by, too."""

    def __init__(
        self, parent: QObject, then: Callable[[], None], after_ms: int = SHOWN_MS
    ) -> None:
        super().__init__(parent)
        self.setSingleShot(True)
        self.setInterval(after_ms)
        self.timeout.connect(then)
        self._then = then
        self._began_at = 0.0

    def begin(self, now: float) -> None:
        """With each step anew."""
        self._began_at = now
        self.start()

    def look(self, now: float) -> None:
        if self.isActive() and abs(now - self._began_at) * 1000 >= self.interval():
            self.stop()
            self._then()
