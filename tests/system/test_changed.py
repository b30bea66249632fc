"""Ports and folders are others now: the units are laid for them, and what stays is not let go."""

import re

from booted import Booted
from person import until
from system.people import SERVICE, Resident

# A port was changed, and `service restart` begins the socket anew; a folder was moved away; a node
# in a terminal has the folder, the ports and the name on the bus of a service that then starts.
EXPECTED = re.compile(
    r"Socket unit configuration has changed while unit has been running"
    r"|cannot start yet: The sandbox of the service is closed|cannot start yet: Another Postroad"
    r"|Address already in use|Failed with result 'resources'|Failed to listen on postroad\.socket"
    r"|Another program has the name"
)


def test_nobody_takes_a_port_while_the_units_are_laid_anew(alice: Resident, bora: Resident) -> None:
    with bora.trying_to_take([alice.smtp_port, alice.imap_port, alice.pop3_port]):
        for _ in range(5):
            alice.postroad("service", "enable")
    assert alice.greeting(alice.imap_port).startswith("* OK ")


def test_a_port_that_was_changed_is_laid_by_the_restart_that_is_advised(alice: Resident) -> None:
    usual = alice.pop3_port
    alice.configure(pop3_port=usual + 1000)
    assert alice.postroad("service", "restart")["laid_anew"] is True
    assert alice.greeting(usual + 1000).startswith("+OK ")
    assert usual + 1000 in alice.postroad("service", "status")["ports"]
    assert usual not in alice.postroad("service", "status")["ports"]
    assert alice.postroad("service", "restart")["laid_anew"] is False
    alice.configure(pop3_port=usual)
    assert alice.postroad("service", "restart")["laid_anew"] is True
    assert alice.greeting(usual).startswith("+OK ")


def test_a_folder_that_was_moved_is_said_to_be_closed_and_opened_by_a_restart(
    alice: Resident, bora: Resident
) -> None:
    """Also one with a name that systemd reads otherwise than we do."""
    usual, other = "/home/alice/.local/share/postroad", "/home/alice/my mail, 100% mine"
    alice.systemctl("stop", SERVICE)
    alice.type("mv", usual, other)
    alice.configure(data=other, runtime="/run/user/1000/other place")
    alice.systemctl("start", SERVICE)
    assert alice.shown("ActiveState") == "active"
    assert "is closed for" in alice.shown("StatusText")
    assert "postroad service enable" in alice.shown("StatusText")
    assert "is closed for" in alice.greeting(alice.imap_port)
    assert alice.postroad("service", "restart")["laid_anew"] is True
    assert alice.postroad("service", "status")["sandbox"] is True
    bora.send(alice, "to another folder")
    alice.expect("to another folder")
    inside = alice.system.root("ls", "-A", f"/proc/{alice.process()}/root/home/alice").stdout
    assert set(inside.splitlines()) <= {".config", ".local", "my mail, 100% mine"}
    alice.systemctl("stop", SERVICE)
    alice.type("mv", other, usual)
    alice.configure(data=None, runtime=None)
    assert alice.postroad("service", "restart")["laid_anew"] is True
    alice.expect("to another folder")


def test_a_folder_that_is_not_there_is_no_start_that_fails_for_ever(alice: Resident) -> None:
    """As on a disk that is not plugged in."""
    usual, away = "/home/alice/.local/share/postroad", "/home/alice/away"
    alice.systemctl("stop", SERVICE)
    alice.type("mv", usual, away)
    alice.systemctl("start", SERVICE)
    assert alice.shown("ActiveState") == "active"
    assert alice.shown("NRestarts") == "0"
    assert alice.greeting(alice.smtp_port).startswith("421 ")
    alice.systemctl("stop", SERVICE)
    alice.type("rm", "-rf", usual)
    alice.type("mv", away, usual)
    alice.systemctl("start", SERVICE)
    assert alice.greeting(alice.smtp_port).startswith("220 ")
    assert alice.postroad("service", "status")["sandbox"] is True


def test_a_service_that_waits_takes_nothing_of_a_node_in_a_terminal_along(
    system: Booted, bora: Resident
) -> None:
    bora.systemctl("stop", "postroad.socket", SERVICE)
    by_hand = system.begin(bora.name, "postroad", "run")
    try:
        until(lambda: bora.type("postroad", "status", check=False).returncode == 0, "it runs")
        bora.systemctl("start", SERVICE)
        assert "Another Postroad already runs" in bora.shown("StatusText")
        bora.systemctl("stop", SERVICE)
        assert bora.postroad("status")["address"] == bora.address
    finally:
        (process,) = bora.type("pgrep", "--uid", bora.name, "--full", "postroad run").stdout.split()
        bora.type("kill", process)
        by_hand.communicate(timeout=30)
    bora.systemctl("start", "postroad.socket", SERVICE)
    until(lambda: bora.shown("StatusText").startswith("Your node is "), "the service runs")
