"""A client without a bus: it shows the picture that a test has drawn, and keeps what was asked.

It stands in where a page is looked at that a real service could not bring about at will (a thousand
letters, a word of tomorrow); what is asked of the real one is tested with the real one.
"""

from __future__ import annotations

from collections.abc import Callable

from postroad_tray.client import Answer, Question, Signal
from postroad_tray.facts import Picture


class StandIn:
    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._listeners: list[Callable[[Picture], None]] = []
        self._hearers: list[Callable[[Signal], None]] = []
        self.asked: list[Question] = []
        self.answers: dict[str, Answer] = {}  # by member; another one gets an empty good answer
        self.is_slow = False  # then answers wait for `answer`
        self._waiting: list[Callable[[], None]] = []
        self.is_looked_at = False
        self.is_closed = False

    @property
    def picture(self) -> Picture:
        return self._picture

    def show(self, picture: Picture) -> None:
        self._picture = picture
        for listener in list(self._listeners):
            listener(picture)

    def say(self, signal: Signal) -> None:
        for hearer in list(self._hearers):
            hearer(signal)

    def watch(self, listener: Callable[[Picture], None]) -> None:
        self._listeners.append(listener)
        listener(self._picture)

    def hear(self, listener: Callable[[Signal], None]) -> None:
        self._hearers.append(listener)

    def listen(self, destination: str, interface: str) -> None:
        pass

    def ask(self, question: Question, then: Callable[[Answer], None] = lambda _: None) -> None:
        self.asked.append(question)
        answer = self.answers.get(question.member, Answer())
        if self.is_slow:
            self._waiting.append(lambda: then(answer))
        else:
            then(answer)

    def answer(self) -> None:
        """What waits, in the order in which it was asked."""
        waiting, self._waiting = self._waiting, []
        for deliver in waiting:
            deliver()

    def start_service(self, then: Callable[[Answer], None] = lambda _: None) -> None:
        self.ask(Question("StartServiceByName"), then)

    def look_closely(self, wanted: bool, who: str = "window") -> None:
        self.is_looked_at = wanted

    def close(self) -> None:
        self.is_closed = True
