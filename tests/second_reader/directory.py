"""Where records and devices are found, as docs/protocol/directory.md and lan.md say."""

from __future__ import annotations

import hashlib


def node_id(device: bytes) -> bytes:
    return hashlib.sha256(b"postroad node" + device).digest()[:20]


def record_key(kind: int, fingerprint: str) -> bytes:
    said = b"postroad rec" + bytes([kind]) + fingerprint.encode("ascii")
    return hashlib.sha256(said).digest()[:20]


def lan_tag(device: bytes, day: int) -> bytes:
    return hashlib.sha256(b"postroad lan" + device + day.to_bytes(4, "big")).digest()[:8]
