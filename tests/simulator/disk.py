"""A data folder that can be lost: what a kill or a power cut leaves is a folder of its own.

Purpose: `base.seams.Disk` with everything real but the thread. A crash copies the folder at that
instant, as the next life of its node will find it; whoever still works in the old one is a ghost,
whose deeds nobody sees.
Invariants: work is done at once, in the loop, so that no thread has a say in the order; a kill
keeps all that was written; a power cut may bring back what was removed and not yet synced, cuts
what was being spooled, and leaves rubbish behind the last synced frame of SQLite's log.
"""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import BinaryIO, TypeVar

from postroad.base.errors import DiskFull
from postroad.machine.disk import FolderDisk

T = TypeVar("T")
LOG = "postroad.sqlite-wal"
NEVER_CHANGED = ("bodies", "sealed")  # their files are only ever made whole, replaced or removed
RUBBISH_BYTES_MAX = 9000


class SimulatedDisk(FolderDisk):
    def __init__(
        self,
        folder: Path,
        on_step: Callable[[str], None] | None = None,
        *,
        reserve_bytes: int = 0,
    ) -> None:
        """`on_step` is called between any two things that the disk does."""
        self._step = on_step or (lambda _: None)
        self._attic = folder.with_name(folder.name + ".removed")
        self._unsynced_removals: list[str] = []
        self.is_full = False
        super().__init__(folder, reserve_bytes=reserve_bytes)

    async def run(self, work: Callable[[], T]) -> T:
        self._step("work begins")
        done = work()
        self._step("work is done")
        return done

    def spool(self) -> BinaryIO:
        self._check_room()
        return super().spool()

    def keep(self, spool: BinaryIO, name: str) -> None:
        try:
            self._check_room()
        except BaseException:
            spool.close()
            raise
        self._step("a file is kept")
        super().keep(spool, name)
        folder = name.partition("/")[0]
        self._unsynced_removals = [
            one for one in self._unsynced_removals if one.partition("/")[0] != folder
        ]
        self._step("a file was kept")

    def remove(self, name: str) -> None:
        path = Path(self.folder) / name
        if path.is_file() and name.partition("/")[0] in NEVER_CHANGED:
            self._attic.mkdir(exist_ok=True)
            (self._attic / path.name).unlink(missing_ok=True)
            os.link(path, self._attic / path.name)
            self._unsynced_removals.append(name)
        super().remove(name)
        self._step("a file was removed")

    def require_room(self, size: int) -> None:
        if self.is_full:
            raise DiskFull("The disk is almost full; nothing was lost. Make room, then try again.")
        super().require_room(size)

    def leave(self, target: Path, power_cut: Random | None = None) -> None:
        """Make `target` what a crash at this instant leaves of the folder.

        A power cut if there are dice for its accidents, else a kill."""
        source = Path(self.folder)
        target.mkdir(mode=0o700)
        for path in sorted(source.rglob("*")):
            there = target / path.relative_to(source)
            if path.is_dir():
                there.mkdir(mode=0o700)
            elif path.parent.name in NEVER_CHANGED:
                os.link(path, there)
            else:
                shutil.copyfile(path, there)
        if power_cut is None:
            return
        for name in self._unsynced_removals:
            if power_cut.random() < 0.5 and not (target / name).exists():
                os.link(self._attic / Path(name).name, target / name)
        for spooled in sorted((target / "spool").iterdir()):
            os.truncate(spooled, power_cut.randrange(spooled.stat().st_size + 1))
        if (target / LOG).exists():
            with open(target / LOG, "ab") as log:
                log.write(power_cut.randbytes(power_cut.randrange(RUBBISH_BYTES_MAX)))

    def close(self) -> None:
        super().close()
        shutil.rmtree(self._attic, ignore_errors=True)

    def _check_room(self) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
