"""The computer is switched off, in order or by its plug, and on again with nobody logged in."""

import re

import pytest

from booted import Booted
from person import until
from system.people import Resident

# With the user's manager the bus ends, too, and may be first.
EXPECTED = re.compile(r"The session bus (has gone|is not there)")


@pytest.mark.parametrize("how", ["in order", "by the plug"])
def test_a_reboot_brings_the_service_back_with_its_mail(
    system: Booted, alice: Resident, bora: Resident, how: str
) -> None:
    alice.send(bora, f"before a reboot {how}")
    bora.expect(f"before a reboot {how}")
    bora.systemctl("stop", "postroad.socket", "postroad.service")
    alice.send(bora, f"waits through a reboot {how}")
    if how == "by the plug":
        system.cut_power()
    else:
        system.power_off()
    system.boot()
    # Whoever logs in at once is quicker than their node.
    assert isinstance(alice.postroad("queue")["queue"], list)
    # Bora has not logged in: her service runs because it lingers.
    until(lambda: len(running(system)) == 2, "both services run")
    bora.expect(f"before a reboot {how}", f"waits through a reboot {how}")


def running(system: Booted) -> list[str]:
    asked = ("pgrep", "--uid", "alice,bora", "--full", "postroad run")
    return system.root(*asked, check=False).stdout.split()
