"""A real node under a policy: it keeps to it, notes it, and stops when it changes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import person
import weak_keys
from fakes import someone
from person import Person, until
from postroad.base.ids import Ticket
from postroad.protocol.invitation import Invitation, to_link
from service_manager import ServiceManager

# A node whose policy lies elsewhere: the place is a constant, so no setting could say it.
PROGRAM = """
import os, sys
from pathlib import Path
from postroad.app import cli, policy, policy_watch
policy.PATH = Path(sys.argv.pop(1))
policy.OWNERS = frozenset({0, os.getuid()})
policy_watch.POLICY_LOOK_SECONDS = 0.1
cli.main()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="pr-", dir=Path.home()))
    yield made
    shutil.rmtree(made)


def test_a_node_keeps_to_the_policy_notes_it_and_stops_when_it_changes(folder: Path) -> None:
    anna = Person("anna", folder, 0, 'relay = "anybody"\nhold_for = "off"\n')
    anna.set_up()
    path = folder / "policy.toml"
    path.write_text("relay = 'off'\nlink = ['tls']\n")
    command = [sys.executable, "-c", PROGRAM, str(path), "--config", str(anna.config)]
    node = subprocess.Popen(
        [*command, "run"], env=person.surroundings(), stderr=subprocess.PIPE, text=True
    )
    try:
        until(anna.answers, "the node did not start")
        started = anna.postroad("audit")["entries"][-1]
        assert started["event"] == "started"
        assert set(started["facts"]["narrowed"].split(", ")) >= {"relay"}
        assert len(started["facts"]["policy"]) == 16
        assert anna.postroad("netcheck")["relay_is_our_own"] is False
        path.write_text("relay = 'of'\n")
        assert node.wait(30) == 1
    finally:
        node.kill()
        node.wait(10)
    assert node.stderr is not None
    with node.stderr:
        said = node.stderr.read()
    assert "postroad: Your administrator changed the policy of this computer" in said
    assert "Traceback" not in said
    done = subprocess.run(
        [*command, "run"], env=person.surroundings(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "must be one of off, contacts, anybody" in done.stderr
    assert json.loads(anna.type("audit", "verify", "--json").stdout)["whole"] is True


class Ruled(Person):
    """Somebody whose computer has a policy."""

    @property
    def command(self) -> list[str]:
        policy = str(self.folder.parent / "policy.toml")
        return [sys.executable, "-c", PROGRAM, policy, "--config", str(self.config)]


def test_a_stop_is_a_stop_though_the_policy_changed_while_the_keys_were_locked(
    folder: Path,
) -> None:
    anna = Ruled("anna", folder, 0)
    path = folder / "policy.toml"
    path.write_text("relay = 'off'\n")
    anna.set_up()
    anna.type("keys", "protect", "--passphrase", stdin="five words that nobody guesses\n")
    systemd = ServiceManager(anna)
    try:
        systemd.start()
        systemd.heard("READY=1")
        assert anna.postroad("status")["locked"] is True
        path.write_text("relay = 'contacts'\n")
        systemd.stop()
        assert "cannot start yet" not in (anna.folder / "log").read_text()
    finally:
        systemd.close()


def test_no_variable_moves_the_policy(folder: Path) -> None:
    ours = {name: str(folder) for name in ("POSTROAD_POLICY", "XDG_CONFIG_DIRS", "HOME")}
    program = "from postroad.app import policy; print(policy.PATH)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **person.surroundings(), **ours},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "/etc/postroad/policy.toml\n"


def test_a_weak_key_in_a_link_is_refused_in_words_and_noted_once() -> None:
    with person.people("weak", "anna") as (anna,):
        link = to_link(
            Invitation(
                someone("ben").fingerprint,
                b"s" * 16,
                Ticket(b"t" * 16),
                2_000_000_000,
                (weak_keys.contact(weak_keys.ED25519[0]),),
            )
        )
        for _ in range(2):
            done = anna.type("accept", link)
            assert done.returncode == 1
            assert "This invitation is not valid; ask for a new one." in done.stderr
        found = [one for one in anna.postroad("audit")["entries"] if "weak" in one["event"]]
        assert [one["facts"] for one in found] == [
            {"kind": "ed25519", "key": weak_keys.ED25519[0].hex(), "bringer": "the owner"}
        ]
        assert anna.postroad("contacts")["contacts"] == []
