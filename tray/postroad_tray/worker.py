"""What happens in the thread of the bus.

Purpose: keep the one picture of the service true, carry questions there and answers back, and take
what is asked of this program itself.
Invariants: nothing but `start_service` has the bus start the service. What counts as told by the
service came from the one that has its name, and is read into the types of `facts`; nothing of it is
ever called, opened or run. While nothing happens and nobody looks, this thread sleeps.
Longer than most: one state, of which each of these tells a part of the same story.
See: docs/dbus.md; docs/adr/0029-tray.md. How octets become messages: `connection`, `wire`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from postroad import contract
from postroad.timeouts import timeout
from postroad_tray import calls, errors, facts
from postroad_tray.client import SILENT_SECONDS, Answer, Offer, Question, Signal
from postroad_tray.connection import DAEMON, DAEMON_PATH, Connection, Flooded, Kit, Sent
from postroad_tray.facts import Link, Picture
from postroad_tray.outbox import Outbox
from postroad_tray.pace import Bucket
from postroad_tray.shown import PICTURE_SECONDS, Shown
from postroad_tray.wire import Came, Kind

log = logging.getLogger(__name__)
NO_AUTO_START = 0x2  # of the flags of a message
DO_NOT_QUEUE = 0x4  # of those of RequestName
NAME_IS_OURS = (1, 4)  # of its answers: since now, or before

LOOK_SECONDS = 0.4  # between two questions whether it answers: with SILENT_SECONDS less than 2
AGAIN_SECONDS = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # while nobody looks: the pauses get longer
FLOODED_SECONDS = 5.0  # before we come back
LAST_SECONDS = 10.0  # a connection that lasted so long was one
GREET_SECONDS_MAX = 5.0
START_SECONDS_MAX = 60.0  # a service that finds a large store broken looks at all of it first
QUESTIONS_MAX = 64  # in hand
HINTS_AT_ONCE = 100  # as the service promises; beyond, so many a second
HINTS_A_SECOND = 20.0
CALLS_AT_ONCE, CALLS_A_SECOND = 10, 1.0  # of what this program itself is asked for


@dataclass(frozen=True, slots=True)
class Delivery:
    """The way back to whoever draws."""

    outbox: Outbox
    draw: Callable[[Picture], None]
    hear: Callable[[Signal], None]
    offered: Callable[[bool], None]


class Worker:
    """All that happens in the thread of the bus."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        bus_address: str,
        kit: Kit,
        offer: Offer | None,
        delivery: Delivery,
    ) -> None:
        self._loop = loop
        self._address = bus_address
        self._kit = kit
        self._offer = offer
        self._delivery = delivery
        self._tasks: asyncio.TaskGroup | None = None
        self._connection: Connection | None = None
        self._is_settled = asyncio.Event()  # whether there is a bus, and who has the name, is known
        self._owners: dict[str, str] = {contract.BUS_NAME: ""}
        self._interfaces: set[tuple[str, str]] = set()  # to listen to: of whom, which
        self._shown = Shown(loop, self._draw)
        self._lookers: set[str] = set()
        self._stirred = asyncio.Event()  # there is a reason to ask the service now
        self._stopped = asyncio.Event()
        self._is_stopping = False
        self._asking: set[asyncio.Task[None]] = set()
        self._in_hand = 0
        self._hints = Bucket(HINTS_AT_ONCE, HINTS_A_SECOND)
        self._calls = Bucket(CALLS_AT_ONCE, CALLS_A_SECOND)

    async def work(self) -> None:
        """Until `stop`."""
        async with asyncio.TaskGroup() as self._tasks:
            staying = self._tasks.create_task(self._stay(), name="bus: stay")
            await self._stopped.wait()
            self._is_stopping = True
            staying.cancel()
            for work in self._asking:
                work.cancel()

    def stop(self) -> None:
        self._stopped.set()

    async def _stay(self) -> None:
        """On the bus; and back there when it was lost."""
        again = 0
        while True:
            began = self._loop.time()
            link, pause = Link.NO_BUS, _nth(AGAIN_SECONDS, again)
            try:
                await self._on_the_bus()
            except* Flooded as why:
                log.warning("%s", why.exceptions[0])
                link, pause = Link.SILENT, FLOODED_SECONDS
            except* (OSError, ValueError) as why:
                log.info("no session bus: %s", why.exceptions[0])
            except* Exception:
                log.exception("the session bus: a fault of ours")
            again = 0 if self._loop.time() - began > LAST_SECONDS else again + 1
            self._lost(link)
            if self._is_stopping:  # a group of errors can swallow a cancellation
                return
            await self._pause(pause)

    async def _pause(self, seconds: float) -> None:
        """Before the bus is tried again; not so long when somebody begins to look."""
        self._stirred.clear()
        if self._lookers:
            seconds = min(seconds, AGAIN_SECONDS[0])
        await self._stirred_within(seconds if self._address else None)

    async def _stirred_within(self, seconds: float | None) -> None:
        with suppress(TimeoutError):
            async with timeout(seconds):
                await self._stirred.wait()

    async def _on_the_bus(self) -> None:
        """As long as the connection lasts."""
        connection = await Connection.open(self._kit, self, self._address)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(connection.listen(), name="bus: listen")
                tasks.create_task(self._attend(connection), name="bus: attend")
        finally:
            self._connection = None
            await connection.close()

    def _lost(self, link: Link) -> None:
        self._owners = dict.fromkeys(self._owners, "")
        self._shown.told_by = ""
        self._shown.show(link)
        self._is_settled.set()

    async def _attend(self, connection: Connection) -> None:
        """Greet the bus, then keep the picture true."""
        async with timeout(GREET_SECONDS_MAX):
            await self._greet(connection)
        again = 0
        asked_at = 0.0
        while True:
            self._stirred.clear()
            # Whoever makes us ask anew, and again, does not make us ask without a pause.
            await asyncio.sleep(asked_at + PICTURE_SECONDS - self._loop.time())
            asked_at = self._loop.time()
            wait: float | None = None
            if owner := self._owners[contract.BUS_NAME]:
                is_good = await self._look_at(connection, owner)
                again = 0 if is_good else again + 1
                if self._lookers:
                    wait = LOOK_SECONDS
                elif not is_good:
                    wait = _nth(AGAIN_SECONDS, again - 1)
            await self._stirred_within(wait)

    async def _greet(self, connection: Connection) -> None:
        await self._of_the_bus(connection, "Hello")
        # In this order, and without waiting: who comes after the question is told by a signal.
        for name in list(self._owners):
            await self._follow(connection, name)
        for name, interface in self._interfaces:
            await self._match(connection, name, interface)
        await self._match(connection, contract.BUS_NAME)
        self._connection = connection
        self._is_settled.set()
        if self._offer is not None:
            said = await self._of_the_bus(connection, "RequestName", self._offer.name, DO_NOT_QUEUE)
            is_ours = bool(said.body) and said.body[0] in NAME_IS_OURS
            self._delivery.outbox.put(partial(self._delivery.offered, is_ours))

    async def _follow(self, connection: Connection, name: str) -> None:
        """Know who has this name, from now on."""
        rule = f"type='signal',sender='{DAEMON}',member='NameOwnerChanged',arg0='{name}'"
        await self._of_the_bus(connection, "AddMatch", rule)

        def owned(came: Came) -> None:
            self._owned(name, "" if came.error_name else _text(came.body))

        await connection.call(calls.to_the_bus("GetNameOwner", name), GREET_SECONDS_MAX, owned)

    async def _match(self, connection: Connection, name: str, interface: str = "") -> None:
        """Have the signals of whoever has this name: those of one interface, or of our objects."""
        ours = f"path_namespace='{contract.ROOT_PATH}'"
        which = f"interface='{interface}'" if interface else ours
        await self._of_the_bus(connection, "AddMatch", f"type='signal',sender='{name}',{which}")

    async def _of_the_bus(self, connection: Connection, member: str, *words: str | int) -> Came:
        """Something without which there is no going on."""
        came = await connection.call(calls.to_the_bus(member, *words), GREET_SECONDS_MAX)
        if came.error_name:
            raise ConnectionError(f"The session bus refuses {member}: {came.error_name}")
        return came

    async def _look_at(self, connection: Connection, owner: str) -> bool:
        """Have all told that is not known, or ask for a sign of life: whether it answered."""
        interface, member, at_once = calls.PEER, "Ping", None
        if self._shown.told_by != owner:
            interface, member = calls.OBJECT_MANAGER, "GetManagedObjects"
            at_once = partial(self._told, owner)
        question = Sent(
            destination=owner,
            path=contract.ROOT_PATH,
            interface=interface,
            member=member,
            flags=NO_AUTO_START,
        )
        came = await connection.call(question, SILENT_SECONDS, at_once)
        if self._owners[contract.BUS_NAME] != owner:
            return True  # it has gone, and that is shown
        is_good = came.error_name != errors.NO_REPLY and self._shown.told_by == owner
        if not is_good:
            self._shown.told_by = ""  # what it tells from here on is not all
        self._shown.show(Link.THERE if is_good else Link.SILENT)
        return is_good

    def _told(self, owner: str, came: Came) -> None:
        if self._owners[contract.BUS_NAME] == owner and not came.error_name:
            self._shown.objects = facts.objects(came.body[0] if came.body else None)
            self._shown.told_by = owner

    # What others want of us

    def look_closely(self, wanted: bool, who: str) -> None:
        (self._lookers.add if wanted else self._lookers.discard)(who)
        if wanted:
            self._stirred.set()

    def listen(self, destination: str, interface: str) -> None:
        self._interfaces.add((destination, interface))
        is_new = destination not in self._owners
        self._owners.setdefault(destination, "")
        if self._connection is not None:
            self._begin(self._listen(self._connection, destination, interface, is_new))

    async def _listen(
        self, connection: Connection, destination: str, interface: str, is_new: bool
    ) -> None:
        with suppress(ConnectionError):  # all is done anew with the next connection
            if is_new:
                await self._follow(connection, destination)
            await self._match(connection, destination, interface)

    def ask(self, question: Question, then: Callable[[Answer], None]) -> None:
        if self._in_hand >= QUESTIONS_MAX:
            self._answer(then, errors.refused(contract.BusError.BUSY))
            return
        self._in_hand += 1
        self._begin(self._ask(question, then))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        if self._is_stopping:
            work.close()
        elif self._tasks is None:  # `work` has its first turn after this one
            self._loop.call_soon(self._begin, work)
        else:
            task = self._tasks.create_task(work)
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _ask(self, question: Question, then: Callable[[Answer], None]) -> None:
        try:
            answer = await self._answered(question)
        except Exception:
            log.exception("a question to the session bus: a fault of ours")
            answer = errors.refused("")
        finally:
            self._in_hand -= 1
        self._answer(then, answer)

    def _answer(self, then: Callable[[Answer], None], answer: Answer) -> None:
        self._delivery.outbox.put(partial(then, answer))

    async def _answered(self, question: Question) -> Answer:
        destination = question.destination
        with suppress(TimeoutError):
            async with timeout(question.seconds):
                await self._is_settled.wait()
        if self._connection is None:
            return errors.refused(errors.DISCONNECTED)
        flags = 0
        if destination == contract.BUS_NAME:
            # By its unique name: nobody is started, and nobody else answers.
            flags, destination = NO_AUTO_START, self._owners[contract.BUS_NAME]
            if not destination:
                return errors.refused(errors.NO_OWNER)
        sent = Sent(
            destination=destination,
            path=question.object_path,
            interface=question.interface,
            member=question.member,
            signature=question.signature,
            body=question.body,
            flags=flags,
        )
        came = await self._connection.call(sent, question.seconds)
        if came.error_name:
            return errors.refused(came.error_name, _text(came.body), question.destination)
        return Answer(tuple(came.body))

    def start_service(self, then: Callable[[Answer], None]) -> None:
        def started(answer: Answer) -> None:
            if not answer.is_good:
                answer = errors.not_started(answer)
            then(answer)

        body = (contract.BUS_NAME, 0)
        question = Question(
            "StartServiceByName", "su", body, DAEMON_PATH, DAEMON, DAEMON, START_SECONDS_MAX
        )
        self.ask(question, started)

    def _draw(self, picture: Picture) -> None:
        self._delivery.outbox.put_picture(partial(self._delivery.draw, picture))

    # What comes (`connection.Listener`)

    def wants(self, head: Came) -> bool:
        if head.kind == Kind.CALL:
            return self._offer is not None
        is_of_somebody = head.sender == DAEMON or head.sender in self._owners.values()
        return head.kind == Kind.SIGNAL and is_of_somebody

    def alive(self, sender: str) -> None:
        if self._shown.link is Link.SILENT and sender == self._owners[contract.BUS_NAME]:
            self._stirred.set()

    def missed(self, head: Came) -> None:
        """There is something that we do not know: have all told again."""
        if head.sender == self._shown.told_by:
            self._shown.told_by = ""
            self._stirred.set()

    def heard(self, came: Came) -> None:
        if came.kind == Kind.CALL:
            self._called(came)
        elif came.sender == DAEMON:
            if came.member == "NameOwnerChanged" and came.signature == "sss":
                self._owned(came.body[0], came.body[2])
        else:
            self._signalled(came)

    def _owned(self, name: str, owner: str) -> None:
        if self._owners.get(name, owner) == owner and name != contract.BUS_NAME:
            return
        self._owners[name] = owner
        if name == contract.BUS_NAME:
            self._shown.told_by = ""
            self._shown.show(Link.ASKED if owner else Link.ABSENT)
            self._stirred.set()

    def _signalled(self, came: Came) -> None:
        sender = came.sender
        if sender == self._owners[contract.BUS_NAME] and facts.is_ours(came.path):
            self._told_more(came)
        for name, interface in self._interfaces:
            if self._owners[name] == sender and interface == came.interface:
                self._hint(came)

    def _told_more(self, came: Came) -> None:
        """A signal of the service's."""
        match came.interface, came.member, came.signature:
            case contract.MANAGER_INTERFACE, _, _:
                self._hint(came)
            case _ if self._shown.told_by != came.sender:
                pass  # it is older than all that we shall be told
            case calls.PROPERTIES, "PropertiesChanged", "sa{sv}as":
                interface, properties, unknown = came.body
                self._shown.objects.change(came.path, interface, properties)
                if unknown:
                    self.missed(came)
                self._shown.show()
            case calls.OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}":
                self._shown.objects.add(*came.body)
                self._shown.show()
            case calls.OBJECT_MANAGER, "InterfacesRemoved", "oas":
                self._shown.objects.remove(*came.body)
                self._shown.show()
            case _:
                pass  # it is none of ours, or of a newer service

    def _hint(self, came: Came) -> None:
        if self._hints.take(self._loop.time()):
            signal = Signal(came.interface, came.member, came.path, tuple(came.body))
            self._delivery.outbox.put_hint(partial(self._delivery.hear, signal))

    def _called(self, came: Came) -> None:
        """A call to this program."""
        if self._connection is None or self._offer is None:
            return
        reply, work = calls.answered(self._offer, came)
        if work is not None and self._calls.take(self._loop.time()):
            self._delivery.outbox.put_hint(partial(work, came.body))
        with suppress(ConnectionError, ValueError):
            self._connection.send(reply)


def _nth(seconds: tuple[float, ...], number: int) -> float:
    return seconds[min(number, len(seconds) - 1)]


def _text(body: Sequence[Any]) -> str:
    """The first value, where it is a text."""
    return body[0] if body and isinstance(body[0], str) else ""
