"""What nodes ask each other of the directory: Kademlia's four questions, and their answers.

`me`: where the asker says that it can be reached; the link proves whose contact that must be. An
asker that nobody can dial leaves it out. Kinds 30 to 39 of `protocol.wire`.
See: docs/adr/0005-directory.md.
"""

from dataclasses import dataclass

from postroad.base import limits
from postroad.base.tlv import fixed, octets, optional, several
from postroad.protocol.contacts import CONTACT_BYTES_MAX, CONTACT_BYTES_MIN
from postroad.protocol.directory import ID_BYTES, RECORD_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you there, and of the directory? Answer: Nodes without any."""

    me: bytes | None = optional(octets(1, CONTACT_BYTES_MIN, CONTACT_BYTES_MAX))


@dataclass(frozen=True, slots=True)
class FindNode:
    """Who of those you know is nearest to this id? Answer: Nodes."""

    me: bytes | None = optional(octets(1, CONTACT_BYTES_MIN, CONTACT_BYTES_MAX))
    key: bytes = fixed(2, ID_BYTES)


@dataclass(frozen=True, slots=True)
class FindValue:
    """The same, and the record that lies at this key, if you keep it. Answer: Nodes."""

    me: bytes | None = optional(octets(1, CONTACT_BYTES_MIN, CONTACT_BYTES_MAX))
    key: bytes = fixed(2, ID_BYTES)


@dataclass(frozen=True, slots=True)
class Store:
    """Keep this record, whose key it says itself. Answer: Ok, after the commit, or No."""

    me: bytes | None = optional(octets(1, CONTACT_BYTES_MIN, CONTACT_BYTES_MAX))
    record: bytes = octets(2, 1, RECORD_BYTES_MAX)


@dataclass(frozen=True, slots=True)
class Nodes:
    """Contacts, the nearest first; with them the record, where one was asked for and is kept."""

    nodes: tuple[bytes, ...] = several(
        octets(1, CONTACT_BYTES_MIN, CONTACT_BYTES_MAX), limits.DIRECTORY_NEIGHBOURS
    )
    record: bytes | None = optional(octets(2, 1, RECORD_BYTES_MAX))


DirectoryMessage = Ping | FindNode | FindValue | Store | Nodes
KINDS: dict[int, type[DirectoryMessage]] = {
    30: Ping,
    31: FindNode,
    32: FindValue,
    33: Store,
    34: Nodes,
}
