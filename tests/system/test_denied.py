"""A kernel that denies user namespaces, as Ubuntu 24.04 may: the service starts, mail flows."""

from collections.abc import Iterator

import pytest

from booted import IN_A_USER_NAMESPACE, Booted
from system.people import SERVICE, Resident


@pytest.fixture(scope="module")
def denying(system: Booted, alice: Resident, bora: Resident) -> Iterator[Booted]:
    """The same system, with the same people, on such a kernel."""
    system.power_off()
    system.boot(IN_A_USER_NAMESPACE)
    system.deny_user_namespaces()
    yield system
    system.power_off()
    system.boot()


def test_user_namespaces_are_denied_indeed(denying: Booted) -> None:
    denied = denying.user("alice", "unshare", "--user", "true", check=False)
    assert "No space left on device" in denied.stderr


def test_the_service_starts_and_mail_flows(
    denying: Booted, alice: Resident, bora: Resident
) -> None:
    for person in (alice, bora):
        person.systemctl("restart", SERVICE)
        assert person.shown("ActiveState") == "active"
    alice.send(bora, "with no namespaces")
    bora.expect("with no namespaces")
    bora.send(alice, "with no namespaces back")
    alice.expect("with no namespaces back")
