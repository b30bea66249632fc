"""How nodes show themselves on a local network: by a tag that only who knows them understands.

Purpose: the device key itself, or a name, would let everybody in a café recognise a computer day
after day. A tag is a hash of device key and day: contacts, who know the key, compute it; for others
it is 8 random bytes, others tomorrow.
"""

import hashlib

from postroad.base import limits
from postroad.base.ids import Instant, PeerId

TAG_BYTES = 8


def day_of(now: Instant) -> int:
    """The number of the day, UTC."""
    return int(now // limits.DAY)


def next_day(now: Instant) -> Instant:
    """When the next day begins."""
    return Instant(float((day_of(now) + 1) * limits.DAY))


def tag(device: PeerId, day: int) -> bytes:
    """What this device shows on that day."""
    return hashlib.sha256(b"postroad lan" + device + day.to_bytes(4, "big")).digest()[:TAG_BYTES]


def tags(device: PeerId, day: int) -> tuple[bytes, ...]:
    """What it may show when its clock and ours differ by up to a day."""
    return tuple(tag(device, one) for one in (day - 1, day, day + 1))
