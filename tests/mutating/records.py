"""Records of one person, changed by who keeps them for others, and by who has keys of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from fakes import NOW, Someone, contact, peer
from mutating import octets
from mutating.report import Mutation
from postroad.base import limits
from postroad.base.tlv import encode
from postroad.protocol import identity_records, records
from postroad.protocol.contacts import encode_contact
from postroad.protocol.identity_records import (
    NOTHING_IS_NEWER,
    REVOKE,
    REVOKE_CONTEXT,
    ROTATE,
    ROTATE_CONTEXT,
    RevokeRecord,
    RotateRecord,
)
from postroad.protocol.records import PERSON, Drop, PersonRecord
from postroad.sealing import hybrid
from postroad.sealing.certificate import CONTEXT as CERTIFICATE_CONTEXT
from postroad.sealing.certificate import Certificate, certify
from postroad.sealing.hybrid import Signatures
from postroad.sealing.keys import SigningKey

SMALL_ORDER = b"\1" + bytes(31)


@dataclass(frozen=True, slots=True)
class Records:
    """`mutations`: of a record of that kind, for whom it claims to speak."""

    owner: Someone
    attacker: Someone
    dice: Random

    def honest(self, kind: int) -> bytes:
        if kind == PERSON:
            return encode(self._person())
        if kind == REVOKE:
            return encode(self._revoke())
        return encode(self._rotate())

    def mutations(self) -> Iterator[tuple[int, Mutation]]:
        ways: list[tuple[int, str, Callable[[], bytes]]] = [
            (PERSON, "signed by the attacker's device", self._person_by_attacker),
            (PERSON, "certificate made by the attacker", self._person_certified),
            (PERSON, "contradiction, signed by its owner", self._person_contradictory),
            (REVOKE, "signed by the attacker's identity", self._revoke_by_attacker),
            (REVOKE, "contradiction, signed by its owner", self._revoke_contradictory),
            (ROTATE, "signed by the attacker's identity", self._rotate_by_attacker),
        ]
        names = {PERSON: "person", REVOKE: "revoke", ROTATE: "rotate"}
        while True:
            if self.dice.random() < 0.35:
                kind = self.dice.choice((PERSON, PERSON, REVOKE, ROTATE))
                how, changed = octets.broken(self.dice, self.honest(kind))
                yield kind, Mutation("record", f"{names[kind]}: octets: {how}", False, changed)
            else:
                kind, how, make = self.dice.choice(ways)
                yield kind, Mutation("record", f"{names[kind]}: {how}", True, make())

    # Person

    def _person(self, **changes: Any) -> PersonRecord:
        return replace(self.owner.record(7, drops=3), **changes)

    def _sign_person(self, record: PersonRecord, device: SigningKey) -> bytes:
        blank = replace(record, signature=bytes(64))
        return encode(replace(blank, signature=device.sign(records.CONTEXT, encode(blank))))

    def _moved(self) -> dict[str, Any]:
        """What an attacker would like to say of the owner."""
        attacker = encode_contact(self.attacker.contact)
        return self.dice.choice(
            (
                {"epoch_key": self.attacker.epoch.public},
                {"devices": (attacker,)},
                {"devices": (attacker, encode_contact(self.owner.contact))},
                {"drops": (Drop(self.dice.randbytes(16), attacker),)},
                {"sequence": 2**63 - 1},
                {"name": self.attacker.name},
                {"strangers": 1},
            )
        )

    def _person_by_attacker(self) -> bytes:
        changes = self._moved()
        certificates = (self.owner.certificate, self.attacker.certificate)
        changes["certificate"] = self.dice.choice(certificates)
        return self._sign_person(self._person(**changes), self.attacker.device)

    def _person_certified(self) -> bytes:
        """A certificate for the attacker's device that only the owner's identity may make."""
        theirs = self.owner.certificate.statement
        attacker = self.attacker
        statement = self.dice.choice(
            (
                replace(theirs, device=attacker.device.public),
                replace(theirs, device=attacker.device.public, identity=SMALL_ORDER),
                replace(
                    theirs,
                    device=attacker.device.public,
                    identity=attacker.identity.public.ed25519,
                ),
                replace(attacker.certificate.statement, mldsa_hash=theirs.mldsa_hash),
            )
        )
        signature = attacker.identity.signing.sign(CERTIFICATE_CONTEXT, encode(statement))
        changes = self._moved()
        changes["certificate"] = Certificate(statement, signature)
        changes["devices"] = (encode_contact(attacker.contact),)
        return self._sign_person(self._person(**changes), attacker.device)

    def _person_contradictory(self) -> bytes:
        owner = self.owner
        small = b"\0" + SMALL_ORDER
        late = NOW + limits.DEVICE_CERTIFICATE_SECONDS + limits.RECORD_SECONDS_MAX + limits.DAY
        changes: dict[str, Any] = self.dice.choice(
            (
                {"kind": self.dice.choice((0, 2, 3, 255))},
                {"name": self.dice.choice(("", "Anna", "an na", "an.na", "аnna"))},
                {"devices": (small,)},
                {"devices": (encode_contact(owner.contact), small)},
                {"devices": (encode_contact(contact(peer(5))),)},
                {"devices": (encode_contact(owner.contact)[:-1],)},
                {"devices": (encode_contact(owner.contact) + b"\0",)},
                {"drops": (Drop(bytes(16), small),)},
                {"drops": (Drop(bytes(16), b"\xff" + owner.device.public),)},
                {"epoch_key": bytes(1216)},
                {"epoch_key": b"\xff" * 1216},
                {"epoch_key": owner.epoch.public[:1184] + bytes(32)},
                {"expires": int(late)},
                {"expires": 2**63 - 1},
                {"expires": 0},
                {"certificate": certify(owner.identity, peer(6), NOW)},
            )
        )
        return self._sign_person(self._person(**changes), owner.device)

    # Identity

    def _revoke(self) -> RevokeRecord:
        if self.dice.random() < 0.5:
            return identity_records.sign_revoke(self.owner.identity)
        devices = [self.owner.device.peer, peer(7)]
        return identity_records.sign_revoke_devices(self.owner.identity, devices, 5 << 32)

    def _revoke_by_attacker(self) -> bytes:
        record = replace(self._revoke(), signatures=hybrid.BLANK)
        if self.dice.random() < 0.3:
            record = replace(record, devices=(), sequence=NOTHING_IS_NEWER)
        if self.dice.random() < 0.3:
            record = replace(record, identity=self._mixed_keys())
        return encode(replace(record, signatures=self._false(REVOKE_CONTEXT, encode(record))))

    def _mixed_keys(self) -> hybrid.IdentityKeys:
        """One half of the owner's keys, the other of the attacker's."""
        owner = hybrid.public_keys(self.owner.identity)
        attacker = hybrid.public_keys(self.attacker.identity)
        half = hybrid.IdentityKeys(owner.ed25519, attacker.mldsa)
        return self.dice.choice((half, hybrid.IdentityKeys(attacker.ed25519, owner.mldsa)))

    def _false(self, context: bytes, said: bytes) -> Signatures:
        """Both signatures by the attacker, or one of them as if the other key had been broken."""
        theirs = hybrid.sign(self.attacker.identity, context, said)
        if self.dice.random() < 0.5:
            return theirs
        owners = hybrid.sign(self.owner.identity, context, said)
        one = Signatures(owners.ed25519, theirs.mldsa)
        return self.dice.choice((one, Signatures(theirs.ed25519, owners.mldsa)))

    def _revoke_contradictory(self) -> bytes:
        record = replace(self._revoke(), signatures=hybrid.BLANK)
        one, other = sorted((peer(7), peer(8)))
        changes: dict[str, Any] = self.dice.choice(
            (
                {"devices": (other, one), "sequence": 5},
                {"devices": (one, one), "sequence": 5},
                {"devices": (one,), "sequence": NOTHING_IS_NEWER},
                {"devices": (), "sequence": 5},
                {"devices": (SMALL_ORDER,), "sequence": 5},
                {"kind": self.dice.choice((0, 1, 3, 255))},
            )
        )
        record = replace(record, **changes)
        signatures = hybrid.sign(self.owner.identity, REVOKE_CONTEXT, encode(record))
        return encode(replace(record, signatures=signatures))

    def _rotate(self) -> RotateRecord:
        return identity_records.sign_rotate(
            self.owner.identity, self.attacker.identity, 5 << 32, NOW + limits.DAY
        )

    def _rotate_by_attacker(self) -> bytes:
        """The owner is said to be the attacker from now on; the owner signed nothing of it, or
        something else."""
        record = self._rotate()
        blank = replace(record, old_signatures=hybrid.BLANK, new_signatures=hybrid.BLANK)
        changes: dict[str, Any] = self.dice.choice(
            ({}, {"sequence": 9 << 32}, {"expires": int(NOW) + 2}, {"new": blank.old})
        )
        blank = replace(blank, **changes)
        said = encode(blank)
        mine = hybrid.sign(self.attacker.identity, ROTATE_CONTEXT, said)
        false = self._false(ROTATE_CONTEXT, said)
        old = self.dice.choice((mine, false, record.new_signatures))
        if changes:  # what the owner did sign was another one
            old = self.dice.choice((old, record.old_signatures))
        return encode(replace(blank, old_signatures=old, new_signatures=mine))
