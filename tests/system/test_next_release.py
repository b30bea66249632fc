"""The next release is installed above this one: another program, which has to change each store.

See tests/next_release.py for what it brings. Nothing goes back from it, and what follows has it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import next_release
from booted import Booted
from system.conftest import PACKAGE
from system.people import SERVICE, Resident, a_letter_in_two_halves, letters_passing
from system.test_downgraded import installed
from system.test_removed import start
from system.test_upgraded import until_runs
from whole_system import Done

POLICY = "/etc/postroad/policy.toml"
SITE = "/usr/lib/postroad/site"
ROWS = 400_000  # which the migration rewrites, in some seconds
KILLED_AT = (2_000_000, 6_000_000, 10_000_000)  # octets that it has written down
# The change of the store is killed three times.
EXPECTED = re.compile(
    r"Main process exited, code=killed, status=9/KILL|Failed with result 'signal'"
    r"|Failed to start postroad\.service"
)
# Each compiled module that has no source, or another one than that from which it was compiled.
STALE = """
import importlib.util, pathlib, struct, sys
for compiled in pathlib.Path(sys.argv[1]).rglob("*.pyc"):
    source = pathlib.Path(importlib.util.source_from_cache(compiled))
    head = compiled.read_bytes()[:16]
    known = struct.unpack("<4sIII", head) if len(head) == 16 else (b"", 0, 0, 0)
    now = source.stat() if source.exists() else None
    if now is None or known[1:] != (0, int(now.st_mtime), now.st_size):
        print(compiled)
"""


def test_mail_is_there_again_when_the_package_comes_back(
    system: Booted, alice: Resident, bora: Resident
) -> None:
    """It was purged before; what people have kept is still theirs. And Alice has written for years:
    much has to be rewritten of hers. The administrator has a policy."""
    for person in (alice, bora):
        person.systemctl("stop", "postroad.socket", SERVICE, check=False)
    grown = alice.begin_with_store("grow", rows=ROWS)()
    assert (grown["format"], grown["rows"]) == (next_release.FORMAT - 1, ROWS)
    system.install(PACKAGE)
    system.write(POLICY, f"{system.root('cat', POLICY).stdout}lan = false\n".encode())
    start(alice, bora)
    alice.send(bora, "after a purge")
    bora.expect("after a purge")


def test_whoever_has_changed_the_policy_is_asked_and_meanwhile_mail_flows(
    system: Booted, alice: Resident, bora: Resident, newer: Path
) -> None:
    """dpkg asks where nobody answers, and leaves the package half installed: the files are those of
    the next release, and the nodes still those that were begun before."""
    processes = alice.process(), bora.process()
    with letters_passing(alice, bora):
        asked = install(system, newer)
    assert asked.returncode != 0
    assert f"Configuration file '{POLICY}'" in asked.stdout + asked.stderr
    assert installed(system) != f"{next_release.VERSION} installed"
    assert (alice.process(), bora.process()) == processes
    assert alice.postroad("status")["address"] == alice.address
    alice.send(bora, "by a node whose files are gone")
    bora.expect("by a node whose files are gone")


def test_letters_pass_while_the_change_of_a_store_is_killed_again_and_again(
    system: Booted, alice: Resident, bora: Resident
) -> None:
    """The upgrade goes on, and whoever keeps their own policy says so by dpkg's own option."""
    killing = alice.begin_with_store("interrupt", sizes=KILLED_AT)
    with (
        letters_passing(alice, bora),
        a_letter_in_two_halves(bora, alice),
    ):
        system.root("dpkg", "--configure", "--force-confold", "postroad", seconds=180)
        for found in killing()["found"]:
            expect_untouched(found)
        until_runs(next_release.VERSION, alice, bora)
    assert installed(system) == f"{next_release.VERSION} installed"
    whole = alice.begin_with_store("look")()
    assert (whole["format"], whole["whole"]) == (next_release.FORMAT, True)
    assert whole["rows"] == whole["rewritten"] == whole["counted"] == ROWS
    assert bora.begin_with_store("look")()["format"] == next_release.FORMAT


def install(system: Booted, package: Path) -> Done:
    """By apt, with nobody who could answer a question."""
    system.outside("install", "-D", "--mode=644", package, "-t", system.tree / "packages")
    silent = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y")
    return system.root(*silent, "install", f"/packages/{package.name}", seconds=180, check=False)


def expect_untouched(found: dict[str, Any]) -> None:
    assert found["whole"]
    assert not found["begun"]
    assert (found["format"], found["rows"]) == (next_release.FORMAT - 1, ROWS)


def test_the_policy_stays_that_of_the_administrator_and_the_new_one_lies_beside(
    system: Booted, alice: Resident, bora: Resident
) -> None:
    """Who then takes the new one has said nothing of their own."""
    kept, beside = (system.root("cat", path).stdout for path in (POLICY, f"{POLICY}.dpkg-dist"))
    assert kept.endswith("lan = false\n")
    assert next_release.KEY not in kept
    assert f"# {next_release.KEY} = true\n" in beside
    bound = {one["key"]: one["value"] for one in alice.postroad("policy")["settings"]}
    assert bound["lan"] is False
    system.root("mv", f"{POLICY}.dpkg-dist", POLICY)
    for person in (alice, bora):
        person.systemctl("restart", SERVICE)
    assert alice.postroad("policy")["policy"] is None


def test_systemd_has_the_new_unit_and_the_node_runs_by_it(alice: Resident, bora: Resident) -> None:
    for person in (alice, bora):
        assert person.shown("RestartUSec") == next_release.PAUSE
        assert person.shown("NeedDaemonReload") == "no"


def test_a_sandbox_of_before_is_told_and_a_restart_by_postroad_lays_the_new_one(
    alice: Resident,
) -> None:
    """It is a file of its owner's, made for their folders after a trial: no package changes it."""
    assert next_release.CLOSED not in alice.shown("InaccessiblePaths")
    assert "not the one of this version" in said_by_doctor(alice)
    assert alice.postroad("service", "restart")["laid_anew"] is True
    assert next_release.CLOSED in alice.shown("InaccessiblePaths")
    assert "The sandbox is on, and holds." in said_by_doctor(alice)
    assert alice.is_in_its_sandbox()


def said_by_doctor(person: Resident) -> str:
    told = json.loads(person.type("postroad", "doctor", "--json", check=False).stdout)
    return " ".join(one["summary"] for one in told["findings"] if one["about"] == "sandbox")


def test_nothing_compiled_of_this_release_is_left(system: Booted) -> None:
    assert system.root("/usr/bin/python3", "-IS", "-c", STALE, SITE).stdout == ""
    name = Path(next_release.GONE).stem
    search = ("find", SITE, "/usr/bin", "-name", f"{name}.*")
    assert system.root(*search).stdout == ""
    compiled = ("find", SITE, "-path", f"*/__pycache__/{Path(next_release.NEW).stem}.*.pyc")
    assert len(system.root(*compiled).stdout.splitlines()) == 1


def test_a_key_that_is_new_may_be_written_and_this_release_would_say_that_it_knows_none(
    alice: Resident,
) -> None:
    alice.configure(**{next_release.KEY: "no"})
    wrong = alice.type("postroad", "config", "check", check=False)
    assert f"{next_release.KEY} = 'no'" in wrong.stdout + wrong.stderr
    alice.configure(**{next_release.KEY: None})
    assert alice.type("postroad", "config", "check").returncode == 0
