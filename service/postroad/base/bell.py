"""A bell: something about this node has changed, and whoever shows it to its owner may look again.

Purpose: news without polling. It says neither what has changed nor how often it rang.
Invariants: ringing costs next to nothing while nobody listens; whoever listens only notes that it
rang, and looks at a time of their own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Bell:
    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []

    def ring(self) -> None:
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
