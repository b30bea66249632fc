"""The vectors of docs/protocol/letter.md: letters that open, and what a forger makes of them.

The forger has a person's keys, the content key, and the recipient's public epoch key. HPKE draws
randomness of its own: each wrap is one example of many.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from postroad.base.tlv import encode
from postroad.sealing import keys, letter
from postroad.sealing.certificate import Certificate, certify
from postroad.sealing.keys import EpochKey, SigningKey
from postroad.sealing.letter import Header, Introduction, Kind, Person
from postroad.sealing.proposal import Proposal, SignedWord, Word
from vectors import of_records
from vectors.world import (
    ANNA,
    BEN,
    CARL,
    DAY,
    DEVICE,
    EPOCH,
    FITS_ALL,
    NOW,
    OLD,
    OTHER,
    OTHER_EPOCH,
    WEAK,
    Someone,
    flipped,
    put,
    seconds,
    split,
    tlv,
)

KEY = b"\x11" * 32
BODY = (
    f"From: {ANNA.address}\r\nTo: {BEN.address}\r\nSubject: Tea\r\n\r\nDear Ben,\r\n\r\ntea?\r\n"
).encode()
LONG = BODY + b"0123456789abcdef" * 4096
Change = Callable[[Any], Any]


def person(someone: Someone) -> Person:
    return Person(someone.address, someone.fingerprint)


def header(body: bytes = BODY, **changes: Any) -> Header:
    made = Header(
        letter.VERSION,
        letter.SUITE,
        Kind.PERSON,
        person(ANNA),
        DEVICE.public,
        (person(BEN),),
        person(BEN),
        keys.epoch_key_id(EPOCH.public),
        False,
        b"\x12" * 16,
        int(NOW),
        int(NOW) + 30 * DAY,
        len(body),
        hashlib.sha256(body).digest(),
        None,
        None,
    )
    return replace(made, **changes)


def front(
    said: Header | bytes,
    *,
    device: SigningKey = DEVICE,
    certificate: Certificate | None = None,
    context: bytes = letter.SIGNATURE_CONTEXT,
    signature: bytes | None = None,
) -> bytes:
    octets = said if isinstance(said, bytes) else encode(said)
    signed = device.sign(context, octets) if signature is None else signature
    return tlv((1, octets), (2, signed), (3, encode(certificate or ANNA.certificate)))


def content(
    signed: bytes, body: bytes = BODY, *, size: int | None = None, pad: bytes = b"\0"
) -> bytes:
    found = len(signed).to_bytes(4, "big") + signed + body
    return found.ljust(letter.padded_size(len(found)) if size is None else size, pad)


def payload(plain: bytes, *, first: int = 0, is_last: bool = True, empty: bool = False) -> bytes:
    """Chunks, counted from `first`; `empty`: with one of nothing behind them."""
    cipher = ChaCha20Poly1305(letter._expand(KEY, b"payload"))
    pieces = [plain[at : at + letter.CHUNK] for at in range(0, len(plain), letter.CHUNK)]
    pieces += [b""] * empty
    sealed = b""
    for place, piece in enumerate(pieces):
        nonce = letter._chunk_nonce(first + place, is_last and place == len(pieces) - 1)
        sealed += cipher.encrypt(nonce, piece, letter._expand(KEY, b"commitment"))
    return sealed


def wrap(
    sealed: bytes, *, to: EpochKey = EPOCH, key: bytes = KEY, commitment: bytes | None = None
) -> bytes:
    epoch_id = keys.epoch_key_id(to.public)
    info = letter.WRAP_CONTEXT + b"\0" + epoch_id + hashlib.sha256(sealed).digest()
    plain = key + (letter._expand(key, b"commitment") if commitment is None else commitment)
    return epoch_id + letter._hpke.encrypt(plain, keys.load_epoch_key(to.public), info=info)


def assembled(sealed: bytes, *wraps: bytes, magic: bytes = letter.MAGIC) -> bytes:
    found = wraps or (wrap(sealed),)
    return magic + bytes([len(found)]) + len(sealed).to_bytes(8, "big") + sealed + b"".join(found)


def sealed(plain: bytes) -> bytes:
    return assembled(payload(plain))


def forged(**changes: Any) -> bytes:
    """A letter whose header says something else, signed and sealed as it should be."""
    return sealed(content(front(header(**changes))))


def good(body: bytes, **changes: Any) -> bytes:
    """A letter as the service seals it."""
    pieces = letter.seal(
        header(body, **changes),
        body,
        device=DEVICE,
        certificate=ANNA.certificate,
        epoch_public=EPOCH.public,
        content_key=KEY,
    )
    return b"".join(pieces)


def _outside() -> dict[str, bytes]:
    """What anybody can do who holds a letter."""
    plain = content(front(header()))
    inside = payload(plain)
    mine = wrap(inside)
    whole = assembled(inside, mine)
    return {
        "magic": assembled(inside, mine, magic=b"PRLETTR\x02"),
        "no-wrap": letter.MAGIC + b"\0" + len(inside).to_bytes(8, "big") + inside,
        "two-wraps": assembled(inside, mine, wrap(inside, to=OTHER_EPOCH)),
        "cut-short": whole[:-1],
        "more-behind": whole + b"\0",
        "payload-size": whole[:9] + (len(inside) - 1).to_bytes(8, "big") + whole[17:],
        "other-epoch-key": assembled(inside, wrap(inside, to=OTHER_EPOCH)),
        "wrap-changed": flipped(whole, -1),
        "wrap-of-another-payload": assembled(inside, wrap(payload(plain + b"\0"))),
    }


def _content() -> dict[str, bytes]:
    """What a sender can do who does not keep to the layout."""
    signed = front(header())
    plain = content(signed)
    inside = payload(plain)
    least = len(signed) + 4 + len(BODY)
    filling = letter.CHUNK - 4 - len(signed)
    full = content(front(header(bytes(filling))), bytes(filling))
    assert len(full) == letter.CHUNK
    return {
        "commitment": assembled(inside, wrap(inside, commitment=bytes(32))),
        "chunk-number": assembled(payload(plain, first=1)),
        "chunk-not-last": assembled(payload(plain, is_last=False)),
        "chunk-changed": assembled(flipped(inside, 100)),
        "chunk-empty": assembled(payload(full, empty=True)),
        "front-too-long": sealed((letter.CHUNK + 1).to_bytes(4, "big") + plain[4:]),
        "padding-not-zero": sealed(content(signed, pad=b"\1")),
        "padding-more": sealed(content(signed, size=letter.padded_size(least) + 64)),
        "padding-none": sealed(content(signed, size=least)),
        "body-short": sealed(content(front(header(size=len(BODY) + 100)), size=len(plain))),
    }


def _signed() -> dict[str, bytes]:
    """What a person can do whose device was certified: all of it is signed, and sealed."""
    old = certify(OLD, DEVICE.peer, NOW)
    ended = replace(old.statement, begins=int(NOW - 90 * DAY), ends=int(NOW - 1))
    too_old = Certificate(ended, OLD.signing.sign(b"postroad/device-certificate/1", encode(ended)))
    weak = replace(old.statement, device=WEAK)
    weakly = Certificate(weak, OLD.signing.sign(b"postroad/device-certificate/1", encode(weak)))
    introduction = Introduction(bytes(16), bytes(16), b"record", None)
    proposal = Proposal(word(), b"record")
    said = encode(header())
    twice = tlv(*[one for pair in split(said) for one in [pair] * (1 + (pair[0] == 10))])
    made = {
        "device-weak": front(header(device=WEAK), certificate=weakly, signature=FITS_ALL),
        "certificate-other-person": front(
            header(device=OTHER.public), certificate=BEN.certificate, device=OTHER
        ),
        "certificate-too-old": front(header(), certificate=too_old),
        "signature": front(header(), device=OTHER),
        "signature-other-context": front(header(), context=b"postroad/receipt/1"),
        "blind-two": front(put(said, 9, b"\2")),
        "field-twice": front(twice),
        "device-other": front(header(device=OTHER.public), device=OTHER),
    }
    return {
        **{name: sealed(content(one)) for name, one in made.items()},
        "version": forged(version=2),
        "suite": forged(suite=2),
        "kind": forged(kind=3),
        "introduction-missing": forged(kind=Kind.INTRODUCTION),
        "introduction-not-meant": forged(introduction=introduction),
        "proposal-missing": forged(kind=Kind.PROPOSAL),
        "proposal-not-meant": forged(proposal=proposal),
        "proposal-and-introduction": forged(
            kind=Kind.INTRODUCTION, introduction=introduction, proposal=proposal
        ),
        "epoch-key-other": forged(epoch_key=keys.epoch_key_id(OTHER_EPOCH.public)),
        "digest": forged(digest=hashlib.sha256(b"another").digest()),
        "too-long-lived": forged(expires=int(NOW) + 31 * DAY + 1),
        "expired-before": forged(expires=int(NOW) - 661),
        "visible-twice": forged(visible=(person(BEN), person(BEN))),
        "blind-named": forged(blind=True),
        "not-blind": forged(visible=(person(CARL),)),
        "from-the-future": forged(created=int(NOW) + DAY + 1, expires=int(NOW) + 2 * DAY),
        "other-recipient": forged(recipient=person(CARL), visible=(person(CARL),)),
        "recipient-address": forged(recipient=Person(CARL.address, BEN.fingerprint)),
        "sender-address": forged(sender=Person(CARL.address, ANNA.fingerprint)),
        "sender-tag": forged(
            sender=Person(ANNA.address.replace("anna", "anna+tea"), ANNA.fingerprint)
        ),
        "visible-address": forged(
            visible=(person(BEN), Person(CARL.address.upper(), CARL.fingerprint))
        ),
    }


def word(
    by: Someone = ANNA, one: Someone = BEN, other: Someone = CARL, **changes: Any
) -> SignedWord:
    """Signed by this person, whatever it says."""
    lesser, greater = sorted((one.fingerprint, other.fingerprint))
    expires = int(NOW) + 14 * DAY
    said = replace(Word(by.fingerprint, lesser, greater, b"\x15" * 16, expires), **changes)
    return signed_word(said, by)


def signed_word(said: Word, by: Someone = ANNA) -> SignedWord:
    signature = by.device.sign(b"postroad/proposal/1", encode(said))
    return SignedWord(said, signature, by.certificate)


def _words() -> dict[str, SignedWord]:
    """What somebody can do who has the keys that it takes."""
    good = word()
    said = good.word
    foreign = ANNA.device.sign(b"postroad/voucher/1", encode(said))
    return {
        "signature": replace(good, signature=BEN.device.sign(b"postroad/proposal/1", encode(said))),
        "signature-other-context": replace(good, signature=foreign),
        "changed": replace(good, word=replace(said, secret=bytes(16))),
        "other-introducer": word(introducer=CARL.fingerprint),
        "other-person": word(CARL, introducer=ANNA.fingerprint),
        "order": signed_word(replace(said, one=said.other, other=said.one)),
        "others": word(other=ANNA),
        "to-oneself": word(other=BEN),
        "future": word(expires=int(NOW) + 15 * DAY + 1),
        "certificate-over": word(expires=int(NOW) - 80 * DAY),
    }


def vectors() -> dict[str, bytes]:
    record = encode(of_records.records()["person"])
    introduction = Introduction(b"\x0a" * 16, b"\x13" * 16, record, None)
    introduced = replace(introduction, word=word(CARL, ANNA, BEN))
    proposal = Proposal(word(), record)  # another's record: what it must be is for who opens it
    tagged = Person(BEN.address.replace("ben", "ben+tea"), BEN.fingerprint)
    bad = {**_outside(), **_content(), **_signed()}
    return {
        "given-epoch-secret": EPOCH.secret,
        "given-recipient": BEN.fingerprint.encode(),
        "given-now": seconds(NOW),
        "letter-short": good(BODY),
        "letter-empty": good(b""),
        "letter-long": good(LONG),
        "letter-tag": good(BODY, visible=(tagged, person(CARL)), recipient=tagged),
        "letter-blind": good(BODY, visible=(person(CARL),), blind=True),
        "letter-introduction": good(
            BODY, kind=Kind.INTRODUCTION, introduction=introduction, expires=int(NOW) + 31 * DAY
        ),
        "letter-request": good(
            BODY, kind=Kind.REQUEST, introduction=replace(introduction, secret=None)
        ),
        "letter-introduction-proposed": good(BODY, kind=Kind.INTRODUCTION, introduction=introduced),
        "letter-proposal": good(BODY, kind=Kind.PROPOSAL, proposal=proposal),
        **{f"no-letter-{name}": octets for name, octets in bad.items()},
        "given-introducer": ANNA.fingerprint.encode(),
        "given-other": CARL.fingerprint.encode(),
        "word": encode(word()),
        **{f"no-word-{name}": encode(one) for name, one in _words().items()},
    }


def normal(name: str, octets: bytes) -> bytes:
    """A letter without what is random in it: what its last wrap says, in the place of the wrap."""
    if "letter" not in name:
        return octets
    head, wrapped = octets[: -letter.WRAP], octets[-letter.WRAP :]
    size = int.from_bytes(head[9:17], "big")
    inside = head[17 : 17 + size]
    info = letter.WRAP_CONTEXT + b"\0" + wrapped[:16] + hashlib.sha256(inside).digest()
    for epoch in (EPOCH, OTHER_EPOCH):
        try:
            found = letter._hpke.decrypt(wrapped[16:], epoch.private(), info=info)
            return head[: 17 + size] + wrapped[:16] + found
        except (InvalidTag, ValueError):
            continue
    return head[: 17 + size]
