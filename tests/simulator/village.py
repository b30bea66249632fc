"""A village: real nodes of several people in one process, on the simulator's machine.

Everything is real but network, clock and dice: `build_node`, SQLite, files, keys, ciphertexts. A
resident can go to sleep and wake, crash at any step of its disk, be destroyed, or be put on another
day. What a resident draws by lot comes from the village's seed; the randomness inside of
cryptography does not, and nothing may depend on it.
"""

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from random import Random

from fakes import FakeEntropy
from postroad.app.compose import Settings, build_node
from postroad.app.mail_doors import Sockets
from postroad.app.node import Node
from postroad.base import limits
from postroad.base.errors import DiskFull, TemporaryFailure
from postroad.base.ids import Instant, PeerId
from postroad.base.seams import Clock, Lan, Machine
from postroad.machine.listeners import SystemListeners
from postroad.machine.peer_uid import KernelPeerUid
from postroad.message.envelope import NOTIFY_DEFAULT, Notify, Recipient, Submission
from postroad.protocol.holding import HoldFor
from postroad.sealing.keys import Identity
from postroad.sealing.password import verifier
from postroad.store import database, keyring, people, queue, rented
from postroad.store.database import Sql, in_words
from postroad.timeouts import timeout
from simulator import loop
from simulator.disk import SimulatedDisk
from simulator.loop import LoopClock
from simulator.network import World

PORT = 46464
SECONDS_MAX = 60.0  # of virtual time


class OwnClock:
    """`base.seams.Clock`. A computer's own: it goes with the village's, and may be wrong."""

    def __init__(self, right: LoopClock) -> None:
        self._right = right
        self.wrong_by = 0.0

    def now(self) -> Instant:
        return Instant(self._right.now() + self.wrong_by)

    def elapsed(self) -> float:
        return self._right.elapsed()


@dataclass(frozen=True, slots=True)
class Life:
    """From one switching on of a computer to the next crash or switching off."""

    resident: "Resident"
    number: int

    @property
    def is_lived(self) -> bool:
        """False: what still runs of it is a ghost's."""
        return self.resident.lives == self.number


life_of_this_task: ContextVar[Life] = ContextVar("life_of_this_task")


class Resident:
    """Somebody with a node that can be switched on and off."""

    def __init__(self, village: "Village", name: str, entropy: bytes | None = None) -> None:
        """`entropy`: what the 24 words of an identity spell; without, a new identity."""
        village.births += 1
        self._dice = FakeEntropy(f"{village.seed} {name} {village.births}")
        self.name = name
        self.entropy = entropy or self._dice.token(32)
        self.folder = village.folder / name
        self.clock = OwnClock(village.clock)
        self.expiry_seconds: float = limits.EXPIRY_SECONDS_DEFAULT
        self.hold_for = HoldFor.VOUCHED
        self.dial_private = True  # the simulator's addresses are
        self.takes_requests = True
        self.reserve_bytes = 0
        self.lives = 0
        self.steps_to_live: int | None = None  # of its disk; then it crashes
        self.power_cut: Random | None = None  # dice for such a crash to be one of the whole machine
        self.on_crash: Callable[[], None] = lambda: None
        self.disk: SimulatedDisk | None = None
        self.disk_is_full = False
        self.peer: PeerId | None = None
        self.lan: Lan | None = None
        self._village = village
        self._network = village.world.network()
        self._task: asyncio.Task[None] | None = None
        self._node: Node | None = None

    @property
    def is_on(self) -> bool:
        """Whether its node runs and serves."""
        return self._node is not None

    @property
    def node(self) -> Node:
        assert self._node is not None, f"{self.name} is off"
        return self._node

    @property
    def address(self) -> str:
        return str(self.node.keyring.address)

    async def wake(self) -> None:
        """Switched on; returns when it serves, or crashed on the way to that."""
        assert self._task is None
        self.lives += 1
        started = asyncio.Event()
        task = self._task = asyncio.create_task(self._live(Life(self, self.lives), started))
        waiting = asyncio.create_task(started.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done() and self._task is task:
            self._task = None
            task.result()

    async def _live(self, life: Life, started: asyncio.Event) -> None:
        life_of_this_task.set(life)

        def step(_: str) -> None:
            if life.is_lived:
                self._step()

        disk = SimulatedDisk(self.folder, step, reserve_bytes=self.reserve_bytes)
        try:
            disk.is_full = self.disk_is_full
            self.disk = disk
            if not keyring.exists(disk):
                self._set_up(disk)
            listeners, peer_uid = SystemListeners(), KernelPeerUid()
            machine = Machine(
                self.clock, self._dice, disk, self._network, listeners, peer_uid, self.lan
            )
            settings = Settings(
                PORT,
                self.expiry_seconds,
                hold_for=self.hold_for,
                dial_private=self.dial_private,
                takes_requests=self.takes_requests,
            )
            async with build_node(settings, machine) as node:
                await _limit(node, disk)

                def ready() -> None:
                    if life.is_lived:
                        self._node, self.peer = node, node.endpoint.me
                    started.set()

                try:
                    await node.serve(Sockets(), ready)
                except Exception as error:
                    if life.is_lived:  # a node that ends by itself, whatever becomes of it then
                        self._village.faults.append(f"{self.name}'s node ended: {error!r}")
                    raise
        finally:
            disk.close()
            if life.is_lived:
                self._node = None

    def _set_up(self, disk: SimulatedDisk) -> None:
        password, identity = verifier("secret", self._dice.token(16)), Identity(self.entropy)
        made = keyring.new_keyring(self.name, identity, password, self._dice, self.clock.now())
        keyring.save(disk, made)

    def move(self) -> None:
        """To somewhere else, while it is off: nobody knows its address there."""
        assert self._task is None
        self._network = self._village.world.network()

    async def sleep(self) -> None:
        """Switched off; all that it knew is on its disk."""
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait({task})  # it may crash over it; then it is a ghost's already
            if self._task is task:
                self._task = None
                if not task.cancelled():
                    task.result()

    def crash(self, power_cut: Random | None = None) -> None:
        """kill -9, or with dice for its accidents a power cut. At once: nobody is asked."""
        assert self.disk is not None
        ghost, self._task = self._task, None
        assert ghost is not None
        if self.peer is not None:
            self._village.world.crash(self.peer)
        self.lives += 1  # what the ghost still does is not ours
        self._node = None
        self.steps_to_live = None
        self.folder = self._village.folder / f"{self.name}.{self.lives}"
        self.disk.leave(self.folder, power_cut)
        ghost.cancel()
        self._village.bury(ghost, Path(self.disk.folder))
        self.on_crash()

    def _step(self) -> None:
        if self.steps_to_live is not None:
            self.steps_to_live -= 1
            if self.steps_to_live < 0:
                self.crash(self.power_cut)

    async def fill_disk(self) -> None:
        """From now on nothing on it can grow, whatever becomes of its node."""
        await self._fill(True)

    async def make_room(self) -> None:
        await self._fill(False)

    async def _fill(self, full: bool) -> None:
        self.disk_is_full = full
        if self._node is not None and self.disk is not None:
            self.disk.is_full = full
            await _limit(self._node, self.disk)

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
        drops = await self.node.database.run(rented.my_drops)
        return sum(drop.is_ours for drop in drops)


async def _limit(node: Node, disk: SimulatedDisk) -> None:
    """Let SQLite take no more rows than its disk does.

    Not by its pages: whether the next row needs a new one is told by where others have split, and
    that by the order of mail ids, which are ciphertext's and other ones in each run of a seed."""
    rows = _no_more_rows if disk.is_full else None

    with contextlib.suppress(TemporaryFailure):  # it is stopping
        await node.database.read(lambda sql: sql.set_authorizer(rows))


def _full_in_words(error: sqlite3.Error | OSError) -> Exception:
    """What an authorizer denies is, in here, what a disk did not take."""
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_AUTH:
        return DiskFull("The disk is full; nothing was lost. Make room, then try again.")
    return in_words(error)


database.in_words = _full_in_words  # nobody but us denies anything


def _no_more_rows(action: int, *_: object) -> int:
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_INSERT else sqlite3.SQLITE_OK


class Village:
    def __init__(self, folder: Path, seed: int = 1, world: World | None = None) -> None:
        self.folder = folder
        self.seed = seed
        self.clock = LoopClock()
        self.world = world or World(Random(seed))
        self.residents: list[Resident] = []
        self.births = 0
        self.faults: list[str] = []  # of nodes themselves
        self._graves: list[asyncio.Task[None]] = []

    def bury(self, ghost: asyncio.Task[None], folder: Path) -> None:
        """Wait for the end of a node that crashed, and forget what it did after that."""

        async def wait() -> None:
            await asyncio.wait({ghost})
            if not ghost.cancelled():
                ghost.exception()  # whatever it was, it came after the end
            shutil.rmtree(folder)

        self._graves.append(asyncio.create_task(wait()))

    async def close(self) -> None:
        """All residents asleep, all ghosts gone."""
        for resident in self.residents:
            await resident.sleep()
        await asyncio.gather(*self._graves)

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
        """It is that much later, for everybody, as after a suspend; they look at the clock at
        once."""
        self.clock.sleep(seconds)
        for resident in self.residents:
            if resident._node is not None:
                resident.node.sender.wake()


async def _know_each_other(one: Resident, other: Resident) -> bool:
    greeted = await one.with_subject(f"{other.name.capitalize()} accepted")
    return bool(greeted and await other.with_subject(f"You and {one.name.capitalize()}"))


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = SECONDS_MAX) -> None:
    """Wait until it holds; TimeoutError when it does not in time.

    Looked at a hundred times in the first second, and ever less often later: a scene of virtual
    hours would do little else."""
    time = asyncio.get_running_loop().time
    began = time()
    async with timeout(seconds):
        while not await holds():
            await asyncio.sleep(max(0.01, (time() - began) / 200))


@contextlib.asynccontextmanager
async def village(folder: Path) -> AsyncIterator[Village]:
    """All residents are asleep when it ends."""
    place = Village(folder)
    try:
        yield place
    finally:
        await place.close()


def play(folder: Path, scene: Callable[[Village], Awaitable[None]]) -> None:
    """A scene in a village of its own, on its virtual clock."""

    async def run() -> None:
        async with village(folder) as place:
            await scene(place)

    loop.run(run())


clock_keeps_the_protocol: type[Clock] = OwnClock
