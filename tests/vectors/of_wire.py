"""The vectors of docs/protocol/wire.md: one frame of each kind, and what is no frame."""

from __future__ import annotations

import re
from typing import Any

from postroad.base.tlv import Kind, encode, plan
from postroad.protocol import wire
from vectors import of_records
from vectors.world import (
    ANNA,
    DEVICE,
    DROP,
    HOLDER,
    NOW,
    RECEIPT,
    WEAK_CONTACT,
    contact,
    put,
    seconds,
    tlv,
)

ID = b"\x08" * 32
ADDRESS = bytes([192, 0, 2, 7]) + (46464).to_bytes(2, "big")
# What stands in a field of this name; everything else is made of its tag.
VALUES: dict[str, Any] = {
    "mail_id": ID,
    "drop": DROP,
    "mine": b"\x16" * 16,
    "expires": int(NOW) + 30 * 86400,
    "until": int(NOW) + 30 * 86400 + 600,
    "now": int(NOW),
    "receipt": RECEIPT,
    "address": ADDRESS,
    "relay_port": (443).to_bytes(2, "big"),
    "fingerprint": ANNA.fingerprint,
    "renter": ANNA.fingerprint,
    "me": contact("contact-full"),
    "contact": contact("contact-full"),
    "nodes": contact("contact-relay-6"),
    "holder": contact("contact-relay-6"),
    "key": HOLDER.public,
    "voucher": DEVICE.public,
    "duty": 2,
    "refusal": int(wire.Refusal.FULL),
    "reason": "This drop is full.",
    "name": "attic",
    "hashes": b"\x17" * 64,
}
KEYS_OF_CONTACTS = {("Voucher", "holder"): HOLDER.public, ("FindNode", "key"): b"\x18" * 20,
                    ("FindValue", "key"): b"\x18" * 20}  # fmt: skip


def sample(message: type[Any], record: bytes) -> Any:
    """A message of this kind with all that it may have, the same each time."""
    return message(*(_values(message.__name__, name, kind, record) for name, kind in plan(message)))


def _values(message: str, name: str, kind: Kind, record: bytes) -> Any:
    value = _value(message, name, kind, record)
    return (value,) * min(2, kind.count_max) if kind.is_list else value


def _value(message: str, name: str, kind: Kind, record: bytes) -> Any:
    if kind.message is not None:
        return sample(kind.message, record)
    if (message, name) in KEYS_OF_CONTACTS:
        return KEYS_OF_CONTACTS[message, name]
    if name == "record":
        return record
    if name in VALUES:
        return VALUES[name]
    if kind.form == "number":
        return kind.tag
    if kind.form == "flag":
        return True
    if kind.form == "text":
        return "text"
    return bytes([kind.tag]) * max(kind.size_min, 1)


def frame(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(4, "big") + body


def _dashed(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


def _good(record: bytes) -> dict[str, bytes]:
    found = {}
    for message in wire._KINDS.values():
        found[f"frame-{_dashed(message.__name__)}"] = wire.frame(sample(message, record))
    return found


def _bare() -> dict[str, bytes]:
    """Frames of those messages that may have less than all, with as little as they may."""
    found = {}
    kinds: list[type[Any]] = list(wire._KINDS.values())
    for message in kinds:
        if any(not kind.count_min for _, kind in plan(message)):
            least = [_least(message.__name__, name, kind) for name, kind in plan(message)]
            found[f"frame-{_dashed(message.__name__)}-bare"] = wire.frame(message(*least))
    return found


def _least(message: str, name: str, kind: Kind) -> Any:
    if kind.count_min:
        return _values(message, name, kind, b"r")
    return () if kind.is_list else None


def _bad() -> dict[str, bytes]:
    size = (5000).to_bytes(4, "big")
    deliver = tlv((1, ID), (2, size))
    lease = encode(wire.Lease(DROP, ID, 5000, int(NOW)))
    hour = seconds(NOW)
    return {
        "unknown-kind": frame(255, b""),
        "size-too-large": b"\x03" + (65537).to_bytes(4, "big"),
        "cut-short": frame(1, deliver)[:-1],
        "more-behind": frame(1, deliver) + b"\0",
        "field-missing": frame(1, tlv((1, ID))),
        "field-twice": frame(1, tlv((1, ID), (2, size), (2, size))),
        "fields-swapped": frame(1, tlv((2, size), (1, ID))),
        "unknown-field": frame(3, tlv((1, b""))),
        "number-short": frame(1, tlv((1, ID), (2, size[1:]))),
        "number-long": frame(1, tlv((1, ID), (2, b"\0" + size))),
        "number-negative": frame(11, tlv((1, DROP), (2, b"\x80" + bytes(7)), (3, bytes(64)))),
        "flag-two": frame(43, tlv((1, ADDRESS), (2, b"\2"), (3, b"\0"))),
        "text-control": frame(20, tlv((1, b"\4"), (2, b"no\nroom"))),
        "text-turned": frame(20, tlv((1, b"\4"), (2, "no\u202eroom".encode()))),
        "text-overlong": frame(20, tlv((1, b"\4"), (2, b"no\xc0\xaeroom"))),
        "text-too-long": frame(20, tlv((1, b"\4"), (2, b"n" * 201))),
        "list-empty": frame(7, tlv((1, DROP))),
        "list-too-long": frame(7, tlv((1, DROP), *[(2, ID)] * 33)),
        "fingerprint-short": frame(17, tlv((1, ANNA.fingerprint[:-1].encode()))),
        "nested-not-canonical": frame(4, tlv((1, lease + tlv((4, hour))), (2, bytes(64)))),
        "tickets-cut": frame(10, tlv((1, DROP), (2, bytes(48)), (3, bytes(64)))),
        "address-port-zero": frame(41, tlv((1, hour), (2, ADDRESS[:4] + bytes(2)))),
        "address-odd": frame(43, tlv((1, ADDRESS + b"\1"), (2, b"\0"), (3, b"\0"))),
        "duty-unknown": frame(50, tlv((1, b"\3"))),
        "contact-weak": frame(30, tlv((1, WEAK_CONTACT))),
    }


def vectors() -> dict[str, bytes]:
    record = encode(of_records.records()["person"])
    small = put(record, 4)  # as large as it has to be
    return {
        **_good(small),
        **_bare(),
        **{f"no-frame-{name}": octets for name, octets in _bad().items()},
    }
