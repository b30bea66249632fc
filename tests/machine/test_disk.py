"""One data folder: one process, whole files, and nobody else's eyes."""

import asyncio
import contextlib
import errno
import gc
import os
import signal
import stat
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from postroad.base import limits
from postroad.base.errors import DiskFull, NotToBeHad
from postroad.base.seams import Disk
from postroad.machine.disk import FOLDERS, FolderDisk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[FolderDisk]:
    made = FolderDisk(tmp_path / "data", reserve_bytes=0)
    keeps_the_seam: Disk = made
    assert keeps_the_seam.folder == str(tmp_path / "data")
    yield made
    made.close()


def in_a_child(code: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    opening = (
        "import os, signal, sys; from pathlib import Path\n"
        "from postroad.base.errors import NotToBeHad\n"
        "from postroad.machine.disk import FolderDisk\n"
        "folder = Path(sys.argv[1])\n"
    )
    return subprocess.run(
        [sys.executable, "-c", opening + code, str(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


# One process


def test_a_second_node_in_one_folder_is_refused_in_words(tmp_path: Path) -> None:
    first = FolderDisk(tmp_path)
    with pytest.raises(NotToBeHad) as refused:
        FolderDisk(tmp_path)
    # The fact alone: which option or key to change, only `app` knows.
    assert str(refused.value) == f"Another Postroad already runs in {tmp_path}."
    first.close()
    FolderDisk(tmp_path).close()  # and is welcome when the first has gone


def test_a_node_of_another_process_is_refused_and_disturbs_nothing(tmp_path: Path) -> None:
    first = FolderDisk(tmp_path)
    spool = first.spool()
    spool.write(b"on its way")
    child = in_a_child(
        "try: FolderDisk(folder)\nexcept NotToBeHad as error: print(error)", tmp_path
    )
    assert "Another Postroad already runs" in child.stdout, child.stderr
    first.keep(spool, "bodies/one")  # the refused one has not tidied up
    with first.open("bodies/one") as file:
        assert file.read() == b"on its way"
    first.close()


def test_a_node_that_was_killed_leaves_its_folder_to_the_next(tmp_path: Path) -> None:
    child = in_a_child(
        "disk = FolderDisk(folder)\n"
        "spools = [disk.spool() for _ in range(3)]\n"
        "for spool in spools: spool.write(b'half a letter'); spool.flush()\n"
        "os.kill(os.getpid(), signal.SIGKILL)",
        tmp_path,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert len(list((tmp_path / "spool").iterdir())) == 3
    again = FolderDisk(tmp_path)
    assert again.names("spool") == []
    again.close()


def test_a_folder_that_cannot_be_used_is_said_so_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotToBeHad, match="cannot be used") as refused:
        FolderDisk(tmp_path / "file")
    assert str(tmp_path / "file") in str(refused.value)
    with pytest.raises(NotToBeHad, match="cannot be used"):
        FolderDisk(tmp_path / "file" / "below")


# Whole files


def test_a_kept_file_is_whole_or_not_there(disk: FolderDisk) -> None:
    spool = disk.spool()
    spool.write(b"first part, ")
    assert disk.names("bodies") == []
    spool.write(b"second part")
    disk.keep(spool, "bodies/one")
    assert spool.closed
    with disk.open("bodies/one") as file:
        assert file.read() == b"first part, second part"
    assert disk.names("spool") == []
    assert disk.names("bodies") == ["one"]


def test_a_spool_can_be_read_while_it_is_written(disk: FolderDisk) -> None:
    with disk.spool() as spool:
        spool.write(bytes(range(256)) * 100)
        spool.seek(300)
        assert spool.read(3) == b",-."
        spool.seek(0, os.SEEK_END)
        spool.write(b"end")
        spool.seek(25_600)
        assert spool.read() == b"end"
    assert disk.names("spool") == []


def test_who_reads_an_old_file_reads_it_to_its_end(disk: FolderDisk) -> None:
    disk.write("keys", b"old" * 10_000)
    with disk.open("keys") as file:
        begin = file.read(10)
        disk.write("keys", b"new")
        assert begin + file.read() == b"old" * 10_000
    with disk.open("keys") as file:
        assert file.read() == b"new"


def test_a_file_is_on_the_disk_before_its_name_and_its_name_before_we_say_so(
    disk: FolderDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(handle: int) -> None:
        seen.append(f"sync {Path(os.readlink(f'/proc/self/fd/{handle}')).parent.name}")
        fsync(handle)

    def watched_replace(source: str, target: Path) -> None:
        seen.append("name")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    disk.write("bodies/one", b"octets")
    assert seen == ["sync spool", "name", "sync data"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_file_that_does_not_reach_the_disk_leaves_the_old_one(
    disk: FolderDisk, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fails(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    disk.write("keys", b"old")
    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError if number == errno.EIO else DiskFull):
        disk.write("keys", b"new")
    monkeypatch.undo()
    with disk.open("keys") as file:
        assert file.read() == b"old"
    assert disk.names("spool") == []


def test_a_spool_that_is_not_kept_is_gone_when_it_is_closed(disk: FolderDisk) -> None:
    spool = disk.spool()
    spool.write(b"not wanted")
    assert len(list(disk.names("spool"))) == 1
    spool.close()
    spool.close()
    assert disk.names("spool") == []


def full_spool(disk: FolderDisk) -> BinaryIO:
    """A spool each byte of which is one too many."""
    spool = disk.spool()
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, spool.fileno())
    os.close(full)
    return spool


def test_a_spool_on_a_full_disk_can_still_be_given_up(disk: FolderDisk) -> None:
    """What is buffered cannot be written any more, and need not be: the file goes."""
    spool = full_spool(disk)
    spool.write(b"a little")  # stays in the buffer
    spool.close()
    assert spool.closed
    assert disk.names("spool") == []


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_full_disk_is_told_in_words_wherever_it_is_noticed(
    disk: FolderDisk, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    spool = full_spool(disk)
    monkeypatch.setattr(disk, "spool", lambda: spool)
    with pytest.raises(DiskFull):
        disk.write("keys", bytes(size))
    assert disk.names("spool") == []


def test_removing_what_is_not_there_is_harmless(disk: FolderDisk) -> None:
    disk.write("bodies/one", b"1")
    disk.remove("bodies/one")
    disk.remove("bodies/one")
    with pytest.raises(FileNotFoundError):
        disk.open("bodies/one")


def test_names_come_sorted_and_none_of_a_folder_that_is_not_there(disk: FolderDisk) -> None:
    for name in ("b", "a", "c"):
        disk.write(f"sealed/{name}", b"")
    assert disk.names("sealed") == ["a", "b", "c"]
    assert list(disk.names("nowhere")) == []


# Nobody else's eyes


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o277, 0o777])
def test_whatever_the_umask_the_folder_is_its_owners_alone(tmp_path: Path, umask: int) -> None:
    folder = tmp_path / "data"
    before = os.umask(umask)
    try:
        disk = FolderDisk(folder, reserve_bytes=0)
        disk.write("keys", b"secret")
        disk.write("bodies/one", b"letter")
        spool = disk.spool()
        found = {path: path.stat().st_mode for path in (folder, *folder.rglob("*"))}
        spool.close()
        disk.close()
    finally:
        os.umask(before)
    assert len(found) == 1 + len(FOLDERS) + len(("lock", "keys", "one", "the spool"))
    for path, mode in found.items():
        assert stat.S_IMODE(mode) == (0o700 if stat.S_ISDIR(mode) else 0o600), path


def test_a_folder_that_others_could_enter_is_closed_to_them(tmp_path: Path) -> None:
    FolderDisk(tmp_path).close()
    for path in (tmp_path, tmp_path / "bodies", tmp_path / "lock"):
        path.chmod(0o755)
    FolderDisk(tmp_path).close()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "bodies").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600


# Room


def test_new_letters_are_refused_while_there_is_still_room_to_finish_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = os.statvfs_result((4096, 4096, 100_000, 50_000, 40_000, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: free)
    disk = FolderDisk(tmp_path)
    room = 40_000 * 4096 - limits.DISK_RESERVE_BYTES  # what root may use beyond does not count
    disk.require_room(0)
    disk.require_room(room)
    with pytest.raises(DiskFull, match="almost full"):
        disk.require_room(room + 1)
    disk.write("bodies/one", b"accepted before")  # the reserve is for this
    disk.close()


# The one thread


def test_blocking_work_runs_in_one_thread_in_the_order_of_the_calls(disk: FolderDisk) -> None:
    seen: list[tuple[int, int]] = []

    async def main() -> None:
        def work(number: int) -> int:
            seen.append((number, threading.get_ident()))
            return number

        answers = await asyncio.gather(
            *(disk.run(lambda number=number: work(number)) for number in range(50))  # type: ignore[misc]
        )
        assert answers == list(range(50))
        with pytest.raises(KeyError):
            await disk.run(lambda: dict[str, str]()["nothing"])

    asyncio.run(main())
    assert [number for number, _ in seen] == list(range(50))
    assert len({thread for _, thread in seen} - {threading.get_ident()}) == 1


def test_closing_finishes_the_work_that_was_begun(tmp_path: Path) -> None:
    disk = FolderDisk(tmp_path, reserve_bytes=0)

    async def main() -> None:
        begun = [
            asyncio.ensure_future(disk.run(lambda name=name: disk.write(f"bodies/{name}", b"")))  # type: ignore[misc]  # noqa: TID251
            for name in range(20)
        ]
        await asyncio.sleep(0)
        disk.close()
        await asyncio.gather(*begun)

    asyncio.run(main())
    assert len(list((tmp_path / "bodies").iterdir())) == 20


class _Letter:
    """Something large that failed work had in its hands."""


def test_work_that_fails_keeps_nothing_in_memory(tmp_path: Path) -> None:
    """An error keeps its traceback, and that the frames with all that they held: what could not be
    opened stayed in memory until the collector came by."""
    kept: list[weakref.ref[_Letter]] = []

    def open_it() -> None:
        letter = _Letter()
        kept.append(weakref.ref(letter))
        raise ValueError("it cannot be opened")

    async def work(disk: FolderDisk) -> None:
        for _ in range(3):
            with contextlib.suppress(ValueError):  # pytest.raises would keep the error itself
                await disk.run(open_it)
        await disk.run(lambda: None)

    disk = FolderDisk(tmp_path, reserve_bytes=0)
    gc.disable()
    try:
        asyncio.run(work(disk))
        assert [reference() for reference in kept] == [None, None, None]
    finally:
        gc.enable()
        disk.close()
