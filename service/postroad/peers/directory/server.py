"""Join the network, publish a record in it, find one: the library's server over our calls.

Invariants: what is found verifies for its key, and is the newest of several witnesses; what is
published says how many keep it. No socket, timer or file is the library's.
See: docs/adr/0005-directory.md.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from kademlia.network import Server as KademliaServer  # type: ignore[import-untyped]
from kademlia.node import Node  # type: ignore[import-untyped]

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, TemporaryFailure
from postroad.peers.directory.calls import Calls
from postroad.peers.directory.lookup import Lookup
from postroad.peers.directory.storage import Records
from postroad.peers.directory.table import DirectoryNode, Table

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stored:
    """`yes`: nodes that keep the record now, ours included; of `asked` that were asked."""

    yes: int
    asked: int

    @property
    def is_enough(self) -> bool:
        return self.yes >= limits.DIRECTORY_STORED_MIN

    @property
    def is_all(self) -> bool:
        """Whether more cannot be had: everybody who could be found agreed."""
        return self.yes == self.asked > 1


class Server(KademliaServer):  # type: ignore[misc]
    def __init__(self, me: DirectoryNode, storage: Records, calls: Calls) -> None:
        """Faults: without an id the library draws one from the machine's dice, and it takes a
        storage that is empty for none at all, and puts its forgetful one in its place."""
        neighbours, at_once = limits.DIRECTORY_NEIGHBOURS, limits.DIRECTORY_AT_ONCE
        super().__init__(neighbours, at_once, me.id, storage)
        self.node = me
        self.storage = storage
        self.protocol = calls

    @property
    def table(self) -> Table:
        router = self.protocol.router
        assert isinstance(router, Table)
        return router

    async def bootstrap(self, nodes: Sequence[DirectoryNode]) -> bool:
        """Get to know our neighbours by way of these nodes, the likeliest first; whether any of
        them answered.

        Fault 14: the library takes IP addresses that may be anybody's by now, asks all of them at
        once, and believes whatever id they say."""
        silent = list(reversed(nodes))
        async with asyncio.TaskGroup() as tasks:
            for _ in range(limits.DIRECTORY_AT_ONCE):
                tasks.create_task(self._ping_until_enough(silent))
        if not len(self.table):
            return False
        await Lookup(self.protocol, self.node.id).find()
        return True

    async def _ping_until_enough(self, left: list[DirectoryNode]) -> None:
        while left and len(self.table) < limits.DIRECTORY_AT_ONCE:
            await self.protocol.call_ping(left.pop())

    async def refresh(self) -> None:
        """Look once into the corner of the table that was left alone the longest, if it is due.

        Where all nodes have a place in one bucket, whoever comes makes itself known to all."""
        if len(self.table) >= self.ksize:
            for node_id in self.protocol.get_refresh_ids():
                await self.look(node_id)

    async def look(self, key: bytes) -> Lookup:
        lookup = Lookup(self.protocol, key)
        self.table.buckets[self.table.get_bucket_for(Node(key))].touch_last_updated()
        await lookup.find()
        return lookup

    async def get(self, key: bytes, above: int = -1) -> bytes | None:
        """The newest record at this key, of a higher sequence than `above`; None when nobody who
        could be asked has one.

        Fault 3: the library hashes the key once more, is content with its own copy, however old,
        else with what most of the first who have any say."""
        lookup = Lookup(self.protocol, key, wants_record=True, above=above)
        self.table.buckets[self.table.get_bucket_for(Node(key))].touch_last_updated()
        await lookup.find()
        return await self._settle(lookup, key, above)

    async def _settle(self, lookup: Lookup, key: bytes, above: int) -> bytes | None:
        """The newest of what the lookup and we have; those who should have it are told."""
        newest, mine = lookup.newest, self.storage.kept(key)
        outdated = lookup.outdated()
        if mine is not None and (newest is None or mine.statement.sequence > newest[0].sequence):
            newest = (mine.statement, mine.record)
            outdated = lookup.nearest_alive
        if newest is None:
            return None
        statement, record = newest
        if mine is not None and mine.statement.sequence < statement.sequence:
            await self._keep(record)
        self._repair(outdated[: limits.DIRECTORY_WITNESSES], record)
        return record if statement.sequence > above else None

    def _repair(self, nodes: Sequence[DirectoryNode], record: bytes) -> None:
        """Tell these nodes the record; whoever looks for it next finds it with them. Overridden
        where there is somebody to wait for it."""

    async def put(self, record: bytes, key: bytes) -> Stored:
        """Have those nearest to the key keep this record, ourselves among them if we are.

        Fault 13: the library's `set` raises when nobody is alive, counts one yes as success, and
        tells of it only by raising."""
        lookup = await self.look(key)
        nearest: list[DirectoryNode] = sorted(
            [*lookup.nearest_alive, self.node], key=Node(key).distance_to
        )[: self.ksize]
        others = [node for node in nearest if node is not self.node]
        answers = await asyncio.gather(
            *(self.protocol.call_store(node, key, record) for node in others)
        )
        yes = sum(answered and agreed for answered, agreed in answers)
        if self.node in nearest:
            yes += await self._keep(record)
        return Stored(yes, len(nearest))

    async def _keep(self, record: bytes) -> bool:
        try:
            await self.storage.offer(None, record)
        except (PeerMisbehaved, TemporaryFailure) as error:  # no room, or ours is newer
            log.info("a record is not kept: %s", error)
            return False
        return True

    # What the library would do with sockets, timers and files of its own.

    async def listen(self, port: int, interface: str = "") -> NoReturn:
        raise AssertionError("the node's links are used")

    def refresh_table(self, interval: float = 0) -> NoReturn:
        """Fault 11: each hour everything at once, by a timer that nobody owns."""
        raise AssertionError("`refresh` is called by whoever owns the time")

    def save_state(self, fname: str) -> NoReturn:
        """Fault 14: what it writes is a pickle, which runs what it says when it is read."""
        raise AssertionError("good peers are kept by the shelf")

    async def set(self, key: bytes, value: bytes) -> NoReturn:
        raise AssertionError("`put` says how many agreed")

    async def set_digest(self, dkey: bytes, value: bytes) -> NoReturn:
        raise AssertionError("`put` says how many agreed")
