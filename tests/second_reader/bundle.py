"""Bundles, as docs/protocol/bundle.md says."""

from __future__ import annotations

import hashlib

from second_reader.tlv import count, fields, must, number, sized, text

NAMES = {1: "record", 2: "invitation", 3: "receipt", 4: "letter", 6: "change", 7: "wish"}
ITEMS_MAX = 10_000
SEALED_MAX = 33_554_432
Item = tuple[str, list[bytes]]


def read(octets: bytes) -> list[Item]:
    """Each item's name and values; behind a letter's, the sealed letter."""
    must(octets[:8] == b"PRBUNDL\x01", "not a bundle")
    found: list[Item] = []
    at = 8
    while True:
        must(len(octets) >= at + 5, "cut short")
        kind, size = octets[at], int.from_bytes(octets[at + 1 : at + 5], "big")
        body = octets[at + 5 : at + 5 + size]
        must(len(body) == size <= 20480, "cut short, or too large an item")
        if kind == 5:
            (digest,) = fields(body, 1)
            must(digest == hashlib.sha256(octets[:at]).digest(), "damaged")
            must(at + 5 + size == len(octets), "more behind the end")
            return found
        must(kind in NAMES and len(found) < ITEMS_MAX, "an unknown item, or too many")
        at += 5 + size
        values = _values(kind, body)
        if kind == 4:
            length = number(values[1], 4)
            sealed = octets[at : at + length]
            must(0 < len(sealed) == length <= SEALED_MAX, "a letter of another size")
            must(hashlib.sha256(sealed).digest() == values[0], "another letter than its mail id")
            at += length
            values.append(sealed)
        found.append((NAMES[kind], values))


def _values(kind: int, body: bytes) -> list[bytes]:
    if kind == 1:
        (record,) = fields(body, 1)
        return [sized(record, 1, 4096)]
    if kind == 2:
        (link,) = fields(body, 1)
        text(link, 0, 400)
        return [link]
    if kind == 3:
        mail_id, receipt = fields(body, 1, 2)
        return [sized(mail_id, 32), sized(receipt, 1052)]
    if kind == 6:
        record, *person = fields(body, 1, *[2] * count(body, 2, 0, 1))
        return [sized(record, 1, 12288), *(sized(one, 1, 4096) for one in person)]
    if kind == 7:
        (reseal,) = fields(body, 1)
        mail_id, key, sequence, signature = fields(reseal, 1, 2, 3, 4)
        number(sequence, 8)
        return [sized(mail_id, 32), sized(key, 16), sequence, sized(signature, 64)]
    mail_id, length, expires, *drops = fields(body, 1, 2, 3, *[4] * count(body, 4, 0, 8))
    number(expires, 8)
    return [sized(mail_id, 32), length, expires, *(sized(one, 16) for one in drops)]
