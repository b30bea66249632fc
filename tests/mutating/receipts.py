"""Receipts for one parcel, by whoever wants it to end otherwise than it does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mutating import octets
from mutating.letters import Keys
from mutating.report import Mutation
from postroad.base import limits
from postroad.base.tlv import encode
from postroad.sealing.certificate import CONTEXT as CERTIFICATE_CONTEXT
from postroad.sealing.certificate import Certificate, certify
from postroad.sealing.letter import receipt_key
from postroad.sealing.receipt import CONTEXT, PLAIN_BYTES, Receipt, Verdict
from sealing.forger import tlv

TARGET = "receipt"


@dataclass(frozen=True, slots=True)
class Receipts:
    """`right`: what the recipient would sign. The attacker has the content key, too: worse than
    any but the sender's own thief."""

    right: Receipt
    recipient: Keys
    attacker: Keys
    content_key: bytes
    dice: Random

    def honest(self) -> bytes:
        return self._sealed(self.right, self.recipient.device, self.recipient.certificate)

    def mutations(self) -> Iterator[Mutation]:
        ways = [
            ("signed by the attacker", self._by_attacker),
            ("certificate made by the attacker", self._certified),
            ("for another letter, signed by the recipient", self._for_another),
            ("contradiction, signed by the recipient", self._contradictory),
            ("signature of another, sealed anew", self._spliced),
            ("octets changed, sealed anew", self._inside),
        ]
        while True:
            if self.dice.random() < 0.3:
                how, changed = octets.broken(self.dice, self.honest())
                yield Mutation(TARGET, f"octets: {how}", False, changed)
            else:
                how, make = self.dice.choice(ways)
                yield Mutation(TARGET, how, True, make())

    def _encrypted(self, plain: bytes) -> bytes:
        nonce = self.dice.randbytes(12)
        return nonce + ChaCha20Poly1305(receipt_key(self.content_key)).encrypt(nonce, plain, None)

    def _with(self, receipt: Receipt, signature: bytes, certificate: Certificate) -> bytes:
        signed = tlv(encode(receipt), signature, encode(certificate))
        plain = len(signed).to_bytes(2, "big") + signed
        return self._encrypted(plain.ljust(PLAIN_BYTES, b"\0"))

    def _sealed(self, receipt: Receipt, device: Any, certificate: Certificate) -> bytes:
        return self._with(receipt, device.sign(CONTEXT, encode(receipt)), certificate)

    def _wished(self) -> Receipt:
        """What the attacker would like to have said."""
        return replace(self.right, verdict=self.dice.choice(list(Verdict)))

    def _by_attacker(self) -> bytes:
        certificate = self.dice.choice((self.attacker.certificate, self.recipient.certificate))
        return self._sealed(self._wished(), self.attacker.device, certificate)

    def _certified(self) -> bytes:
        device = self.attacker.device
        statement = replace(self.recipient.certificate.statement, device=device.public)
        if self.dice.random() < 0.5:
            mine = self.attacker.identity.public.ed25519
            statement = replace(statement, identity=mine)
        signature = self.attacker.identity.signing.sign(CERTIFICATE_CONTEXT, encode(statement))
        made = Certificate(statement, signature)
        if self.dice.random() < 0.3:
            made = certify(self.attacker.identity, device.peer, self.right.at)  # type: ignore[arg-type]
        return self._sealed(self._wished(), device, made)

    def _for_another(self) -> bytes:
        changes: dict[str, Any] = self.dice.choice(
            (
                {"nonce": self.dice.randbytes(16)},
                {"letter": self.dice.randbytes(32)},
                {"sender": self.attacker.person.fingerprint},
                {"recipient": self.attacker.person.fingerprint},
                {"sender": self.right.recipient, "recipient": self.right.sender},
            )
        )
        said = replace(self._wished(), **changes)
        return self._sealed(said, self.recipient.device, self.recipient.certificate)

    def _contradictory(self) -> bytes:
        changes: dict[str, Any] = self.dice.choice(
            (
                {"verdict": self.dice.choice((99, 200, 255))},
                {"at": self.right.at + 200 * limits.DAY},
                {"at": self.right.at - 200 * limits.DAY},
                {"at": 0},
                {"at": 2**63 - 1},
            )
        )
        said = replace(self.right, **changes)
        return self._sealed(said, self.recipient.device, self.recipient.certificate)

    def _spliced(self) -> bytes:
        """What the recipient signed for another letter, or as another statement."""
        device, right = self.recipient.device, self._wished()
        other = replace(right, nonce=self.dice.randbytes(16))
        signature = self.dice.choice(
            (
                device.sign(CONTEXT, encode(other)),
                device.sign(b"postroad/letter/1", encode(right)),
                bytes(64),
            )
        )
        return self._with(right, signature, self.recipient.certificate)

    def _inside(self) -> bytes:
        """Everything the recipient signed, changed on the inside."""
        said = self._wished()
        signed = tlv(
            encode(said),
            self.recipient.device.sign(CONTEXT, encode(said)),
            encode(self.recipient.certificate),
        )
        _, changed = octets.broken(self.dice, signed)
        plain = (len(changed) & 0xFFFF).to_bytes(2, "big") + changed
        return self._encrypted(plain.ljust(PLAIN_BYTES, b"\0")[: max(PLAIN_BYTES, len(plain))])
