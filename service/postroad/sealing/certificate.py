"""Device certificates: the identity says that a device may sign for it, for 90 days.

See: docs/architecture.md.
"""

from dataclasses import dataclass
from functools import lru_cache

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Fingerprint, Instant, PeerId
from postroad.base.tlv import encode, fixed, nested, number
from postroad.sealing import keys
from postroad.sealing.keys import Identity, IdentityPublic

CONTEXT = b"postroad/device-certificate/1"
CERTIFICATES_AT_HAND_MAX = 1024  # some 500 bytes each
CLOCK_SKEW_SECONDS = limits.DAY  # a certificate is good a day before it begins: clocks differ


@dataclass(frozen=True, slots=True)
class Statement:
    identity: bytes = fixed(1, 32)
    mldsa_hash: bytes = fixed(2, 32)
    device: bytes = fixed(3, 32)
    begins: int = number(4, 8)
    ends: int = number(5, 8)


@dataclass(frozen=True, slots=True)
class Certificate:
    statement: Statement = nested(1, Statement)
    signature: bytes = fixed(2, keys.SIGNATURE_BYTES)

    @property
    def device(self) -> PeerId:
        return PeerId(self.statement.device)

    @property
    def fingerprint(self) -> Fingerprint:
        return IdentityPublic(self.statement.identity, self.statement.mldsa_hash).fingerprint


def certify(identity: Identity, device: PeerId, now: Instant) -> Certificate:
    """Let `device` sign for `identity` for 90 days."""
    public = identity.public
    statement = Statement(
        public.ed25519,
        public.mldsa_hash,
        device,
        int(now),
        int(now) + limits.DEVICE_CERTIFICATE_SECONDS,
    )
    return Certificate(statement, identity.signing.sign(CONTEXT, encode(statement)))


def check(certificate: Certificate, fingerprint: Fingerprint, at: float) -> None:
    """Raise PeerMisbehaved unless that identity certified the device for the moment `at`, and for
    no longer than 90 days: a stolen device is over by itself, whatever else goes wrong."""
    statement = certificate.statement
    if _signer(certificate) != fingerprint:
        raise PeerMisbehaved("a device certificate is another identity's")
    if statement.ends > statement.begins + limits.DEVICE_CERTIFICATE_SECONDS:
        raise PeerMisbehaved("a device certificate lasts longer than any may")
    if not statement.begins - CLOCK_SKEW_SECONDS <= at <= statement.ends:
        raise PeerMisbehaved("a device certificate is not valid at that time")


@lru_cache(CERTIFICATES_AT_HAND_MAX)  # the same one comes with every letter of a device
def _signer(certificate: Certificate) -> Fingerprint:
    """Whose certificate it is, and not only claims to be; PeerMisbehaved."""
    statement = certificate.statement
    keys.load_ed25519(statement.device)
    keys.verify(statement.identity, CONTEXT, encode(statement), certificate.signature)
    return certificate.fingerprint
