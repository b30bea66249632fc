"""The door on the session bus: comes up before the node does, and stays until the process ends.

Purpose: `served` for the start and the stop of the process, `Door.say` for a node that is not there
yet, `Door.follow` for one that is. What goes over the bus goes in a thread of its own (`teller`).
Invariants: the node waits for nothing here: whatever is handed to the thread is handed over and
forgotten. While no bus is connected nothing is looked at. The node is looked at after the bell
rang, at most twice a second, and the longer a look takes, the longer is the pause after it; and
once a minute in any case, for there are facts of which nobody rings.
See: docs/dbus.md, docs/adr/0021-dbus.md.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType
from typing import Any

from postroad.base import limits, vigil
from postroad.base.bell import Bell
from postroad.base.errors import PermanentFailure, PostroadError, TemporaryFailure
from postroad.doors.dbus.board import Look
from postroad.doors.dbus.bus import Library
from postroad.doors.dbus.look import Memory, Question, look, plain
from postroad.doors.dbus.methods import Asked
from postroad.doors.dbus.teller import Answered, Teller
from postroad.phrases import phrase
from postroad.protocol.health import Facts, Verdict, judge
from postroad.timeouts import timeout

log = logging.getLogger(__name__)
LOOK_SECONDS_MIN = 0.5  # between two looks: no object changes more often than twice a second
LOOK_SHARE = 20  # after a look, a pause of so many times as long
LOOK_SECONDS_MAX = 10.0
LOOK_AGAIN_SECONDS = 60.0  # no bell rings when the disk is full, or when time goes by
STOP_SECONDS_MAX = 1.0
STARTING = judge(Facts(is_joined=False))
NOTHING_TO_ASK: Mapping[str, Question] = MappingProxyType({})


@asynccontextmanager
async def served(address: str | None, library: Library = Library.NEXT) -> AsyncIterator["Door"]:
    """While within, the node is on the session bus at this address as long as there is one.

    `address`: None, where there is no desktop session; then nothing is done at all."""
    door = Door(address, library)
    door.begin()
    try:
        yield door
    finally:
        await door.end()


class Door:
    def __init__(self, address: str | None, library: Library) -> None:
        self._questions = NOTHING_TO_ASK
        self._verdict = STARTING
        self._is_followed = False
        self._wanted = asyncio.Event()  # a bus is connected
        self._rang = asyncio.Event()
        self._is_open = False
        self._answering: set[asyncio.Task[None]] = set()
        self._teller: Teller | None = None
        self.trouble = "" if address else "There is no desktop session, so no session bus."
        if address:
            self._teller = Teller(address, library, self)

    def begin(self) -> None:
        self._is_open = True
        if self._teller is not None:
            self._teller.start(asyncio.get_running_loop())
            self._show()

    async def end(self) -> None:
        self._is_open = False
        self._questions = NOTHING_TO_ASK
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)
        if self._teller is not None:
            self._teller.stop()
            await asyncio.to_thread(self._teller.join, STOP_SECONDS_MAX)

    def say(self, verdict: Verdict, questions: Mapping[str, Question] = NOTHING_TO_ASK) -> None:
        """The node is not there yet, and this is why; these questions are answered meanwhile."""
        self._verdict = verdict
        self._questions = questions
        self._show()

    def _show(self) -> None:
        if self._teller is not None:
            self._teller.show(Look(plain(self._verdict)))

    async def follow(self, questions: Mapping[str, Question], bell: Bell) -> None:
        """Show this node and answer its questions, until cancelled."""
        self._questions = questions
        self._is_followed = True
        try:
            with bell.heard_by(self._rang.set):
                await self._look_again_and_again(questions)
        finally:
            self._is_followed = False
            self._verdict = STARTING
            self._questions = NOTHING_TO_ASK
            self._show()

    async def _look_again_and_again(self, questions: Mapping[str, Question]) -> None:
        time = asyncio.get_running_loop().time
        memory = Memory()
        while True:
            if not self._wanted.is_set():
                await self._wanted.wait()
                memory = Memory(memory.board)  # what happened meanwhile is no news to anybody
            self._rang.clear()
            began = time()
            try:
                seen, memory = await look(questions, memory)
            except Exception:
                log.exception("the node could not be shown on the session bus")
            else:
                self._post(seen)
            pause = LOOK_SHARE * (time() - began)
            await asyncio.sleep(min(max(pause, LOOK_SECONDS_MIN), LOOK_SECONDS_MAX))
            with suppress(TimeoutError):
                async with timeout(LOOK_AGAIN_SECONDS):
                    await self._rang.wait()

    def _post(self, seen: Look) -> None:
        if self._teller is not None:
            self._teller.show(seen)

    # What the thread of the bus tells, through our own event loop

    def connected(self) -> None:
        """Somebody may be there to see us."""
        self.trouble = ""
        self._wanted.set()
        self._rang.set()
        if not self._is_followed:
            self._show()

    def disconnected(self, why: str) -> None:
        self.trouble = why
        self._wanted.clear()

    def named(self, trouble: str) -> None:
        self.trouble = trouble

    def ask(self, asked: Asked, answered: Answered) -> None:
        """Ask the node, and tell `answered` what it says."""
        if not self._is_open:
            answered(TemporaryFailure("Your node is stopping."))
            return
        # Its parent is `end`: a failure of one call is nobody else's.
        task = asyncio.create_task(self._ask(asked, answered), name=f"bus: {asked.request}")
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _ask(self, asked: Asked, answered: Answered) -> None:
        vigil.bringer.set("the owner")
        outcome: dict[str, Any] | BaseException
        try:
            async with timeout(limits.CONTROL_SECONDS_MAX):
                outcome = await self._asked(asked)
        except (PostroadError, TimeoutError) as error:
            outcome = error
        except asyncio.CancelledError:
            answered(TemporaryFailure("Your node is stopping."))
            raise
        except Exception as error:
            log.exception("the session bus: answering failed")
            outcome = error
        answered(outcome)

    async def _asked(self, asked: Asked) -> dict[str, Any]:
        try:
            request = self._questions[asked.request]
        except KeyError:
            if self._is_followed:  # it is set up already, for instance
                raise PermanentFailure("A node that runs cannot be asked for that.") from None
            raise TemporaryFailure(
                phrase("Your node is starting; try again in a moment.")
            ) from None
        return await request(asked.arguments)
