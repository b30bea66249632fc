"""The vectors of docs/protocol/directory.md."""

from __future__ import annotations

from postroad.protocol import neighbourhood
from postroad.protocol.directory import node_id, record_key
from vectors.world import ANNA, DEVICE

DAY = 20_486


def vectors() -> dict[str, bytes]:
    return {
        "given-device": DEVICE.public,
        "given-fingerprint": ANNA.fingerprint.encode(),
        "given-day": DAY.to_bytes(4, "big"),
        "node-id": node_id(DEVICE.peer),
        "record-key-person": record_key(1, ANNA.fingerprint),
        "record-key-revoke": record_key(2, ANNA.fingerprint),
        "record-key-rotate": record_key(3, ANNA.fingerprint),
        "lan-tag": neighbourhood.tag(DEVICE.peer, DAY),
    }
