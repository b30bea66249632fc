"""Keys, fingerprints, addresses and signatures, as docs/protocol/tlv.md says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from second_reader.tlv import Refused, must, sized

P = 2**255 - 19
SMALL_ORDER = {
    0,
    1,
    P - 1,
    2707385501144840649318225287225658788936804267575313519463743609750303402022,
    55188659117513257062467267217118295137698188065244968500265048394206261417927,
}
ORDER = 2**252 + 27742317777372353535851937790883648493  # of the group (RFC 8032 section 5.1)
ADDRESS = re.compile(r"([a-z0-9_-]+)(?:\+([a-z0-9_-]+))?\.([a-z2-7]{32})@postroad\.alt")


def ed25519(key: bytes) -> bytes:
    """A key that may come in."""
    y = int.from_bytes(sized(key, 32), "little") % 2**255
    must(y < P and y not in SMALL_ORDER, "a key of small order, or not in its one form")
    return key


def verify(key: bytes, context: bytes, signed: bytes, signature: bytes) -> None:
    ed25519(key)
    must(int.from_bytes(sized(signature, 64)[32:], "little") < ORDER, "S is too large")
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, context + b"\0" + signed)
    except (InvalidSignature, ValueError) as error:
        raise Refused("a signature does not hold") from error


def verify_mldsa(key: bytes, context: bytes, signed: bytes, signature: bytes) -> None:
    try:
        found = MLDSA65PublicKey.from_public_bytes(sized(key, 1952))
        found.verify(sized(signature, 3309), context + b"\0" + signed)
    except (InvalidSignature, ValueError) as error:
        raise Refused("an ML-DSA signature does not hold") from error


def base32(octets: bytes, characters: int) -> str:
    return base64.b32encode(octets).decode().lower()[:characters]


def fingerprint(key: bytes, mldsa_hash: bytes) -> str:
    digest = hashlib.sha256(b"postroad address" + sized(key, 32) + sized(mldsa_hash, 32)).digest()
    return _with_checksum(base32(digest, 29))


def _with_checksum(stem: str) -> str:
    return stem + base32(hashlib.sha256(b"postroad checksum" + stem.encode()).digest(), 3)


def is_fingerprint(found: str) -> bool:
    return re.fullmatch("[a-z2-7]{32}", found) is not None and _with_checksum(found[:29]) == found


def address(found: str, bound_to: str) -> str:
    """The tag of an address in its one form, which binds this fingerprint."""
    parts = ADDRESS.fullmatch(found)
    must(parts is not None, f"{found!r} is no address in its one form")
    assert parts is not None
    name, tag, who = parts[1], parts[2] or "", parts[3]
    must(len(name) + len(tag) <= 31, "a name and a tag that are too long")
    must(who == bound_to and is_fingerprint(who), "an address binds another fingerprint")
    return tag


def epoch_key(key: bytes) -> bytes:
    """An epoch key that may come in."""
    sized(key, 1216)
    for at in range(0, 1152, 3):  # two coefficients of 12 bits in three bytes, little-endian
        three = int.from_bytes(key[at : at + 3], "little")
        must(three % 4096 < 3329 and three // 4096 < 3329, "an ML-KEM key is not reduced")
    must(int.from_bytes(key[1184:], "little") < P, "an X25519 key that is not in its one form")
    try:
        x25519(b"\x02" * 32, key[1184:])
    except ValueError as error:
        raise Refused("an X25519 key of small order") from error
    return key


def epoch_key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"postroad epoch key" + key).digest()[:16]


def epoch_public(secret: bytes) -> bytes:
    mlkem = MLKEM768PrivateKey.from_seed_bytes(sized(secret, 96)[:64])
    ours = X25519PrivateKey.from_private_bytes(secret[64:])
    return mlkem.public_key().public_bytes_raw() + ours.public_key().public_bytes_raw()


def x25519(private: bytes, public: bytes) -> bytes:
    """ValueError where the result would be zeros."""
    theirs = X25519PublicKey.from_public_bytes(public)
    return X25519PrivateKey.from_private_bytes(private).exchange(theirs)


def hkdf_extract(salt: bytes, material: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), material, "sha256")


def hkdf_expand(key: bytes, info: bytes, size: int) -> bytes:
    found = block = b""
    while len(found) < size:
        block = hmac.digest(key, block + info + bytes([len(found) // 32 + 1]), "sha256")
        found += block
    return found[:size]


_SUITE = b"HPKE" + bytes.fromhex("647a 0001 0003")


def _labelled(label: bytes, value: bytes) -> bytes:
    return b"HPKE-v1" + _SUITE + label + value


def hpke_open(secret: bytes, sealed: bytes, info: bytes) -> bytes:
    """What was sealed to an epoch key: the first message of RFC 9180 in base mode."""
    encapsulated, their_share, ciphertext = sealed[:1088], sealed[1088:1120], sealed[1120:]
    try:
        from_mlkem = MLKEM768PrivateKey.from_seed_bytes(secret[:64]).decapsulate(encapsulated)
        from_x25519 = x25519(secret[64:], their_share)
    except ValueError as error:
        raise Refused("a wrap does not open") from error
    shared = hpke_shared(from_mlkem, from_x25519, their_share, epoch_public(secret)[1184:])
    key, nonce = hpke_schedule(shared, info)
    return open_aead(key, nonce, ciphertext, b"")


def hpke_shared(from_mlkem: bytes, from_x25519: bytes, share: bytes, public: bytes) -> bytes:
    """`share`: the X25519 key that was made for this; `public`: that of the epoch key."""
    return hashlib.sha3_256(from_mlkem + from_x25519 + share + public + b"\\.//^\\").digest()


def hpke_schedule(shared: bytes, info: bytes) -> tuple[bytes, bytes]:
    """Key and nonce of the first message: RFC 9180 section 5.1, with an empty psk and psk id."""
    schedule = b"\0" + hkdf_extract(b"", _labelled(b"psk_id_hash", b""))
    schedule += hkdf_extract(b"", _labelled(b"info_hash", info))
    found = hkdf_extract(shared, _labelled(b"secret", b""))
    key = hkdf_expand(found, b"\0\x20" + _labelled(b"key", schedule), 32)
    return key, hkdf_expand(found, b"\0\x0c" + _labelled(b"base_nonce", schedule), 12)


def open_aead(key: bytes, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, sealed, associated)
    except InvalidTag as error:
        raise Refused("a ciphertext does not open") from error
