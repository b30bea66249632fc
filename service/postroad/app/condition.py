"""What a node that runs knows of itself beside its store: its doors, its services, who answers.

Purpose: the facts of health that are at hand, and the bell when one of them changes.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from postroad.app.mail_doors import MailDoors
from postroad.delivery.watch import Watch
from postroad.protocol.starting import Keeper

WELL_SECONDS = 60.0  # a service that ran for so long again is well


class Troubles:
    """What services failed at lately, by their names; one that ran for a minute since is well.
    `not_reloaded`: whether the configuration was not taken over; `keeper`: who starts the node;
    `sandbox_lost`: why the service runs without its sandbox, and "" where it does not; `changed`
    hears of each failure, and of its end."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self.not_reloaded = False
        self.keeper = Keeper.TERMINAL
        self.sandbox_lost = ""
        self._changed = changed
        self._found: dict[str, tuple[str, asyncio.TimerHandle]] = {}

    def note(self, name: str, reason: str, again_in: float) -> None:
        """This service failed, and begins again in so many seconds."""
        before = self._found.pop(name, None)
        if before is not None:
            before[1].cancel()
        loop = asyncio.get_running_loop()
        well = loop.call_later(again_in + WELL_SECONDS, self._is_well, name)
        self._found[name] = reason, well
        self._changed()

    def _is_well(self, name: str) -> None:
        del self._found[name]
        self._changed()

    def now(self) -> list[tuple[str, str]]:
        return [(name, reason) for name, (reason, _) in self._found.items()]


@dataclass(frozen=True, slots=True)
class Condition:
    """`doors.health.Condition`."""

    doors: MailDoors
    watch: Watch
    troubles: Troubles

    @property
    def unanswered(self) -> int:
        return self.watch.unanswered

    @property
    def failing(self) -> Sequence[tuple[str, str]]:
        return self.troubles.now()

    @property
    def not_reloaded(self) -> bool:
        return self.troubles.not_reloaded

    @property
    def keeper(self) -> Keeper:
        return self.troubles.keeper

    @property
    def sandbox_lost(self) -> str:
        return self.troubles.sandbox_lost

    @property
    def mail_ports(self) -> dict[str, int]:
        return self.doors.ports

    @property
    def doors_shut(self) -> dict[str, str]:
        return self.doors.shut

    @property
    def doors_not_held(self) -> Sequence[str]:
        return self.doors.not_held

    @property
    def astray(self) -> Sequence[str]:
        return self.doors.astray
