"""The pause, as it stands on the disk."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fakes import NOW, FakeClock
from postroad.base.ids import Instant
from postroad.machine.disk import FolderDisk
from postroad.store import pauses
from postroad.store.pauses import Pause, Pauses


def test_a_pause_is_there_after_a_restart_until_it_is_ended(tmp_path: Path) -> None:
    disk = FolderDisk(tmp_path, reserve_bytes=0)
    clock = FakeClock()
    assert Pauses(disk, clock).pause is None
    asyncio.run(Pauses(disk, clock).begin(None))
    assert Pauses(disk, clock).pause == Pause(None)
    asyncio.run(Pauses(disk, clock).end())
    assert Pauses(disk, clock).pause is None
    disk.close()


def test_a_pause_for_a_time_is_over_after_it(tmp_path: Path) -> None:
    disk = FolderDisk(tmp_path, reserve_bytes=0)
    asyncio.run(Pauses(disk, FakeClock()).begin(Instant(NOW + 60)))
    assert Pauses(disk, FakeClock()).pause == Pause(int(NOW) + 60)
    asyncio.run(Pauses(disk, FakeClock()).begin(Instant(NOW - 1)))
    assert Pauses(disk, FakeClock()).pause is None
    disk.close()


def test_a_damaged_pause_counts_as_none(tmp_path: Path) -> None:
    disk = FolderDisk(tmp_path, reserve_bytes=0)
    disk.write(pauses.FILE_NAME, b"\xff\xff\xff")
    assert Pauses(disk, FakeClock()).pause is None
    disk.close()
