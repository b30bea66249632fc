"""Makes the test vectors of docs/protocol/records.md, out of keys that everybody can have.

    PYTHONPATH=service:tests python tests/protocol/record_vectors.py > docs/protocol/records.vectors

All is the same each time but ML-DSA signatures, which the library makes with randomness of its own.
"""

from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

from postroad.base.ids import Contact, DropId, HostPort, Instant, Relay
from postroad.base.tlv import encode
from postroad.protocol.contacts import encode_contact
from postroad.protocol.identity_records import sign_revoke, sign_revoke_devices, sign_rotate
from postroad.protocol.records import Drop, next_sequence, sign_person
from postroad.sealing.certificate import certify
from postroad.sealing.hybrid import BLANK
from postroad.sealing.keys import EpochKey, Identity, SigningKey

FILE = Path(__file__).parents[2] / "docs" / "protocol" / "records.vectors"
NOW = Instant(1_800_000_000.0)
EXPIRES = NOW + 45 * 86400
OLD, NEW = Identity(b"\x01" * 32), Identity(b"\x02" * 32)
DEVICE, HOLDER, RELAY = (SigningKey(bytes([n]) * 32) for n in (3, 4, 5))
EPOCH = EpochKey(b"\x06" * 96)
FOUR, SIX = HostPort("192.0.2.7", 46464), HostPort("2001:db8::7", 46465)
CONTACTS = {
    "contact-bare": Contact(DEVICE.peer),
    "contact-full": Contact(
        DEVICE.peer, (FOUR, SIX), Relay(RELAY.peer, HostPort("198.51.100.1", 443))
    ),
    "contact-relay-6": Contact(HOLDER.peer, (), Relay(RELAY.peer, HostPort("2001:db8::9", 443))),
}


def records() -> dict[str, Any]:
    certificate = certify(OLD, DEVICE.peer, NOW)
    sequence = next_sequence(0, DEVICE.peer, NOW)
    drop = Drop(DropId(b"\x07" * 16), encode_contact(CONTACTS["contact-relay-6"]))
    person = sign_person(
        name="anna",
        devices=(CONTACTS["contact-full"],),
        drops=(drop,),
        epoch_key=EPOCH.public,
        sequence=sequence,
        expires=EXPIRES,
        certificate=certificate,
        device=DEVICE,
    )
    return {
        "person": person,
        "revoke": sign_revoke(OLD),
        "revoke-devices": sign_revoke_devices(OLD, (DEVICE.peer, HOLDER.peer), sequence),
        "rotate": sign_rotate(OLD, NEW, sequence, EXPIRES),
    }


def unsigned(record: Any) -> bytes:
    """The octets of a record without what is random in them."""
    blank = {
        name: BLANK
        for name in ("signatures", "old_signatures", "new_signatures")
        if hasattr(record, name)
    }
    return encode(replace(record, **blank))


def vectors() -> dict[str, bytes]:
    found = {name: encode_contact(contact) for name, contact in CONTACTS.items()}
    found["certificate"] = encode(certify(OLD, DEVICE.peer, NOW))
    return found | {name: encode(record) for name, record in records().items()}


def read(text: str) -> dict[str, bytes]:
    """The vectors of a file: `name =`, and hex in indented lines."""
    joined = text.replace("\n    ", "")
    lines = (line.partition(" =") for line in joined.splitlines() if not line.startswith("#"))
    return {name: bytes.fromhex(octets) for name, _, octets in lines if name}


def write(made: dict[str, bytes], about: str) -> str:
    lines = [f"# {about}"]
    for name, octets in made.items():
        lines += ["", f"{name} =" + "\n    ".join(["", *textwrap.wrap(octets.hex(), 96)])]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(write(vectors(), "Test vectors of records.md, in hexadecimal."), end="")
