"""A kernel that denies user namespaces, as Ubuntu 24.04 may: the service starts, mail flows."""

from collections.abc import Iterator

import pytest

from booted import IN_A_USER_NAMESPACE, Booted
from system.people import Resident


@pytest.fixture(scope="module")
def denying(system: Booted, alice: Resident, bora: Resident) -> Iterator[Booted]:
    """The same system, with the same people, on such a kernel."""
    system.power_off()
    system.boot(IN_A_USER_NAMESPACE)
    system.deny_user_namespaces()
    yield system
    system.power_off()
    system.boot()
    for person in (alice, bora):
        person.postroad("service", "enable")
        assert is_in_its_sandbox(person)


def test_user_namespaces_are_denied_indeed(denying: Booted) -> None:
    denied = denying.user("alice", "unshare", "--user", "true", check=False)
    assert "No space left on device" in denied.stderr


def test_the_service_starts_and_mail_flows(
    denying: Booted, alice: Resident, bora: Resident
) -> None:
    for person in (alice, bora):
        told = person.postroad("service", "enable")  # setup does the same
        assert "user namespaces" in told["sandbox_reason"]
        assert told["sandbox"] is False
        assert person.shown("ActiveState") == "active"
        assert not is_in_its_sandbox(person)
    alice.send(bora, "with no namespaces")
    bora.expect("with no namespaces")
    bora.send(alice, "with no namespaces back")
    alice.expect("with no namespaces back")


def is_in_its_sandbox(person: Resident) -> bool:
    """As the kernel has it."""
    return person.system.root("cat", f"/proc/{person.process()}/uid_map").stdout.split()[2] == "1"
