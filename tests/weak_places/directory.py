"""A weak key in a question to the directory, and in its answer."""

from __future__ import annotations

import weak_keys
from postroad.protocol import wire_directory
from postroad.protocol.contacts import encode_contact
from weak_places.town import Town, answering, asked, place


@place("directory: where the asker says that it is")
async def _(town: Town, key: bytes) -> None:
    await asked(town, wire_directory.Ping(encode_contact(weak_keys.contact(key))))


@place("directory: a node that an answer names")
async def _(town: Town, key: bytes) -> None:
    weak = wire_directory.Nodes((encode_contact(weak_keys.contact(key)),), None)
    with answering(town.mallory, wire_directory.FindNode, weak) as at:
        calls = town.bora.node.directory.protocol
        answered, answer = await calls.find_node((at, 0), b"", b"k" * 20)
    assert not answered
    assert not answer.nodes
