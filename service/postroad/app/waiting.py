"""A node that cannot start yet is up all the same: it says why, and looks again.

Purpose: not set up, a configuration that cannot be read, a folder or a port that is taken: under a
service manager none of this ends the process. Whoever calls an activated service that fails waits
for nothing, and what failed again and again would be started again and again. So the doors that
systemd holds say the sentence, the control socket answers with it, `systemctl status` shows it, and
the node starts as soon as it can: it looks when it is told to, and every 20 seconds.
In a terminal, `postroad run` ends with the same sentence instead.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from postroad.app.mail_doors import Sockets, refused
from postroad.base.errors import NotSetUp, PostroadError
from postroad.base.seams import PeerUid
from postroad.doors import control, locked
from postroad.machine.arrivals import next_arrival
from postroad.protocol.health import Facts, Verdict, judge
from postroad.timeouts import timeout

log = logging.getLogger(__name__)
LOOK_AGAIN_SECONDS = 20.0
LOOK_AGAIN = "look again"  # the request of `postroad setup`, and of whoever has mended what it was


class Waiting:
    """What may be asked meanwhile. `look`: is set when it is time to look again."""

    def __init__(
        self, reason: PostroadError, look: asyncio.Event, more: Mapping[str, locked.Question]
    ) -> None:
        """`more`: what else may be asked."""
        self.reason = reason
        self.look = look
        known: dict[str, locked.Question] = {
            LOOK_AGAIN: self._look_again,
            "health": self._health,
            "reload": self._reload,
            **more,
        }
        if not isinstance(reason, NotSetUp):  # there, the refusal is the answer
            known["status"] = self._status
        self.questions = locked.RefusedQuestions(known, lambda: reason)

    @property
    def verdict(self) -> Verdict:
        if isinstance(self.reason, NotSetUp):
            return judge(Facts(is_set_up=False))
        return judge(Facts(cannot_start_because=str(self.reason)))

    async def _look_again(self, _: dict[str, Any]) -> locked.Reply:
        self.look.set()
        return {}

    async def _reload(self, _: dict[str, Any]) -> locked.Reply:
        """The next start reads all of the configuration."""
        self.look.set()
        return {"changed": [], "after_restart": []}

    async def _health(self, _: dict[str, Any]) -> locked.Reply:
        return self.verdict.told()

    async def _status(self, _: dict[str, Any]) -> locked.Reply:
        return {**self.verdict.told(), "cannot_start": str(self.reason)}


def sentence(reason: PostroadError) -> str:
    """What the log and the doors say of it."""
    if isinstance(reason, NotSetUp):
        return "not set up: type postroad setup"
    return f"cannot start yet: {reason}"


async def until_told(waiting: Waiting, sockets: Sockets, peer_uid: PeerUid) -> None:
    """Be up, and return when it is time to look again. All sockets stay open."""
    said = f"This node is {sentence(waiting.reason)}"
    if not isinstance(waiting.reason, NotSetUp):
        said = f"This node {sentence(waiting.reason)}"
    async with asyncio.TaskGroup() as tasks:
        with refused(sockets, tasks, peer_uid, said):
            if sockets.control is not None:
                tasks.create_task(
                    control.serve_for_a_while(
                        sockets.control, next_arrival, waiting.questions, waiting.look
                    ),
                    name="waiting control",
                )
            try:
                async with timeout(LOOK_AGAIN_SECONDS):
                    await waiting.look.wait()
            except TimeoutError:
                pass
            waiting.look.set()
