"""A weak key in a proposal, by which two are introduced by a third."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import weak_keys
from delivery.test_forged import bring, header_for, verdict
from postroad.base.ids import DropId
from postroad.base.tlv import encode
from postroad.protocol.contacts import encode_contact
from postroad.protocol.records import Drop, PersonRecord
from postroad.sealing.certificate import Certificate
from postroad.sealing.keys import SigningKey
from postroad.sealing.letter import Introduction, Kind
from postroad.sealing.proposal import CONTEXT as WORD_CONTEXT
from postroad.sealing.proposal import Proposal, SignedWord, give_word
from postroad.sealing.receipt import Verdict
from weak_keys import X25519, WeakSigner
from weak_places.town import Town, letter_of, place, text


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
