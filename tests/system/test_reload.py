"""A changed configuration reaches the service in its sandbox, and nobody is disconnected for it."""

import re

from person import until
from system.people import SERVICE, Resident

# A mistake in the configuration.
EXPECTED = re.compile(
    r"the configuration was not taken over|Control process exited, .*status=1/FAILURE"
    r"|Reload failed for"
)


def test_a_reload_takes_over_a_change_and_a_mail_program_stays(alice: Resident) -> None:
    assert alice.greeting(alice.imap_port).startswith("* OK ")
    before = alice.process()
    alice.configure(strangers="refuse")
    told = alice.mail("stay_through", command=["systemctl", "--user", "reload", SERVICE])
    assert told["status"] == 0, told
    assert told["still_there"] == ["OK", "OK"]  # a NOOP at the IMAP door, and at the SMTP door
    assert alice.process() == before
    assert alice.postroad("policy")["settings"]
    assert "configuration read; changed: strangers" in alice.system.journal(
        f"_SYSTEMD_USER_UNIT={SERVICE}", f"_PID={before}"
    )
    alice.configure(strangers="requests")
    assert alice.postroad("config", "reload")["changed"] == ["strangers"]


def test_a_reload_with_a_mistake_fails_and_says_so_and_the_service_goes_on(alice: Resident) -> None:
    before = alice.process()
    alice.configure(strangers="perhaps")
    told = alice.mail("stay_through", command=["systemctl", "--user", "reload", SERVICE])
    assert told["status"] != 0
    assert told["still_there"] == ["OK", "OK"]
    assert alice.process() == before
    assert alice.shown("ActiveState") == "active"
    mistaken = "Your configuration has a mistake"
    until(lambda: mistaken in alice.shown("StatusText"), "systemd shows it")
    # Nothing is stopped for a configuration that the next start could not read.
    refused = alice.type("postroad", "service", "restart", check=False)
    assert refused.returncode == 1
    assert "strangers" in refused.stderr
    assert alice.process() == before
    alice.configure(strangers="requests")
    alice.systemctl("reload", SERVICE)
    until(lambda: mistaken not in alice.shown("StatusText"), "systemd shows that it is over")
