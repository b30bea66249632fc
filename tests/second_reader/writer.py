"""What a second implementation writes: made from the pages, to be read by the service.

Keys are 32-byte seeds. Nothing here draws randomness but HPKE; whoever calls brings the rest.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from second_reader import keys, letter, structures
from second_reader.structures import Value, Values
from second_reader.tlv import tlv

BLANK = bytes(64)


def public(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def sign(seed: bytes, context: bytes, signed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).sign(context + b"\0" + signed)


@dataclass(frozen=True)
class Person:
    """`words`: the 32 bytes that the 24 words spell. `device`: its seed."""

    name: str
    words: bytes
    device: bytes

    @property
    def seed(self) -> bytes:
        return self._derived(b"postroad identity ed25519 1")

    @property
    def mldsa_hash(self) -> bytes:
        seed = self._derived(b"postroad identity ml-dsa-65 1")
        found = MLDSA65PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()
        return hashlib.sha256(found).digest()

    def _derived(self, info: bytes) -> bytes:
        return keys.hkdf_expand(keys.hkdf_extract(b"", self.words), info, 32)

    @property
    def fingerprint(self) -> str:
        return keys.fingerprint(public(self.seed), self.mldsa_hash)

    @property
    def address(self) -> str:
        return f"{self.name}.{self.fingerprint}@postroad.alt"

    @property
    def named(self) -> Value:
        return {"address": self.address, "fingerprint": self.fingerprint}

    def certificate(self, begins: int) -> bytes:
        statement: dict[str, Values] = {
            "identity": public(self.seed),
            "mldsa hash": self.mldsa_hash,
            "device": public(self.device),
            "begins": begins,
            "ends": begins + 90 * 86400,
        }
        signed = structures.write("records", "Statement", statement)
        signature = sign(self.seed, b"postroad/device-certificate/1", signed)
        return tlv((1, signed), (2, signature))

    def record(
        self,
        devices: Sequence[bytes],
        drops: Sequence[tuple[bytes, bytes]],
        epoch_key: bytes,
        sequence: int,
        expires: int,
        certified: bytes,
    ) -> bytes:
        said: dict[str, Values] = {
            "kind": 1,
            "name": self.name,
            "devices": list(devices),
            "drops": [{"drop": drop, "holder": holder} for drop, holder in drops],
            "epoch key": epoch_key,
            "size max": 26_214_400,
            "strangers": 0,
            "sequence": sequence,
            "expires": expires,
            "certificate": structures.read("records", "Certificate", certified),
            "signature": BLANK,
        }
        unsigned = structures.write("records", "PersonRecord", said)
        said["signature"] = sign(self.device, b"postroad/record/1", unsigned)
        return structures.write("records", "PersonRecord", said)

    def letter(
        self,
        header: dict[str, Values],
        body: bytes,
        certified: bytes,
        epoch_key: bytes,
        content_key: bytes,
    ) -> bytes:
        """A sealed letter; `header` is what the sender chooses, the rest follows from it."""
        said: dict[str, Values] = {
            "version": 1,
            "suite": 1,
            "sender": self.named,
            "device": public(self.device),
            "epoch key": keys.epoch_key_id(epoch_key),
            "size": len(body),
            "digest": hashlib.sha256(body).digest(),
            **header,
        }
        octets = structures.write("letter", "Header", said)
        signature = sign(self.device, b"postroad/letter/1", octets)
        front = tlv((1, octets), (2, signature), (3, certified))
        content = len(front).to_bytes(4, "big") + front + body
        content = content.ljust(letter.padme(len(content)), b"\0")
        commitment = letter.derived(content_key, b"commitment")
        cipher = ChaCha20Poly1305(letter.derived(content_key, b"payload"))
        payload = b""
        starts = range(0, len(content), letter.CHUNK)
        for place, start in enumerate(starts):
            last = bytes([place == len(starts) - 1])
            nonce = bytes(7) + place.to_bytes(4, "big") + last
            piece = content[start : start + letter.CHUNK]
            payload += cipher.encrypt(nonce, piece, commitment)
        epoch_id = keys.epoch_key_id(epoch_key)
        info = b"postroad/wrap/1\0" + epoch_id + hashlib.sha256(payload).digest()
        wrap = epoch_id + hpke_seal(epoch_key, content_key + commitment, info)
        return letter.MAGIC + len(payload).to_bytes(8, "big") + payload + wrap

    def receipt(
        self, said: dict[str, Values], certified: bytes, content_key: bytes, nonce: bytes
    ) -> bytes:
        octets = structures.write("receipt", "Receipt", {**said, "recipient": self.fingerprint})
        signature = sign(self.device, b"postroad/receipt/1", octets)
        signed = tlv((1, octets), (2, signature), (3, certified))
        plain = (len(signed).to_bytes(2, "big") + signed).ljust(1024, b"\0")
        cipher = ChaCha20Poly1305(letter.receipt_key(content_key))
        return nonce + cipher.encrypt(nonce, plain, b"")


def hpke_seal(epoch_key: bytes, plain: bytes, info: bytes) -> bytes:
    from_mlkem, encapsulated = MLKEM768PublicKey.from_public_bytes(epoch_key[:1184]).encapsulate()
    ephemeral = X25519PrivateKey.generate()
    share = ephemeral.public_key().public_bytes_raw()
    theirs = epoch_key[1184:]
    from_x25519 = keys.x25519(ephemeral.private_bytes_raw(), theirs)
    shared = keys.hpke_shared(from_mlkem, from_x25519, share, theirs)
    key, nonce = keys.hpke_schedule(shared, info)
    return encapsulated + share + ChaCha20Poly1305(key).encrypt(nonce, plain, b"")


def invitation(
    fingerprint: str, secret: bytes, ticket: bytes, expires: int, contacts: Sequence[bytes]
) -> str:
    octets = b"\1" + base64.b32decode(fingerprint.upper()) + secret + ticket
    octets += expires.to_bytes(5, "big")
    octets += b"".join(bytes([len(one)]) + one for one in contacts)
    octets += hashlib.sha256(octets).digest()[:4]
    return "postroad:" + base64.urlsafe_b64encode(octets).decode().rstrip("=")


def frame(kind: int, name: str, values: dict[str, Values]) -> bytes:
    body = structures.write("wire", name, values)
    return bytes([kind]) + len(body).to_bytes(4, "big") + body


def owner(
    kind: int, name: str, values: dict[str, Values], seed: bytes, holder: bytes, asker: bytes
) -> bytes:
    """A request of a drop's owner, signed with the drop's key."""
    unsigned = frame(kind, name, {**values, "signature": BLANK})
    signature = sign(seed, b"postroad/drop-request/1", holder + asker + unsigned)
    return frame(kind, name, {**values, "signature": signature})
