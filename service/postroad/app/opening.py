"""Open the keys of a node that starts: at once where that can be done, else once its owner helps.

Purpose: a node whose keys are locked is in a state, and not broken: its doors say so, `status` says
why, and it goes on as soon as `postroad unlock`, or the desktop keyring, has opened them.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from postroad import phrases
from postroad.app.mail_doors import Sockets, refused
from postroad.base.errors import Locked, PostroadError
from postroad.base.seams import Disk, PeerUid
from postroad.doors import control, locked
from postroad.doors.keys import told
from postroad.machine.arrivals import next_arrival
from postroad.protocol.health import Facts, Verdict, judge
from postroad.sealing.wrapping import PLAIN, Protection, Wrapping
from postroad.store import keyring
from postroad.store.locksmith import Locksmith, Tries

log = logging.getLogger(__name__)
Say = Callable[[Verdict, Mapping[str, locked.Question]], None]
LOOK_AGAIN_SECONDS = 20.0  # whether the desktop keyring was unlocked: its owner has logged in


async def opened(
    disk: Disk,
    locksmith: Locksmith,
    peer_uid: PeerUid,
    sockets: Sockets,
    waiting: Callable[[str], None],
    say: Say = lambda *_: None,
) -> Wrapping:
    """What opens the keys. Until there is something, the doors are served as those of a locked
    node; `waiting` is told why, once, and so are other programs by `say`, each time it is another
    reason.

    Raises NotSetUp or ConfigurationError when there are no keys that can be read."""
    opening = _Opening(disk, locksmith, say)
    try:
        return await opening.look(ask=False)
    except Locked as error:
        log.warning("the keys are locked: %s", error)
        waiting(str(error))
        opening.note(error)
    async with asyncio.TaskGroup() as tasks:
        with refused(sockets, tasks, peer_uid, locked.KEYS_LOCKED):
            looking = tasks.create_task(opening.look_again(), name="look again")
            if sockets.control is not None:
                tasks.create_task(
                    control.serve_for_a_while(
                        sockets.control, next_arrival, opening.questions, opening.is_open
                    ),
                    name="locked control",
                )
            await opening.is_open.wait()
            looking.cancel()
    assert opening.found is not None
    log.info("the keys are open")
    return opening.found


class _Opening:
    def __init__(self, disk: Disk, locksmith: Locksmith, say: Say) -> None:
        self._say = say
        self._disk = disk
        self._locksmith = locksmith
        self._tries = Tries()
        self.reason = ""
        self.found: Wrapping | None = None
        self.is_open = asyncio.Event()
        known: dict[str, locked.Question] = {
            "status": self._status,
            "health": self._health,
            "keys": self._keys,
            "unlock": self._unlock,
        }
        self.questions = locked.RefusedQuestions(known, lambda: Locked(self.reason))

    def note(self, error: PostroadError) -> None:
        """Why the keys are locked, from now on."""
        before, self.reason = self.reason, str(error)
        if self.reason != before:
            self._say(judge(Facts(locked_because=self.reason)), self.questions)

    async def look(self, *, ask: bool, passphrase: str | None = None) -> Wrapping:
        """What opens the keys as they lie there now; Locked, or WrongPassphrase."""
        wrapped = await self._disk.run(lambda: keyring.stored(self._disk))
        if wrapped.protection is Protection.PLAIN:
            return PLAIN

        def work() -> Wrapping:
            if passphrase is None:
                return self._locksmith.opener(wrapped, ask=ask)
            return self._locksmith.by_passphrase(wrapped, passphrase)

        # Not in the thread of the disk: a desktop keyring may take its time.
        return await asyncio.to_thread(work)

    async def look_again(self) -> None:
        """Without asking: the owner unlocks the desktop keyring when they log in."""
        while True:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            try:
                wrapped = await self._disk.run(lambda: keyring.stored(self._disk))
                if wrapped.protection is not Protection.PASSPHRASE:
                    self._open(await self.look(ask=False))
            except PostroadError as error:  # locked still, or the file was taken away meanwhile
                self.note(error)

    def _open(self, found: Wrapping) -> None:
        self.found = found
        self.is_open.set()

    async def _unlock(self, request: dict[str, Any]) -> dict[str, Any]:
        given = request.get("passphrase")

        async def work() -> Wrapping:
            return await self.look(ask=True, passphrase=None if given is None else str(given))

        try:
            found = await self._tries.give(work)
        except Locked as error:
            self.note(error)
            raise
        self._open(found)
        return {**told(found.header, locked=False), "was_locked": True}

    async def _keys(self, _: dict[str, Any]) -> dict[str, Any]:
        wrapped = await self._disk.run(lambda: keyring.stored(self._disk))
        because = {"reason": self.reason, "reason_parts": phrases.told(self.reason)}
        return {**told(wrapped.header, locked=True), **because}

    async def _status(self, request: dict[str, Any]) -> dict[str, Any]:
        return {**await self._keys(request), **await self._health(request)}

    async def _health(self, _: dict[str, Any]) -> dict[str, Any]:
        return judge(Facts(locked_because=self.reason)).told()
