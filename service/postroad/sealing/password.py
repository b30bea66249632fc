"""The mailbox password that mail programs use: random, and known to us only by verifiers.

Purpose: 160 random bits, so that a fast keyed hash is enough at login; and a SCRAM-SHA-256
verifier (RFC 5802, RFC 7677), so that SCRAM can be offered without a new password.
"""

import hashlib
import hmac
from dataclasses import dataclass

from postroad.base.tlv import fixed, hidden, number

ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # 32 characters, none like another
ENTROPY_BYTES = 20
SCRAM_ITERATIONS = 4096


@dataclass(frozen=True, slots=True)
class PasswordVerifier:
    """What is kept of a password."""

    salt: bytes = fixed(1, 16)
    digest: bytes = hidden(fixed(2, 32))
    iterations: int = number(3, 4)
    stored_key: bytes = hidden(fixed(4, 32))
    server_key: bytes = hidden(fixed(5, 32))

    def verify(self, password: bytes) -> bool:
        """Whether this is the password; takes the same time for all wrong ones."""
        return hmac.compare_digest(_digest(self.salt, password), self.digest)


def new_password(token: bytes) -> str:
    """A password in groups of four, from 20 random bytes (160 bits)."""
    assert len(token) == ENTROPY_BYTES
    bits = int.from_bytes(token, "big")
    letters = "".join(ALPHABET[(bits >> shift) & 31] for shift in range(155, -1, -5))
    return "-".join(letters[at : at + 4] for at in range(0, 32, 4))


def verifier(password: str, salt: bytes) -> PasswordVerifier:
    """What to keep of `password`; `salt` is 16 random bytes."""
    octets = password.encode()
    salted = hashlib.pbkdf2_hmac("sha256", octets, salt, SCRAM_ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return PasswordVerifier(
        salt,
        _digest(salt, octets),
        SCRAM_ITERATIONS,
        hashlib.sha256(client_key).digest(),
        hmac.digest(salted, b"Server Key", "sha256"),
    )


def _digest(salt: bytes, password: bytes) -> bytes:
    return hashlib.blake2b(password, key=salt, digest_size=32, person=b"postroad mailbox").digest()
