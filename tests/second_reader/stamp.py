"""Stamps on strangers' letters, as docs/protocol/strangers.md says."""

from __future__ import annotations

import hashlib

from second_reader.tlv import must, sized

DAY = 86400


def read(octets: bytes, device: bytes, fingerprint: str, bits: int, now: int) -> int:
    """The day of a stamp that this device may show to this recipient now."""
    day = int.from_bytes(sized(octets, 12)[:4], "big")
    must(abs(day - now // DAY) <= 1, "of another day")
    worked = hashlib.sha256(b"postroad/stamp/1\0" + device + fingerprint.encode() + octets).digest()
    must(int.from_bytes(worked, "big") < 2 ** (256 - bits), "too little work")
    return day
