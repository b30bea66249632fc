"""Receipts, as docs/protocol/receipt.md says."""

from __future__ import annotations

from dataclasses import dataclass

from second_reader import page, records
from second_reader.keys import open_aead, verify
from second_reader.letter import receipt_key
from second_reader.tlv import fields, must, number, sized, text


@dataclass(frozen=True)
class Receipt:
    verdict: str
    at: int


def read(
    octets: bytes, *, content_key: bytes, sender: str, recipient: str, nonce: bytes, letter: bytes
) -> Receipt:
    """The receipt of the letter that has this nonce and header hash."""
    sized(octets, 1052)
    plain = open_aead(receipt_key(content_key), octets[:12], octets[12:], b"")
    size = int.from_bytes(plain[:2], "big")
    signed, padding = plain[2 : 2 + size], plain[2 + size :]
    must(len(signed) == size and padding == bytes(len(padding)), "size or padding")
    said, signature, certified = fields(signed, 1, 2, 3)
    by_whom, its_nonce, its_letter, from_whom, verdict, at = fields(said, 1, 2, 3, 4, 5, 6)
    must(text(by_whom, 32, 32) == sender, "another sender")
    must(text(from_whom, 32, 32) == recipient, "another recipient")
    must((sized(its_nonce, 16), sized(its_letter, 32)) == (nonce, letter), "another letter")
    names = page.numbers("receipt", "verdict")
    must(number(verdict, 1) in names, "an unknown verdict")
    by = records.certificate(certified)
    by.check(recipient, number(at, 8))
    verify(by.device, b"postroad/receipt/1", said, signature)
    return Receipt(names[number(verdict, 1)], number(at, 8))
