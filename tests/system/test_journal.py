"""What was written into the journal in all of this: no traceback, no warning, no secret."""

import re

from booted import Booted
from system import journals
from system.people import Resident

# Ours, and expected: what the tests did on purpose, and what systemd says of it.
EXPECTED = re.compile(
    r"Watchdog timeout|Killing process \d+ .* with signal SIGKILL"
    r"|(Main|Control) process exited, code=killed"
    r"|Failed with result '(signal|watchdog)'"
    r"|closed a connection that is not the owner's"
    # A kernel that denies user namespaces: the trial of the sandbox is how that is found out.
    r"|postroad(-trial)?\.service: (Failed|Main process exited)"
    r"|Failed to start postroad(-trial)?\.service"
    r"|This system denies the sandbox now"
    # A node in a terminal has the ports, and the name on the bus, of a service that then starts.
    r"|Address already in use|Failed with result 'resources'|Failed to listen on postroad\.socket"
    r"|Another program has the name"
    # A port was changed; `service restart` begins the socket anew.
    r"|Socket unit configuration has changed while unit has been running"
    # A mistake in a configuration, a folder that was moved away, a program that crashes.
    r"|the configuration was not taken over|Reload failed for|cannot start yet: |not set up"
    r"|status=1/FAILURE|Failed with result 'exit-code'"
    # With the user's manager the bus ends, too, and may be first.
    r"|The session bus (has gone|is not there)"
)


def test_there_is_no_traceback(system: Booted) -> None:
    assert journals.tracebacks(system) == []


def test_there_is_no_warning_of_ours(system: Booted) -> None:
    assert journals.warnings_of_ours(system, EXPECTED) == []


def test_there_is_no_secret_and_no_subject(alice: Resident, bora: Resident, system: Booted) -> None:
    journal = system.journal("_SYSTEMD_USER_UNIT=postroad.service")
    for person in (alice, bora):
        assert person.password not in journal
    for subject in ("Lunch?", "before the kill", "waits through a reboot"):
        assert subject not in journal
