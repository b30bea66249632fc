"""Stamps: a little work that a stranger's node does before a letter of theirs is looked at.

Purpose: pacing, and nothing else: to check one costs a microsecond, to make one a twentieth of a
second, so that who makes thousands of identities has to work for each. No safety rests on it.
A stamp is a day and a number; it counts for one device, which the link proves, one recipient, and
about that day. It does not cover the letter: nothing may depend on the bytes of a ciphertext, and
how often one is used is counted elsewhere.
See: docs/adr/0011-strangers.md.
"""

import hashlib

from postroad.base import limits
from postroad.base.ids import Fingerprint, Instant, PeerId

CONTEXT = b"postroad/stamp/1\0"
STAMP_BYTES = 4 + 8  # the day since 1970 UTC, and the number that makes it good
DAYS_OFF_MAX = 1  # clocks may be wrong, and letters on their way at midnight


def today(now: Instant) -> int:
    return int(now) // limits.DAY


def search(
    device: PeerId, recipient: Fingerprint, bits: int, day: int, start: int, tries: int
) -> bytes | None:
    """The first good stamp with a number from `start` on, within so many tries."""
    begun = hashlib.sha256(_covered(device, recipient, day))
    limit = 1 << (256 - bits)
    for number in range(start, start + tries):
        trial = begun.copy()
        trial.update(number.to_bytes(8, "big"))
        if int.from_bytes(trial.digest(), "big") < limit:
            return day.to_bytes(4, "big") + number.to_bytes(8, "big")
    return None


def is_good(stamp: bytes, device: PeerId, recipient: Fingerprint, bits: int, now: Instant) -> bool:
    """Whether this device has worked for this recipient, about today."""
    day = int.from_bytes(stamp[:4], "big")
    if len(stamp) != STAMP_BYTES or abs(day - today(now)) > DAYS_OFF_MAX:
        return False
    digest = hashlib.sha256(_covered(device, recipient, day) + stamp[4:]).digest()
    return int.from_bytes(digest, "big") < 1 << (256 - bits)


def _covered(device: PeerId, recipient: Fingerprint, day: int) -> bytes:
    return CONTEXT + device + recipient.encode() + day.to_bytes(4, "big")
