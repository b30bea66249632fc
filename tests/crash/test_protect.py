"""`postroad keys protect` is killed at each of its system calls: the keys open as before or as they
should from then on, and never neither."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from crash import points
from crash.points import Fault
from person import Person, surroundings
from postroad.base.errors import Locked
from postroad.machine.disk import FolderDisk
from postroad.sealing import wrapping
from postroad.sealing.wrapping import PLAIN, Protection
from postroad.store import keyring
from postroad.store.keyring import Keyring

pytestmark = pytest.mark.skipif(
    not points.can_inject(), reason="needs Debian packages: strace (and leave to trace)"
)
SLOT = 48
PASSPHRASE = "five words that nobody guesses"
KILLED_AT_OCTETS = Fault("killed at octets", "write,pwrite64", "signal=SIGKILL")
POINTS_MAX = 40


def found_there(person: Person) -> tuple[Keyring, Protection]:
    """The keys, by whatever opens them now, as the next start finds them."""
    disk = FolderDisk(person.folder / "data")
    try:
        header = keyring.stored(disk).header
        opener = PLAIN
        if header.protection is Protection.PASSPHRASE:
            opener = wrapping.by_passphrase(header, PASSPHRASE)
        return keyring.load(disk, opener), header.protection
    except Locked as error:
        raise AssertionError("neither opens them") from error
    finally:
        disk.close()


def readable(person: Person, made: Keyring) -> list[str]:
    return [
        str(path)
        for path in (person.folder / "data").rglob("*")
        if path.is_file()
        and any(secret in path.read_bytes() for secret in (made.entropy, made.device_seed))
    ]


@pytest.mark.parametrize(
    "fault",
    [points.KILLED_AT_SYNC, points.KILLED_AT_NAME, KILLED_AT_OCTETS, points.SYNC_FAILS],
    ids=lambda fault: fault.name,
)
@pytest.mark.parametrize("how", ["passphrase", "plain"])
def test_the_old_keys_or_the_new_ones_whole(tmp_path: Path, how: str, fault: Fault) -> None:
    person = Person("anna", tmp_path, SLOT)
    person.set_up()
    made, _ = found_there(person)
    keys, told = person.folder / "data" / "keys", tmp_path / "strace"
    if how == "plain":
        assert person.type(*protect("passphrase"), stdin=f"{PASSPHRASE}\n").returncode == 0
    before = keys.read_bytes()
    states = set()
    for n in range(1, POINTS_MAX):
        keys.write_bytes(before)
        done = subprocess.run(
            [*fault.under(n, told), *person.command, *protect(how)],
            input=f"{PASSPHRASE}\n",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=surroundings(),
        )
        came = done.returncode < 0 if fault.kills else b"(INJECTED)" in told.read_bytes()
        if not fault.kills:
            assert "Traceback" not in done.stderr, done
            assert done.returncode == 0 or "error" in json.loads(done.stdout), done
        again, protection = found_there(person)
        assert again == made, f"{fault.name} {n}"
        states.add(protection)
        if protection is not Protection.PLAIN:
            assert readable(person, made) == [], f"{fault.name} {n}"
        elif how == "passphrase":
            assert readable(person, made) == [str(keys)], f"{fault.name} {n}"
        if not came:
            assert protection.value == how, done
            break
    else:
        pytest.fail("the faults do not end")
    assert n > 1, "a fault that never comes proves nothing"
    assert len(states) == 2, "before and after were both seen"


def protect(how: str) -> list[str]:
    return ["keys", "protect", f"--{how}", "--json"]
