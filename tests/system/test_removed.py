"""The package goes again: what ran is stopped, and only what belongs to people stays."""

import re

from booted import Booted
from person import until
from system.conftest import PACKAGE
from system.people import Resident

HELPER = "postroad-helper.service"
HELPERS = "/var/lib/private/postroad-helper"


def test_an_installation_above_it_restarts_the_service(
    system: Booted, alice: Resident, bora: Resident
) -> None:
    before = {person.name: person.process() for person in (alice, bora)}
    assert all(before.values())
    told = system.apt("install", "--reinstall", f"/packages/{PACKAGE.name}")
    assert not re.search("Failed to|not found|not loaded", told.stdout + told.stderr)
    for person in (alice, bora):  # apt waits for nobody's node
        until_is_another(person, before[person.name])
    alice.send(bora, "after an installation")
    bora.expect("after an installation")


def until_is_another(person: Resident, process: int) -> None:
    until(lambda: person.process() not in (0, process), "another process serves")


def test_a_removal_stops_a_helper_whose_unit_waits_for_the_program(
    system: Booted, alice: Resident, bora: Resident
) -> None:
    for person in (alice, bora):  # the helper wants the port of one of them
        person.systemctl("stop", "postroad.socket", "postroad.service")
    system.root("postroad", "helper", "enable", "--address", "127.0.0.1")
    assert system.root("systemctl", "is-active", HELPER).stdout.strip() == "active"
    system.apt("remove", "postroad")
    system.root("systemctl", "start", HELPER)  # as the next start of the computer would
    asked = ("systemctl", "show", "--value", "--property=ActiveState,ConditionResult", HELPER)
    assert set(system.root(*asked).stdout.split()) == {"inactive", "no"}
    system.install(PACKAGE)  # with which it runs again, as it did before
    until(lambda: "active" in system.root(*asked).stdout.split(), "the helper runs")
    system.root("systemctl", "stop", HELPER)
    start(alice, bora)


def start(*people: Resident) -> None:
    """What their computer does when it is switched on."""
    for person in people:
        person.systemctl("daemon-reload")
        person.systemctl("start", "postroad.socket", "postroad.service")


def test_a_purge_stops_everything_and_leaves_only_what_is_peoples_own(
    system: Booted, alice: Resident, bora: Resident
) -> None:
    told = system.apt("purge", "postroad").stdout
    for person in (alice, bora):
        for folder in (".local/share/postroad", ".config/postroad"):
            assert f"\n    /home/{person.name}/{folder}\n" in told
    assert system.root("pgrep", "-f", "postroad", check=False).stdout == ""
    search = "find / -xdev -iname '*postroad*' -not -path '/proc/*' -not -path '/packages/*'"
    left = system.root("sh", "-c", f"{search} || true").stdout.split()
    kept = ("/home/alice/", "/home/bora/", "/var/lib/postroad-helper", HELPERS)
    assert [path for path in left if not path.startswith(kept)] == []
    assert f"\n    {HELPERS}\n" in told
    assert system.root("systemctl", "cat", HELPER, check=False).returncode != 0
    wanted = "/etc/systemd/system/multi-user.target.wants"
    assert "postroad" not in system.root("ls", wanted).stdout
    assert "/home/alice/.local/share/postroad" in left
    for person in (alice, bora):
        assert person.type("test", "-s", ".local/share/postroad/keys").returncode == 0
