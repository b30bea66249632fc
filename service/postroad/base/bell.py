"""A bell: something about this node has changed, and whoever shows it to its owner may look again.

Purpose: news without polling. It does not say what has changed.
Invariants: ringing costs next to nothing while nobody listens; whoever listens only notes that it
rang, and looks at a time of their own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Bell:
    """`count`: how often it rang since the start."""

    def __init__(self) -> None:
        self.count = 0
        self._listeners: list[Callable[[], None]] = []

    def ring(self) -> None:
        self.count += 1
        for listener in self._listeners:
            listener()

    @contextmanager
    def heard_by(self, listener: Callable[[], None]) -> Iterator[None]:
        """While within, `listener` is called each time it rings."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)
