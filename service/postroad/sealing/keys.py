"""Keys: what an identity, a device and an epoch are, and the one loader for keys from outside.

Purpose: derive the identity from its 24 words, name it by its fingerprint, and let no public key in
unchecked. `cryptography` accepts small-order Ed25519 keys, for which one fixed signature verifies
every message, so nothing else in the project may load one.
See: RFC 8032; draft-ietf-hpke-pq (MLKEM768-X25519); docs/architecture.md.
"""

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from mnemonic import Mnemonic

from postroad.base import vigil
from postroad.base.errors import PeerMisbehaved, PermanentFailure
from postroad.base.ids import Fingerprint, PeerId, fingerprint_from_digest
from postroad.phrases import phrase

SEED_BYTES = 32
SIGNATURE_BYTES = 64
EPOCH_PUBLIC_BYTES = 1216
EPOCH_SECRET_BYTES = 96  # ML-KEM-768 seed (64), X25519 private key (32)
EPOCH_ID_BYTES = 16
WORDS = 24
PUBLIC_KEYS_AT_HAND_MAX = 128  # some 3 kB each

_PRIME = 2**255 - 19
# The y coordinates of all eight points of small order; with y < p this refuses each encoding.
_SMALL_ORDER_Y = frozenset(
    {
        0,
        1,
        _PRIME - 1,
        2707385501144840649318225287225658788936804267575313519463743609750303402022,
        55188659117513257062467267217118295137698188065244968500265048394206261417927,
    }
)
# The u coordinates of all points of small order of Curve25519 and of its twist.
_SMALL_ORDER_U = frozenset(
    {
        0,
        1,
        _PRIME - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    }
)
_LOW_BITS = 2**255 - 1


def load_ed25519(octets: bytes) -> Ed25519PublicKey:
    """A public key from outside: 32 bytes, canonical, of large order; else PeerMisbehaved."""
    if len(octets) != 32:
        raise PeerMisbehaved(f"an Ed25519 key has 32 bytes, not {len(octets)}")
    y = int.from_bytes(octets, "little") & _LOW_BITS
    if y >= _PRIME or y in _SMALL_ORDER_Y:
        vigil.tell("ed25519", octets)
        raise PeerMisbehaved("an Ed25519 key is not canonical or of small order")
    return Ed25519PublicKey.from_public_bytes(octets)


@lru_cache(PUBLIC_KEYS_AT_HAND_MAX)  # a person's is asked for with every letter to them
def load_epoch_key(octets: bytes) -> MLKEM768X25519PublicKey:
    """A public epoch key from outside, ML-KEM-768 | X25519; else PeerMisbehaved."""
    if len(octets) != EPOCH_PUBLIC_BYTES:
        raise PeerMisbehaved(f"an epoch key has {EPOCH_PUBLIC_BYTES} bytes, not {len(octets)}")
    u = int.from_bytes(octets[1184:], "little")
    if u >= _PRIME or u in _SMALL_ORDER_U:
        vigil.tell("x25519", octets[1184:])
        raise PeerMisbehaved("an X25519 key is not canonical or of small order")
    try:
        x25519 = X25519PublicKey.from_public_bytes(octets[1184:])
        # A key of small order gives everybody the same secret; OpenSSL refuses it at the exchange.
        X25519PrivateKey.from_private_bytes(b"\x01" * 32).exchange(x25519)
        return MLKEM768X25519PublicKey(MLKEM768PublicKey.from_public_bytes(octets[:1184]), x25519)
    except ValueError as error:
        raise PeerMisbehaved("an epoch key is not a valid key") from error


def load_mldsa(octets: bytes) -> MLDSA65PublicKey:
    """A public ML-DSA-65 key from outside; else PeerMisbehaved. None of them is weak by itself."""
    try:
        return MLDSA65PublicKey.from_public_bytes(octets)
    except ValueError as error:
        raise PeerMisbehaved("an ML-DSA-65 key is not a valid key") from error


def verify(key: bytes, context: bytes, signed: bytes, signature: bytes) -> None:
    """Check a signature made by `sign` with the same context; raises PeerMisbehaved."""
    try:
        load_ed25519(key).verify(signature, context + b"\0" + signed)
    except InvalidSignature as error:
        raise PeerMisbehaved(f"a signature does not verify ({context.decode()})") from error


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 key of ours: a device's or a drop's. What is loaded of it is gone with it."""

    seed: bytes = field(repr=False)
    _loaded: Ed25519PrivateKey | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def public(self) -> bytes:
        return _public(self.seed)

    @property
    def peer(self) -> PeerId:
        return PeerId(self.public)

    def sign(self, context: bytes, signed: bytes) -> bytes:
        """Sign under a context string, so that no signature means two things."""
        return self._key().sign(context + b"\0" + signed)

    def _key(self) -> Ed25519PrivateKey:
        if self._loaded is None:
            object.__setattr__(self, "_loaded", Ed25519PrivateKey.from_private_bytes(self.seed))
        assert self._loaded is not None
        return self._loaded


@lru_cache(64)  # the device's own is asked for several times with every letter
def _public(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


@dataclass(frozen=True, slots=True)
class _EpochHalves:
    mlkem: MLKEM768PrivateKey
    x25519: X25519PrivateKey
    private: MLKEM768X25519PrivateKey


def _load_halves(secret: bytes) -> _EpochHalves:
    mlkem = MLKEM768PrivateKey.from_seed_bytes(secret[:64])
    x25519 = X25519PrivateKey.from_private_bytes(secret[64:])
    return _EpochHalves(mlkem, x25519, MLKEM768X25519PrivateKey(mlkem, x25519))


@dataclass(frozen=True, slots=True)
class EpochKey:
    """The key that letters are sealed to: the MLKEM768_X25519 hybrid of HPKE.

    Loading it takes a tenth of a millisecond, so it is loaded once; nothing of it is kept
    elsewhere, so that whoever lets go of the last of these has forgotten it."""

    secret: bytes = field(repr=False)  # EPOCH_SECRET_BYTES of entropy
    _loaded: _EpochHalves | None = field(default=None, init=False, repr=False, compare=False)

    def private(self) -> MLKEM768X25519PrivateKey:
        return self._halves().private

    @property
    def public(self) -> bytes:
        halves = self._halves()
        mlkem, x25519 = halves.mlkem.public_key(), halves.x25519.public_key()
        return mlkem.public_bytes_raw() + x25519.public_bytes_raw()

    def _halves(self) -> _EpochHalves:
        if self._loaded is None:
            object.__setattr__(self, "_loaded", _load_halves(self.secret))
        assert self._loaded is not None
        return self._loaded


def epoch_key_id(public: bytes) -> bytes:
    """Names an epoch key in records and letters, so that no key is ever tried by guessing."""
    return hashlib.sha256(b"postroad epoch key" + public).digest()[:EPOCH_ID_BYTES]


@dataclass(frozen=True, slots=True)
class IdentityPublic:
    """What others know of an identity; the fingerprint commits to both keys."""

    ed25519: bytes
    mldsa_hash: bytes  # SHA-256 of the ML-DSA-65 public key

    @property
    def fingerprint(self) -> Fingerprint:
        digest = hashlib.sha256(b"postroad address" + self.ed25519 + self.mldsa_hash).digest()
        return fingerprint_from_digest(digest)


@dataclass(frozen=True, slots=True)
class Identity:
    """A person's long-lived keys, from 32 bytes that the 24 words spell (BIP 39, English)."""

    entropy: bytes = field(repr=False)

    @property
    def words(self) -> str:
        return str(Mnemonic("english").to_mnemonic(self.entropy))

    @property
    def signing(self) -> SigningKey:
        return SigningKey(_derive(self.entropy, b"postroad identity ed25519 1"))

    @property
    def mldsa(self) -> MLDSA65PrivateKey:
        seed = _derive(self.entropy, b"postroad identity ml-dsa-65 1")
        return MLDSA65PrivateKey.from_seed_bytes(seed)

    @property
    def public(self) -> IdentityPublic:
        public = self.mldsa.public_key().public_bytes_raw()
        return IdentityPublic(self.signing.public, hashlib.sha256(public).digest())


def identity_from_words(words: str) -> Identity:
    """The identity that 24 words spell; PermanentFailure says what is wrong with them."""
    given = words.lower().split()
    if len(given) != WORDS:
        raise PermanentFailure(
            phrase("There should be {wanted} words; these are {n}.", wanted=WORDS, n=len(given))
        )
    known = set(Mnemonic("english").wordlist)
    strange = [word for word in given if word not in known]
    if strange:
        raise PermanentFailure(
            phrase("Not a word of the list: {word}. Check its spelling.", word=strange[0])
        )
    mnemonic = Mnemonic("english")
    if not mnemonic.check(" ".join(given)):
        raise PermanentFailure(phrase("These words do not belong together. Check their order."))
    return Identity(bytes(mnemonic.to_entropy(given)))


def _derive(entropy: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=SEED_BYTES, salt=None, info=info).derive(entropy)
