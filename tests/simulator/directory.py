"""A directory of many nodes in one process, without the rest of the house.

Everything is real but network, clock, dice and disk: `Links`, messages, tables, lookups. One seed
is one history.
"""

import asyncio
import contextlib
import hashlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from random import Random

from fakes import FakeEntropy, Someone, someone
from postroad.base.ids import Contact, Instant
from postroad.base.seams import SureClock
from postroad.base.tlv import encode
from postroad.peers.directory.service import Directory
from postroad.peers.exchange import Answer
from postroad.peers.link import Links
from postroad.protocol import wire
from postroad.protocol.directory import Statement, read_statement, record_key
from postroad.protocol.records import PERSON
from postroad.timeouts import timeout
from simulator import loop
from simulator.loop import LoopClock
from simulator.network import Weather, World


class MemoryShelf:
    """`peers.directory.storage.Shelf`, as long as nobody pulls the plug."""

    def __init__(self) -> None:
        self.records: dict[bytes, tuple[bytes, float]] = {}
        self.peers: list[bytes] = []

    async def load(self) -> list[tuple[bytes, bytes, float]]:
        return [(key, record, until) for key, (record, until) in self.records.items()]

    async def keep(self, key: bytes, record: bytes, statement: Statement) -> None:
        await asyncio.sleep(0)
        self.records[key] = record, statement.expires

    async def remove(self, keys: Sequence[bytes]) -> None:
        await asyncio.sleep(0)
        for key in keys:
            self.records.pop(key, None)

    async def load_peers(self) -> list[bytes]:
        return self.peers

    async def keep_peers(self, peers: Sequence[bytes]) -> None:
        self.peers = list(peers)


class Member:
    """A node of the directory. `knows`: by way of whom it joins; `owns`: what it publishes."""

    def __init__(self, town: "Town", number: int) -> None:
        self.town = town
        self.number = number
        self.shelf = MemoryShelf()
        self.is_hidden = False  # nobody can dial it
        self.knows: list[Contact] = []
        self.owns: list[bytes] = []
        self.answers: dict[type[wire.Message], Answer] = {}
        self._network = town.world.network()
        self._task: asyncio.Task[None] | None = None
        self.links: Links
        self.directory: Directory
        self.contact: Contact

    async def wake(self) -> None:
        dice = FakeEntropy(f"{self.town.seed} member {self.number}")
        endpoint = await self._network.open(dice.token(32), 46464)
        self.contact = Contact(endpoint.me, endpoint.addresses())
        self.answers.clear()
        self.links = Links(endpoint, self.town.clock, self.answers, lambda *_: None)
        self.directory = Directory(
            endpoint.me,
            self.links,
            self.shelf,
            self.town.clock,
            dice,
            lambda: None if self.is_hidden else self.contact,
            self._acquaintances,
            self._own_records,
            private=True,
        )
        self.answers.update(self.directory.answers)
        self._task = asyncio.create_task(self._live())
        await asyncio.sleep(0)

    async def _live(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.links.serve())
            tasks.create_task(self.directory.run())

    async def _acquaintances(self) -> Sequence[Contact]:
        return self.knows

    async def _own_records(self) -> Sequence[bytes]:
        return self.owns

    def check(self) -> None:
        """Raise what ended it, if it has ended."""
        if self._task is not None and self._task.done():
            self._task.result()

    def crash(self) -> None:
        """Gone without a word."""
        self.town.world.crash(self.contact.peer)
        if self._task is not None:
            self._task.cancel()

    async def sleep(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
            self.town.world.crash(self.contact.peer)

    @property
    def sent(self) -> int:
        return self.links.counts.sent


class Town:
    """`members`, in the order in which they woke."""

    def __init__(
        self,
        seed: int = 1,
        weather: Weather | None = None,
        note: Callable[[str], None] | None = None,
    ) -> None:
        self.seed = seed
        self.clock: SureClock = LoopClock()
        self.world = World(Random(seed), weather, note)
        self.dice = Random(f"{seed} town")
        self.members: list[Member] = []
        self._births = 0

    async def settle(self, count: int) -> list[Member]:
        """New members, each of whom knows two of those who were there; they have joined."""
        new = []
        for _ in range(count):
            member = Member(self, self._births)
            self._births += 1
            there = self.dice.sample(self.members, min(2, len(self.members)))
            member.knows = [one.contact for one in there]
            await member.wake()
            self.members.append(member)
            new.append(member)
            if there:
                async with timeout(60):
                    while not member.directory.is_joined:
                        member.check()
                        await asyncio.sleep(0.01)
        await asyncio.sleep(2)
        return new

    async def close(self) -> None:
        for member in self.members:
            await member.sleep()


@contextlib.asynccontextmanager
async def town(
    count: int,
    seed: int = 1,
    weather: Weather | None = None,
    note: Callable[[str], None] | None = None,
) -> AsyncIterator[Town]:
    place = Town(seed, weather, note)
    try:
        await place.settle(count)
        yield place
    finally:
        await place.close()


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await scene()

    loop.run(run())


VIRTUAL_NOW = Instant(1_800_000_000.0)  # where the virtual clock begins


def person(name: str) -> Someone:
    return someone(name, VIRTUAL_NOW)


def record(name: str, counter: int = 1, expires: float = VIRTUAL_NOW + 45 * 86400) -> bytes:
    """A record that the virtual clock finds good."""
    return encode(person(name).record(counter, expires=expires))


def key_of(octets: bytes) -> bytes:
    """Where this record lies."""
    return read_statement(octets, VIRTUAL_NOW).key


async def history(seed: int) -> str:
    """Hours of a directory in bad weather, with crashes and returns; a digest of all that was said,
    in its order, and of what was found."""
    told = hashlib.sha256()

    def note(word: str) -> None:
        told.update(f"{asyncio.get_running_loop().time()} {word}\n".encode())

    weather = Weather(loss_chance=0.05, break_chance=0.001)
    async with town(16, seed, weather, note) as place:
        for number, member in enumerate(place.members[:4]):
            member.owns = [record(f"p{number}")]
            member.directory.record_changed()
        await asyncio.sleep(60)
        for member in place.dice.sample(place.members, 5):
            member.crash()
            await asyncio.sleep(place.dice.uniform(0, 10))
            await member.wake()
        await asyncio.sleep(7 * 3600)
        for number in range(4):
            asker = place.dice.choice(place.members).directory
            found = await asker.find(person(f"p{number}").fingerprint)
            note(f"found {None if found is None else found.sequence}")
            assert found is not None
            assert record_key(PERSON, found.fingerprint)
    return told.hexdigest()


if __name__ == "__main__":
    print(loop.run(history(int(sys.argv[1]))))
