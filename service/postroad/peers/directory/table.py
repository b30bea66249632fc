"""The routing table: the library's, where it is right.

Purpose: nodes whose id is their key's hash, in Kademlia's buckets, by the injected clock.
See: docs/adr/0005-directory.md.
"""

from collections.abc import Callable
from heapq import nsmallest
from itertools import chain

from kademlia.node import Node  # type: ignore[import-untyped]
from kademlia.routing import KBucket, RoutingTable  # type: ignore[import-untyped]

from postroad.base import limits
from postroad.base.ids import Contact
from postroad.protocol.directory import node_id

ID_LAST = 2**160 - 1
HEARD_SECONDS = 10 * limits.MINUTE  # who answered within this is not asked whether it still does


class DirectoryNode(Node):  # type: ignore[misc]
    """A node that can be dialled; `heard_at`: when it last answered us, seconds elapsed.

    Fault 1 of the library: an id is whatever somebody says. Here it is computed from the device
    key that a link to the contact proves, so that no other id can even be written down."""

    def __init__(self, contact: Contact, heard_at: float = 0.0) -> None:
        super().__init__(node_id(contact.peer), contact, 0)
        self.contact = contact
        self.heard_at = heard_at

    def same_home_as(self, node: Node) -> bool:
        """Fault 9: homes are compared by address, which changes. Ours are where the key is."""
        return bool(self.id == node.id)


class Bucket(KBucket):  # type: ignore[misc]
    """Fault: a bucket's age is read from the machine's clock, and a split makes stock buckets."""

    def __init__(self, low: int, high: int, ksize: int, elapsed: Callable[[], float]) -> None:
        self._elapsed = elapsed
        super().__init__(low, high, ksize)

    def touch_last_updated(self) -> None:
        self.last_updated = self._elapsed()

    def split(self) -> "tuple[Bucket, Bucket]":
        low, high = self.range
        middle = (low + high) // 2
        halves = (
            Bucket(low, middle, self.ksize, self._elapsed),
            Bucket(middle + 1, high, self.ksize, self._elapsed),
        )
        for half in halves:
            half.last_updated = self.last_updated  # the library counts a split as a look
        for node in chain(self.nodes.values(), self.replacement_nodes.values()):
            halves[node.long_id > middle].add_node(node)
        return halves


class Table(RoutingTable):  # type: ignore[misc]
    """`on_full` hears of a node that has to answer soon, or lose its place to a newer one."""

    def __init__(
        self,
        me: DirectoryNode,
        ksize: int,
        elapsed: Callable[[], float],
        on_full: Callable[[DirectoryNode], None],
    ) -> None:
        self._elapsed = elapsed
        self._on_full = on_full
        super().__init__(None, ksize, me)

    def flush(self) -> None:
        self.buckets = [Bucket(0, ID_LAST, self.ksize, self._elapsed)]

    def __len__(self) -> int:
        return sum(len(bucket) for bucket in self.buckets)

    def nodes(self) -> list[DirectoryNode]:
        """All that have a place, those heard of last at the end of their bucket."""
        return [node for bucket in self.buckets for node in bucket.get_nodes()]

    def known(self, node_id: bytes) -> DirectoryNode | None:
        found = self.buckets[self.get_bucket_for(Node(node_id))][node_id]
        assert found is None or isinstance(found, DirectoryNode)
        return found

    def get_bucket_for(self, node: Node) -> int:
        """Fault: the library compares with `<`, and puts the last id of a bucket's range into the
        next bucket, which does not cover it."""
        for index, bucket in enumerate(self.buckets):
            if bucket.has_in_range(node):
                return index
        raise AssertionError("an id outside of 160 bits")

    def add_contact(self, node: DirectoryNode) -> None:
        """A node that just answered: to the end of its bucket, with the address that it has now.

        Fault 9: the library never moves a node that it knows and ignores its new address, so a full
        bucket asks the same head for ever. It asks by a task that nobody waits for, too."""
        if node.id == self.node.id:
            return
        index = self.get_bucket_for(node)
        bucket = self.buckets[index]
        if bucket.add_node(node):
            return
        if bucket.has_in_range(self.node) or bucket.depth() % 5 != 0:
            self.split_bucket(index)
            self.add_contact(node)
            return
        head = bucket.head()
        if head.heard_at + HEARD_SECONDS < self._elapsed():
            self._on_full(head)

    def wants(self, node: Node) -> bool:
        """Whether a node that we do not know would get a place."""
        if node.id == self.node.id:
            return False
        bucket = self.buckets[self.get_bucket_for(node)]
        return node.id not in bucket.nodes and (
            len(bucket) < self.ksize or bucket.has_in_range(self.node)
        )

    def find_neighbors(
        self, node: Node, k: int | None = None, exclude: Node | None = None
    ) -> list[DirectoryNode]:
        """The k nearest of all that we know.

        Fault 5: the library walks outwards from one bucket and stops when one side is used up, so
        it names a handful out of forty, and not the nearest. A table is small enough to be
        sorted."""
        able = (
            one
            for bucket in self.buckets
            for one in bucket.nodes.values()
            if one.id != node.id and not (exclude is not None and one.same_home_as(exclude))
        )
        return nsmallest(k or self.ksize, able, key=node.distance_to)

    def loneliest(self, seconds: float) -> Bucket | None:
        """The bucket in which nothing was looked for the longest, if that is so many seconds.

        Fault: the library asks the machine's clock, and looks into all such buckets at once."""
        bucket = min(self.buckets, key=lambda one: one.last_updated)
        assert isinstance(bucket, Bucket)
        return bucket if bucket.last_updated + seconds <= self._elapsed() else None
