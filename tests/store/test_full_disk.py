"""A full disk: what it cannot keep is refused, and nothing lost; what is there can be read.

Run as a program this file is the child of its own test, on a small disk: it fills that, or starts
on one that is full.
"""

import asyncio
import hashlib
import os
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from random import Random

import pytest

from postroad.base import limits
from postroad.base.errors import DiskFull, TemporaryFailure
from postroad.machine.disk import FolderDisk
from postroad.store import checkup
from postroad.store import database as store
from postroad.store.contents import Contents
from postroad.store.database import FILE_NAME, Database, Sql, to_read
from store.test_database import CHILD_PATH, names, put

IN_USE = "Another program has the store to itself"


def small_disk(folder: Path, command: list[str]) -> list[str] | None:
    """The command in a mount namespace where `folder` is a disk of 4 MiB; None: cannot be had."""
    script = 'mount -t tmpfs -o size=4m postroad "$0" && exec "$@"'
    for how in (["unshare", "-m"], ["unshare", "-rm"]):
        whole = [*how, "sh", "-c", script, str(folder)]
        try:
            tried = subprocess.run([*whole, "true"], capture_output=True, timeout=20, check=False)
        except FileNotFoundError:
            return None
        if tried.returncode == 0:
            return [*whole, *command]
    return None


@pytest.mark.parametrize("what", ["fill", "start-full", "almost-full"])
def test_a_full_disk(tmp_path: Path, what: str) -> None:
    command = small_disk(tmp_path, [sys.executable, __file__, what, str(tmp_path)])
    if command is None:
        pytest.skip("mount namespaces are not to be had here: no small disk to fill")
    child = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": CHILD_PATH},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert child.returncode == 0, child.stdout + child.stderr
    assert "all is there" in child.stdout


def fill(folder: Path) -> None:
    """Rows and files until nothing more goes in; then room is made, and work goes on."""
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(1024 * 1024))
    random = Random(1)
    kept: list[bytes] = []
    refused = 0

    async def one(database: Database, contents: Contents, octets: bytes) -> None:
        nonlocal refused
        try:
            await database.run(lambda sql: contents.put(sql, octets))
            kept.append(octets)
        except DiskFull:
            refused += 1

    async def burst(database: Database, contents: Contents) -> None:
        sizes = [random.choice((100, 9_000, 60_000, 70_000, 200_000)) for _ in range(12)]
        await asyncio.gather(*(one(database, contents, random.randbytes(size)) for size in sizes))

    async def check(database: Database, contents: Contents) -> None:
        def work(sql: Sql) -> None:
            for octets in kept:
                (number,) = sql.execute(
                    "SELECT id FROM content WHERE sha256 = ?",
                    (hashlib.sha256(octets).digest(),),
                ).fetchone()
                assert contents.get(sql, number) == octets
            assert sql.execute("PRAGMA integrity_check").fetchone() == ("ok",)

        await database.run(work)

    async def main() -> None:
        nonlocal refused
        disk = FolderDisk(folder, reserve_bytes=0)
        contents = Contents(disk)
        async with Database(disk) as database:
            for _ in range(40):
                await burst(database, contents)
            assert refused > 20, "the disk did not fill"
            ballast.unlink()
            await check(database, contents)
            assert disk.names("spool") == [], "what did not fit was left behind"
            before, refused = len(kept), 0
            for number in range(20):
                await one(database, contents, b"after %d" % number)
            assert (len(kept), refused) == (before + 20, 0), "work did not go on"
        async with Database(disk) as database:  # opened again, as after a restart
            await check(database, contents)
        disk.close()

    asyncio.run(main())
    print("all is there")


def read_elsewhere(folder: Path) -> list[str]:
    with closing(to_read(folder / FILE_NAME, for_long=True)) as sql:
        assert list(checkup.faults(sql, folder, lambda _: None)) == []
        return names(sql)


def fill_up(folder: Path, leave: int = 0) -> Path:
    ballast = folder / "ballast"
    with open(ballast, "wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    os.truncate(ballast, ballast.stat().st_size - leave)
    return ballast


async def begun(folder: Path) -> FolderDisk:
    disk = FolderDisk(folder, reserve_bytes=0)
    async with Database(disk) as database:
        await database.run(put("before"))
    vars(store)["PATIENCE_SECONDS_LONG"] = 0.2
    return disk


def start_full(folder: Path) -> None:
    """Full to the last octet before it is opened, so not even an index of the log can be made."""

    async def main() -> None:
        disk = await begun(folder)
        ballast = fill_up(folder)
        assert read_elsewhere(folder) == ["before"]
        assert not (folder / f"{FILE_NAME}-shm").exists(), "it takes no room where there is none"
        async with Database(disk) as database:
            assert await database.read(names) == ["before"]
            with pytest.raises(DiskFull):
                await database.run(put("meanwhile"))
            assert await database.run(names) == ["before"]
            with pytest.raises(TemporaryFailure, match=IN_USE):
                read_elsewhere(folder)
            ballast.unlink()
            await database.run(put("later"))
        assert read_elsewhere(folder) == ["before", "later"]
        async with Database(disk) as database:
            await database.run(put("last"))
            assert read_elsewhere(folder) == ["before", "last", "later"]
        disk.close()

    asyncio.run(main())
    print("all is there")


def almost_full(folder: Path) -> None:
    """Room for some changes, but not for the index of the log, which takes none of it away. Whoever
    reads meanwhile keeps a node from starting, and no longer."""

    async def main() -> None:
        disk = await begun(folder)
        fill_up(folder, leave=24 * limits.KIB)
        with (
            closing(to_read(folder / FILE_NAME, for_long=True)),
            pytest.raises(TemporaryFailure, match=IN_USE),
        ):
            await Database(disk).__aenter__()
        async with Database(disk) as database:
            await database.run(put("later"))
        assert read_elsewhere(folder) == ["before", "later"]
        disk.close()

    asyncio.run(main())
    print("all is there")


if __name__ == "__main__":
    folder = Path(sys.argv[2])
    {
        "fill": lambda: fill(folder),
        "start-full": lambda: start_full(folder),
        "almost-full": lambda: almost_full(folder),
    }[sys.argv[1]]()
