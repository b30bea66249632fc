"""A running node takes over another configuration: what it can now, the rest at its next start.

Purpose: `postroad config reload`, SIGHUP and `systemctl --user reload postroad` do the same. No
door and no link is closed for it, and nobody who is being answered notices.
Invariants: all of the file is understood before any of it counts; a mistake in it leaves all as it
was, and is told in the log, in the node's health, to the service manager and to whoever asked.
See: docs/adr/0024-doctor-and-configuration.md.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from postroad.app import policy as policies
from postroad.app.config import LIVE, Config
from postroad.app.policy import Policy
from postroad.base.errors import PostroadError

log = logging.getLogger(__name__)
DONE = "running"  # how a reload ends


@dataclass(slots=True)
class Reloading:
    """`running`: what the node goes by now. `apply` is given what it goes by from then on;
    `announce`: hears "" before, and how it ended. `trouble`: why the last file was not taken over;
    "" when it was."""

    load: Callable[[], tuple[Config, Policy]]
    policy: Policy
    running: Config
    apply: Callable[[Config], None]
    announce: Callable[[str], None]
    trouble: str = ""
    waiting: list[str] = field(default_factory=list)  # keys whose new value waits for a new start

    async def answer(self, _: dict[str, Any]) -> dict[str, Any]:
        """What changed, and what will after a new start; ConfigurationError."""
        self.announce("")
        try:
            wanted, _policy = self.load()
        except PostroadError as error:
            self.trouble = str(error)
            log.error("the configuration was not taken over, and the one before counts: %s", error)
            self.announce("its configuration has a mistake; the one before counts")
            raise
        changed = self._take(policies.narrowed(wanted, self.policy))
        self.trouble = ""
        told = {"changed": changed, "after_restart": self.waiting}
        log.info(
            "configuration read; changed: %s; after a new start: %s",
            ", ".join(changed) or "nothing",
            ", ".join(self.waiting) or "nothing",
        )
        self.announce(DONE)
        return told

    async def quietly(self) -> None:
        """The same for a signal, which nobody waits for: what is wrong is told in the log."""
        try:
            await self.answer({})
        except PostroadError:
            log.debug("that was on a signal")

    def _take(self, wanted: Config) -> list[str]:
        """Go by it as far as a running node can; the keys that changed."""
        differ = [
            one.name
            for one in fields(Config)
            if getattr(wanted, one.name) != getattr(self.running, one.name)
        ]
        now = [key for key in differ if is_live(key, self.running, wanted)]
        self.waiting = [key for key in differ if key not in now]
        self.running = replace(self.running, **{key: getattr(wanted, key) for key in now})
        if now:
            self.apply(self.running)
        return now


def is_live(key: str, before: Config, after: Config) -> bool:
    """Whether a running node can change this.

    A relay can change whom it serves; to be one, or none, is for a start."""
    if key == "relay":
        return "off" not in (before.relay, after.relay)
    return key in LIVE
