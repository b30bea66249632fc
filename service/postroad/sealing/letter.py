"""Sealed letters: sign, then encrypt; one independent ciphertext per recipient.

Purpose: build and open the bytes that holders keep. Opening checks the commitment first, then every
chunk, then the signature and the digest; nothing is believed before all of them.
Invariants: one letter has one form, to which nobody can add anything afterwards, so its mail id is
its sender's choice alone; whatever is wrong with it, the error is the same (ADR 16); a letter is in
memory once, however large it is.
Layout: MAGIC | wraps u8 = 1 | payload size u64 | payload | epoch key id 16 | HPKE 1200.
Payload: chunks of 64 KiB plaintext, ChaCha20-Poly1305 (STREAM: counter and last flag in the nonce).
Long, because sealing and opening are one format, and each step of one has its answer in the other.
See: docs/architecture.md; Hoang et al., Online Authenticated-Encryption (2015).
"""

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from io import BytesIO
from itertools import chain

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, TemporaryFailure
from postroad.base.ids import Fingerprint, Instant, Nonce, PeerId
from postroad.base.tlv import (
    decode,
    encode,
    fixed,
    flag,
    hidden,
    nested,
    number,
    octets,
    optional,
    several,
    text,
)
from postroad.sealing import certificate as certificates
from postroad.sealing import keys
from postroad.sealing.certificate import Certificate
from postroad.sealing.keys import EpochKey, SigningKey
from postroad.sealing.proposal import Proposal, SignedWord

MAGIC = b"PRLETTR\x01"
SIGNATURE_CONTEXT = b"postroad/letter/1"
WRAP_CONTEXT = b"postroad/wrap/1"
VERSION = 1
SUITE = 1  # Ed25519, MLKEM768_X25519 with HKDF-SHA256, ChaCha20-Poly1305
CHUNK = 64 * limits.KIB
TAG = 16
WRAPS = 1
WRAP = keys.EPOCH_ID_BYTES + 1136 + 64
PREFIX = len(MAGIC) + 1 + 8

_hpke = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


class NotOpened(PeerMisbehaved):
    """A sealed letter that does not open, or is not as its sender must have signed it.

    Its text is always the same, so that nobody who hears it learns how far a forgery came; `reason`
    is for the owner of this node."""

    def __init__(self, reason: str) -> None:
        super().__init__("a sealed letter does not open")
        self.reason = reason


class UnknownKey(NotOpened):
    """It names an epoch key that this node does not have, or has no more; it may be genuine."""

    def __init__(self, epoch_key: bytes) -> None:
        super().__init__("It is for a key that this node does not have.")
        self.epoch_key = epoch_key


class Kind(IntEnum):
    """3 is kept for what gateways will bring in."""

    PERSON = 1
    INTRODUCTION = 2
    REQUEST = 4  # from somebody who is no contact: with what an answer to them needs
    PROPOSAL = 5  # of a third person, that two others introduce themselves


_KINDS = frozenset(Kind)
# Whether it must have one, or may not.
_INTRODUCES = {
    Kind.PERSON: False,
    Kind.INTRODUCTION: True,
    Kind.REQUEST: True,
    Kind.PROPOSAL: False,
}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody named in a header."""

    address: str = text(1, 320)
    fingerprint: str = text(2, 32, 32)


@dataclass(frozen=True, slots=True)
class Introduction:
    """What two people give each other when an invitation, a request, or what a third one proposes
    is accepted."""

    # of the invitation or the proposal; none in the inviter's answer
    secret: bytes | None = hidden(optional(fixed(1, 16)))
    # for the recipient of this letter, to deposit in our drops with
    ticket: bytes = hidden(fixed(2, 16))
    record: bytes = octets(3, 1, limits.RECORD_BYTES_MAX)
    word: SignedWord | None = optional(nested(4, SignedWord))  # the third one's


@dataclass(frozen=True, slots=True)
class Header:
    """What the sender signs. `created` and `expires` are seconds UTC."""

    version: int = number(1, 1)
    suite: int = number(2, 1)
    kind: int = number(3, 1)
    sender: Person = nested(4, Person)
    device: bytes = fixed(5, 32)
    visible: tuple[Person, ...] = several(nested(6, Person), limits.RECIPIENTS_MAX)
    recipient: Person = nested(7, Person)
    epoch_key: bytes = fixed(8, keys.EPOCH_ID_BYTES)
    blind: bool = flag(9)
    nonce: bytes = fixed(10, 16)
    created: int = number(11, 8)
    expires: int = number(12, 8)
    size: int = number(13, 8)
    digest: bytes = fixed(14, 32)
    introduction: Introduction | None = optional(nested(15, Introduction))
    proposal: Proposal | None = optional(nested(16, Proposal))


@dataclass(frozen=True, slots=True)
class _Signed:
    """What stands in front of the body."""

    header: Header = nested(1, Header)
    signature: bytes = fixed(2, keys.SIGNATURE_BYTES)
    certificate: Certificate = nested(3, Certificate)


@dataclass(frozen=True, slots=True)
class Opened:
    """A letter that was sealed to us and signed by the device in its certificate.

    `octets`: its body below what was put on top of it, `above` octets of it."""

    header: Header
    certificate: Certificate
    octets: bytes = field(repr=False)
    content_key: bytes = field(repr=False)
    above: int = 0

    @property
    def body(self) -> bytes:
        return self.octets[self.above :]

    @property
    def nonce(self) -> Nonce:
        return Nonce(self.header.nonce)

    @property
    def sender(self) -> Fingerprint:
        return Fingerprint(self.header.sender.fingerprint)

    @property
    def device(self) -> PeerId:
        return PeerId(self.header.device)

    @property
    def header_hash(self) -> bytes:
        return header_hash(self.header)


def header_hash(header: Header) -> bytes:
    return hashlib.sha256(encode(header)).digest()


def padded_size(size: int) -> int:
    """Padmé: at most 12 % more, and O(log log size) bits leak (Nikitin et al., PETS 2019)."""
    if size < 2:
        return size
    exponent = size.bit_length() - 1
    low_bits = exponent - exponent.bit_length()
    mask = (1 << low_bits) - 1
    return (size + mask) & ~mask


def seal(
    header: Header,
    body: bytes,
    *,
    device: SigningKey,
    certificate: Certificate,
    epoch_public: bytes,
    content_key: bytes,
) -> Iterator[bytes]:
    """The sealed letter, in pieces of at most 64 KiB and a little.

    `content_key` is 32 fresh random bytes, used for this ciphertext and no other. The HPKE wrap
    draws its own randomness: sealing twice gives different bytes.
    """
    assert header.size == len(body)
    assert header.epoch_key == keys.epoch_key_id(epoch_public)
    assert certificate.device == header.device == device.public
    signature = device.sign(SIGNATURE_CONTEXT, encode(header))
    front = encode(_Signed(header, signature, certificate))
    front = len(front).to_bytes(4, "big") + front
    size = padded_size(len(front) + len(body))
    commitment = _expand(content_key, b"commitment")
    cipher = ChaCha20Poly1305(_expand(content_key, b"payload"))
    digest = hashlib.sha256()

    chunks = _chunks_of(size)
    payload_size = size + chunks * TAG
    yield MAGIC + bytes([WRAPS]) + payload_size.to_bytes(8, "big")
    for index in range(chunks):
        plain = _slice(front, body, index * CHUNK, min(size, (index + 1) * CHUNK))
        chunk = cipher.encrypt(_chunk_nonce(index, index == chunks - 1), plain, commitment)
        digest.update(chunk)
        yield chunk
    info = WRAP_CONTEXT + b"\0" + header.epoch_key + digest.digest()
    wrapped = _hpke.encrypt(content_key + commitment, keys.load_epoch_key(epoch_public), info=info)
    yield header.epoch_key + wrapped


def _slice(front: bytes, body: bytes, start: int, end: int) -> bytes:
    """Bytes `start` to `end` of front, body and endless zeros, one after the other."""
    after = start - len(front)
    piece = front[start:end] + body[max(0, after) : max(0, end - len(front))]
    return piece + bytes(end - start - len(piece))


Read = Callable[[int, int], bytes]
"""read(offset, size) of the sealed letter: exactly size bytes, or fewer at its end."""


def _nothing(_: Header) -> bytes:
    return b""


def open_sealed(
    read: Read,
    size: int,
    epoch_keys: Mapping[bytes, EpochKey],
    now: Instant,
    above: Callable[[Header], bytes] = _nothing,
) -> Opened:
    """Open a sealed letter of `size` bytes with the epoch key that it names, or NotOpened.

    Checked here: layout, commitment, every chunk, padding, certificate, signature, digest, and that
    the header agrees with itself. A letter from the future is a TemporaryFailure: it may be our own
    clock that is wrong. For the caller: that the recipient is me, expiry, nonce, revocation, From.
    `above`: gives what shall stand on top of the body, for a header that nothing is proven of yet.
    """
    try:
        return _open(read, size, epoch_keys, now, above)
    except NotOpened:
        raise
    except PeerMisbehaved as error:
        raise NotOpened(str(error)) from error


def _open(
    read: Read,
    size: int,
    epoch_keys: Mapping[bytes, EpochKey],
    now: Instant,
    above: Callable[[Header], bytes],
) -> Opened:
    payload_size = _payload_size(read, size)
    epoch_key_id, key, commitment = _unwrap(read, payload_size, epoch_keys)
    content = _content(read, payload_size, key, commitment, above)
    signed = content.signed
    header = signed.header
    keys.load_ed25519(header.device)
    if header.epoch_key != epoch_key_id or header.device != signed.certificate.device:
        raise NotOpened("It names another key than it was made with.")
    _check_agreement(header)
    # The certificate has to be good when the letter was written: a letter may wait for longer than
    # its sender's certificate lasts.
    certificates.check(signed.certificate, Fingerprint(header.sender.fingerprint), header.created)
    keys.verify(header.device, SIGNATURE_CONTEXT, encode(header), signed.signature)
    if content.digest != header.digest:
        raise NotOpened("It is not what its sender signed.")
    if header.created > now + certificates.CLOCK_SKEW_SECONDS:
        raise TemporaryFailure("The letter is dated in the future: one of two clocks is wrong.")
    return Opened(header, signed.certificate, content.octets, key, content.above)


def _check_agreement(header: Header) -> None:
    """Raise NotOpened when a header says what no honest sender's can."""
    if (header.version, header.suite) != (VERSION, SUITE):
        raise NotOpened("It is of an unknown version or suite.")
    if header.kind not in _KINDS:
        raise NotOpened("It is of an unknown kind.")
    introduces = header.introduction is not None
    if introduces is not _INTRODUCES.get(Kind(header.kind), introduces):
        raise NotOpened("Its kind and its introduction do not belong together.")
    if (header.proposal is not None) is not (header.kind == Kind.PROPOSAL):
        raise NotOpened("Its kind and its proposal do not belong together.")
    visible = {person.fingerprint for person in header.visible}
    if len(visible) != len(header.visible):
        raise NotOpened("It names somebody twice among its recipients.")
    if header.blind != (header.recipient.fingerprint not in visible):
        raise NotOpened("It is a blind copy for whom it names, or none for whom it does not.")
    # What is remembered of a letter is forgotten after its expiry: that must come.
    longest = limits.EXPIRY_SECONDS_MAX + certificates.CLOCK_SKEW_SECONDS
    if header.expires > header.created + longest:
        raise NotOpened("It expires later than any may.")
    if header.created > header.expires + limits.EXPIRY_GRACE_SECONDS + limits.MINUTE:
        raise NotOpened("It expired before it was written.")


def sealed_to(read: Read, size: int) -> bytes | None:
    """The epoch key that this names, if it is laid out as a sealed letter: a look at its outside,
    which proves nothing."""
    try:
        payload_size = _payload_size(read, size)
    except NotOpened:
        return None
    return read(PREFIX + payload_size, keys.EPOCH_ID_BYTES)


def _payload_size(read: Read, size: int) -> int:
    """NotOpened unless the letter is laid out as one, and nothing stands behind it."""
    prefix = read(0, PREFIX)
    payload_size = int.from_bytes(prefix[-8:], "big")
    if len(prefix) != PREFIX or prefix[:-8] != MAGIC + bytes([WRAPS]):
        raise NotOpened("It is not a sealed letter.")
    if size > limits.SEALED_BYTES_MAX or size != PREFIX + payload_size + WRAP:
        raise NotOpened("It has the wrong size.")
    return payload_size


def _unwrap(
    read: Read, payload_size: int, epoch_keys: Mapping[bytes, EpochKey]
) -> tuple[bytes, bytes, bytes]:
    """The epoch key id, the content key and its commitment."""
    wrap = read(PREFIX + payload_size, WRAP)
    epoch_key_id = wrap[: keys.EPOCH_ID_BYTES]
    epoch_key = epoch_keys.get(epoch_key_id)
    if epoch_key is None:
        raise UnknownKey(epoch_key_id)
    digest = hashlib.sha256()
    for offset in range(PREFIX, PREFIX + payload_size, CHUNK):
        digest.update(read(offset, min(CHUNK, PREFIX + payload_size - offset)))
    info = WRAP_CONTEXT + b"\0" + epoch_key_id + digest.digest()
    try:
        opened = _hpke.decrypt(wrap[keys.EPOCH_ID_BYTES :], epoch_key.private(), info=info)
    except (InvalidTag, ValueError) as error:
        raise NotOpened("Its content key does not open.") from error
    key, commitment = opened[:32], opened[32:]
    if not hmac.compare_digest(commitment, _expand(key, b"commitment")):
        raise NotOpened("Its content key does not open.")
    return epoch_key_id, key, commitment


@dataclass(frozen=True, slots=True)
class _Content:
    """What was inside, with nothing proven but that one sender of it had the content key.

    `digest`: of the body, which stands below the first `above` of the octets."""

    signed: _Signed
    octets: bytes
    above: int
    digest: bytes


def _content(
    read: Read,
    payload_size: int,
    key: bytes,
    commitment: bytes,
    above: Callable[[Header], bytes],
) -> _Content:
    """The signed front and the body; all that follows must be zeros."""
    chunks = _chunks(read, payload_size, key, commitment)
    first = next(chunks, b"")
    front_size = int.from_bytes(first[:4], "big")
    if len(first) < 4 or front_size > len(first) - 4:
        raise NotOpened("Its front is cut short.")
    begins = 4 + front_size
    signed = decode(_Signed, first[4:begins])
    left = signed.header.size
    if left > limits.LETTER_BYTES_MAX + limits.TRACE_BYTES_MAX:
        raise NotOpened("It is larger than any may be.")
    size = padded_size(begins + left)
    if payload_size != size + _chunks_of(size) * TAG:  # nor is there a last chunk of nothing
        raise NotOpened("Its padding is not as it should be.")
    on_top = above(signed.header)
    octets = BytesIO()  # gives away what it holds: a large letter is in memory once
    if left:
        octets.seek(len(on_top) + left - 1)
        octets.write(b"\0")  # all its room at once: a buffer that grows would need more
        octets.seek(0)
    octets.write(on_top)
    digest = hashlib.sha256()
    for chunk in chain([memoryview(first)[begins:]], map(memoryview, chunks)):
        piece, padding = chunk[:left], chunk[left:]
        left -= len(piece)
        digest.update(piece)
        octets.write(piece)
        if padding != bytes(len(padding)):
            raise NotOpened("Its padding is not as it should be.")
    return _Content(signed, octets.getvalue(), len(on_top), digest.digest())


def _chunks_of(content_size: int) -> int:
    return -(-content_size // CHUNK)


def _chunks(read: Read, payload_size: int, key: bytes, commitment: bytes) -> Iterator[bytes]:
    cipher = ChaCha20Poly1305(_expand(key, b"payload"))
    step = CHUNK + TAG
    count = -(-payload_size // step)
    for index in range(count):
        start = index * step
        sealed = read(PREFIX + start, min(step, payload_size - start))
        try:
            yield cipher.decrypt(_chunk_nonce(index, index == count - 1), sealed, commitment)
        except InvalidTag as error:
            raise NotOpened("A piece of it does not open.") from error


def _chunk_nonce(index: int, last: bool) -> bytes:
    return bytes(7) + index.to_bytes(4, "big") + (b"\x01" if last else b"\x00")


def _expand(content_key: bytes, purpose: bytes) -> bytes:
    info = b"postroad/letter/1 " + purpose
    return HKDFExpand(algorithm=SHA256(), length=32, info=info).derive(content_key)


def receipt_key(content_key: bytes) -> bytes:
    """The key that a letter's receipt is encrypted under; only sender and recipient have it."""
    return _expand(content_key, b"receipt")
