"""The power goes off right after a promise: a file system of its own is shut down under a node.

What was not flushed is gone then, as it is not after kill -9. It takes root and a loop device.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import results
from crash import harness, oracle
from crash.disks import Disk
from person import Person, meet, until

SLOT = 45


def test_the_power_comes_back_although_somebody_else_has_the_disk_mounted(disk: Disk) -> None:
    """Another test may enter a mount namespace of its own at any time."""
    kept = disk.folder / "kept"
    with kept.open("wb", buffering=0) as file:
        file.write(b"octets")
        os.fsync(file.fileno())
    told = ["unshare", "--mount", "sh", "-c", "echo; read end"]
    with subprocess.Popen(told, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == b"\n"
        disk.cut()
        assert kept.read_bytes() == b"octets"
        other.stdin.close()


def test_what_setup_has_written_survives_a_power_cut(disk: Disk) -> None:
    anna = Person("anna", disk.folder, SLOT)
    anna.config = disk.folder / "made by setup.toml"
    done = anna.type("setup", "--name", "anna", "--data", str(disk.folder / "data"), "--json")
    assert done.returncode == 0, done.stdout
    written = anna.config.read_bytes()
    disk.cut()
    assert anna.config.read_bytes() == written
    assert "set up already" in anna.type("setup", "--name", "anna", "--json").stdout


def test_accepted_letters_survive_a_power_cut(disk: Disk, quiet_network: None) -> None:
    print(f"SEED={results.seed()}")
    dice = random.Random(f"power cut {results.seed()}")
    anna = Person("anna", disk.folder, SLOT)
    anna.set_up()
    anna.start()
    try:
        ledger = harness.Ledger()
        door = harness.Door(anna, anna, ledger)  # to herself: nobody else can have a copy
        for number, size in enumerate((500, 90_000, 3_000, 300_000, 800)):
            octets = harness.write(anna, anna, f"before the cut {number}", size, dice)
            assert door.submit(f"before the cut {number}", octets)
        disk.cut(anna)
        door.hang_up()
        anna.start()
        until(lambda: harness.is_idle(anna), "all is filed")
        found = list(oracle.inbox(anna, 1))
        assert len(found) == len(ledger.accepted)
        marks = [
            mark for mark in ledger.accepted.values() for one in found if oracle.is_whole(one, mark)
        ]
        assert len(marks) == len(found)
        anna.stop()
        assert oracle.faults_in_store(anna) == []
    finally:
        anna.kill()


@contextlib.contextmanager
def three(folder: Path, disk: Disk, *, on_disk: str) -> Iterator[list[Person]]:
    """Anna, Bora, and Hana who holds for Bora; one of them lives on the disk whose power is cut."""
    names = ("anna", "bora", "hana")
    homes = [disk.folder if name == on_disk else folder for name in names]
    trio = [Person(*who, SLOT + at) for at, who in enumerate(zip(names, homes, strict=True))]
    anna, bora, hana = trio
    try:
        for person in trio:
            person.set_up()
            person.start()
        meet(bora, hana)
        until(lambda: bora.postroad("status")["holders"] == 1, "Hana holds for Bora")
        meet(bora, anna)
        until(lambda: all(map(harness.is_idle, trio)), "all introductions are through")
        yield trio
    finally:
        harness.kill(*trio)


def letter_to(bora: Person, anna: Person) -> bytes:
    dice = random.Random(f"power cut {results.seed()}")
    return harness.write(anna, bora, "before the cut", 90_000, dice)


def test_a_lease_survives_a_power_cut_at_the_holder(
    disk: Disk, tmp_path: Path, quiet_network: None
) -> None:
    with three(tmp_path, disk, on_disk="hana") as (anna, bora, hana):
        bora.stop()
        octets = letter_to(bora, anna)
        anna.submit(bora.address, octets)
        until(lambda: anna.postroad("queue")["queue"][0]["holders"] == 1, "Hana gave her lease")
        disk.cut(hana)
        anna.destroy()
        hana.start()
        bora.start()
        until(lambda: bora.find("before the cut") is not None, "Bora has it from Hana")
        assert (bora.find("before the cut") or b"").endswith(octets)


def test_a_receipt_survives_a_power_cut_at_the_recipient(
    disk: Disk, tmp_path: Path, quiet_network: None
) -> None:
    with three(tmp_path, disk, on_disk="bora") as (anna, bora, _):
        octets = letter_to(bora, anna)
        anna.submit(bora.address, octets)
        until(lambda: harness.is_idle(anna), "Anna has the receipt")
        disk.cut(bora)
        bora.start()
        assert (bora.find("before the cut") or b"").endswith(octets)
