"""Who stands at the bus, in a thread of its own: answers from the board, and passes on the rest.

Purpose: connect, come back when the bus went, ask for the name, tell of changes.
Invariants: our objects are there before the name is asked for. What waits has an end: of looks only
the newest is kept, of events EVENTS_MAX; of calls that the node works on, ASKED_MAX, and of one
caller's ASKED_BY_ONE_MAX; the node is asked at most ASKED_PER_SECOND. Beyond that a caller hears
"busy" at once. The thread never waits for the node, nor the node for the thread. What is read from
the board is written into octets once, until there is another board.
"""

import asyncio
import logging
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from postroad.base.errors import TemporaryFailure
from postroad.contract import BUS_NAME, BusError
from postroad.doors.dbus.board import Board, Look, Signal, news
from postroad.doors.dbus.bus import Bus, Library
from postroad.doors.dbus.carried import Call, Written
from postroad.doors.dbus.look import EVENTS_MAX
from postroad.doors.dbus.methods import Asked, error_name, sentence
from postroad.doors.dbus.reception import ForTheNode, Refused, Said, receive
from postroad.timeouts import timeout

log = logging.getLogger(__name__)
Answered = Callable[[dict[str, Any] | BaseException], None]
ASKED_MAX = 16
ASKED_BY_ONE_MAX = 8
ASKED_PER_SECOND = 20.0
ASKED_AT_ONCE = 60.0
ANSWERS_KEPT_MAX = 64  # as octets, until the board changes
STRANGE_CALLERS_MAX = 64  # of whom is asked who they are
STRANGE_CALLS_MAX = 16  # of one of them, until that is known
FIRST_LOOK_SECONDS_MAX = 2.0
SWITCH_SECONDS = 0.0001  # Python's own is fifty times as long
BACK_SECONDS_FIRST = 1.0
BACK_SECONDS_MAX = 300.0
WELL_SECONDS = 60.0  # a connection that lasted so long was one
BUSY = "Your node is busy with what programs asked before. Try again in a moment."
NOT_YOURS = "Only programs of the user whose mail this is are answered."
NAME_TAKEN = (
    f"Another program has the name {BUS_NAME} on your session bus, most likely a second node of "
    "yours: programs of your desktop show that one. Mail goes on."
)


class NodeSide(Protocol):
    """`doors.dbus.door.Door`; its methods are called in the event loop of the node."""

    def connected(self) -> None: ...

    def disconnected(self, why: str) -> None: ...

    def named(self, trouble: str) -> None: ...

    def ask(self, asked: Asked, answered: Answered) -> None: ...


class Teller:
    """`start` and `stop` are called by the node, and so is `show`; the rest is the thread's."""

    def __init__(self, address: str, library: Library, node: NodeSide) -> None:
        self._address = address
        self._library = library
        self._node = node
        self._thread = threading.Thread(target=self._work, name="session bus", daemon=True)
        self._node_loop: asyncio.AbstractEventLoop | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._shown = asyncio.Event()
        self._board = Board({})
        self._told: Board | None = None  # what programs know; None: nobody knows us yet
        self._pending: Look | None = None
        self._bus: Bus | None = None
        self._has_name: bool | None = None
        self._answers: dict[tuple[str, ...], Written] = {}  # of this board
        self._asked: Counter[str] = Counter()
        self._may_ask = ASKED_AT_ONCE
        self._asked_at = 0.0
        self._calls_of_strangers: dict[str, list[Call]] = {}
        self._strange: set[asyncio.Task[None]] = set()
        self._last_trouble = ""

    # Called in the event loop of the node

    def start(self, node_loop: asyncio.AbstractEventLoop) -> None:
        # A thread that computes lets another one in after this time: the node waits no longer.
        sys.setswitchinterval(SWITCH_SECONDS)
        self._node_loop = node_loop
        self._loop = asyncio.new_event_loop()
        self._thread.start()

    def stop(self) -> None:
        self._hand_over(self._stopping.set)

    def join(self, seconds: float) -> None:
        """Wait until the thread has ended, but not for ever: it may be stuck in a bus that takes no
        connections, and ends with the process then."""
        self._thread.join(seconds)

    def show(self, look: Look) -> None:
        """From now on, this is what the node looks like."""
        self._hand_over(lambda: self._take(look))

    def _hand_over(self, work: Callable[[], object]) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # its loop has ended
            self._loop.call_soon_threadsafe(work)

    # Everything else happens in the thread

    def _work(self) -> None:
        assert self._loop is not None
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._live())
        except Exception:  # a fault of ours costs the bus, and never the mail
            log.exception("the door on the session bus failed")
        finally:
            self._tell(self._node.disconnected, "The door on the session bus has ended.")
            self._loop.close()

    def _tell(self, hears: Callable[..., None], *what: object) -> None:
        assert self._node_loop is not None
        with suppress(RuntimeError):  # the node has ended
            self._node_loop.call_soon_threadsafe(hears, *what)

    async def _live(self) -> None:
        assert self._loop is not None
        living = asyncio.create_task(self._come_back_again_and_again(), name="session bus")
        stopping = asyncio.create_task(self._stopping.wait(), name="stop")
        await asyncio.wait({living, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (living, stopping, *self._strange):
            task.cancel()
        await asyncio.gather(living, stopping, *self._strange, return_exceptions=True)
        if living.done() and not living.cancelled():
            living.result()

    async def _come_back_again_and_again(self) -> None:
        assert self._loop is not None
        wait = BACK_SECONDS_FIRST
        while True:
            began = self._loop.time()
            try:
                bus = await Bus.connect(self._library, self._address, self._called, self._named)
            except TemporaryFailure as error:
                why = f"The session bus is not there ({error})."
            else:
                why = await self._serve(bus)
            self._note(why)
            self._tell(self._node.disconnected, why)
            if self._loop.time() - began > WELL_SECONDS:
                wait = BACK_SECONDS_FIRST
            await asyncio.sleep(wait)
            wait = min(2 * wait, BACK_SECONDS_MAX)

    def _note(self, trouble: str) -> None:
        """Once for each trouble: whoever has no desktop need not hear of it again and again."""
        if trouble and trouble != self._last_trouble:
            log.info("%s Mail goes on without it.", trouble)
        self._last_trouble = trouble

    async def _serve(self, bus: Bus) -> str:
        """Until the connection has ended: why."""
        self._bus, self._told, self._has_name = bus, None, None
        self._asked.clear()
        self._calls_of_strangers.clear()
        closed = asyncio.create_task(bus.wait_closed(), name="session bus closes")
        telling = asyncio.create_task(self._introduce(bus), name="tell of changes")
        try:
            await asyncio.wait({closed, telling}, return_when=asyncio.FIRST_COMPLETED)
            if telling.done() and not telling.cancelled():
                error = telling.exception()
                if not isinstance(error, TemporaryFailure):
                    log.error("telling the session bus failed", exc_info=error)
                bus.close()
            return await closed
        finally:
            self._bus = None
            telling.cancel()
            strange = tuple(self._strange)  # who called has gone with the connection
            for task in strange:
                task.cancel()
            if not closed.done():
                bus.close()
            await asyncio.gather(closed, telling, *strange, return_exceptions=True)

    async def _introduce(self, bus: Bus) -> None:
        """Come up with all our objects, and tell of what changes from then on."""
        self._shown.clear()
        self._tell(self._node.connected)
        with suppress(TimeoutError):
            async with timeout(FIRST_LOOK_SECONDS_MAX):
                await self._shown.wait()
        self._told, self._pending = self._board, None
        self._has_name = await bus.request_name(BUS_NAME)
        if self._has_name:
            log.info("the session bus shows the node")
            self._last_trouble = ""
        else:
            log.warning("%s", NAME_TAKEN)
            self._tell(self._node.named, NAME_TAKEN)
        while True:
            self._shown.clear()
            if (look := self._take_pending()) is not None:
                await self._tell_of(bus, look)
            await self._shown.wait()

    def _take_pending(self) -> Look | None:
        pending, self._pending = self._pending, None
        return pending

    async def _tell_of(self, bus: Bus, look: Look) -> None:
        told = self._told or Board({})
        signals: list[Signal] = []
        if look.before_that is not None:
            signals += news(told, look.before_that)
            told = look.before_that
        signals += look.events
        signals += news(told, look.board)
        self._told = look.board
        for one in signals:
            await bus.signal(one.path, one.interface, one.member, one.signature, one.body)

    def _named(self, name: str) -> None:
        if name == BUS_NAME and self._has_name is False:
            self._has_name = True
            log.info("the session bus shows the node now")
            self._tell(self._node.named, "")

    def _take(self, look: Look) -> None:
        events = (*(self._pending.events if self._pending else ()), *look.events)
        self._board = look.board
        self._answers.clear()
        self._pending = Look(look.board, look.before_that, events[:EVENTS_MAX])
        self._shown.set()

    # Calls

    def _called(self, call: Call) -> None:
        bus = self._bus
        if bus is None:
            return
        waiting = self._calls_of_strangers.get(call.sender)
        if waiting is not None:
            if len(waiting) < STRANGE_CALLS_MAX:
                waiting.append(call)
            else:
                bus.refuse(call, BusError.BUSY, BUSY)
        elif bus.knows(call.sender):
            self._receive(bus, call)
        elif len(self._calls_of_strangers) < STRANGE_CALLERS_MAX:
            self._calls_of_strangers[call.sender] = [call]
            task = asyncio.get_running_loop().create_task(self._look_who(bus, call.sender))
            self._strange.add(task)
            task.add_done_callback(self._strange.discard)
        else:
            bus.refuse(call, BusError.BUSY, BUSY)

    async def _look_who(self, bus: Bus, sender: str) -> None:
        """Answer the calls of somebody new, in their order, once it is known who they are."""
        is_owners = None
        try:
            is_owners = await bus.is_owners(sender)
        except TemporaryFailure as error:  # they have gone, or the bus takes its time
            log.info("it is not known who calls: %s", error)
        finally:
            calls = self._calls_of_strangers.pop(sender, [])
        for call in calls:
            if is_owners:
                self._receive(bus, call)
            elif is_owners is None:
                bus.refuse(call, BusError.BUSY, BUSY)
            else:
                bus.refuse(call, BusError.NOT_PERMITTED, NOT_YOURS)

    def _receive(self, bus: Bus, call: Call) -> None:
        question = _question(call)
        if question is not None and (known := self._answers.get(question)) is not None:
            bus.answer(call, known)
            return
        outcome = receive(
            self._board, call.path, call.interface, call.member, call.signature, call.body
        )
        match outcome:
            case Said():
                said = _say(bus, call, outcome.signature, outcome.body, outcome.weight)
                if question is not None and said is not None:
                    self._keep(question, said)
            case Refused():
                bus.refuse(call, outcome.name, outcome.sentence)
            case ForTheNode():
                self._ask(bus, call, outcome)

    def _keep(self, question: tuple[str, ...], said: Written) -> None:
        """The same is answered with the same octets, as long as the board is the same."""
        if len(self._answers) >= ANSWERS_KEPT_MAX:
            self._answers.pop(next(iter(self._answers)))
        self._answers[question] = said

    def _ask(self, bus: Bus, call: Call, wanted: ForTheNode) -> None:
        assert self._loop is not None
        now = self._loop.time()
        earned = (now - self._asked_at) * ASKED_PER_SECOND
        self._may_ask = min(self._may_ask + earned, ASKED_AT_ONCE)
        self._asked_at = now
        by_one = self._asked[call.sender]
        if self._may_ask < 1 or self._asked.total() >= ASKED_MAX or by_one >= ASKED_BY_ONE_MAX:
            bus.refuse(call, BusError.BUSY, BUSY)
            return
        self._may_ask -= 1
        self._asked[call.sender] += 1

        def answered(outcome: dict[str, Any] | BaseException) -> None:
            self._hand_over(lambda: self._answer(bus, call, wanted, outcome))

        self._tell(self._node.ask, wanted.asked, answered)

    def _answer(
        self, bus: Bus, call: Call, wanted: ForTheNode, outcome: dict[str, Any] | BaseException
    ) -> None:
        if bus is not self._bus:  # another connection by now, whose callers are others
            return
        self._asked[call.sender] -= 1
        self._asked += Counter()  # forgets those at nought
        if isinstance(outcome, BaseException):
            name = error_name(outcome, wanted.asked.unknown)
            bus.refuse(call, name, sentence(outcome))
            return
        body = wanted.asked.gives(outcome)
        _say(bus, call, wanted.signature, body, 1 + sum(map(_weight, body)))


def _say(bus: Bus, call: Call, signature: str, body: list[Any], weight: int) -> Written | None:
    """Answer with this; what was said, as octets."""
    try:
        written = bus.write(signature, body, weight)
    except Exception as error:  # of a type that it should not have: a fault of ours
        log.exception("it could not be said on the session bus")
        bus.refuse(call, BusError.FAILED, sentence(error))
        return None
    bus.answer(call, written)
    return written


def _question(call: Call) -> tuple[str, ...] | None:
    """What is asked, by whomever; None: it is nothing that is read from the board."""
    if call.signature not in ("", "s", "ss"):
        return None
    return (call.path, call.interface, call.member, call.signature, *call.body)


def _weight(part: object) -> int:
    return len(part) if isinstance(part, list) else 1
