"""What really holds for the service, by the kernel: directives may be accepted and do nothing."""

import re

from booted import Booted
from roots import PEOPLE
from system.people import Resident
from whole_system import Done

EXPOSURE_MAX = 2.0


def test_systemd_finds_little_exposed(alice: Resident) -> None:
    assert alice.exposure() <= EXPOSURE_MAX


def test_it_has_users_of_its_own(alice: Resident) -> None:
    mapped = alice.system.root("cat", f"/proc/{alice.process()}/uid_map").stdout.split()
    assert mapped == ["1000", "1000", "1"]


def test_it_has_no_privileges_and_gets_none(alice: Resident) -> None:
    told = alice.status_of_process()
    assert told["NoNewPrivs"] == "1"
    assert told["Seccomp"] == "2"
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(told[capabilities], 16) == 0, capabilities


def test_it_can_write_to_its_own_two_folders_only(alice: Resident) -> None:
    """Tried by root, whom no owner and no mode stops: what is refused is refused by the mount."""
    own = {"/home/alice/.local/share/postroad", "/run/user/1000/postroad"}
    others = {"/", "/usr", "/etc", "/var", "/sys", "/dev", "/home", "/home/alice", "/boot"}
    others |= {"/run/user", "/run/user/1000", "/home/alice/.config/postroad"}
    seen = f"/proc/{alice.process()}/root"
    script = f"touch {seen}$0/tried && rm {seen}$0/tried"
    for place in own | others:
        tried = alice.system.root("sh", "-c", script, place, check=False)
        assert (tried.returncode == 0) == (place in own), (place, tried.stderr)
        assert place in own or "Read-only file system" in tried.stderr, (place, tried.stderr)


def test_no_folder_of_the_whole_system_can_be_written_but_its_own(alice: Resident) -> None:
    """Tried by Alice herself, among the mounts that the service has."""
    own = ("/home/alice/.local/share/postroad", "/run/user/1000/postroad", "/tmp", "/var/tmp")
    found = among_its_mounts(alice, "find", "/", "-path", "/proc", "-prune", "-o", *WRITABLE).stdout
    assert set(own) <= set(found.splitlines())
    assert [one for one in found.splitlines() if not one.startswith(own)] == []


WRITABLE = ("-type", "d", "-writable", "-print")


def among_its_mounts(person: Resident, *command: str) -> Done:
    enter = ("nsenter", f"--target={person.process()}", "--mount", "--")
    number = str(PEOPLE[person.name])
    become = ("setpriv", "--reuid", number, "--regid", number, "--clear-groups", "--")
    return person.system.root(*enter, *become, *command, check=False)


def test_nothing_else_of_the_home_is_there(system: Booted, alice: Resident) -> None:
    alice.type("sh", "-c", "echo private > diary; mkdir -p .ssh; echo private > .ssh/key")
    inside = system.root("ls", "--almost-all", f"/proc/{alice.process()}/root/home/alice").stdout
    assert set(inside.split()) <= {".local", ".config"}


def test_its_memory_and_its_core_are_closed(alice: Resident) -> None:
    limits = alice.system.root("cat", f"/proc/{alice.process()}/limits").stdout
    assert re.search(r"Max core file size\s+0\s+0", limits)
