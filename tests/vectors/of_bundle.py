"""The vectors of docs/protocol/bundle.md."""

from __future__ import annotations

import hashlib

from postroad.base.ids import MailId
from postroad.base.tlv import encode
from postroad.protocol import bundle
from postroad.protocol.wire_reseal import sign_reseal
from vectors import of_records
from vectors.of_invitation import invitation
from vectors.world import DEVICE, DROP, NOW, RECEIPT, flipped, mail_id, tlv

SEALED = b"what a sealed letter is, a bundle does not ask"
RECEIVED = bundle.Receipt(b"\x08" * 32, RECEIPT)
LETTER = bundle.Letter(mail_id(SEALED), len(SEALED), int(NOW) + 30 * 86400, (DROP,))
CHANGE = bundle.Change(b"\x14" * 100, None)
WISH = bundle.Wish(sign_reseal(MailId(b"\x08" * 32), b"\x12" * 16, 7, DEVICE))
LINK = invitation("contact-full")


def whole() -> bytes:
    writer = bundle.Writer()
    record = encode(of_records.records()["person"])
    pieces = [
        writer.begin(),
        writer.item(bundle.Record(record)),
        writer.item(bundle.Invitation(LINK)),
        writer.item(RECEIVED),
        writer.item(CHANGE),
        writer.item(WISH),
        writer.item(LETTER),
        writer.piece(SEALED),
        writer.end(),
    ]
    return b"".join(pieces)


def item(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(4, "big") + body


def ended(octets: bytes) -> bytes:
    """With the end that belongs to it, whatever stands in it."""
    return octets + item(5, tlv((1, hashlib.sha256(octets).digest())))


def _bad() -> dict[str, bytes]:
    good, begin = whole(), b"PRBUNDL\x01"
    empty = bundle.Letter(mail_id(b""), 0, int(NOW), ())
    large = bundle.Letter(bytes(32), 33_554_433, int(NOW), ())
    twice = tlv((1, b"\x08" * 32), (1, b"\x08" * 32), (2, RECEIPT))
    unsigned = (1, b"\x08" * 32), (2, b"\x12" * 16), (3, (7).to_bytes(8, "big"))
    return {
        "magic": ended(b"PRBUNDLE" + good[8:-40]),
        "version": ended(b"PRBUNDL\x02" + good[8:-40]),
        "cut-short": good[:-40],
        "more-behind": good + b"\0",
        "digest": flipped(good, -50),
        "unknown-item": ended(begin + item(8, b"")),
        "item-too-large": ended(begin + item(1, bytes(20481))),
        "letter-empty": ended(begin + item(4, encode(empty))),
        "letter-too-large": ended(begin + item(4, encode(large))),
        "field-twice": ended(begin + item(3, twice)),
        "change-empty": ended(begin + item(6, tlv((1, b"")))),
        "wish-short": ended(begin + item(7, tlv((1, tlv(*unsigned, (4, bytes(63))))))),
    }


def vectors() -> dict[str, bytes]:
    return {
        "bundle": whole(),
        "bundle-empty": ended(b"PRBUNDL\x01"),
        **{f"no-bundle-{name}": octets for name, octets in _bad().items()},
    }
