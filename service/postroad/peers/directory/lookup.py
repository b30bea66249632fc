"""One lookup: ask node after node, each time nearer to the key.

Purpose: the library's crawl without its rounds. Three questions are under way at any time; a node
that is silent for half a second gives its place to the next, and is listened to all the same.
Invariants: ends by a deadline and after a bounded number of questions; the dead and those who
answered badly do not come back into it; with one seed, one order.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from kademlia.crawling import SpiderCrawl  # type: ignore[import-untyped]
from kademlia.node import Node  # type: ignore[import-untyped]

from postroad.base import limits
from postroad.peers.directory.calls import Calls, Found
from postroad.peers.directory.table import DirectoryNode
from postroad.protocol.directory import Statement
from postroad.timeouts import timeout


@dataclass(slots=True)
class _Asked:
    node: DirectoryNode
    began: float
    is_slow: bool = False


class Lookup(SpiderCrawl):  # type: ignore[misc]
    """`wants_record`: stop when so many witnesses showed a record that is newer than `above`."""

    def __init__(
        self, calls: Calls, key: bytes, *, wants_record: bool = False, above: int = -1
    ) -> None:
        node = Node(key)
        super().__init__(
            calls,
            node,
            calls.router.find_neighbors(node),
            limits.DIRECTORY_NEIGHBOURS,
            limits.DIRECTORY_AT_ONCE,
        )
        self._wants_record = wants_record
        self._above = above
        self._asked: dict[asyncio.Task[tuple[bool, Found]], _Asked] = {}
        self._failed: set[bytes] = set()
        self.answers: dict[bytes, tuple[DirectoryNode, Found]] = {}
        self.questions = 0

    @property
    def nearest_alive(self) -> list[DirectoryNode]:
        """Those of the k nearest who answered, the nearest first."""
        alive = [node for node, _ in self.answers.values()]
        return sorted(alive, key=self.node.distance_to)[: self.ksize]

    @property
    def newest(self) -> tuple[Statement, bytes] | None:
        """The record of the highest sequence that anybody showed."""
        shown = [
            (found.statement, found.record)
            for _, found in self.answers.values()
            if found.statement is not None and found.record is not None
        ]
        return max(shown, key=lambda one: one[0].sequence, default=None)

    def outdated(self) -> list[DirectoryNode]:
        """Who should keep the newest record, and showed an older one, or none though they are
        nearer to its key than somebody who did."""
        newest = self.newest
        if newest is None:
            return []
        sequence = newest[0].sequence
        distances = [
            self.node.distance_to(node) for node, found in self.answers.values() if found.record
        ]
        return [
            node
            for node, found in self.answers.values()
            if (
                self.node.distance_to(node) < max(distances)
                if found.statement is None
                else found.statement.sequence < sequence
            )
        ]

    async def find(self) -> None:
        """Run to the end; then `answers`, `newest` and `nearest_alive` say what was found.

        Fault 6: the library waits for the slowest of each round, five seconds for each dead node.
        Fault 3: it stops in the first round that shows a value, and takes the most common one."""
        try:
            limit = limits.DIRECTORY_LOOKUP_SECONDS_MAX
            async with timeout(limit), asyncio.TaskGroup() as tasks:
                await self._crawl(tasks)
                for task in self._asked:
                    task.cancel()
        except TimeoutError:
            return

    async def _crawl(self, tasks: asyncio.TaskGroup) -> None:
        time = asyncio.get_running_loop().time
        while not self._has_enough():
            self._pass_over_the_silent(time())
            quick = sum(not asked.is_slow for asked in self._asked.values())
            for node in self.nearest.get_uncontacted()[: self.alpha - quick]:
                if self.questions >= limits.DIRECTORY_ASKED_MAX:
                    break
                self.questions += 1
                quick += 1
                self.nearest.mark_contacted(node)
                self._asked[tasks.create_task(self._ask(node))] = _Asked(node, time())
            if not self._asked:
                return
            patience = limits.DIRECTORY_SLOT_SECONDS if quick else self._patience()
            if patience <= 0:
                return
            done, _ = await asyncio.wait(
                self._asked, timeout=patience, return_when=asyncio.FIRST_COMPLETED
            )
            if not done and not quick:
                return
            for task in [task for task in self._asked if task in done]:
                self._take(self._asked.pop(task), *task.result())

    def _ask(self, node: DirectoryNode) -> Coroutine[Any, Any, tuple[bool, Found]]:
        call = self.protocol.call_find_value if self._wants_record else self.protocol.call_find_node
        return call(node, self.node)  # type: ignore[no-any-return]

    def _take(self, asked: _Asked, answered: bool, found: Found) -> None:
        if not answered:
            self._failed.add(asked.node.id)
            self.nearest.remove([asked.node.id])
            return
        self.answers[asked.node.id] = (asked.node, found)
        if asked.is_slow:
            self.nearest.push(asked.node)
        silent = {one.node.id for one in self._asked.values() if one.is_slow}
        for node in found.nodes:
            if node.id not in self._failed and node.id not in silent:
                self.nearest.push(node)

    def _pass_over_the_silent(self, now: float) -> None:
        """Who is silent does not count among the nearest, as long as it is."""
        for asked in self._asked.values():
            if not asked.is_slow and asked.began + limits.DIRECTORY_SLOT_SECONDS <= now:
                asked.is_slow = True
                self.nearest.remove([asked.node.id])

    def _has_enough(self) -> bool:
        if not self._wants_record:
            return False
        witnesses = sum(
            found.statement is not None and found.statement.sequence > self._above
            for _, found in self.answers.values()
        )
        return witnesses >= limits.DIRECTORY_WITNESSES

    def _patience(self) -> float:
        """How long to wait when only silent nodes are left: to the end while there is no record."""
        if not self._wants_record:
            return limits.DIRECTORY_LATE_SECONDS
        newest = self.newest
        if newest is not None and newest[0].sequence > self._above:
            return 0.0
        return limits.DIRECTORY_LOOKUP_SECONDS_MAX
