"""Kademlia's calls, carried over our links.

Purpose: the library's protocol asks `self.find_node(address, ...)` of whatever can send, and its
`rpc_*` methods answer. Its UDP socket and msgpack are replaced by exchanges of typed messages; its
handlers are used where they are right. The address of a node is its contact.
Invariants: what does not have the right shape is as no answer; a node gets a place in the table
only by answering a question of ours; what strangers name is dialled only where `protocol.dialable`
allows it.
See: docs/adr/0005-directory.md.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from kademlia.node import Node  # type: ignore[import-untyped]
from kademlia.protocol import KademliaProtocol  # type: ignore[import-untyped]

from postroad.base import limits
from postroad.base.errors import LinkClosed, PeerMisbehaved, TemporaryFailure
from postroad.base.ids import Contact, short
from postroad.base.seams import Clock, Entropy
from postroad.peers.directory.storage import Records
from postroad.peers.directory.table import Bucket, DirectoryNode, Table
from postroad.peers.exchange import Refused
from postroad.peers.link import Links
from postroad.protocol import wire
from postroad.protocol import wire_directory as messages
from postroad.protocol.contacts import decode_contact, encode_contact
from postroad.protocol.dialable import dialable
from postroad.protocol.directory import ID_BYTES, Statement, check_time, read_statement

log = logging.getLogger(__name__)
T = TypeVar("T")
Address = tuple[Contact | None, int]  # what the library takes for a host and a port


@dataclass(frozen=True, slots=True)
class Found:
    """What a node answered to a question: others that it knows, and perhaps the record."""

    nodes: tuple[DirectoryNode, ...] = ()
    record: bytes | None = None
    statement: Statement | None = None


class Calls(KademliaProtocol):  # type: ignore[misc]
    """`whereabouts`: where others can dial us now. `on_candidate` hears of nodes that should be
    asked whether they are there; `on_lonely`, that the last one of the table is gone;
    `on_grown`, that there is one more."""

    def __init__(
        self,
        me: DirectoryNode,
        storage: Records,
        links: Links,
        clock: Clock,
        entropy: Entropy,
        whereabouts: Callable[[], Contact | None],
        on_candidate: Callable[[DirectoryNode], None],
        on_lonely: Callable[[], None],
        on_grown: Callable[[], None],
        *,
        private: bool,
    ) -> None:
        # Not KademliaProtocol's own: it would make a stock table, by the machine's clock.
        super(KademliaProtocol, self).__init__()
        self.source_node = me
        self.storage = storage
        self.router = Table(me, limits.DIRECTORY_NEIGHBOURS, clock.elapsed, on_candidate)
        self._links = links
        self._clock = clock
        self._entropy = entropy
        self._whereabouts = whereabouts
        self._on_candidate = on_candidate
        self._on_lonely = on_lonely
        self._on_grown = on_grown
        self._private = private

    # Asking. Each answers (whether they answered, what), as the library's own would.

    async def ping(self, address: Address, _me: bytes) -> tuple[bool, bytes | None]:
        request = messages.Ping(self._myself())
        _, answer = await self._ask(address, request, messages.Nodes)
        return answer is not None, None

    async def find_node(self, address: Address, _me: bytes, key: bytes) -> tuple[bool, Found]:
        request = messages.FindNode(self._myself(), key)
        return self._checked(key, (await self._ask(address, request, messages.Nodes))[1])

    async def find_value(self, address: Address, _me: bytes, key: bytes) -> tuple[bool, Found]:
        request = messages.FindValue(self._myself(), key)
        return self._checked(key, (await self._ask(address, request, messages.Nodes))[1])

    async def store(
        self, address: Address, _me: bytes, _key: bytes, record: bytes
    ) -> tuple[bool, bool]:
        request = messages.Store(self._myself(), record)
        answered, answer = await self._ask(address, request, wire.Ok)
        return answered, answer is not None

    def _myself(self) -> bytes | None:
        contact = self._whereabouts()
        mine = None if contact is None else dialable(contact, private=self._private)
        return None if mine is None else encode_contact(mine)

    async def _ask(
        self, address: Address, request: wire.Message, kind: type[T]
    ) -> tuple[bool, T | None]:
        """One exchange. Faults 6, 7, 12 and 13: the library sends one datagram, of which a lost one
        costs five seconds, a large one is cut to pieces on its way, and one from a forged sender
        makes us answer somebody else; what goes wrong is raised in a task that nobody awaits.

        Here a lost packet is sent again by the transport, and a link that turns out dead (its peer
        closed it, or was started anew) costs one more try on a fresh one."""
        contact, _ = address
        assert contact is not None
        try:
            at_hand = self._links.is_linked(contact.peer)
            try:
                return True, await self._once(contact, request, kind)
            except LinkClosed:
                if not at_hand:
                    raise
                return True, await self._once(contact, request, kind)
        except Refused as error:  # it is there, and does not want to
            log.debug("a node refused: %s", error, extra={"peer": short(contact.peer)})
            return True, None
        except (TemporaryFailure, PeerMisbehaved) as error:
            log.debug("a node did not answer: %s", error, extra={"peer": short(contact.peer)})
            return False, None

    async def _once(self, contact: Contact, request: wire.Message, kind: type[T]) -> T:
        async with self._links.exchange(contact) as exchange:
            await exchange.send(request)
            return await exchange.expect(kind, limits.DIRECTORY_ANSWER_SECONDS_MAX)

    def _checked(self, key: bytes, answer: messages.Nodes | None) -> tuple[bool, Found]:
        """Fault 4: one malformed answer raises out of the library's crawl and ends it for all. Here
        a bad answer is as no answer at all."""
        if answer is None:
            return False, Found()
        try:
            found = [self._named(octets) for octets in answer.nodes]
            nodes = {node.id: node for node in found if node is not None}
            nodes.pop(self.source_node.id, None)
            statement = None
            if answer.record is not None:
                statement = read_statement(answer.record, self._clock.now())
                if statement.key != key:
                    raise PeerMisbehaved("a record is not the one that was asked for")
                check_time(statement, self._clock.now())
            return True, Found(tuple(nodes.values()), answer.record, statement)
        except PeerMisbehaved as error:
            log.debug("a node answered badly: %s", error)
            return False, Found()

    def _named(self, octets: bytes) -> DirectoryNode | None:
        """A node that a stranger named, with only what may be dialled of it, and what we know
        ourselves of where it is; None when it cannot be dialled."""
        contact = dialable(decode_contact(octets), private=self._private)
        known = None if contact is None else self.router.known(DirectoryNode(contact).id)
        if contact is None or known is None or known.contact == contact:
            return None if contact is None else known or DirectoryNode(contact)
        both = tuple(dict.fromkeys((*known.contact.addresses, *contact.addresses)))
        relay = known.contact.relay or contact.relay
        return DirectoryNode(Contact(contact.peer, both[:4], relay), known.heard_at)

    # Answering: `sender` is the proven contact of the asker, `nodeid` its id.

    def rpc_find_value(self, sender: Address, nodeid: bytes, key: bytes) -> Found:
        """Fault 3: the library answers with the record alone, so that whoever asks stops at the
        first voice. Ours names the neighbours as well, and the asker goes on."""
        neighbours = self.rpc_find_node(sender, nodeid, key)
        kept = self.storage.kept(key)
        nodes = tuple(self.as_nodes(neighbours))
        return Found(nodes) if kept is None else Found(nodes, kept.record, kept.statement)

    async def rpc_store(self, sender: Address, nodeid: bytes, key: None, value: bytes) -> None:
        """Fault 2: the library stores anything under any key. Ours keeps what says itself where it
        belongs, verified and newer, and answers after the commit. Raises PeerMisbehaved."""
        self.welcome_if_new(Node(nodeid, *sender))
        await self.storage.offer(key, value)

    @staticmethod
    def as_nodes(neighbours: list[tuple[bytes, Contact, int]]) -> list[DirectoryNode]:
        """What the library's `rpc_find_node` answers, as nodes again."""
        return [DirectoryNode(contact) for _, contact, _ in neighbours]

    def welcome_if_new(self, node: Node) -> None:
        """Somebody asked us: a candidate for the table, no more.

        Faults 1 and 8: the library believes the id, gives it a place unheard, walks through all of
        its storage, hashes keys that are hashes already, and so sends records to the wrong node."""
        if node.ip is None:
            return
        known = self.router.known(node.id)
        if self.router.wants(node) if known is None else _has_moved(known.contact, node.ip):
            self._on_candidate(DirectoryNode(node.ip))

    def handle_call_response(
        self, result: tuple[bool, Any], node: DirectoryNode
    ) -> tuple[bool, Any]:
        """Who answered has a place, at the end of its bucket; who did not has lost it."""
        if result[0]:
            node.heard_at = self._clock.elapsed()
            count = len(self.router)
            self.router.add_contact(node)
            if len(self.router) > count:
                self._on_grown()
        elif self.router.known(node.id) is not None:
            self.router.remove_contact(node)
            if not len(self.router):
                self._on_lonely()
        return result

    def get_refresh_ids(self) -> list[bytes]:
        """An id in the bucket that was looked into the longest ago, if any is due.

        Fault: the library draws it from the machine's dice, by the machine's clock."""
        bucket = self.router.loneliest(limits.DIRECTORY_REFRESH_SECONDS)
        return [] if bucket is None else [self._somewhere_in(bucket)]

    def _somewhere_in(self, bucket: Bucket) -> bytes:
        low, high = bucket.range
        dice = int.from_bytes(self._entropy.token(ID_BYTES), "big")
        return int(low + dice % (high - low + 1)).to_bytes(ID_BYTES, "big")


def _has_moved(known: Contact, said: Contact) -> bool:
    """Whether a node says that it is where we would not look for it."""
    has_new_address = not set(said.addresses) <= set(known.addresses)
    return has_new_address or (said.relay is not None and said.relay != known.relay)
