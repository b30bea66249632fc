"""A metered connection and a battery reach the service in its sandbox, and it acts by them.

The connection is told by a service of that name on the system's own bus, the battery by files in
the place of the kernel's and by its news.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from booted import Booted
from person import until
from system.people import SERVICE, Resident

INSIDE = Path(__file__).parent / "inside"
YES, NO, GUESS_YES = 1, 2, 3  # NMMetered
POLICY = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <policy user="root"><allow own="org.freedesktop.NetworkManager"/></policy>
  <policy context="default"><allow send_destination="org.freedesktop.NetworkManager"/></policy>
</busconfig>
"""
# With the user's manager the bus ends, too, and may be first.
EXPECTED = re.compile(r"The session bus has gone")
SPARES = "This relay spares its battery or its connection just now."
SUPPLIES = "/sys/class/power_supply"


@pytest.fixture(scope="module")
def relay(alice: Resident) -> Iterator[Resident]:
    """Alice, whose node is a relay for anybody."""
    alice.configure(relay="anybody")
    alice.systemctl("restart", SERVICE)
    yield alice
    alice.configure(relay=None)
    alice.systemctl("restart", SERVICE)


AS_A_GUEST = """
import asyncio, sys
import relay_client

async def come() -> None:
    async with relay_client.connected(int(sys.argv[1])) as client:
        print(await client.hello(relay_client.keys(1)[0]))

asyncio.run(come())
"""


def told_as_a_guest(person: Resident) -> str:
    """What their relay says to somebody whom it does not know."""
    listening = person.system.root("ss", "-Htlnp").stdout.splitlines()
    mine = [line.split()[3] for line in listening if f"pid={person.process()}," in line]
    doors = {person.smtp_port, person.imap_port, person.pop3_port}
    ports = {int(at.rpartition(":")[2]) for at in mine} - doors
    (port,) = ports
    return person.booted.on_its_network(sys.executable, "-c", AS_A_GUEST, str(port)).stdout


def last_word(person: Resident) -> str:
    """What the node found last, by its journal."""
    since = f"_PID={person.process()}"
    told = person.system.journal(
        f"_SYSTEMD_USER_UNIT={SERVICE}", since, "--output=cat"
    ).splitlines()
    found = [line for line in told if "what the node lives on is another one" in line]
    return found[-1] if found else ""


def test_a_metered_connection_is_heard_of_on_the_system_bus(
    system: Booted, relay: Resident, bora: Resident
) -> None:
    alice = relay
    system.write("/etc/dbus-1/system.d/network-manager-of-a-test.conf", POLICY.encode())
    system.root("systemctl", "reload", "dbus")
    script = INSIDE / "network_manager.py"
    system.write(f"/opt/{script.name}", script.read_bytes())
    manager = system.begin("root", "python3", f"/opt/{script.name}")
    assert manager.stdin is not None
    assert manager.stdout is not None
    try:
        assert manager.stdout.readline() == "there\n"
        alice.systemctl("restart", SERVICE)
        assert alice.is_in_its_sandbox()
        for value, metered in ((YES, True), (NO, False), (GUESS_YES, True)):
            manager.stdin.write(f"{value}\n")
            manager.stdin.flush()
            manager.stdout.readline()
            until(lambda: f"metered={metered}" in last_word(alice), "it was heard")  # noqa: B023
            assert (SPARES in told_as_a_guest(alice)) is metered
        alice.send(bora, "over a metered connection")
        bora.expect("over a metered connection")
        bora.send(alice, "and back")
        alice.expect("and back")
    finally:
        manager.terminate()
        manager.communicate(timeout=30)


def test_a_battery_is_seen_and_its_plug_is_heard(system: Booted, relay: Resident) -> None:
    """The files stand in the place of the kernel's; the kernel says that something changed."""
    alice, script = relay, INSIDE / "unplug.py"
    system.write(f"/opt/{script.name}", script.read_bytes())
    lay = (
        "mkdir -p /run/supplies/BAT0 /run/supplies/AC; cd /run/supplies;"
        " echo Battery > BAT0/type; echo Discharging > BAT0/status; echo Mains > AC/type;"
        " echo 1 > AC/online; mount --bind /run/supplies " + SUPPLIES
    )
    system.root("sh", "-c", lay)
    try:
        alice.systemctl("restart", SERVICE)
        assert alice.is_in_its_sandbox()
        assert "on_battery=True" not in last_word(alice)
        for online, on_battery in (("0", True), ("1", False)):
            system.root("sh", "-c", f"echo {online} > /run/supplies/AC/online")
            system.root("python3", f"/opt/{script.name}")
            until(lambda: f"on_battery={on_battery}" in last_word(alice), "it was heard")  # noqa: B023
            assert (SPARES in told_as_a_guest(alice)) is on_battery
    finally:
        system.root("umount", SUPPLIES)
        alice.systemctl("restart", SERVICE)
