"""A second reader of bundles, written from docs/protocol/bundle.md alone."""

from __future__ import annotations

import hashlib

from second_reader.records import fields, must, number, sized, split

NAMES = {1: "record", 2: "invitation", 3: "receipt", 4: "letter"}


def read(octets: bytes) -> list[tuple[str, list[bytes]]]:
    """Each item's name and values; behind a letter's, the sealed letter."""
    must(octets[:8] == b"PRBUNDL\x01", "not a bundle")
    found: list[tuple[str, list[bytes]]] = []
    at = 8
    while True:
        kind, size = octets[at], int.from_bytes(octets[at + 1 : at + 5], "big")
        body = octets[at + 5 : at + 5 + size]
        must(len(body) == size <= 8192, "cut short")
        if kind == 5:
            (digest,) = fields(body, 1)
            must(digest == hashlib.sha256(octets[:at]).digest(), "damaged")
            must(at + 5 + size == len(octets), "more behind the end")
            return found
        at += 5 + size
        values = [value for _, value in split(body)]
        if kind in (1, 2):
            fields(body, 1)
        elif kind == 3:
            mail_id, receipt = fields(body, 1, 2)
            must(len(sized(mail_id, 32)) > 0 and len(sized(receipt, 1052)) > 0, "receipt")
        else:
            must(kind == 4, "unknown kind")
            mail_id, length, expires, *drops = fields(body, 1, 2, 3, *[4] * (len(values) - 3))
            must(number(expires, 8) > 0 and all(len(sized(one, 16)) for one in drops), "letter")
            sealed = octets[at : at + number(length, 4)]
            must(hashlib.sha256(sealed).digest() == mail_id, "another letter")
            at += len(sealed)
            values.append(sealed)
        found.append((NAMES[kind], values))
