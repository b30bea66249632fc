"""What a forger does who knows the layout, a recipient's public epoch key, and perhaps more.

Made with the primitives alone, from the layout in the docstring of `sealing.letter`, so that writer
and reader are not wrong together.
"""

import hashlib

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from postroad.base.tlv import encode
from postroad.sealing import keys
from postroad.sealing.certificate import Certificate
from postroad.sealing.keys import SigningKey
from postroad.sealing.letter import CHUNK, MAGIC, Header, padded_size

KEY = bytes(range(32))  # the content key of every letter here
HPKE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def expand(content_key: bytes, purpose: bytes) -> bytes:
    info = b"postroad/letter/1 " + purpose
    return HKDFExpand(algorithm=SHA256(), length=32, info=info).derive(content_key)


def chunks_of(content: bytes, commitment: bytes | None = None) -> list[bytes]:
    cipher = ChaCha20Poly1305(expand(KEY, b"payload"))
    plain = [content[at : at + CHUNK] for at in range(0, len(content), CHUNK)] or [b""]
    return [
        cipher.encrypt(
            bytes(7) + at.to_bytes(4, "big") + bytes([at == len(plain) - 1]),
            one,
            expand(KEY, b"commitment") if commitment is None else commitment,
        )
        for at, one in enumerate(plain)
    ]


def wrap(
    epoch_public: bytes,
    payload: bytes,
    secret: bytes | None = None,
    context: bytes = b"postroad/wrap/1",
) -> bytes:
    epoch_id = keys.epoch_key_id(epoch_public)
    info = context + b"\0" + epoch_id + hashlib.sha256(payload).digest()
    secret = KEY + expand(KEY, b"commitment") if secret is None else secret
    return epoch_id + HPKE.encrypt(secret, keys.load_epoch_key(epoch_public), info=info)


def assemble(payload: bytes, *wraps: bytes) -> bytes:
    head = MAGIC + bytes([len(wraps)]) + len(payload).to_bytes(8, "big")
    return head + payload + b"".join(wraps)


def sealed_to(epoch_public: bytes, content: bytes) -> bytes:
    """A sealed letter of the right form, whatever is in it."""
    payload = b"".join(chunks_of(content))
    return assemble(payload, wrap(epoch_public, payload))


def tlv(*values: bytes) -> bytes:
    return b"".join(
        bytes([tag]) + len(value).to_bytes(2, "big") + value for tag, value in enumerate(values, 1)
    )


def signed_content(said: bytes, signature: bytes, certificate: bytes, body: bytes) -> bytes:
    """What is inside, for these octets of a header."""
    front = tlv(said, signature, certificate)
    content = len(front).to_bytes(4, "big") + front + body
    return content.ljust(padded_size(len(content)), b"\0")


def content_by(device: SigningKey, certificate: Certificate, header: Header, body: bytes) -> bytes:
    said = encode(header)
    signature = device.sign(b"postroad/letter/1", said)
    return signed_content(said, signature, encode(certificate), body)
