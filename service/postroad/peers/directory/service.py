"""The node's part in the directory: answer, stay joined, publish what is ours, pass on the rest.

Purpose: what runs by itself, and the few questions that the rest of the house asks. All work is
paced and spread; while nothing is due, nothing ticks and no link is kept.
Invariants: whatever is published was asked for anew; a yes that we give is durable; a peer is
answered only so often; every task has this service for a parent.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, TemporaryFailure
from postroad.base.ids import Contact, Fingerprint, PeerId
from postroad.base.seams import Entropy, SureClock
from postroad.peers.directory.calls import Address, Calls, Found
from postroad.peers.directory.server import Server, Stored
from postroad.peers.directory.storage import Records, Shelf
from postroad.peers.directory.table import DirectoryNode
from postroad.peers.exchange import Answer, Exchange
from postroad.peers.link import Links
from postroad.peers.rates import Allowance
from postroad.protocol import wire
from postroad.protocol import wire_directory as messages
from postroad.protocol.contacts import decode_contact, encode_contact
from postroad.protocol.dialable import dialable
from postroad.protocol.directory import node_id, read_statement, record_key
from postroad.protocol.records import PERSON, PersonRecord, read_person
from postroad.timeouts import timeout

log = logging.getLogger(__name__)
PROVING_MAX = 8  # nodes that asked us, and are asked now themselves
REPAIRS_MAX = 8
PUBLISH_PAUSE_SECONDS = 5.0  # changes seldom come alone
PEOPLE_REMEMBERED_MAX = 256


class Directory(Server):
    """Run `run` for as long as the node is on the network."""

    def __init__(
        self,
        me: PeerId,
        links: Links,
        shelf: Shelf,
        clock: SureClock,
        entropy: Entropy,
        whereabouts: Callable[[], Contact | None],
        acquaintances: Callable[[], Awaitable[Sequence[Contact]]],
        own_records: Callable[[], Awaitable[Sequence[bytes]]],
        *,
        private: bool,
        takes_part: bool = True,
    ) -> None:
        """`acquaintances`: nodes of the owner's contacts, by way of whom we join; they may be
        anywhere. `own_records`: what of ours should be found. `private`: see
        `protocol.dialable`."""
        node = DirectoryNode(Contact(me))
        storage = Records(node.id, shelf, clock, entropy)
        calls = Calls(
            node,
            storage,
            links,
            clock,
            entropy,
            whereabouts,
            self._prove,
            self._lost_all,
            self._found_another,
            private=private,
        )
        super().__init__(node, storage, calls)
        self._shelf = shelf
        self._clock = clock
        self._entropy = entropy
        self._acquaintances = acquaintances
        self._own_records = own_records
        self._private = private
        self._takes_part = takes_part
        self._tasks: asyncio.TaskGroup | None = None
        self._proving: set[bytes] = set()
        self._repairing = 0
        self.is_scarce: Callable[[], bool] = lambda: False  # see `base.seams.Supply`
        self._is_loaded = self._is_published = False
        self._grown_at = 0.0
        self._joined = asyncio.Event()
        self._met = asyncio.Event()
        self._changed = asyncio.Event()
        self._looks = Allowance(
            limits.DIRECTORY_LOOKS_MAX, limits.DIRECTORY_LOOKS_PER_SECOND, PEOPLE_REMEMBERED_MAX
        )
        self._questions = Allowance(
            limits.DIRECTORY_QUESTIONS_MAX, limits.DIRECTORY_QUESTIONS_PER_SECOND
        )
        self._stores = Allowance(limits.DIRECTORY_STORES_MAX, limits.DIRECTORY_STORES_PER_SECOND)

    # What the rest of the house asks

    @property
    def is_joined(self) -> bool:
        """Whether anybody is there to be asked."""
        return self._tasks is not None and len(self.table) > 0

    @property
    def has_joined(self) -> bool:
        """Whether we have looked for our neighbours, and found any."""
        return self._joined.is_set()

    def record_changed(self) -> None:
        """A record of ours is not what was published."""
        self._changed.set()

    async def find(self, fingerprint: Fingerprint, above: int = -1) -> PersonRecord | None:
        """A person's newest record, of a higher sequence than `above`, verified; None when the
        directory does not show one."""
        if not self.is_joined:
            return None
        found = await self.get(record_key(PERSON, fingerprint), above)
        return None if found is None else read_person(found, fingerprint)

    async def find_change(
        self, kind: int, fingerprint: Fingerprint, above: int = -1
    ) -> bytes | None:
        """The newest revocation or rotation of this identity, above that sequence, verified; None
        when the directory does not show one."""
        if not self.is_joined:
            return None
        return await self.get(record_key(kind, fingerprint), above)

    async def find_newer(self, fingerprint: Fingerprint, above: int) -> PersonRecord | None:
        """The same for somebody who is looked for again and again: some times soon, since what was
        not there a moment ago may be published now, and then seldom."""
        if not self.is_joined or not self._looks.takes(fingerprint, self._clock.elapsed()):
            return None
        return await self.find(fingerprint, above)

    def look_again(self) -> None:
        """The network may be another one, or back: nodes that did not answer may do so now."""
        self._met.set()

    def met(self, contact: Contact) -> None:
        """A node of one of the owner's contacts is linked with us: it may know others."""
        node = DirectoryNode(contact)
        if len(self.table) < self.ksize and self.table.wants(node):
            self._prove(node)

    # Answering

    @property
    def answers(self) -> Mapping[type[wire.Message], Answer]:
        if not self._takes_part:
            return {}
        return {
            messages.Ping: self._answer_ping,
            messages.FindNode: self._answer_find_node,
            messages.FindValue: self._answer_find_value,
            messages.Store: self._answer_store,
        }

    async def _answer_ping(self, asked: wire.Message, exchange: Exchange) -> None:
        assert isinstance(asked, messages.Ping)
        sender = self._sender(asked.me, exchange)
        if await self._allows(self._questions, exchange):
            self.protocol.rpc_ping(sender, node_id(exchange.peer))
            await exchange.send(messages.Nodes((), None))

    async def _answer_find_node(self, asked: wire.Message, exchange: Exchange) -> None:
        assert isinstance(asked, messages.FindNode)
        sender = self._sender(asked.me, exchange)
        if await self._allows(self._questions, exchange):
            found = self.protocol.rpc_find_node(sender, node_id(exchange.peer), asked.key)
            await exchange.send(self._told(Found(tuple(Calls.as_nodes(found)))))

    async def _answer_find_value(self, asked: wire.Message, exchange: Exchange) -> None:
        assert isinstance(asked, messages.FindValue)
        sender = self._sender(asked.me, exchange)
        if await self._allows(self._questions, exchange):
            found = self.protocol.rpc_find_value(sender, node_id(exchange.peer), asked.key)
            await exchange.send(self._told(found))

    async def _answer_store(self, asked: wire.Message, exchange: Exchange) -> None:
        assert isinstance(asked, messages.Store)
        sender = self._sender(asked.me, exchange)
        if not await self._allows(self._stores, exchange):
            return
        try:
            await self.protocol.rpc_store(sender, node_id(exchange.peer), None, asked.record)
        except PeerMisbehaved as error:  # or merely late: others have told us a newer one
            await exchange.send(wire.No.because(wire.Refusal.FORBIDDEN, f"Not kept: {error}."))
        else:
            await exchange.send(wire.Ok())

    def _sender(self, me: bytes | None, exchange: Exchange) -> Address:
        """Where the asker can be dialled, as it says; whose contact it is, the link proves."""
        if me is None:
            return None, 0
        contact = decode_contact(me)
        if contact.peer != exchange.peer:
            raise PeerMisbehaved("named somebody else as itself")
        return dialable(contact, private=self._private), 0

    async def _allows(self, allowance: Allowance, exchange: Exchange) -> bool:
        if allowance.takes(exchange.peer, self._clock.elapsed()):
            return True
        reason = "You have asked too often; ask again in a minute."
        await exchange.send(wire.No.because(wire.Refusal.LATER, reason))
        return False

    def _told(self, found: Found) -> messages.Nodes:
        """What of it strangers may dial: nobody learns private addresses from us."""
        contacts = [dialable(node.contact, private=self._private) for node in found.nodes]
        named = tuple(encode_contact(contact) for contact in contacts if contact is not None)
        return messages.Nodes(named, found.record)

    # Work of its own

    async def run(self) -> None:
        """Be a node of the directory until cancelled; or, where it takes no part, nothing."""
        if not self._takes_part:
            await asyncio.Event().wait()
        if not self._is_loaded:
            await self.storage.load()
            self._is_loaded = True
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                tasks.create_task(self._stay_joined(), name="directory join")
                tasks.create_task(self._stay_published(), name="directory publish")
                tasks.create_task(self._pass_on(), name="directory replicate")
        finally:
            self._tasks = None  # a group that ends takes no more tasks
            self._proving.clear()  # a task that was cancelled before it began did not say so
            self._repairing = 0
            self._joined.clear()

    def _prove(self, node: DirectoryNode) -> None:
        """Ask a node that wants a place in the table, or whose place somebody else wants."""
        if self._tasks is None or node.id in self._proving or len(self._proving) >= PROVING_MAX:
            return
        self._proving.add(node.id)
        task = self._tasks.create_task(self._ping(node), name="directory prove")
        task.add_done_callback(lambda _: self._proving.discard(node.id))

    async def _ping(self, node: DirectoryNode) -> None:
        await self.protocol.call_ping(node)
        if len(self.table) and not self._joined.is_set():
            self._met.set()

    def _repair(self, nodes: Sequence[DirectoryNode], record: bytes) -> None:
        if self._tasks is None or self._repairing >= REPAIRS_MAX:
            return
        for node in nodes:
            self._repairing += 1
            self._tasks.create_task(self._tell(node, record), name="directory repair")

    async def _tell(self, node: DirectoryNode, record: bytes) -> None:
        try:
            await self.protocol.call_store(node, b"", record)
        finally:
            self._repairing -= 1

    async def _stay_joined(self) -> None:
        wait = limits.DIRECTORY_JOIN_SECONDS_FIRST
        while True:
            if self._joined.is_set():
                if not self.is_scarce():
                    await self.refresh()
            elif await self.bootstrap(await self._beginnings()):
                log.info("joined the directory", extra={"nodes": len(self.table)})
                self._joined.set()
            await self._keep_peers()
            self._met.clear()
            if self._joined.is_set():
                wait = limits.DIRECTORY_JOIN_SECONDS_FIRST
                await self._sleep(limits.DIRECTORY_REFRESH_SECONDS, self._met)
            else:
                await self._sleep(wait, self._met)
                wait = min(2 * wait, limits.DIRECTORY_JOIN_SECONDS_MAX)

    def _lost_all(self) -> None:
        """Nobody in the table answers any more: begin again."""
        self._joined.clear()
        self._met.set()

    async def _beginnings(self) -> list[DirectoryNode]:
        """Whom to ask first: who is linked, good peers of last time, nodes of our contacts."""
        kept = []
        with suppress(TemporaryFailure):
            for octets in await self._shelf.load_peers():
                with suppress(PeerMisbehaved):
                    kept.append(decode_contact(octets))
        contacts = [*kept[: self.ksize], *await self._acquaintances(), *kept[self.ksize :]]
        nodes = {node_id(one.peer): DirectoryNode(one) for one in contacts}
        nodes.pop(self.node.id, None)
        return [*self.table.nodes(), *nodes.values()][: limits.DIRECTORY_PEERS_KEPT]

    async def _keep_peers(self) -> None:
        """Write down who answered last: with them we begin after a start."""
        nodes = sorted(self.table.nodes(), key=lambda node: -node.heard_at)
        contacts = [encode_contact(node.contact) for node in nodes]
        if contacts:
            with suppress(TemporaryFailure):
                await self._shelf.keep_peers(contacts[: limits.DIRECTORY_PEERS_KEPT])

    async def _stay_published(self) -> None:
        wait = limits.DIRECTORY_JOIN_SECONDS_FIRST
        published: Sequence[bytes] = ()
        while True:
            await self._joined.wait()
            self._changed.clear()
            with suppress(TemporaryFailure):
                records = await self._own_records()
                if records != published:
                    wait = limits.DIRECTORY_JOIN_SECONDS_FIRST
                published = records
            stored = [await self._publish(record) for record in published]
            self._is_published = bool(stored) and all(one.is_enough for one in stored)
            with_all = all(one.is_all for one in stored)  # until others come
            if self._is_published or with_all:
                await self._sleep(limits.DIRECTORY_PUBLISH_SECONDS, self._changed)
            else:
                await self._sleep(wait, self._changed)
                wait = min(2 * wait, limits.DIRECTORY_REPLICATE_SECONDS)
            if self._changed.is_set():
                await asyncio.sleep(PUBLISH_PAUSE_SECONDS)

    async def _publish(self, record: bytes) -> Stored:
        """How many nodes keep it now; where there are too few it is tried again, ever seldomer."""
        key = read_statement(record, self._clock.now()).key
        stored = await self.put(record, key)
        log.info("record published", extra={"keepers": stored.yes, "asked": stored.asked})
        return stored

    def _found_another(self) -> None:
        """One more node is known: where too few keep our record, it may be the one that lacked."""
        self._grown_at = self._clock.elapsed()
        if not self._is_published:
            self._changed.set()

    async def _pass_on(self) -> None:
        """Bring each record that we keep to those who should have it, when nobody else did for some
        hours: one at a time, spread over the hours."""
        while True:
            due = self.storage.next_due()
            now = self._clock.elapsed()
            if due is None or due[0] > now:
                wait = limits.HOUR if due is None else min(due[0] - now, limits.HOUR)
                await asyncio.sleep(max(wait, 1.0))
                with suppress(TemporaryFailure):
                    await self.storage.forget_expired()
                continue
            key = due[1]
            kept = self.storage.kept(key)
            self.storage.put_off(key)
            # In a network as small as one answer all keep everything: only newcomers lack it.
            is_with_all = len(self.table) < self.ksize and kept and kept.since > self._grown_at
            if kept is not None and self.is_joined and not is_with_all and not self.is_scarce():
                await self.put(kept.record, key)

    async def _sleep(self, seconds: float, wake: asyncio.Event) -> None:
        """For that long, give or take a quarter, or until somebody wakes us."""
        with suppress(TimeoutError):
            async with timeout(seconds * (0.75 + self._entropy.uniform() / 2)):
                await wake.wait()
