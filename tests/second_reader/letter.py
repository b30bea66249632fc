"""Sealed letters, as docs/protocol/letter.md says: the order of the checks is that of the page."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from second_reader import page, records, structures
from second_reader.keys import (
    address,
    ed25519,
    epoch_key_id,
    epoch_public,
    hkdf_expand,
    hpke_open,
    open_aead,
    verify,
)
from second_reader.structures import Fields
from second_reader.tlv import fields, must, sized

MAGIC = b"PRLETTR\x01\x01"
CHUNK = 65536
WRAP = 16 + 1200
SEALED_MAX = 33_554_432
BODY_MAX = 26_214_400 + 4096
DAY = 86400
WORD_SECONDS = 14 * DAY


@dataclass(frozen=True)
class Letter:
    """`octets`: of the header, for receipts."""

    header: Fields
    kind: str
    octets: bytes
    body: bytes
    content_key: bytes

    def __repr__(self) -> str:
        said = self.header.values
        return f"Letter(kind={self.kind}, body={self.body[:60]!r}, header={said})"


def read(octets: bytes, epoch_secret: bytes, recipient: str, now: int) -> Letter:
    """A letter that is sealed to this epoch key, for this person."""
    must(octets[:9] == MAGIC and len(octets) >= 17, "not a sealed letter")
    size = int.from_bytes(octets[9:17], "big")
    must(len(octets) == 17 + size + WRAP <= SEALED_MAX, "a letter of another size")
    payload, wrap = octets[17 : 17 + size], octets[17 + size :]
    epoch_id = epoch_key_id(epoch_public(epoch_secret))
    must(wrap[:16] == epoch_id, "sealed to another epoch key")
    info = b"postroad/wrap/1\0" + epoch_id + hashlib.sha256(payload).digest()
    opened = sized(hpke_open(epoch_secret, wrap[16:], info), 64)
    key, commitment = opened[:32], opened[32:]
    must(commitment == derived(key, b"commitment"), "another content key was committed to")
    found = _content(_open_chunks(payload, key, commitment), key, epoch_id)
    must(found.header.number("created") <= now + DAY, "from the future")
    _check_addresses(found.header, recipient)
    return found


def derived(key: bytes, purpose: bytes) -> bytes:
    return hkdf_expand(key, b"postroad/letter/1 " + purpose, 32)


def receipt_key(content_key: bytes) -> bytes:
    return derived(content_key, b"receipt")


def _open_chunks(payload: bytes, content_key: bytes, commitment: bytes) -> bytes:
    key, content = derived(content_key, b"payload"), b""
    chunks = [payload[at : at + CHUNK + 16] for at in range(0, len(payload), CHUNK + 16)]
    for place, chunk in enumerate(chunks):
        must(len(chunk) > 16, "a chunk of nothing")
        last = bytes([place == len(chunks) - 1])
        nonce = bytes(7) + place.to_bytes(4, "big") + last
        content += open_aead(key, nonce, chunk, commitment)
    return content


def padme(size: int) -> int:
    exponent = size.bit_length() - 1
    step = 1 << (exponent - exponent.bit_length())
    return -(-size // step) * step


def _content(content: bytes, content_key: bytes, epoch_id: bytes) -> Letter:
    front_size = int.from_bytes(content[:4], "big")
    begins = 4 + front_size
    must(len(content) >= 4 and begins <= min(len(content), CHUNK), "the front is cut short")
    octets, signature, certified = fields(content[4:begins], 1, 2, 3)
    header = Fields(structures.read("letter", "Header", octets))
    size = header.number("size")
    must(size <= BODY_MAX, "too large a body")
    must(len(content) == padme(begins + size), "another padding than Padmé")
    body, padding = content[begins : begins + size], content[begins + size :]
    must(padding == bytes(len(padding)), "padding that is not zero")
    must(header.octets("epoch key") == epoch_id, "the header names another epoch key")
    device = ed25519(header.octets("device"))
    must((header.number("version"), header.number("suite")) == (1, 1), "a version or suite")
    kind = _check_agreement(header)
    by = records.certificate(certified)
    must(by.device == device, "the header names another device")
    by.check(header.of("sender").text("fingerprint"), header.number("created"))
    verify(device, b"postroad/letter/1", octets, signature)
    must(hashlib.sha256(body).digest() == header.octets("digest"), "not the body that was signed")
    return Letter(header, kind, octets, body, content_key)


def _check_agreement(header: Fields) -> str:
    """The name of the letter's kind; the header says nothing that no honest sender's does."""
    kinds = {int(row[0]): row for row in page.rows("letter", "kind", "letter")}
    must(header.number("kind") in kinds, "a letter of an unknown kind")
    _, kind, wanted, *_ = kinds[header.number("kind")]
    has = [one for one in ("introduction", "proposal") if header.values.get(one) is not None]
    must(" ".join(has) == wanted, f"{kind} has {has}, and not {wanted or 'none'}")
    named = [one.text("fingerprint") for one in header.each("visible")]
    must(len(set(named)) == len(named), "somebody is visible twice")
    is_named = header.of("recipient").text("fingerprint") in named
    must(header.values["blind"] is not is_named, "blind, or not, wrongly")
    created, expires = header.number("created"), header.number("expires")
    must(expires <= created + 31 * DAY, "it lives too long")
    must(created <= expires + 660, "it expired before it was written")
    return kind


def _check_addresses(header: Fields, me: str) -> None:
    sender, recipient = header.of("sender"), header.of("recipient")
    must(recipient.text("fingerprint") == me, "for somebody else")
    tag = address(sender.text("address"), sender.text("fingerprint"))
    must(tag == "", "a sender with a tag")
    for one in (recipient, *header.each("visible")):
        address(one.text("address"), one.text("fingerprint"))


def read_word(octets: bytes, introducer: str, recipient: str, other: str, now: int) -> Fields:
    """A third person's word that these two may introduce themselves."""
    written, signature, certified = fields(octets, 1, 2, 3)
    word = Fields(structures.read("letter", "SignedWord", octets)).of("word")
    pair = (word.text("one"), word.text("other"))
    must(word.text("introducer") == introducer, "somebody else's word")
    must(pair == tuple(sorted((recipient, other))), "not these two, or not in their order")
    must(recipient != other and introducer not in pair, "not three people")
    given = word.number("expires") - WORD_SECONDS
    must(given <= now + DAY, "given in the future")
    by = records.certificate(certified)
    by.check(introducer, max(given, 0))
    verify(by.device, b"postroad/proposal/1", written, signature)
    return word
