"""Both signatures of an identity at once: Ed25519, and ML-DSA-65 beside it.

Purpose: what ends an identity, or hands it on, must hold against whoever breaks one of the two
algorithms. The fingerprint commits to both keys, so no other pair of keys can speak for it.
Each signature is made over context | zero byte | what is signed.
See: FIPS 204; RFC 8032; docs/protocol/records.md.
"""

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature

from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Fingerprint
from postroad.base.tlv import fixed
from postroad.sealing import keys
from postroad.sealing.keys import Identity, IdentityPublic

MLDSA_PUBLIC_BYTES = 1952
MLDSA_SIGNATURE_BYTES = 3309


@dataclass(frozen=True, slots=True)
class IdentityKeys:
    """Both public keys of an identity, whole."""

    ed25519: bytes = fixed(1, 32)
    mldsa: bytes = fixed(2, MLDSA_PUBLIC_BYTES)

    @property
    def fingerprint(self) -> Fingerprint:
        return IdentityPublic(self.ed25519, hashlib.sha256(self.mldsa).digest()).fingerprint


@dataclass(frozen=True, slots=True)
class Signatures:
    ed25519: bytes = fixed(1, keys.SIGNATURE_BYTES)
    mldsa: bytes = fixed(2, MLDSA_SIGNATURE_BYTES)


BLANK = Signatures(bytes(keys.SIGNATURE_BYTES), bytes(MLDSA_SIGNATURE_BYTES))
"""Stands in the place of signatures while they are made and checked."""


def public_keys(identity: Identity) -> IdentityKeys:
    return IdentityKeys(identity.signing.public, identity.mldsa.public_key().public_bytes_raw())


def sign(identity: Identity, context: bytes, signed: bytes) -> Signatures:
    """Sign with both keys. ML-DSA draws randomness of its own: twice gives two signatures."""
    return Signatures(
        identity.signing.sign(context, signed),
        identity.mldsa.sign(context + b"\0" + signed),
    )


def verify(signer: IdentityKeys, context: bytes, signed: bytes, signatures: Signatures) -> None:
    """Raise PeerMisbehaved unless both keys of this identity signed it."""
    keys.verify(signer.ed25519, context, signed, signatures.ed25519)
    try:
        keys.load_mldsa(signer.mldsa).verify(signatures.mldsa, context + b"\0" + signed)
    except InvalidSignature as error:
        raise PeerMisbehaved(f"a signature does not verify ({context.decode()})") from error
