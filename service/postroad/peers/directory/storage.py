"""The records that this node keeps for others, each verified and durable.

Purpose: the library's `IStorage`, with an end to everything. What is written down, and how, is the
business of `Shelf`, which the store implements.
Invariants: a record lies only at the key that it says itself; the highest sequence stays; it ends
by the expiry inside its signature; whoever lies farthest from us goes first when there is no room.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from kademlia.storage import IStorage  # type: ignore[import-untyped]

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.seams import Entropy, SureClock
from postroad.protocol.directory import Statement, check_time, read_statement

log = logging.getLogger(__name__)


class Shelf(Protocol):
    """Where the directory's records and good peers are written down; returns after the commit."""

    async def load(self) -> list[tuple[bytes, bytes, float]]:
        """Keys, records, and until when each is kept."""

    async def keep(self, key: bytes, record: bytes, statement: Statement) -> None: ...

    async def remove(self, keys: Sequence[bytes]) -> None: ...

    async def load_peers(self) -> list[bytes]:
        """Contacts in bytes, the one heard of last first."""

    async def keep_peers(self, peers: Sequence[bytes]) -> None:
        """These and no others."""


@dataclass(frozen=True, slots=True)
class Kept:
    """`since`: when it was brought or passed on last; `due`: when it has to be passed on to those
    who should keep it. Both in seconds elapsed. `expires`: seconds UTC; bringing a record again
    makes it no younger."""

    record: bytes
    statement: Statement
    expires: float
    since: float
    due: float


class Records(IStorage):  # type: ignore[misc]
    """Faults 2 and 10 of the library: anybody stores anything under any key, as much as they like,
    in memory only, and each hourly repetition makes it young again, so that it never ends."""

    def __init__(
        self,
        me: bytes,
        shelf: Shelf,
        clock: SureClock,
        entropy: Entropy,
        records_max: int = limits.DIRECTORY_RECORDS_MAX,
    ) -> None:
        self._me = int.from_bytes(me, "big")
        self._shelf = shelf
        self._clock = clock
        self._entropy = entropy
        self._records_max = records_max
        self._kept: dict[bytes, Kept] = {}
        self._writing = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: bytes) -> bool:
        return self.kept(key) is not None

    async def load(self) -> None:
        """Take up what was written down. What does not verify any more is removed; what has
        expired, too, but only by a confirmed clock."""
        bad = []
        for key, record, expires in await self._shelf.load():
            try:
                statement = read_statement(record, self._clock.now())
                if key != statement.key:
                    raise PeerMisbehaved("a record lies at a key that is not its own")
                self._put(record, statement, expires)
            except PeerMisbehaved as error:
                log.info("a record is not kept any more: %s", error)
                bad.append(key)
            await asyncio.sleep(0)  # two signatures each: the loop is not ours alone
        if bad:
            await self._shelf.remove(bad)
        await self.forget_expired()

    async def offer(self, key: bytes | None, record: bytes) -> None:
        """Keep this record; returns when it is durable, or is so already.

        Raises PeerMisbehaved, in words for its bringer, when it is not kept. `key`: where it should
        lie; None: wherever it says."""
        async with self._writing:
            statement = self._read(record)
            if key is not None and key != statement.key:
                raise PeerMisbehaved("a record lies at a key that is not its own")
            kept = self.kept(statement.key)
            if kept is not None and kept.record == record:
                self.put_off(statement.key)  # passed on by somebody: not by us for a while
                return
            if kept is not None and kept.statement.sequence >= statement.sequence:
                raise PeerMisbehaved("a newer record is kept here")
            evicted = self._make_room_for(statement.key)
            if evicted:
                await self._shelf.remove(evicted)
            await self._shelf.keep(statement.key, record, statement)
            self._put(record, statement)

    def __setitem__(self, key: bytes, record: bytes) -> None:
        """In memory only; `offer` is what makes it durable. Raises PeerMisbehaved."""
        statement = self._read(record)
        if key != statement.key:
            raise PeerMisbehaved("a record lies at a key that is not its own")
        kept = self._kept.get(key)
        if kept is None or kept.statement.sequence < statement.sequence:
            self._make_room_for(key)
            self._put(record, statement)

    def __getitem__(self, key: bytes) -> bytes:
        kept = self.kept(key)
        if kept is None:
            raise KeyError(key)
        return kept.record

    def get(self, key: bytes, default: bytes | None = None) -> bytes | None:
        kept = self.kept(key)
        return default if kept is None else kept.record

    def kept(self, key: bytes) -> Kept | None:
        """The record at this key with what it says; an expired one is as one that is not there."""
        kept = self._kept.get(key)
        return kept if kept is not None and kept.expires > self._clock.now() else None

    def iter_older_than(self, seconds_old: float) -> list[tuple[bytes, bytes]]:
        """Nothing. Fault 11: what stands here the library repeats once an hour, one after the
        other, and does not come to an end when peers are dead. We go by `next_due`."""
        return []

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter([(key, kept.record) for key, kept in self._kept.items()])

    def next_due(self) -> tuple[float, bytes] | None:
        """When the next record has to be passed on, and which."""
        return min(((kept.due, key) for key, kept in self._kept.items()), default=None)

    def put_off(self, key: bytes) -> None:
        """It was passed on, or need not be: not again for a while."""
        kept = self._kept.get(key)
        if kept is not None:
            self._put(kept.record, kept.statement, kept.expires)

    async def forget_expired(self) -> None:
        now = self._clock.sure_now()
        over = [key for key, kept in self._kept.items() if now is not None and kept.expires <= now]
        for key in over:
            del self._kept[key]
        if over:
            await self._shelf.remove(over)

    def _read(self, record: bytes) -> Statement:
        statement = read_statement(record, self._clock.now())
        check_time(statement, self._clock.now())
        return statement

    def _put(self, record: bytes, statement: Statement, expires: float | None = None) -> None:
        spread = 0.75 + self._entropy.uniform() / 2  # so that its keepers do not all come at once
        now = self._clock.elapsed()
        due = now + limits.DIRECTORY_REPLICATE_SECONDS * spread
        self._kept[statement.key] = Kept(
            record, statement, statement.expires if expires is None else expires, now, due
        )

    def _make_room_for(self, key: bytes) -> list[bytes]:
        """Let go of the record that is farthest from us, of which others keep copies that are
        nearer; PeerMisbehaved when that is the new one. What has to be removed from the shelf."""
        if key in self._kept or len(self._kept) < self._records_max:
            return []
        farthest = max(self._kept, key=self._distance)
        if self._distance(key) > self._distance(farthest):
            raise PeerMisbehaved("there is no room for a record from so far away")
        del self._kept[farthest]
        return [farthest]

    def _distance(self, key: bytes) -> int:
        return self._me ^ int.from_bytes(key, "big")
