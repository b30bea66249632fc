"""Wrap the keyring for the disk: by a passphrase, by a secret kept elsewhere, or not at all.

Purpose: one file format for all ways, and the keys that open it. AES-SIV (RFC 5297) needs no nonce,
so the same keyring may be written twice, or written again after a backup was restored.
Invariants: the header is bound to the content; a file names how hard its passphrase is to try, and
within bounds: none can ask for all memory.
See: RFC 9106 section 4 (Argon2id, the second recommended option); docs/adr/0013-keys-at-rest.md.
"""

import hmac
import unicodedata
from dataclasses import dataclass, field
from enum import Enum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, PermanentFailure
from postroad.base.tlv import decode, encode, fixed, hidden, nested, number, octets

SALT_BYTES = 16
SECRET_BYTES_MIN = 32  # of what is kept elsewhere: it is not tried out, so it has to be random
CONTENT_BYTES_MAX = 48 * limits.KIB
_KEY_BYTES = 64  # AES-256 twice
_CONTEXT = b"postroad keyring 1"


class Protection(Enum):
    """What opens the keyring. The words are those of the command line."""

    PLAIN = "plain"
    PASSPHRASE = "passphrase"  # noqa: S105  (a word, not one to log in with)
    KEYRING = "keyring"
    CREDENTIAL = "credential"


_NUMBERS = {
    Protection.PLAIN: 1,
    Protection.PASSPHRASE: 2,
    Protection.KEYRING: 3,
    Protection.CREDENTIAL: 4,
}


@dataclass(frozen=True, slots=True)
class Header:
    """How a file is wrapped. The last three are Argon2id's, and 0 where there is no passphrase."""

    way: int = number(1, 1)
    salt: bytes = fixed(2, SALT_BYTES)
    memory_kib: int = number(3, 4)
    passes: int = number(4, 1)
    lanes: int = number(5, 1)

    @property
    def protection(self) -> Protection:
        return next(how for how, known in _NUMBERS.items() if known == self.way)


@dataclass(frozen=True, slots=True)
class Wrapped:
    """What lies on the disk."""

    header: Header = nested(1, Header)
    content: bytes = hidden(octets(2, 1, CONTENT_BYTES_MAX))  # the keys themselves, where plain

    @property
    def protection(self) -> Protection:
        return self.header.protection


@dataclass(frozen=True, slots=True)
class Wrapping:
    """A header, and the key that goes with it: what wraps, and unwraps what it wrapped."""

    header: Header
    key: bytes = field(repr=False)

    @property
    def protection(self) -> Protection:
        return self.header.protection

    def wrap(self, content: bytes) -> bytes:
        if self.protection is not Protection.PLAIN:
            content = AESSIV(self.key).encrypt(content, [encode(self.header)])
        return encode(Wrapped(self.header, content))

    def unwrap(self, wrapped: Wrapped) -> bytes:
        """The content; PermanentFailure when this is not what it was wrapped with."""
        if wrapped.header == self.header:
            if self.protection is Protection.PLAIN:
                return wrapped.content
            try:
                return AESSIV(self.key).decrypt(wrapped.content, [encode(self.header)])
            except InvalidTag:
                pass
        raise PermanentFailure("This does not open the keys.")

    def is_same(self, other: "Wrapping") -> bool:
        """Whether the other one opens the same; takes the same time for all that do not."""
        return hmac.compare_digest(self.key, other.key) and self.header == other.header


PLAIN = Wrapping(Header(_NUMBERS[Protection.PLAIN], bytes(SALT_BYTES), 0, 0, 0), b"")


def parse(encoded: bytes) -> Wrapped:
    """A file's octets, taken apart; PeerMisbehaved when no Postroad of this version wrote them."""
    wrapped = decode(Wrapped, encoded)
    header = wrapped.header
    if header.way not in _NUMBERS.values():
        raise PeerMisbehaved("it was written by a newer Postroad, or is damaged")
    if header.protection is Protection.PASSPHRASE:
        lanes, passes, memory = header.lanes, header.passes, header.memory_kib
        if not (
            1 <= lanes <= limits.ARGON2_LANES_MAX
            and 1 <= passes <= limits.ARGON2_PASSES_MAX
            and 8 * lanes <= memory <= limits.ARGON2_MEMORY_KIB_MAX
        ):
            raise PeerMisbehaved(
                f"trying its passphrase would take {memory} KiB, {passes} passes and {lanes} lanes"
            )
    elif (header.memory_kib, header.passes, header.lanes) != (0, 0, 0):
        raise PeerMisbehaved("its header is damaged")
    return wrapped


def new_header(protection: Protection, salt: bytes) -> Header:
    """A header as we write it today. `salt`: fresh random bytes."""
    if protection is Protection.PLAIN:
        return PLAIN.header
    cost = (0, 0, 0)
    if protection is Protection.PASSPHRASE:
        cost = (limits.ARGON2_MEMORY_KIB, limits.ARGON2_PASSES, limits.ARGON2_LANES)
    return Header(_NUMBERS[protection], salt, *cost)


def by_passphrase(header: Header, passphrase: str) -> Wrapping:
    """What this passphrase makes of the header: right or wrong, `unwrap` says.

    It takes 64 MiB and some tenths of a second: never on the event loop."""
    assert header.protection is Protection.PASSPHRASE
    derive = Argon2id(
        salt=header.salt,
        length=_KEY_BYTES,
        iterations=header.passes,
        lanes=header.lanes,
        memory_cost=header.memory_kib,
        ad=_CONTEXT,
    )
    # One keyboard writes é as one character, another as two.
    typed = unicodedata.normalize("NFC", passphrase).encode(errors="surrogatepass")
    return Wrapping(header, derive.derive(typed))


def by_secret(header: Header, secret: bytes) -> Wrapping:
    """The same for a random secret that the desktop keyring or systemd keeps."""
    if len(secret) < SECRET_BYTES_MIN:
        raise PermanentFailure(
            f"The secret has {len(secret)} bytes; it has to be at least {SECRET_BYTES_MIN} random "
            "ones, for nothing else makes it hard to guess."
        )
    kdf = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=header.salt, info=_CONTEXT)
    return Wrapping(header, kdf.derive(secret))
