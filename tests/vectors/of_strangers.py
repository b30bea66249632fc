"""The vectors of docs/protocol/strangers.md."""

from __future__ import annotations

from postroad.base.ids import Fingerprint, PeerId
from postroad.sealing import stamp
from vectors.world import ANNA, BEN, DEVICE, NOW, OTHER, seconds

BITS = 16


def made(
    device: PeerId = DEVICE.peer,
    recipient: Fingerprint = BEN.fingerprint,
    bits: int = BITS,
    days: int = 0,
) -> bytes:
    """The first stamp that is good for this and worth no more."""
    start = 0
    while True:
        found = stamp.search(device, recipient, bits, stamp.today(NOW) + days, start, 1 << 24)
        assert found is not None
        if bits == BITS or not stamp.is_good(found, device, recipient, BITS, NOW):
            return found
        start = int.from_bytes(found[4:], "big") + 1


def vectors() -> dict[str, bytes]:
    return {
        "given-device": DEVICE.public,
        "given-fingerprint": BEN.fingerprint.encode(),
        "given-bits": bytes([BITS]),
        "given-now": seconds(NOW),
        "stamp-today": made(),
        "stamp-yesterday": made(days=-1),
        "stamp-tomorrow": made(days=1),
        "no-stamp-too-old": made(days=-2),
        "no-stamp-too-early": made(days=2),
        "no-stamp-too-little": made(bits=BITS - 1),
        "no-stamp-other-device": made(device=OTHER.peer),
        "no-stamp-other-recipient": made(recipient=ANNA.fingerprint),
        "no-stamp-short": made()[:-1],
    }
