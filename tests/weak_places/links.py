"""A weak key in a link that people give each other, and in what a helper answers."""

from __future__ import annotations

import pytest

import weak_keys
from delivery.test_bundles import read
from postroad.base import limits
from postroad.base.errors import PostroadError
from postroad.base.ids import Contact, Ticket
from postroad.protocol import bundle, helping, invitation
from postroad.protocol.contacts import encode_contact
from postroad.protocol.helping import HelperLink
from postroad.protocol.invitation import Invitation
from postroad.protocol.wire_helping import SignedIn, SignIn
from weak_places.town import Town, answering, bundled, place


@place("invitation: the inviter's node")
async def _(town: Town, key: bytes) -> None:
    await refused_link(town, invitation_with(town, weak_keys.contact(key)))


@place("invitation: a relay")
async def _(town: Town, key: bytes) -> None:
    me = town.mallory.node.endpoint.me
    await refused_link(town, invitation_with(town, weak_keys.behind(key, me)))


@place("invitation in a bundle: the inviter's node")
async def _(town: Town, key: bytes) -> None:
    octets = bundled(bundle.Invitation(invitation_with(town, weak_keys.contact(key))))
    assert (await read(town.bora, octets, accept=True)).trouble


@place("link to a helper: its node")
async def _(town: Town, key: bytes) -> None:
    await refused_helper(town, weak_keys.contact(key))


@place("link to a helper: its relay")
async def _(town: Town, key: bytes) -> None:
    await refused_helper(town, weak_keys.behind(key, town.mallory.node.endpoint.me))


@place("answer of a helper: its relay")
async def _(town: Town, key: bytes) -> None:
    me = town.mallory.node.endpoint.me
    weak = SignedIn(encode_contact(weak_keys.behind(key, me)), "box")
    with answering(town.mallory, SignIn, weak) as at:
        await refused_helper(town, at)


def invitation_with(town: Town, at: Contact) -> str:
    expires = int(town.bora.clock.now()) + limits.DAY
    who = town.stella.node.keyring.fingerprint
    return invitation.to_link(Invitation(who, b"s" * 16, Ticket(b"t" * 16), expires, (at,)))


async def refused_link(town: Town, link: str) -> None:
    with pytest.raises(PostroadError, match="not valid; ask for a new one"):
        await town.bora.node.introductions.accept(link)


async def refused_helper(town: Town, at: Contact) -> None:
    expires = int(town.bora.clock.now()) + limits.DAY
    with pytest.raises(PostroadError):
        await town.bora.node.helpers.add(helping.to_link(HelperLink(b"s" * 16, expires, at)))
