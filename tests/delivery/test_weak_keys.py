"""The 14 weak keys at each place where a key comes in: refused, one audit line, nothing left.

PLACES is the table: whoever builds a place where a key comes in adds a row. That no other place
loads a key is held by tests/sealing/test_one_loader.py.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import weak_keys
from delivery.test_bundles import read
from delivery.test_forged import KEY, bring, header_for, verdict
from postroad.app.mail_doors import Sockets
from postroad.base import limits, vigil
from postroad.base.errors import PermanentFailure, PostroadError
from postroad.base.ids import Contact, DropId, Instant, PeerId, Ticket
from postroad.base.tlv import encode
from postroad.peers.client import Client
from postroad.peers.exchange import Exchange
from postroad.protocol import (
    bundle,
    helping,
    invitation,
    wire,
    wire_changes,
    wire_directory,
    wire_holders,
)
from postroad.protocol.contacts import encode_contact
from postroad.protocol.helping import HelperLink
from postroad.protocol.identity_records import (
    ROTATE_CONTEXT,
    sign_revoke_devices,
    sign_rotate,
)
from postroad.protocol.invitation import Invitation
from postroad.protocol.records import Drop, PersonRecord
from postroad.protocol.wire_helping import SignedIn, SignIn
from postroad.sealing import hybrid, letter
from postroad.sealing.certificate import Certificate, certify
from postroad.sealing.hybrid import BLANK
from postroad.sealing.keys import Identity, SigningKey
from postroad.sealing.letter import Introduction, Kind
from postroad.sealing.proposal import CONTEXT as WORD_CONTEXT
from postroad.sealing.proposal import Proposal, SignedWord, give_word
from postroad.sealing.receipt import Receipt, Verdict, seal_receipt
from postroad.store import audit, people, queue
from postroad.store.database import Database, Sql
from postroad.store.helpers import GuestBook
from simulator.village import Resident, Village, play, until
from weak_keys import ED25519, X25519, WeakSigner


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


# Records: told, found, brought to a helper or the directory, in a bundle, in a letter


async def of_device(town: Town, key: bytes) -> PersonRecord:
    mine = town.mallory.node.keyring.certificate
    weak = weak_keys.certificate_of_device(mine, key)
    return weak_keys.signed(await town.record(certificate=weak), WeakSigner(key))


RECORDS: dict[str, Callable[[Town, bytes], Awaitable[PersonRecord]]] = {"its device": of_device}


def kind_of_record(name: str) -> Callable[[Any], Any]:
    def enter(make: Any) -> Any:
        RECORDS[name] = make
        return make

    return enter


@kind_of_record("its identity")
async def of_identity(town: Town, key: bytes) -> PersonRecord:
    mine = town.mallory.node.keyring.certificate
    return await town.record(certificate=weak_keys.certificate_by(mine, key))


@kind_of_record("another device")
async def with_device(town: Town, key: bytes) -> PersonRecord:
    real = await town.mallory.node.renter.record()
    return await town.record(devices=(*real.devices, encode_contact(weak_keys.contact(key))))


@kind_of_record("the relay of a device")
async def with_relay(town: Town, key: bytes) -> PersonRecord:
    me = town.mallory.node.endpoint.me
    return await town.record(devices=(encode_contact(weak_keys.behind(key, me)),))


@kind_of_record("a holder")
async def with_holder(town: Town, key: bytes) -> PersonRecord:
    drop = Drop(DropId(b"d" * 16), encode_contact(weak_keys.contact(key)))
    return await town.record(drops=(drop,))


async def with_epoch_key(town: Town, key: bytes) -> PersonRecord:
    real = await town.mallory.node.renter.record()
    return await town.record(epoch_key=real.epoch_key[:1184] + key)


async def told(town: Town, record: PersonRecord) -> None:
    await asked(town, wire.Record(encode(record)))


async def found(town: Town, record: PersonRecord) -> None:
    answer = wire.Record(encode(record))
    with answering(town.mallory, wire.FindRecord, answer) as at, pytest.raises(PostroadError):
        await Client(town.bora.node.links).find_record(at, record.fingerprint)


async def signed_in(town: Town, record: PersonRecord) -> None:
    book = GuestBook(town.bora.node.database, town.bora.clock)
    with pytest.raises(PostroadError):
        await book.sign_in(None, encode(record), town.mallory.node.endpoint.me)


async def stored(town: Town, record: PersonRecord) -> None:
    await asked(town, wire_directory.Store(None, encode(record)))


async def in_a_bundle(town: Town, record: PersonRecord) -> None:
    read_it = await read(town.bora, bundled(bundle.Record(encode(record))))
    assert read_it.records == 0


async def rented_with(town: Town, record: PersonRecord) -> None:
    drop = SigningKey(b"r" * 32)
    request = wire.Rent(DropId(b"r" * 16), drop.public, encode(record), bytes(64), None)
    me = town.mallory.node.endpoint.me
    await asked(town, wire.sign_owner(request, drop, town.there.peer, me))


async def introduced_with(town: Town, record: PersonRecord, nonce: bytes) -> None:
    """A letter that is good in all, by somebody who has a good invitation."""
    sender = town.stella
    secret = (await bora_invites(town)).secret
    header = header_for(
        sender,
        town.bora,
        text(sender, town.bora),
        kind=Kind.INTRODUCTION,
        nonce=nonce,
        introduction=Introduction(secret, b"t" * 16, encode(record), None),
    )
    # By a contact: of strangers a stamp is wanted before a letter is looked at.
    await bring(
        town.mallory, town.bora, letter_of(town, header, sender.node.keyring.certificate, None)
    )


WAYS: dict[str, Callable[[Town, PersonRecord], Awaitable[None]]] = {
    "told": told,
    "found": found,
    "signed in with": signed_in,
    "to the directory": stored,
    "in a bundle": in_a_bundle,
    "rented with": rented_with,
}


def _record_place(way: str, made: str) -> None:
    bring_it, make = WAYS[way], RECORDS.get(made, with_epoch_key)

    @place(f"record, {way}: {made}", X25519 if make is with_epoch_key else ED25519)
    async def _(town: Town, key: bytes) -> None:
        await bring_it(town, await make(town, key))


for _way in WAYS:
    for _made in (*RECORDS, "the epoch key"):
        _record_place(_way, _made)


@place("record of an introduction: its device")
async def _(town: Town, key: bytes) -> None:
    nonce = hashlib.sha256(key).digest()[:16]
    await introduced_with(town, await of_device(town, key), nonce)


# Revocations and rotations: to the directory, and told to those whom they concern


async def revoked_device(town: Town, key: bytes) -> bytes:
    identity = town.mallory.node.keyring._keyring.identity
    return encode(sign_revoke_devices(identity, [PeerId(key)], 7))


async def revoked_identity(town: Town, key: bytes) -> bytes:
    identity = town.mallory.node.keyring._keyring.identity
    real = sign_revoke_devices(identity, [town.mallory.node.endpoint.me], 7)
    weak = replace(
        real,
        identity=replace(real.identity, ed25519=key),
        signatures=replace(real.signatures, ed25519=weak_keys.EVERYBODYS_SIGNATURE),
    )
    return encode(weak)


async def rotated(town: Town, key: bytes) -> bytes:
    old = town.mallory.node.keyring._keyring.identity
    real = sign_rotate(old, Identity(b"n" * 32), 7, town.bora.clock.now() + limits.DAY)
    weak = replace(real, new=replace(real.new, ed25519=key))
    blank = encode(replace(weak, old_signatures=BLANK, new_signatures=BLANK))
    return encode(replace(weak, old_signatures=hybrid.sign(old, ROTATE_CONTEXT, blank)))


def _change_place(name: str, make: Callable[[Town, bytes], Awaitable[bytes]]) -> None:
    @place(f"{name}, to the directory")
    async def _(town: Town, key: bytes) -> None:
        await asked(town, wire_directory.Store(None, await make(town, key)))


def _told_place(name: str, make: Callable[[Town, bytes], Awaitable[bytes]]) -> None:
    @place(f"{name}, told")
    async def _(town: Town, key: bytes) -> None:
        await asked(town, wire_changes.Changed(await make(town, key), None))


_change_place("revocation: a device", revoked_device)
_change_place("revocation: the identity", revoked_identity)
_change_place("rotation: the new identity", rotated)
_told_place("revocation: a device", revoked_device)
# A weak identity is nobody whom we know: what is told of it is turned away unread.
_told_place("rotation: the new identity", rotated)


@place("rotation, told: another device of the new identity")
async def _(town: Town, key: bytes) -> None:
    old, new = town.mallory.node.keyring._keyring.identity, Identity(b"n" * 32)
    now = town.bora.clock.now()
    good, device = await town.mallory.node.renter.record(), SigningKey(b"e" * 32)
    heir = replace(
        good,
        certificate=certify(new, device.peer, now),
        devices=(encode_contact(Contact(device.peer)), encode_contact(weak_keys.contact(key))),
    )
    record = encode(sign_rotate(old, new, 7, now + limits.DAY))
    await asked(town, wire_changes.Changed(record, encode(weak_keys.signed(heir, device))))


def _bundled_place(name: str, make: Callable[[Town, bytes], Awaitable[bytes]]) -> None:
    @place(f"{name}, in a bundle")
    async def _(town: Town, key: bytes) -> None:
        change = bundled(bundle.Change(await make(town, key), None))
        assert (await read(town.bora, change)).unreadable == 1


_bundled_place("revocation: a device", revoked_device)
_bundled_place("revocation: the identity", revoked_identity)
_bundled_place("rotation: the new identity", rotated)


@place("devices revoke KEY")
async def _(town: Town, key: bytes) -> None:
    node = town.bora.node
    revoke = node.desks(node.doors(Sockets()))["revoke device"]
    with pytest.raises(PermanentFailure, match="no device's key"):
        await revoke({"device": key.hex()})


@place("revocation on a printed sheet: the identity")
async def _(town: Town, key: bytes) -> None:
    with pytest.raises(PostroadError, match="no revocation"):
        await town.bora.node.changes.publish(await revoked_identity(town, key))


# Letters and receipts


@place("letter: the device and its certificate")
async def _(town: Town, key: bytes) -> None:
    mine = town.mallory.node.keyring.certificate
    weak = weak_keys.certificate_of_device(mine, key)
    await refused_letter(town, letter_by(town, weak, WeakSigner(key)))


@place("letter: the identity in the certificate")
async def _(town: Town, key: bytes) -> None:
    weak = weak_keys.certificate_by(town.mallory.node.keyring.certificate, key)
    await refused_letter(town, letter_by(town, weak, town.mallory.node.keyring.device))


@place("letter in a bundle: the device and its certificate")
async def _(town: Town, key: bytes) -> None:
    mine = town.mallory.node.keyring.certificate
    octets = letter_by(town, weak_keys.certificate_of_device(mine, key), WeakSigner(key))
    mail_id = hashlib.sha256(octets).digest()
    expires = int(town.bora.clock.now()) + limits.DAY
    item = bundle.Letter(mail_id, len(octets), expires, ())
    assert (await read(town.bora, bundled(item, octets))).unreadable == 1


@place("receipt: the device and its certificate")
async def _(town: Town, key: bytes) -> None:
    weak = weak_keys.certificate_of_device(town.carlas, key)
    await asked(town, receipt(town, weak, WeakSigner(key)))


@place("receipt: the identity in the certificate")
async def _(town: Town, key: bytes) -> None:
    weak = weak_keys.certificate_by(town.carlas, key)
    await asked(town, receipt(town, weak, SigningKey(b"c" * 32)))


@place("receipt in a bundle: the device and its certificate")
async def _(town: Town, key: bytes) -> None:
    made = receipt(town, weak_keys.certificate_of_device(town.carlas, key), WeakSigner(key))
    octets = bundled(bundle.Receipt(made.mail_id, made.receipt))
    assert (await read(town.bora, octets)).unreadable == 1


# Proposals: two are introduced by a third


@place("proposal: the introducer's device and its certificate")
async def _(town: Town, key: bytes) -> None:
    weak = weak_keys.certificate_of_device(town.mallory.node.keyring.certificate, key)
    record = await town.stella.node.renter.record()
    await not_proposed(town, key, word_of(town, WeakSigner(key), weak), record)


@place("proposal: the identity in the introducer's certificate")
async def _(town: Town, key: bytes) -> None:
    mine = town.mallory.node.keyring
    word = word_of(town, mine.device, weak_keys.certificate_by(mine.certificate, key))
    await not_proposed(town, key, word, await town.stella.node.renter.record())


@place("proposal: the device of whoever is proposed")
async def _(town: Town, key: bytes) -> None:
    real = await town.stella.node.renter.record()
    weak = replace(real, certificate=weak_keys.certificate_of_device(real.certificate, key))
    await not_proposed(town, key, good_word(town), weak_keys.signed(weak, WeakSigner(key)))


@place("proposal: a holder of whoever is proposed")
async def _(town: Town, key: bytes) -> None:
    drop = Drop(DropId(b"d" * 16), encode_contact(weak_keys.contact(key)))
    real = replace(await town.stella.node.renter.record(), drops=(drop,))
    record = weak_keys.signed(real, town.stella.node.keyring.device)
    await not_proposed(town, key, good_word(town), record)


@place("proposal: the epoch key of whoever is proposed", X25519)
async def _(town: Town, key: bytes) -> None:
    real = await town.stella.node.renter.record()
    weak = replace(real, epoch_key=real.epoch_key[:1184] + key)
    record = weak_keys.signed(weak, town.stella.node.keyring.device)
    await not_proposed(town, key, good_word(town), record)


@place("introduction by a word: the introducer's device")
async def _(town: Town, key: bytes) -> None:
    weak = weak_keys.certificate_of_device(town.mallory.node.keyring.certificate, key)
    word = word_of(town, WeakSigner(key), weak)
    record = encode(await town.stella.node.renter.record())
    header = header_for(
        town.stella,
        town.bora,
        text(town.stella, town.bora),
        kind=Kind.INTRODUCTION,
        nonce=hashlib.sha256(b"word" + key).digest()[:16],
        introduction=Introduction(word.word.secret, b"t" * 16, record, word),
    )
    octets = letter_of(town, header, town.stella.node.keyring.certificate, None)
    await bring(town.mallory, town.bora, octets)


# Links that people give each other


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


# Holders


@place("rent: the key of the drop")
async def _(town: Town, key: bytes) -> None:
    mine = encode(await town.mallory.node.renter.record())
    await asked(town, wire.Rent(DropId(b"r" * 16), key, mine, weak_keys.EVERYBODYS_SIGNATURE, None))


@place("rent: who vouches")
async def _(town: Town, key: bytes) -> None:
    await rented_by_stella(town, key, town.there.peer)


@place("rent: the holder in the voucher")
async def _(town: Town, key: bytes) -> None:
    await rented_by_stella(town, town.mallory.node.keyring.device.public, PeerId(key))


@place("introduced holder: its node")
async def _(town: Town, key: bytes) -> None:
    await not_introduced(town, weak_keys.contact(key), town.mallory.node.keyring.device.public)


@place("introduced holder: its relay")
async def _(town: Town, key: bytes) -> None:
    good = weak_keys.behind(key, town.stella.node.endpoint.me)
    await not_introduced(town, good, town.mallory.node.keyring.device.public)


@place("introduced holder: who vouches")
async def _(town: Town, key: bytes) -> None:
    await not_introduced(town, Contact(town.stella.node.endpoint.me, (weak_keys.AT,)), key)


# Directory


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


# How these are made


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


def letter_by(town: Town, certificate: Certificate, device: SigningKey) -> bytes:
    body = text(town.mallory, town.bora)
    header = header_for(town.mallory, town.bora, body, device=device.public)
    return letter_of(town, header, certificate, device)


def word_of(town: Town, device: SigningKey, certificate: Certificate) -> SignedWord:
    """Mallory's that Bora and Stella may know each other, shown with this certificate."""
    mine = town.mallory.node.keyring
    pair = town.bora.node.keyring.fingerprint, town.stella.node.keyring.fingerprint
    word = give_word(pair, b"s" * 16, town.bora.clock.now(), mine.device, mine.certificate).word
    return SignedWord(word, device.sign(WORD_CONTEXT, encode(word)), certificate)


def good_word(town: Town) -> SignedWord:
    mine = town.mallory.node.keyring
    return word_of(town, mine.device, mine.certificate)


async def not_proposed(town: Town, key: bytes, word: SignedWord, record: PersonRecord) -> None:
    """A letter of Mallory's that is good in all but what it proposes."""
    sender = town.mallory
    body = text(sender, town.bora)
    header = header_for(
        sender,
        town.bora,
        body,
        kind=Kind.PROPOSAL,
        nonce=hashlib.sha256(key + encode(record)).digest()[:16],
        proposal=Proposal(word, encode(record)),
    )
    assert await verdict(sender, town.bora, header, body) is Verdict.NOT_INTRODUCED


async def refused_letter(town: Town, octets: bytes) -> None:
    with pytest.raises(PostroadError):
        await bring(town.mallory, town.bora, octets)


def receipt(town: Town, certificate: Certificate, device: SigningKey) -> wire.Receipt:
    """For Bora's letter to Carla, as whoever had opened that could make it."""
    secret = town.letter.sealed
    assert secret is not None
    said = Receipt(
        town.bora.node.keyring.fingerprint,
        town.letter.nonce,
        secret.header_hash,
        town.letter.fingerprint,
        1,
        int(town.bora.clock.now()),
    )
    sealed = seal_receipt(
        said,
        device=device,
        certificate=certificate,
        content_key=secret.content_key,
        nonce=b"n" * 12,
    )
    return wire.Receipt(secret.mail_id, sealed)


def invitation_with(town: Town, at: Contact) -> str:
    expires = int(town.bora.clock.now()) + limits.DAY
    who = town.stella.node.keyring.fingerprint
    return invitation.to_link(Invitation(who, b"s" * 16, Ticket(b"t" * 16), expires, (at,)))


async def bora_invites(town: Town) -> Invitation:
    return await town.bora.node.introductions._new_invitation(limits.DAY)


async def refused_link(town: Town, link: str) -> None:
    with pytest.raises(PostroadError, match="not valid; ask for a new one"):
        await town.bora.node.introductions.accept(link)


async def refused_helper(town: Town, at: Contact) -> None:
    expires = int(town.bora.clock.now()) + limits.DAY
    with pytest.raises(PostroadError):
        await town.bora.node.helpers.add(helping.to_link(HelperLink(b"s" * 16, expires, at)))


async def rented_by_stella(town: Town, voucher: bytes, holder: PeerId) -> None:
    stella, drop = town.stella.node, SigningKey(b"r" * 32)
    word = wire_holders.Voucher(
        stella.keyring.fingerprint,
        holder,
        voucher,
        int(town.bora.clock.now()) + limits.DAY,
        weak_keys.EVERYBODYS_SIGNATURE,
    )
    mine = encode(await stella.renter.record())
    request = wire.Rent(DropId(b"r" * 16), drop.public, mine, bytes(64), word)
    signed = wire.sign_owner(request, drop, town.there.peer, stella.endpoint.me)
    await asked(town, signed, town.stella)


async def not_introduced(town: Town, holder: Contact, voucher: bytes) -> None:
    word = wire_holders.Voucher(
        town.bora.node.keyring.fingerprint,
        holder.peer,
        voucher,
        int(town.bora.clock.now()) + limits.DAY,
        weak_keys.EVERYBODYS_SIGNATURE,
    )
    if voucher == town.mallory.node.keyring.device.public:
        expires = Instant(float(word.expires))
        mine = town.bora.node.keyring.fingerprint
        word = wire_holders.vouch(mine, holder.peer, expires, town.mallory.node.keyring.device)
    answer = wire_holders.Holders((wire_holders.Introduced(encode_contact(holder), None, word),))
    mallory = await person(town.bora, town.mallory)
    holders = town.bora.node.renter.holders
    with answering(town.mallory, wire_holders.FindHolders, answer):
        await holders._ask_one(mallory)
    assert not holders._introduced[mallory.fingerprint]


async def person(owner: Resident, who: Resident) -> people.Person:
    fingerprint = who.node.keyring.fingerprint
    found = await owner.node.database.read(lambda sql: people.contact(sql, fingerprint))
    assert found is not None
    return found


def bundled(item: bundle.Item, octets: bytes = b"") -> bytes:
    writer = bundle.Writer()
    return (
        writer.begin()
        + writer.item(item)
        + (writer.piece(octets) if octets else b"")
        + writer.end()
    )


# What is looked at


def entries(sql: Sql) -> list[str]:
    lines = [json.loads(row.line) for row in audit.rows(sql)[0]]
    return [line["facts"]["key"] for line in lines if line["event"] == "weak key refused"]


# Where something half-made could be. Of letters that were refused there is a memory: a note in the
# quarantine, or the nonce and the receipt that says so.
TABLES = (
    "content", "letter", "parcel", "lease", "sealed", "contact", "device", "my_drop", "helper",
    "held_drop", "held_ticket", "held_letter", "record", "directory_record", "message", "rendering",
    "revoked", "change", "proposal", "own_device",
)  # fmt: skip


def left(folder: Path, sql: Sql) -> object:
    counts = {name: sql.execute(f"SELECT count(*) FROM {name}").fetchone() for name in TABLES}
    records = sql.execute("SELECT fingerprint, sequence, hex(record) FROM contact").fetchall()
    used = sql.execute("SELECT count(used_by) FROM invitation").fetchone()
    parcels = sql.execute("SELECT id, state, hex(receipt) FROM parcel").fetchall()
    files = [
        sorted(p.name for p in (folder / name).iterdir()) for name in ("bodies", "sealed", "spool")
    ]
    return counts, records, used, parcels, files


@pytest.mark.parametrize("name", PLACES)
def test_a_weak_key_is_refused_noted_once_and_leaves_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring_it, keys = PLACES[name]
    watching: dict[Database, audit.WeakKeys] = {}
    made = audit.WeakKeys

    def watch(database: Database, clock: Any) -> audit.WeakKeys:
        watching[database] = made(database, clock)
        return watching[database]

    async def scene(village: Village) -> None:
        bora, mallory, stella, carla = await village.settle_in("bora", "mallory", "stella", "carla")
        await village.meet(bora, mallory, carla)
        carlas, to = carla.node.keyring.certificate, carla.address
        await carla.sleep()
        await bora.write(to)

        async def alone_and_sealed() -> bool:
            return [row.sealed is not None for row in await bora.waiting()] == [True]

        await until(alone_and_sealed, limits.HOUR)
        (row,) = await bora.waiting()
        town = Town(bora, mallory, stella, row, carla, carlas)
        # What the owner asks for at the control door is done in a task of the node's.
        vigil.watch.set(watching[bora.node.database])
        database, folder = bora.node.database, bora.folder
        await asyncio.sleep(limits.MINUTE)
        for key in keys:
            await bora_invites(town)  # an open one, which nobody may use
            before = await database.read(lambda sql: left(folder, sql))
            noted = await database.read(entries)
            await bring_it(town, key)
            await asyncio.sleep(1)
            assert (await database.read(entries))[len(noted) :] == [key.hex()]
            assert await database.read(lambda sql: left(folder, sql)) == before
        assert bora._task is not None
        assert not bora._task.done()

    monkeypatch.setattr(audit, "WeakKeys", watch)
    monkeypatch.setattr(limits, "AUDIT_WEAK_KEY_SECONDS", 0.5)
    monkeypatch.setattr(limits, "AUDIT_OUTSIDE_PER_DAY", 10_000)
    play(tmp_path, scene)
