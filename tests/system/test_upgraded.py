"""Another version is installed above one that runs: then that runs, and nothing is lost."""

import re
from pathlib import Path

import pytest

from booted import Booted
from person import until
from postroad.contract import BUS_NAME, MANAGER_INTERFACE, ROOT_PATH
from system.conftest import PACKAGE
from system.packages import OLDER, other_version
from system.people import SERVICE, Figure, Resident, a_letter_in_two_halves, letters_passing

# All processes of the service are killed while it is reloaded.
EXPECTED = re.compile(
    r"(Main|Control) process exited, code=killed, status=9/KILL|Failed with result 'signal'"
)


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """N-1, which reads the same stores."""
    return other_version(PACKAGE, OLDER, tmp_path_factory.mktemp("versions"))


def runs(person: Resident) -> str:
    """The version of the node that runs, as it says on the bus."""
    ask = ("busctl", "--user", "get-property", BUS_NAME, ROOT_PATH, MANAGER_INTERFACE, "Version")
    return person.type(*ask, check=False).stdout.strip().removeprefix("s ").strip('"')


def until_runs(version: str, *people: Resident) -> None:
    until(lambda: all(runs(person) == version for person in people), f"{version} runs")


def test_what_runs_is_started_anew_as_the_version_that_is_installed(
    system: Booted, alice: Resident, bora: Resident, older: Path, figure: Figure
) -> None:
    before = {person.name: person.process() for person in (alice, bora)}
    now = runs(alice)
    for package, version in ((older, OLDER), (PACKAGE, now)):
        figure(f"to install {version} above another", system.install(package))
        for person in (alice, bora):
            until_runs(version, person)
            assert person.process() not in (0, before[person.name])
            before[person.name] = person.process()


def test_an_upgrade_while_letters_pass_loses_none_and_doubles_none(
    system: Booted, alice: Resident, bora: Resident, older: Path
) -> None:
    system.install(older)
    with letters_passing(alice, bora):
        for package in (PACKAGE, older, PACKAGE):
            system.install(package)


def test_an_upgrade_in_the_midst_of_a_letter_leaves_it_with_its_sender(
    system: Booted, alice: Resident, bora: Resident, older: Path
) -> None:
    """A mail program that was told nothing keeps the letter in its outbox, and sends it again."""
    with a_letter_in_two_halves(alice, bora):
        system.install(older)
        until_runs(OLDER, alice)
    system.install(PACKAGE)


def test_whoever_holds_their_node_or_their_service_manager_holds_nobody_else_up(
    system: Booted, alice: Resident, bora: Resident
) -> None:
    endless = "[Service]\nExecStop=/bin/sleep infinity\nTimeoutStopSec=infinity\n"
    with alice.drop_in("stubborn", endless):
        manager = system.root("systemctl", "show", "--value", "--property=MainPID", "user@1001")
        system.root("kill", "-STOP", manager.stdout.strip())
        try:
            before = alice.process()
            system.apt("install", "--reinstall", f"/packages/{PACKAGE.name}")
        finally:
            system.root("kill", "-CONT", manager.stdout.strip())
        alice.systemctl("kill", "--signal=KILL", "--kill-whom=all", SERVICE)
    until(lambda: alice.process() not in (0, before), "her node is another process")
    alice.send(bora, "after a stubborn upgrade")
    bora.expect("after a stubborn upgrade")


def test_what_the_administrator_wrote_into_the_policy_stays(
    system: Booted, alice: Resident, older: Path
) -> None:
    path = "/etc/postroad/policy.toml"
    brought = system.root("cat", path).stdout
    assert all(line.startswith("#") for line in brought.splitlines() if line)
    assert alice.postroad("policy")["policy"] is None
    system.write(path, f"{brought}lan = false\n".encode())
    system.install(older)
    system.install(PACKAGE)
    assert system.root("cat", path).stdout == f"{brought}lan = false\n"
    bound = {one["key"]: one["value"] for one in alice.postroad("policy")["settings"]}
    assert bound["lan"] is False
    system.write(path, brought.encode())
