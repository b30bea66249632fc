"""The writer of a backup dies, or the power goes, at each of its steps: the folder always has a
whole backup, the one of before or the new one, and the next run goes on."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mail_to_back_up import Mail, Seam
from postroad.app import backup_folder, durable
from postroad.store import backup_format as form

PLAIN, HALF = "at it", "halfway through it"


@pytest.fixture
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that one backup has many of them."""
    monkeypatch.setattr(form, "PACK_BYTES", 64 << 10)
    monkeypatch.setattr(backup_folder, "SMALL_MAX", 6)


@pytest.fixture
def mail(tmp_path: Path, small_packs: None) -> Mail:
    made = Mail(tmp_path / "data")
    made.add(b"small", *(bytes([at]) * 150_000 for at in range(4)))
    return made


class Dying(Seam):
    """Kills its process at the n-th change; where that is a write, also when half of it is done."""

    def __init__(self, n: int, how: str) -> None:
        super().__init__(self._die)
        self._n = n
        self._how = how

    def _die(self, at: int, _: str) -> None:
        if at == self._n:
            os.kill(os.getpid(), signal.SIGKILL)

    def write(self, handle: int, octets: memoryview) -> int:
        self.count += 1
        if self.count == self._n:
            os.write(handle, octets[: len(octets) // 2 if self._how == HALF else 0])
            os.kill(os.getpid(), signal.SIGKILL)
        return os.write(handle, octets)


def killed_at(n: int, how: str, work: Callable[[], object]) -> bool:
    """Do the work in a process of its own, killed at its n-th change; whether it came so far."""
    process = os.fork()
    if not process:
        try:
            pytest.MonkeyPatch().setattr(durable, "os", Dying(n, how))
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(process, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize(("how", "first"), [(PLAIN, 1), (HALF, 2)])  # both have every other step
@pytest.mark.parametrize("waste", [False, True])
def test_a_backup_that_is_killed_at_any_step_leaves_a_whole_one(
    mail: Mail, tmp_path: Path, how: str, first: int, waste: bool
) -> None:
    stick, copy = tmp_path / "stick", tmp_path / "copy"
    mail.back_up(stick)
    before = mail.messages_in(stick)
    if waste:  # what a run before was killed over
        mail.add(b"w" * 200_000)
        assert killed_at(9, PLAIN, lambda: mail.back_up(stick))
    mail.add(b"one more", *(bytes([at]) * 150_000 for at in (10, 11)))
    after = before + 3 + waste
    counts = []
    for n in range(first, 1000, 2):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(stick, copy)
        came = killed_at(n, how, lambda: mail.back_up(copy))
        counts.append(mail.messages_in(copy))
        assert mail.back_up(copy)["missing"] == [], n
        assert mail.messages_in(copy) == after, n
        assert not list(copy.rglob("*.part")), n
        if not came:
            break
    assert 20 < n < 1000
    assert counts == sorted(counts), "once the new one is there, it stays"
    assert {before, after} == set(counts)


class Power(Seam):
    """Remembers what a power cut would leave: of a file what was synced, of a folder the names that
    it had when it was synced."""

    def __init__(self, folder: Path, end: Callable[[int], None]) -> None:
        super().__init__(lambda *_: None)
        self._folder = folder
        self.end = end  # hears of each change that was made
        self._synced: dict[int, bytes] = {}  # by the number of its inode
        self._names: dict[Path, dict[str, int]] = {}
        for path in [folder, *filter(Path.is_dir, folder.rglob("*"))]:
            for one in filter(Path.is_file, path.iterdir()):
                self._synced[one.stat().st_ino] = one.read_bytes()
            self._sync_names(path)

    def _sync_names(self, folder: Path) -> None:
        self._names[folder] = {path.name: path.stat().st_ino for path in folder.iterdir()}

    def unsynced_pack(self) -> bool:
        packs = self._folder / form.PACKS
        return bool({path.name for path in packs.glob("[0-9a-f]*")} - set(self._names[packs]))

    def lay(self, target: Path, *, names_are_late: bool) -> None:
        """Lay what would be there. Names that nobody synced may be on the disk, or not."""
        for folder in [self._folder, self._folder / form.PACKS]:
            (target / folder.relative_to(self._folder)).mkdir(parents=True, exist_ok=True)
            now = {path.name: path.stat().st_ino for path in folder.iterdir()}
            names = self._names.get(folder, {}) if names_are_late else now
            for name, inode in names.items():
                if not (folder / name).is_dir():
                    place = target / folder.relative_to(self._folder) / name
                    place.write_bytes(self._synced.get(inode, b""))

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in self.CHANGES:
            return real

        def call(*arguments: Any, **named: Any) -> Any:
            answer = real(*arguments, **named)
            if name == "fsync":
                path = Path(os.readlink(f"/proc/self/fd/{arguments[0]}"))
                if path.is_dir():
                    self._sync_names(path)
                else:
                    self._synced[os.fstat(arguments[0]).st_ino] = path.read_bytes()
            self.count += 1
            self.end(self.count)
            return answer

        return call


class Cut(BaseException):
    """The process is gone."""


def test_a_power_cut_at_any_step_after_a_killed_run_leaves_a_whole_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run before has given its only pack a name, and nobody has synced that name."""
    stick, left = tmp_path / "stick", tmp_path / "left"
    mail = Mail(tmp_path / "data")
    mail.add(*(bytes([at]) + os.urandom(150_000) for at in range(4)))
    mail.back_up(stick)
    before = mail.messages_in(stick)
    mail.add(b"m" * 100_000)
    seen: list[int] = []

    def kill(_: int) -> None:
        if power.unsynced_pack():
            raise Cut

    def look(_: int) -> None:
        for late in (True, False):
            power.lay(left, names_are_late=late)
            monkeypatch.setattr(durable, "os", os)
            seen.append(mail.messages_in(left))
            monkeypatch.setattr(durable, "os", power)
            shutil.rmtree(left)

    power = Power(stick, kill)
    monkeypatch.setattr(durable, "os", power)
    with pytest.raises(Cut):
        mail.back_up(stick)
    packs = sorted((stick / form.PACKS).iterdir())
    power.end = look
    mail.back_up(stick)
    monkeypatch.setattr(durable, "os", os)
    assert sorted((stick / form.PACKS).iterdir()) == packs, "it had nothing to write but its list"
    assert mail.messages_in(stick) == before + 1
    assert set(seen) == {before, before + 1}
    assert len(seen) > 8
