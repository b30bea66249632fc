"""Letters changed by whoever has something to do with them: a holder, a network, a recipient who
passes one on, a contact gone bad, and their author."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from mutating import octets
from mutating.report import Mutation
from postroad.base import limits
from postroad.base.tlv import encode
from postroad.sealing import keys, letter
from postroad.sealing.certificate import CONTEXT as CERTIFICATE_CONTEXT
from postroad.sealing.certificate import Certificate, Statement, certify
from postroad.sealing.keys import Identity, SigningKey
from postroad.sealing.letter import (
    CHUNK,
    MAGIC,
    PREFIX,
    TAG,
    WRAP,
    Header,
    Introduction,
    Kind,
    Person,
)
from sealing import forger

TARGET = "letter"


@dataclass(frozen=True, slots=True)
class Keys:
    """What somebody signs with; the identity is only known of who does evil."""

    person: Person
    device: SigningKey
    certificate: Certificate
    identity: Identity


@dataclass(frozen=True, slots=True)
class Scene:
    """`author` wrote to `reader` and `other`, who know each other; `attacker` is another contact of
    the reader's, or `other`, who got a copy."""

    author: Keys
    reader: Person
    other: Person
    attacker: Keys
    epoch_public: bytes  # the reader's
    now: int


class Letters:
    def __init__(self, scene: Scene, dice: Random) -> None:
        self._scene = scene
        self._dice = dice

    def honest(self, size: int | None = None) -> tuple[Header, bytes]:
        """A letter that would be filed."""
        scene, dice = self._scene, self._dice
        if size is None:
            size = dice.choice((20, 300, 4000, CHUNK, 3 * CHUNK))
        text = dice.randbytes(size // 2).hex()
        body = (
            f"From: {scene.author.person.address}\r\nTo: {scene.reader.address}\r\n"
            f"Subject: mutated\r\n\r\n{text}\r\n"
        ).encode()
        return self.header_for(body), body

    def header_for(self, body: bytes) -> Header:
        scene = self._scene
        return Header(
            letter.VERSION,
            letter.SUITE,
            Kind.PERSON,
            scene.author.person,
            scene.author.device.public,
            (scene.reader, scene.other),
            scene.reader,
            keys.epoch_key_id(scene.epoch_public),
            False,
            self._dice.randbytes(16),
            scene.now - 60,
            scene.now + 20 * limits.DAY,
            len(body),
            hashlib.sha256(body).digest(),
            None,
            None,
        )

    def sealed(self, content: bytes) -> bytes:
        return forger.sealed_to(self._scene.epoch_public, content)

    def content(
        self, header: Header, body: bytes, by: Keys, certificate: Certificate | None = None
    ) -> bytes:
        return forger.content_by(by.device, certificate or by.certificate, header, body)

    def mutations(self) -> Iterator[Mutation]:
        """Without end; three of four are made with a key."""
        ways: list[tuple[str, bool, Callable[[], bytes]]] = [
            ("pieces exchanged", False, self._pieces_exchanged),
            ("wraps", False, self._wraps),
            ("header changed, sealed anew", True, self._header_octets),
            ("sealed anew for somebody else", True, self._forwarded),
            ("chunks reordered, wrapped anew", True, self._chunks),
            ("padding, sealed anew", True, self._padding),
            ("front's size, sealed anew", True, self._front_size),
            ("signed by the attacker for the author", True, self._as_author),
            ("From exchanged", True, self._from_exchanged),
            ("certificate made by the attacker", True, self._certificates),
            ("fields swapped, signed by the author", True, self._swapped),
            ("contradiction, signed by the author", True, self._contradictory),
            ("body exchanged, sealed anew", True, self._body_exchanged),
            ("commitment, sealed anew", True, self._commitment),
        ]
        while True:
            if self._dice.random() < 0.2:
                header, body = self.honest()
                original = self.sealed(self.content(header, body, self._scene.author))
                how, changed = octets.broken(self._dice, original)
                yield Mutation(TARGET, f"octets: {how}", False, changed)
                continue
            how, keyed, make = self._dice.choice(ways)
            yield Mutation(TARGET, how, keyed, make())

    # Without a key

    def _two(self) -> tuple[bytes, bytes]:
        made = []
        for _ in range(2):
            header, body = self.honest(2 * CHUNK)
            made.append(self.sealed(self.content(header, body, self._scene.author)))
        return made[0], made[1]

    def _pieces_exchanged(self) -> bytes:
        """A wrap, a head or a chunk of one letter in another."""
        one, other = self._two()
        at = self._dice.choice(
            (
                (len(one) - WRAP, WRAP),
                (len(one) - WRAP + 16, WRAP - 16),
                (PREFIX, CHUNK + TAG),
                (PREFIX + CHUNK + TAG, CHUNK + TAG),
                (PREFIX, len(one) - PREFIX - WRAP),
            )
        )
        begin, end = at[0], at[0] + at[1]
        return one[:begin] + other[begin:end] + one[end:]

    def _wraps(self) -> bytes:
        header, body = self.honest(300)
        content = self.content(header, body, self._scene.author)
        payload = b"".join(forger.chunks_of(content))
        mine = forger.wrap(self._scene.epoch_public, payload)
        other = self._dice.randbytes(WRAP)
        return self._dice.choice(
            (
                forger.assemble(payload, mine, other),
                forger.assemble(payload, other, mine),
                forger.assemble(payload, mine, mine),
                forger.assemble(payload, other),
                forger.assemble(payload),
                forger.assemble(payload, mine).replace(MAGIC, b"PRLETTR\x02", 1),
                forger.assemble(payload, self._dice.randbytes(16) + mine[16:]),
            )
        )

    # With the content, as a recipient has it, sealed anew

    def _header_octets(self) -> bytes:
        """The octets of the header changed; the author's signature, or the attacker's over it."""
        header, body = self.honest(300)
        said = encode(header)
        signature = self._scene.author.device.sign(b"postroad/letter/1", said)
        certificate = encode(self._scene.author.certificate)
        how = self._dice.choice(octets.WAYS)
        changed = how(self._dice, said)
        if changed == said:
            changed = said + b"\0"
        if self._dice.random() < 0.5:
            signature = self._scene.attacker.device.sign(b"postroad/letter/1", changed)
            certificate = encode(self._scene.attacker.certificate)
        return self.sealed(forger.signed_content(changed, signature, certificate, body))

    def _forwarded(self) -> bytes:
        """The author's letter to somebody else, passed on with all that the author signed."""
        header, body = self.honest(300)
        changes: list[dict[str, Any]] = [
            {"recipient": self._scene.other},
            {"epoch_key": self._dice.randbytes(16)},
            {"recipient": self._scene.other, "epoch_key": self._dice.randbytes(16)},
            {"recipient": self._scene.author.person, "blind": True},
        ]
        to_other = replace(header, **self._dice.choice(changes))
        return self.sealed(self.content(to_other, body, self._scene.author))

    def _chunks(self) -> bytes:
        header, body = self.honest(3 * CHUNK)
        chunks = forger.chunks_of(self.content(header, body, self._scene.author))
        first, second = self._dice.sample(range(len(chunks)), 2)
        moved = list(chunks)
        moved[first], moved[second] = moved[second], moved[first]
        payload = b"".join(
            self._dice.choice(
                (
                    moved,
                    chunks[:-1],
                    [*chunks, chunks[first]],
                    [*chunks[:first], chunks[second], *chunks[first:]],
                    [*chunks[:first], *chunks[first + 1 :]],
                    [*chunks[:-1], chunks[-1][:-1]],
                )
            )
        )
        return forger.assemble(payload, forger.wrap(self._scene.epoch_public, payload))

    def _padding(self) -> bytes:
        header, body = self.honest(300)
        content = bytearray(self.content(header, body, self._scene.author))
        match self._dice.randrange(4):
            case 0:
                content[-1] = self._dice.randrange(1, 256)
            case 1:
                content += bytes(self._dice.choice((1, 64, CHUNK)))
            case 2:
                del content[-self._dice.randrange(1, 200) :]
            case _:
                content[-8:] = self._dice.randbytes(8)
        if bytes(content) == self.content(header, body, self._scene.author):
            content += b"\0"
        return self.sealed(bytes(content))

    def _front_size(self) -> bytes:
        header, body = self.honest(300)
        content = self.content(header, body, self._scene.author)
        right = int.from_bytes(content[:4], "big")
        wrong = self._dice.choice((0, right - 1, right + 1, 2**31, 2**32 - 1, len(content)))
        return self.sealed(wrong.to_bytes(4, "big") + content[4:])

    def _body_exchanged(self) -> bytes:
        header, body = self.honest(300)
        content = self.content(header, body, self._scene.author)
        begin = len(content.rstrip(b"\0")) - len(body)
        while True:
            made = content[:begin] + octets.broken(self._dice, body)[1]
            made = made.ljust(letter.padded_size(len(made)), b"\0")
            if made != content:  # zeros behind the body are its padding
                return self.sealed(made)

    def _commitment(self) -> bytes:
        """One ciphertext that might open by two keys: what the wrap says is not what was used."""
        header, body = self.honest(300)
        payload = b"".join(forger.chunks_of(self.content(header, body, self._scene.author)))
        other = self._dice.randbytes(32)
        secret = self._dice.choice(
            (
                forger.KEY + self._dice.randbytes(32),
                other + forger.expand(forger.KEY, b"commitment"),
                other + forger.expand(other, b"commitment"),
                bytes(64),
            )
        )
        wrapped = forger.wrap(self._scene.epoch_public, payload, secret)
        return forger.assemble(payload, wrapped)

    # Signed by the attacker

    def _as_author(self) -> bytes:
        """The author's name over what the attacker wrote, with each certificate and each device."""
        header, body = self.honest(300)
        attacker, author = self._scene.attacker, self._scene.author
        if self._dice.random() < 0.5:
            header = replace(header, device=attacker.device.public)
        certificate = self._dice.choice((attacker.certificate, author.certificate))
        return self.sealed(self.content(header, body, attacker, certificate))

    def _from_exchanged(self) -> bytes:
        """The attacker's own name and key, and the author's From; or the other way round."""
        header, body = self.honest(300)
        attacker, author = self._scene.attacker, self._scene.author
        own = replace(header, sender=attacker.person, device=attacker.device.public)
        mixed = [
            own,
            replace(own, sender=Person(author.person.address, attacker.person.fingerprint)),
            replace(own, sender=Person(attacker.person.address, author.person.fingerprint)),
        ]
        return self.sealed(self.content(self._dice.choice(mixed), body, attacker))

    def _certificates(self) -> bytes:
        """What only the author's identity may say, said by the attacker's."""
        header, body = self.honest(300)
        attacker, author = self._scene.attacker, self._scene.author
        theirs, now = author.certificate.statement, self._scene.now
        said = [
            replace(theirs, device=attacker.device.public),
            replace(theirs, identity=attacker.identity.public.ed25519),
            Statement(
                attacker.identity.public.ed25519,
                theirs.mldsa_hash,
                attacker.device.public,
                now,
                now + limits.DAY,
            ),
            replace(attacker.certificate.statement, mldsa_hash=theirs.mldsa_hash),
            replace(theirs, ends=theirs.ends + limits.DAY),
        ]
        statement = self._dice.choice(said)
        signature = attacker.identity.signing.sign(CERTIFICATE_CONTEXT, encode(statement))
        certificate = Certificate(statement, signature)
        by_attacker = replace(header, device=statement.device)
        signer = attacker if statement.device == attacker.device.public else author
        if signer is author:  # their own signature, over a certificate that is not theirs
            by_attacker = replace(header, device=author.device.public)
        made = self.content(by_attacker, body, signer, certificate)
        if self._dice.random() < 0.3:
            stolen = certify(attacker.identity, author.device.peer, _instant(now))
            made = self.content(header, body, author, stolen)
        return self.sealed(made)

    # Signed by the author, who contradicts themselves

    def _swapped(self) -> bytes:
        header, body = self.honest(300)
        swaps: list[dict[str, Any]] = [
            {"sender": header.recipient, "recipient": header.sender, "blind": True},
            {"created": header.expires, "expires": header.created},
            {"nonce": header.epoch_key, "epoch_key": header.nonce},
            {"digest": header.device, "device": header.digest},
            {"size": header.created, "created": header.size},
            {"version": header.kind, "kind": 0},
            {"recipient": header.visible[1]},
        ]
        changed = replace(header, **self._dice.choice(swaps))
        return self.sealed(self.content(changed, body, self._scene.author))

    def _contradictory(self) -> bytes:
        header, body = self.honest(300)
        reader, other, dice = self._scene.reader, self._scene.other, self._dice
        long_ago = self._scene.now - 200 * limits.DAY
        changes: list[dict[str, Any]] = [
            {"version": dice.choice((0, 2, 255))},
            {"suite": dice.choice((0, 2, 255))},
            {"kind": dice.choice((0, 3, 99, 255))},
            {"kind": dice.choice((Kind.INTRODUCTION, Kind.PROPOSAL))},
            {"introduction": Introduction(None, bytes(16), b"x", None)},
            {"blind": True},
            {"visible": (other,)},
            {"visible": (), "blind": False},
            {"visible": (reader, reader)},
            {"visible": (reader, Person("else", reader.fingerprint))},
            {"visible": (reader, Person("c@example.org", other.fingerprint))},
            {"visible": (reader, Person(other.address, "a" * 32))},
            {"size": header.size + dice.choice((-1, 1, 7))},
            {"size": 2**63 - 1},
            {"digest": dice.randbytes(32)},
            {"created": long_ago, "expires": long_ago + limits.DAY},
            {"expires": header.created + 32 * limits.DAY},
            {"expires": 2**63 - 1},
            {"device": dice.randbytes(32)},
            {"device": bytes(32)},
            {"recipient": Person(reader.address.upper(), reader.fingerprint)},
            {"sender": Person("anna@example.org", header.sender.fingerprint)},
        ]
        changed = replace(header, **dice.choice(changes))
        return self.sealed(self.content(changed, body, self._scene.author))


def _instant(seconds: int) -> Any:
    return float(seconds)
