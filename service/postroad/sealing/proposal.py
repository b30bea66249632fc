"""The word of a third person that two others may come to know each other.

Purpose: both get the same word, and show it to each other; it proves that a contact of both wished
it, and nothing of whose keys are whose. It makes nobody a contact: each of the two says yes first.
See: docs/protocol/letter.md, docs/adr/0014-contacts.md.
"""

import hashlib
from dataclasses import dataclass

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Fingerprint, Instant, Ticket
from postroad.base.tlv import encode, fixed, hidden, nested, number, octets, text
from postroad.sealing import certificate as certificates
from postroad.sealing import keys
from postroad.sealing.certificate import Certificate
from postroad.sealing.keys import SigningKey

CONTEXT = b"postroad/proposal/1"


@dataclass(frozen=True, slots=True)
class Word:
    """`one` is the lesser fingerprint of the two; `expires`: seconds UTC, 14 days after it was
    given."""

    introducer: str = text(1, 32, 32)
    one: str = text(2, 32, 32)
    other: str = text(3, 32, 32)
    # of which the tickets are made that each of them brings the other a first letter with
    secret: bytes = hidden(fixed(4, 16))
    expires: int = number(5, 8)

    @property
    def id(self) -> str:
        """How the two call it, which says nothing of the secret."""
        return hashlib.sha256(b"postroad proposal" + self.secret).hexdigest()[:8]

    def ticket_of(self, depositor: Fingerprint) -> Ticket:
        """What this one of the two shows at the other's drops, before they have met."""
        made = hashlib.sha256(b"postroad proposal ticket" + self.secret + depositor.encode())
        return Ticket(made.digest()[:16])


@dataclass(frozen=True, slots=True)
class SignedWord:
    word: Word = nested(1, Word)
    signature: bytes = fixed(2, keys.SIGNATURE_BYTES)
    certificate: Certificate = nested(3, Certificate)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What each of the two is sent: the word, and the other's record."""

    signed: SignedWord = nested(1, SignedWord)
    record: bytes = octets(2, 1, limits.RECORD_BYTES_MAX)


def give_word(
    pair: tuple[Fingerprint, Fingerprint],
    secret: bytes,
    now: Instant,
    device: SigningKey,
    certificate: Certificate,
) -> SignedWord:
    """The word of whoever has this device that these two may know each other."""
    one, other = sorted(pair)
    introducer = certificate.fingerprint
    assert len({introducer, one, other}) == 3
    word = Word(introducer, one, other, secret, int(now) + limits.PROPOSAL_SECONDS)
    return SignedWord(word, device.sign(CONTEXT, encode(word)), certificate)


def check_word(signed: SignedWord, introducer: Fingerprint, pair: set[str], now: Instant) -> None:
    """Raise PeerMisbehaved unless that person gave it for these two; it may have expired."""
    word = signed.word
    if word.introducer != introducer:
        raise PeerMisbehaved("a proposal is somebody else's")
    if not word.one < word.other or {word.one, word.other} != pair or introducer in pair:
        raise PeerMisbehaved("a proposal is not for these two")
    given = word.expires - limits.PROPOSAL_SECONDS
    if given > now + certificates.CLOCK_SKEW_SECONDS:
        raise PeerMisbehaved("a proposal lasts longer than any may")
    certificates.check(signed.certificate, introducer, max(given, 0))
    keys.verify(signed.certificate.device, CONTEXT, encode(word), signed.signature)
