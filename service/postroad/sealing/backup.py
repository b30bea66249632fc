"""The keys of a backup, which the 24 words alone give, and how a piece of it is sealed.

Purpose: AES-256-SIV (RFC 5297) with two keys of the identity's own entropy: one for the mail, one
for the node's keys. The first 16 octets of what comes out, the synthetic IV, depend on all that
went in and on the key, so they name a piece: the same piece is known again, and to whoever has not
the key the name says nothing.
Invariants: no nonce, so no restored or copied folder can repeat one; the node's keys are sealed
apart, so that what writes the mail of a running node into a folder never holds them.
See: docs/backup.md.
"""

from typing import TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from postroad.base.errors import PeerMisbehaved, PostroadError
from postroad.base.tlv import decode
from postroad.sealing.keys import Identity

KEY_BYTES = 64  # AES-256 twice
NAME_BYTES = 16  # the synthetic IV
MARK_BYTES = 16
T = TypeVar("T")


class BackupDamaged(PostroadError):
    """A piece of a backup is missing, or is not, octet for octet, what was written."""


class Sealer:
    """Seals and opens pieces of a backup under one key. Nothing of it has a repr."""

    def __init__(self, key: bytes) -> None:
        self._siv = AESSIV(key)

    def seal(self, purpose: bytes, octets: bytes) -> bytes:
        """What stands in the folder: NAME_BYTES more. `octets` are never empty."""
        return self._siv.encrypt(octets, [purpose])

    def open(self, purpose: bytes, sealed: bytes) -> bytes:
        """BackupDamaged unless it is, octet for octet, what was sealed for this purpose."""
        try:
            return self._siv.decrypt(sealed, [purpose])
        except (InvalidTag, ValueError) as error:
            raise BackupDamaged("a piece of the backup is not what was written") from error


def read(message: type[T], octets: bytes) -> T:
    """What stood behind the seal; BackupDamaged where it is no such message."""
    try:
        return decode(message, octets)
    except PeerMisbehaved as error:
        raise BackupDamaged(f"a piece of the backup cannot be read: {error}") from error


def mail_key(identity: Identity) -> bytes:
    return _derive(identity, b"postroad backup mail 1", KEY_BYTES)


def keys_key(identity: Identity) -> bytes:
    return _derive(identity, b"postroad backup keys 1", KEY_BYTES)


def mark(identity: Identity) -> bytes:
    """Tells whose backup a folder is to whoever has the words, and to nobody else."""
    return _derive(identity, b"postroad backup mark 1", MARK_BYTES)


def _derive(identity: Identity, info: bytes, size: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=size, salt=None, info=info).derive(identity.entropy)
