"""The town to which weak keys are brought, and the table of all places where one can come in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

import weak_keys
from delivery.test_forged import KEY
from postroad.base import limits
from postroad.base.errors import PostroadError
from postroad.base.ids import Contact
from postroad.peers.client import Client
from postroad.peers.exchange import Exchange
from postroad.protocol import bundle, wire
from postroad.protocol.invitation import Invitation
from postroad.protocol.records import PersonRecord
from postroad.sealing import letter
from postroad.sealing.certificate import Certificate
from postroad.sealing.keys import SigningKey
from postroad.store import queue
from simulator.village import Resident
from weak_keys import ED25519


@dataclass(frozen=True, slots=True)
class Town:
    """Bora, to whom it is done; Mallory, her contact; Stella, a stranger; and a letter of hers to
    Carla, who is off."""

    bora: Resident
    mallory: Resident
    stella: Resident
    letter: queue.Row
    carla: Resident
    carlas: Certificate

    @property
    def there(self) -> Contact:
        """Where Bora is."""
        return Contact(self.bora.node.endpoint.me, self.bora.node.endpoint.addresses())

    async def record(self, **changes: Any) -> PersonRecord:
        """Mallory's newest, with these changes, signed by Mallory's device."""
        real = await self.mallory.node.renter.record()
        changed = replace(real, sequence=real.sequence + (1 << 32), **changes)
        return weak_keys.signed(changed, self.mallory.node.keyring.device)


Bring = Callable[[Town, bytes], Awaitable[None]]
PLACES: dict[str, tuple[Bring, tuple[bytes, ...]]] = {}


def place(name: str, keys: tuple[bytes, ...] = ED25519) -> Callable[[Bring], Bring]:
    def enter(bring_it: Bring) -> Bring:
        PLACES[name] = (bring_it, keys)
        return bring_it

    return enter


async def asked(town: Town, message: wire.Message, by: Resident | None = None) -> None:
    """Said to Bora over a link; she refuses."""
    bringer = by or town.mallory
    with pytest.raises(PostroadError):
        await Client(bringer.node.links)._call(town.there, message, wire.Ok)


@contextmanager
def answering(who: Resident, kind: type[Any], answer: wire.Message) -> Iterator[Contact]:
    """While within, this node answers so to each such message; where it is."""
    answers: dict[Any, Any] = who.node.links._answers  # type: ignore[assignment]
    before = answers.get(kind)

    async def lie(_: wire.Message, exchange: Exchange) -> None:
        await exchange.send(answer)

    answers[kind] = lie
    try:
        yield Contact(who.node.endpoint.me, who.node.endpoint.addresses())
    finally:
        if before is not None:
            answers[kind] = before
        else:
            del answers[kind]


def text(sender: Resident, to: Resident) -> bytes:
    return (
        f"From: {sender.address}\r\nTo: {to.address}\r\nSubject: weak\r\n"
        "Message-ID: <weak@test>\r\n\r\nHello!\r\n"
    ).encode()


def letter_of(
    town: Town, header: letter.Header, certificate: Certificate, device: SigningKey | None
) -> bytes:
    body = text(town.stella if device is None else town.mallory, town.bora)
    return b"".join(
        letter.seal(
            header,
            body,
            device=device or town.stella.node.keyring.device,
            certificate=certificate,
            epoch_public=town.bora.node.keyring.epoch_public,
            content_key=KEY,
        )
    )


def bundled(item: bundle.Item, octets: bytes = b"") -> bytes:
    writer = bundle.Writer()
    return (
        writer.begin()
        + writer.item(item)
        + (writer.piece(octets) if octets else b"")
        + writer.end()
    )


async def bora_invites(town: Town) -> Invitation:
    return await town.bora.node.introductions._new_invitation(limits.DAY)
