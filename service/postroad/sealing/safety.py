"""Safety numbers: 12 x 5 digits that two people compare, to know that nobody stands between them.

Purpose: each half stands for all keys of one identity; both see the same number, since the lesser
half comes first. Two programs' numbers are equal only if both have the same two identities.
People compare a part of the number when they are in a hurry, so somebody in between would try keys
until the first and the last groups fit: each try costs them Argon2id over 32 MiB (RFC 9106).
See: docs/adr/0014-contacts.md.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from postroad.sealing.certificate import Statement

GROUPS = 6  # of one half
DIGITS = 5
_OCTETS = 5  # behind each group: 2**40 modulo 10**5 prefers no number by more than 1 in 10**7
_SALT = b"postroad/safety1"
_PASSES, _KIBIBYTES = 3, 32 * 1024
AT_HAND_MAX = 64  # a half costs a tenth of a second


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of an identity, as its certificates name them."""

    ed25519: bytes
    mldsa_hash: bytes

    @classmethod
    def of(cls, statement: Statement) -> "Keys":
        return cls(statement.identity, statement.mldsa_hash)

    @property
    def digest(self) -> bytes:
        """What a program compares: all of both keys."""
        return hashlib.sha256(b"postroad/safety/1" + self.ed25519 + self.mldsa_hash).digest()


def safety_number(one: Keys, other: Keys) -> tuple[str, ...]:
    """The twelve groups of five digits, the same whoever asks. Takes some tenths of a second."""
    return tuple(group for half in sorted((_half(one), _half(other))) for group in half)


@lru_cache(AT_HAND_MAX)
def _half(keys: Keys) -> tuple[str, ...]:
    slow = Argon2id(
        salt=_SALT,
        length=GROUPS * _OCTETS,
        iterations=_PASSES,
        lanes=1,
        memory_cost=_KIBIBYTES,
    ).derive(keys.ed25519 + keys.mldsa_hash)
    pieces = (slow[at : at + _OCTETS] for at in range(0, len(slow), _OCTETS))
    return tuple(f"{int.from_bytes(piece, 'big') % 10**DIGITS:0{DIGITS}}" for piece in pieces)
