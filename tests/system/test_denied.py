"""A kernel that denies user namespaces, as Ubuntu 24.04 may: the service starts, mail flows.

First they are there and go while the services run, then there were none at all.
"""

import re
from collections.abc import Iterator

import pytest

from booted import IN_A_USER_NAMESPACE, Booted
from person import until
from system.people import SERVICE, Figure, Resident

# A kernel that denies user namespaces: the trial of the sandbox is how that is found out.
EXPECTED = re.compile(
    r"postroad(-trial)?\.service: (Failed|Main process exited)"
    r"|Failed to start postroad(-trial)?\.service|This system denies the sandbox now"
)


@pytest.fixture(scope="module")
def giving(system: Booted, alice: Resident, bora: Resident) -> Iterator[Booted]:
    """The same system, with the same people, on a kernel that gives them until it does not."""
    system.power_off()
    system.boot(IN_A_USER_NAMESPACE)
    yield system
    system.power_off()
    system.boot()
    # Whoever did not ask for it has it again with the next boot.
    assert bora.greeting(bora.imap_port).startswith("* OK ")
    assert bora.is_in_its_sandbox()
    assert "sandbox" not in bora.problems()
    alice.postroad("service", "enable")
    assert alice.is_in_its_sandbox()


@pytest.fixture(scope="module")
def denying(giving: Booted, alice: Resident, bora: Resident) -> Booted:
    for person in (alice, bora):
        assert person.greeting(person.imap_port).startswith("* OK ")
        assert person.is_in_its_sandbox()
    giving.deny_user_namespaces()
    return giving


def test_user_namespaces_are_denied_indeed(denying: Booted) -> None:
    denied = denying.user("alice", "unshare", "--user", "true", check=False)
    assert "No space left on device" in denied.stderr


def test_a_service_that_cannot_have_its_sandbox_again_comes_up_without(
    denying: Booted, alice: Resident, bora: Resident, figure: Figure
) -> None:
    told = alice.mail("revive", signal="SIGKILL", port=alice.smtp_port)
    assert told["greeting"].startswith("220 ")
    figure("from kill -9 to a greeting, its sandbox denied", told["seconds"])
    bora.systemctl("stop", SERVICE)
    assert bora.greeting(bora.imap_port).startswith("* OK ")  # the first connect
    for person in (alice, bora):
        assert not person.is_in_its_sandbox()
        assert person.postroad("service", "status")["sandbox"] is False
        assert "This system denies the sandbox now (user namespaces)" in person.said_of_leaving()
        assert "sandbox" in person.problems()
        until(lambda: "its sandbox" in person.shown("StatusText"), "it is shown")  # noqa: B023
    alice.send(bora, "with the sandbox gone")
    bora.expect("with the sandbox gone")
    bora.systemctl("restart", SERVICE)  # from now on nothing fails any more
    assert bora.shown("NRestarts") == "0"


def test_the_service_starts_and_mail_flows(
    denying: Booted, alice: Resident, bora: Resident
) -> None:
    told = alice.postroad("service", "enable")  # setup does the same
    assert "user namespaces" in told["sandbox_reason"]
    assert told["sandbox"] is False
    assert alice.shown("ActiveState") == "active"
    assert not alice.is_in_its_sandbox()
    assert "sandbox" not in alice.problems()  # its owner was told, and wanted it so
    alice.send(bora, "with no namespaces")
    bora.expect("with no namespaces")
    bora.send(alice, "with no namespaces back")
    alice.expect("with no namespaces back")
