"""Makes the test vector of docs/protocol/bundle.md.

PYTHONPATH=service:tests python tests/protocol/bundle_vectors.py > docs/protocol/bundle.vectors
"""

from __future__ import annotations

import hashlib

from postroad.base.ids import Ticket
from postroad.base.tlv import encode
from postroad.protocol import bundle
from postroad.protocol.invitation import Invitation, to_link
from postroad.sealing.receipt import RECEIPT_BYTES
from protocol import record_vectors
from protocol.record_vectors import CONTACTS, NOW, OLD

FILE = record_vectors.FILE.with_name("bundle.vectors")
SEALED = b"what a sealed letter is, a bundle does not ask"
RECEIPT = bundle.Receipt(b"\x08" * 32, b"\x09" * RECEIPT_BYTES)
LETTER = bundle.Letter(
    hashlib.sha256(SEALED).digest(), len(SEALED), int(NOW) + 30 * 86400, (b"\x07" * 16,)
)
LINK = to_link(
    Invitation(
        OLD.public.fingerprint,
        b"\x0a" * 16,
        Ticket(b"\x0b" * 16),
        int(NOW) + 14 * 86400,
        (CONTACTS["contact-full"],),
    )
)


def vector() -> bytes:
    writer = bundle.Writer()
    record = encode(record_vectors.records()["person"])
    pieces = [
        writer.begin(),
        writer.item(bundle.Record(record)),
        writer.item(bundle.Invitation(LINK)),
        writer.item(RECEIPT),
        writer.item(LETTER),
        writer.piece(SEALED),
        writer.end(),
    ]
    return b"".join(pieces)


if __name__ == "__main__":
    about = "Test vector of bundle.md, in hexadecimal."
    print(record_vectors.write({"bundle": vector()}, about), end="")
