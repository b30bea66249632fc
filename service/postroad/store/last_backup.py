"""What the data folder remembers of the last backup: when it was made, and where it is.

Purpose: one form for who writes it (the owner's own command, when a backup is whole), who shows it
(`postroad backup`), and the node, which says when it has grown old. It is a file and no row: it is
written beside a running node, and no damage to it costs anything.
"""

import json
from dataclasses import asdict, dataclass

from postroad.base import limits
from postroad.base.ids import Instant
from postroad.base.seams import Disk

NAME = "last-backup"  # a file of the data folder


@dataclass(frozen=True, slots=True)
class LastBackup:
    folder: str
    made_at: int
    number: int
    messages: int

    def days_old(self, now: Instant) -> int:
        return max(0, int(now - self.made_at) // limits.DAY)


def written(one: LastBackup) -> bytes:
    return json.dumps(asdict(one)).encode() + b"\n"


def read(octets: bytes) -> LastBackup | None:
    """None where it is damaged."""
    try:
        found = json.loads(octets)
        return LastBackup(
            str(found["folder"]),
            int(found["made_at"]),
            int(found["number"]),
            int(found["messages"]),
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def of(disk: Disk) -> LastBackup | None:
    """None when there was none, as far as is known."""
    try:
        with disk.open(NAME) as file:
            return read(file.read(limits.KIB * 64))
    except OSError:
        return None
