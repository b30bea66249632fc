"""A village: real nodes of several people in one process, on the simulator's network.

Everything is real but the network and the clock, which is virtual: `build_node`, SQLite, files. A
resident can go to sleep and wake, be destroyed, or be put on another day.
"""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random
from typing import TypeVar

from postroad.app.compose import Node, Settings, Sockets, build_node
from postroad.base import limits
from postroad.base.seams import Machine
from postroad.machine.disk import FolderDisk
from postroad.machine.entropy import SystemEntropy
from postroad.machine.listeners import LoopbackListeners
from postroad.machine.peer_uid import KernelPeerUid
from postroad.message.envelope import NOTIFY_DEFAULT, Notify, Recipient, Submission
from postroad.sealing.keys import Identity
from postroad.sealing.password import verifier
from postroad.store import keyring, people, queue
from postroad.store.database import Sql
from simulator import loop
from simulator.loop import LoopClock
from simulator.network import World

T = TypeVar("T")
PORT = 46464
SECONDS_MAX = 60.0  # of virtual time


class InlineDisk(FolderDisk):
    """A real folder whose work is done at once, in the loop: no thread has a say in the order."""

    async def run(self, work: Callable[[], T]) -> T:
        return work()


class Resident:
    """Somebody with a node that can be switched on and off."""

    def __init__(self, village: "Village", name: str, entropy: bytes | None = None) -> None:
        """`entropy`: what the 24 words of an identity spell; without, a new identity."""
        self.name = name
        self.entropy = entropy or SystemEntropy().token(32)
        self.folder = village.folder / name
        self._village = village
        self._network = village.world.network()
        self._task: asyncio.Task[None] | None = None
        self._node: Node | None = None
        self.reserve_bytes = 0

    @property
    def node(self) -> Node:
        assert self._node is not None, f"{self.name} is off"
        return self._node

    @property
    def address(self) -> str:
        return str(self.node.keyring.address)

    async def wake(self) -> None:
        started = asyncio.Event()
        self._task = asyncio.create_task(self._live(started))
        waiting = asyncio.create_task(started.wait())
        await asyncio.wait({self._task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            waiting.cancel()
            self._task.result()

    async def _live(self, started: asyncio.Event) -> None:
        disk = InlineDisk(self.folder, reserve_bytes=self.reserve_bytes)
        clock, entropy = self._village.clock, SystemEntropy()
        if not keyring.exists(disk):
            password = verifier("secret", entropy.token(16))
            identity = Identity(self.entropy)
            keyring.save(
                disk, keyring.new_keyring(self.name, identity, password, entropy, clock.now())
            )
        machine = Machine(clock, entropy, disk, self._network, LoopbackListeners(), KernelPeerUid())
        settings = Settings(PORT, limits.EXPIRY_SECONDS_DEFAULT)
        try:
            async with build_node(settings, machine) as self._node:
                await self._node.serve(Sockets(), started.set)
        finally:
            disk.close()

    async def sleep(self) -> None:
        """Switched off; all that it knew is on its disk."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
            self._node = None

    async def destroy(self) -> None:
        await self.sleep()
        shutil.rmtree(self.folder)

    async def write(
        self,
        *to: str,
        subject: str = "hello",
        text: str = "Hello!",
        notify: Notify = NOTIFY_DEFAULT,
    ) -> bytes:
        """Submit a letter as the door would; its octets."""
        octets = (
            f"From: {self.address}\r\nTo: {to[0]}\r\nSubject: {subject}\r\n"
            f"Message-ID: <{subject}@test>\r\n\r\n{text}\r\n"
        ).encode()
        checked = [await self.node.outbox.check_recipient(one) for one in to]
        recipients = tuple(Recipient(one, notify) for one in checked)
        await self.node.outbox.accept(Submission(recipients, octets))
        return octets

    async def inbox(self) -> list[bytes]:
        """The octets of all messages in the INBOX, in order of arrival."""

        def work(sql: Sql) -> list[bytes]:
            rows = sql.execute(
                """SELECT content_id FROM message JOIN mailbox ON mailbox.id = mailbox_id
                   WHERE name = 'INBOX' ORDER BY uid"""
            )
            return [self.node.contents.get(sql, content_id) for (content_id,) in rows]

        return await self.node.database.run(work)

    async def with_subject(self, subject: str) -> list[bytes]:
        wanted = f"\r\nSubject: {subject}".encode()
        return [octets for octets in await self.inbox() if wanted in octets]

    async def waiting(self) -> list[queue.Row]:
        return await self.node.database.run(queue.waiting)

    async def states(self) -> list[str]:
        """The states of all parcels, oldest first."""

        def work(sql: Sql) -> list[str]:
            return [state for (state,) in sql.execute("SELECT state FROM parcel ORDER BY id")]

        return await self.node.database.run(work)

    async def contacts(self) -> set[str]:
        return {one.address for one in await self.node.database.run(people.contacts)}

    async def holders(self) -> int:
        drops = await self.node.database.run(people.my_drops)
        return sum(drop.agreed for drop in drops)


class Village:
    def __init__(self, folder: Path, seed: int = 1) -> None:
        self.folder = folder
        self.clock = LoopClock()
        self.world = World(Random(seed))
        self.residents: list[Resident] = []

    async def settle_in(self, *names: str) -> list[Resident]:
        """New residents, awake."""
        new = [Resident(self, name) for name in names]
        self.residents += new
        for resident in new:
            await resident.wake()
        return new

    async def meet(self, inviter: Resident, *guests: Resident) -> None:
        """Make them contacts: each has the other's introduction when this returns."""
        for guest in guests:
            link, _, _ = await inviter.node.introductions.invite()
            await guest.node.introductions.accept(link)
            await until(lambda guest=guest: _know_each_other(inviter, guest))  # type: ignore[misc]

    async def with_holders(self, owner: Resident, *names: str) -> list[Resident]:
        """Contacts of the owner who hold for them."""
        new = await self.settle_in(*names)
        await self.meet(owner, *new)

        async def enough() -> bool:
            return await owner.holders() >= len(names)

        await until(enough)
        return new

    def put_forward(self, seconds: float) -> None:
        """It is that much later, for everybody; they look at the clock at once."""
        self.clock.step(seconds)
        for resident in self.residents:
            if resident._node is not None:
                resident.node.sender.wake()


async def _know_each_other(one: Resident, other: Resident) -> bool:
    greeted = await one.with_subject(f"{other.name.capitalize()} accepted")
    return bool(greeted and await other.with_subject(f"You and {one.name.capitalize()}"))


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = SECONDS_MAX) -> None:
    """Wait until it holds; AssertionError when it does not in time."""
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def village(folder: Path) -> AsyncIterator[Village]:
    """All residents are asleep when it ends."""
    place = Village(folder)
    try:
        yield place
    finally:
        for resident in place.residents:
            await resident.sleep()


def play(folder: Path, scene: Callable[[Village], Awaitable[None]]) -> None:
    """A scene in a village of its own, on its virtual clock."""

    async def run() -> None:
        async with village(folder) as place:
            await scene(place)

    loop.run(run())
