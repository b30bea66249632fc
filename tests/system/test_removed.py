"""The package goes again: what ran is stopped, and only what belongs to people stays."""

from booted import Booted
from system.people import Resident


def test_an_installation_above_it_restarts_the_service(
    system: Booted, alice: Resident, bora: Resident
) -> None:
    before = {person.name: person.process() for person in (alice, bora)}
    assert all(before.values())
    package = system.root("sh", "-c", "echo /packages/*.deb").stdout.strip()
    system.apt("install", "--reinstall", package)
    for person in (alice, bora):
        assert person.process() not in (0, before[person.name])
    alice.send(bora, "after an installation")
    bora.expect("after an installation")


def test_a_purge_stops_everything_and_leaves_only_what_is_peoples_own(
    system: Booted, alice: Resident, bora: Resident
) -> None:
    system.apt("purge", "postroad")
    assert system.root("pgrep", "-f", "postroad", check=False).stdout == ""
    search = "find / -xdev -iname '*postroad*' -not -path '/proc/*' -not -path '/packages/*'"
    left = system.root("sh", "-c", f"{search} || true").stdout.split()
    homes = ("/home/alice/", "/home/bora/")
    assert [path for path in left if not path.startswith(homes)] == []
    assert "/home/alice/.local/share/postroad" in left
    for person in (alice, bora):
        assert person.type("test", "-s", ".local/share/postroad/keys").returncode == 0
