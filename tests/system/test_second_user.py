"""Somebody else on the same computer gets nowhere near a mailbox that is not theirs."""

import re

import pytest

from booted import Booted
from system.people import Resident

EXPECTED = re.compile(r"closed a connection that is not the owner's")
RESTARTS = 200
RESTARTS_ELSEWHERE = 20


def test_the_door_closes_before_the_greeting(alice: Resident, bora: Resident) -> None:
    for port in (alice.smtp_port, alice.imap_port, alice.pop3_port):
        for host in ("127.0.0.1", "::1"):
            assert bora.greeting(port, host) == ""
            assert alice.greeting(port, host) != ""


def test_files_and_the_control_socket_are_closed(alice: Resident, bora: Resident) -> None:
    places = (
        *("/home/alice/.local/share/postroad/keys", "/home/alice/.local/share/postroad"),
        *("/home/alice/.config/postroad/config.toml", "/run/user/1000/postroad/control"),
    )
    for place in places:
        assert alice.type("test", "-e", place).returncode == 0
        denied = bora.type("stat", place, check=False)
        assert "Permission denied" in denied.stderr
    # Not by the folders above alone: what is in a home that was opened to others is closed, too.
    shown = alice.type("stat", "--format=%a", "/home/alice/.local/share/postroad").stdout
    assert shown.strip() == "700"


def test_the_process_tells_others_nothing(alice: Resident, bora: Resident) -> None:
    process = alice.process()
    for name in ("environ", "maps", "fd/0", "mem"):
        assert bora.type("head", "-c1", f"/proc/{process}/{name}", check=False).returncode != 0


@pytest.mark.parametrize("door", ["smtp_port", "imap_port", "pop3_port"])
def test_nobody_takes_a_port_while_the_service_is_down(
    alice: Resident, bora: Resident, door: str
) -> None:
    alice.systemctl("stop", "postroad.service")
    with bora.trying_to_take([getattr(alice, door)]):
        pass
    assert alice.greeting(getattr(alice, door)) != ""


def test_nobody_takes_a_port_while_the_service_restarts(
    system: Booted, alice: Resident, bora: Resident
) -> None:
    times = RESTARTS if system.suite == "bookworm" else RESTARTS_ELSEWHERE
    ports = [alice.smtp_port, alice.imap_port, alice.pop3_port]
    with bora.trying_to_take(ports, 20 * times):
        alice.mail("restart_often", times=times, seconds=400)
    assert alice.greeting(alice.imap_port).startswith("* OK ")
