"""What the nodes of a town log, heard by who holds them to account."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from simulator.village import life_of_this_task


class Faults(logging.Handler):
    """Hears of faults of our own: what a living node logs with a traceback."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.faults: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        life = life_of_this_task.get(None)
        if record.exc_info and life is not None and life.is_lived:
            self.faults.append(f"{life.resident.name}: {self.format(record)}")


class Whereabouts(logging.Handler):
    """Hears at whose node each sealed letter lies, and since when, by the loop's clock."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.parcels: defaultdict[str, list[str]] = defaultdict(list)  # mail ids by letter
        self.held: defaultdict[str, dict[str, float]] = defaultdict(dict)  # by mail id, by name

    def emit(self, record: logging.LogRecord) -> None:
        life, mail_id = life_of_this_task.get(None), getattr(record, "mail", None)
        if life is None or mail_id is None or not life.is_lived:
            return
        if record.msg == "parcel sealed":
            self.parcels[str(record.__dict__["letter"])].append(mail_id)
        elif record.msg.startswith("letter held"):  # also what another holder passed on
            self.held[mail_id].setdefault(life.resident.name, asyncio.get_running_loop().time())


@contextmanager
def heard(*hearers: logging.Handler) -> Iterator[None]:
    """These hear all that they want to; nobody else does: a history's log is in its trace."""
    log = logging.getLogger("postroad")
    propagated, level = log.propagate, log.level
    log.propagate = False
    for hearer in hearers:
        log.addHandler(hearer)
        if not log.isEnabledFor(hearer.level):
            log.setLevel(hearer.level)
    try:
        yield
    finally:
        for hearer in hearers:
            log.removeHandler(hearer)
        log.propagate = propagated
        log.setLevel(level)
