"""The package's scripts run as root and ask the service managers of people, who may be anybody."""

from pathlib import Path

from booted import Booted
from person import until
from system.conftest import PACKAGE
from system.people import Resident
from system.test_upgraded import until_runs

LYING_BUS = Path(__file__).parent / "inside" / "lying_bus.py"


def node_of(person: Resident) -> int:
    """The process of their node, seen by root; 0: none runs."""
    asked = ("pgrep", "--uid", person.name, "--full", "/usr/bin/postroad run")
    return int((person.system.root(*asked, check=False).stdout.split() or ["0"])[0])


def until_another_runs(person: Resident, before: int) -> None:
    until(lambda: node_of(person) not in (0, before), f"another node of {person.name}'s runs")


def reinstall(system: Booted) -> str:
    told = system.apt("install", "--reinstall", f"/packages/{PACKAGE.name}")
    return told.stdout + told.stderr


def test_what_somebodys_bus_says_does_not_come_to_roots_terminal(
    system: Booted, alice: Resident, bora: Resident
) -> None:
    system.write(f"/opt/{LYING_BUS.name}", LYING_BUS.read_bytes())
    for person in (alice, bora):  # after the last installation
        until_another_runs(person, 0)
    before = node_of(alice), node_of(bora)
    lying = system.begin(bora.name, "python3", f"/opt/{LYING_BUS.name}")
    try:
        assert lying.stdout is not None
        assert lying.stdout.readline() == "lying\n"
        told = reinstall(system)
    finally:
        lying.communicate("", timeout=30)
    assert "Setting up postroad" in told
    assert "title" not in told
    assert "\x1b" not in told
    until_another_runs(alice, before[0])  # for whom the liar is no reason
    assert node_of(bora) == before[1]
    reinstall(system)
    until_another_runs(bora, before[1])


def test_an_expired_password_neither_keeps_a_node_back_nor_leaves_it_behind(
    system: Booted, alice: Resident, bora: Resident
) -> None:
    before = node_of(alice)
    system.root("chage", "--lastday", "0", alice.name)  # she has to choose another
    try:
        reinstall(system)
        until_another_runs(alice, before)
        system.apt("remove", "postroad")
        assert node_of(alice) == node_of(bora) == 0
    finally:
        system.root("chage", "--lastday", "-1", alice.name)
        system.install(PACKAGE)
    until_another_runs(alice, 0)
    until_another_runs(bora, 0)


def test_who_ran_before_a_removal_runs_again_with_the_package_and_nobody_else(
    system: Booted, alice: Resident, bora: Resident
) -> None:
    bora.systemctl("stop", "postroad.socket", "postroad.service")
    system.apt("remove", "postroad")
    system.install(PACKAGE)
    until_another_runs(alice, 0)
    assert node_of(bora) == 0
    bora.systemctl("start", "postroad.socket", "postroad.service")
    alice.send(bora, "after a removal")
    bora.expect("after a removal")


def test_a_removal_that_was_broken_off_ends_with_the_nodes_running(
    system: Booted, alice: Resident, bora: Resident
) -> None:
    """As when dpkg is killed behind our prerm, or another package forbids the removal."""
    script = "/var/lib/dpkg/info/postroad.prerm"
    kept = system.root("cat", script).stdout
    system.write(script, f"{kept}\nkill -KILL $PPID\n".encode(), mode=0o755)
    assert system.root("dpkg", "--remove", "postroad", check=False).returncode != 0
    assert node_of(alice) == 0
    system.write(script, kept.encode(), mode=0o755)
    system.root("dpkg", "--configure", "--pending")
    system.apt("install", f"/packages/{PACKAGE.name}")
    until_another_runs(alice, 0)
    until_another_runs(bora, 0)
    assert system.root("dpkg", "--audit").stdout == ""


def test_another_python_of_the_systems_is_taken_by_the_nodes_that_run(
    system: Booted, alice: Resident
) -> None:
    """Its package goes, and with it what is loaded late, like the character sets of letters."""
    before = node_of(alice)
    script = "/usr/share/python3/runtime.d/postroad.rtupdate"
    system.root(script, "rtupdate", "python3.11", "python3.13")
    until_another_runs(alice, before)
    own = system.user(alice.name, "postroad", "--version").stdout.split()[-1]
    until_runs(own, alice)
