"""`postroad status` of a node that is off, is locked, or hangs: it answers, and wakes nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import AF_UNIX, socket

import pytest
from click.testing import Result

import answer_check
from app.answering import control, node_that_says, set_up, typed
from person import Person, meet
from postroad.app import health_cli
from postroad.protocol.health import Facts, judge

LONGEST_SECONDS = 2.0
SLOT = 61


@pytest.fixture
def config() -> Iterator[Path]:
    with set_up() as path:
        yield path


@pytest.mark.parametrize(
    ("octets", "again_after"), [(b"", None), (b'{"ok": true, "state"', None), (b"{", 0.2)]
)
def test_a_node_that_hangs_is_given_up_in_less_than_two_seconds(
    config: Path, octets: bytes, again_after: float | None
) -> None:
    with node_that_says(config, octets, again_after=again_after):
        done = typed(config, "status", "--json")
    assert done.exit_code == 1
    assert "gives no answer within 1.2 s" in json.loads(done.stdout)["error"]
    assert health_cli.WAIT_SECONDS < LONGEST_SECONDS


def test_nobody_listens_at_a_socket_whose_place_is_taken(config: Path) -> None:
    """A full backlog keeps whoever connects waiting; that is no reason to wait for ever."""
    listening = socket(AF_UNIX)
    listening.bind(str(control(config)))
    listening.listen(0)
    with listening, socket(AF_UNIX) as first:
        first.connect(str(control(config)))
        done = typed(config, "status")
    assert done.exit_code == 1
    assert "gives no answer" in done.stderr


def test_a_node_that_breaks_off_is_told_in_words(config: Path) -> None:
    with node_that_says(config, b"nonsense\n"):
        done = typed(config, "status")
    assert (done.exit_code, "gave no answer" in done.stderr) == (1, True)


def test_a_locked_node_says_what_to_type(config: Path) -> None:
    told = {"ok": True, "locked": True, **judge(Facts(locked_because="A reason.")).told()}
    with node_that_says(config, json.dumps(told).encode() + b"\n"):
        done = typed(config, "status")
    assert done.exit_code == 0
    assert done.stdout.startswith("Your node is locked: its keys wait for you.\n! ")
    assert "Open them: postroad unlock" in done.stdout


def test_a_store_that_cannot_be_read_hides_nothing_else(config: Path) -> None:
    (config.parent / "data" / "postroad.sqlite").write_bytes(b"not a database, whatever it is" * 99)
    done = typed(config, "status")
    assert done.exit_code == 3
    assert done.stdout.startswith("Your node is off: no letter comes or goes.\nThe store in ")
    assert "Start it with: postroad run" in done.stderr


@pytest.fixture
def of_the_service(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Types `status` where the configuration is the usual one, and a program that answers so is
    called systemctl; tests/system have the real one."""
    usual = tmp_path / "postroad" / "config.toml"
    usual.parent.mkdir()
    usual.write_bytes(config.read_bytes())
    (tmp_path / "systemd").mkdir()
    (tmp_path / "systemd" / "private").touch()
    program = tmp_path / "systemctl"
    for name in ("XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def type_status(script: str, *words: str) -> Result:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o700)
        return typed(usual, "status", *words)

    return type_status


SHOWN = "printf '%s\\n' FragmentPath={} ActiveState={} Result={} 'StatusText={}'"
UNIT = "/usr/lib/systemd/user/postroad.service"


@pytest.mark.parametrize(
    ("shown", "state", "says", "next_step"),
    [
        (
            ("", "inactive", "success", ""),
            "inactive",
            "It is no service of systemd; in a terminal it is started with: postroad run\n",
            "postroad service enable",
        ),
        (
            (UNIT, "inactive", "success", "stopping"),
            "inactive",
            "As a service of systemd it is inactive.\n",
            "postroad service restart",
        ),
        (
            (UNIT, "failed", "exit-code", "A reason."),
            "failed",
            "As a service of systemd it is failed (exit-code).\nIt says: A reason.\n",
            "postroad service restart",
        ),
    ],
)
def test_status_of_a_node_that_is_off_tells_what_systemd_knows(
    of_the_service: Callable[..., Result],
    shown: tuple[str, ...],
    state: str,
    says: str,
    next_step: str,
) -> None:
    script = SHOWN.format(*shown)
    done = of_the_service(script)
    assert done.exit_code == 3
    assert done.stdout.startswith("Your node is off: no letter comes or goes.\n")
    assert says in done.stdout
    assert f"Start it with: {next_step}\n" in done.stderr
    done = of_the_service(script, "--json")
    assert done.exit_code == 3
    told = json.loads(done.stdout)
    assert answer_check.fault(["status"], told) == ""
    assert told["service"]["installed"] == bool(shown[0])
    assert (told["service"]["state"], told["service"]["result"]) == (state, shown[2])
    assert [one["next_step"] for one in told["problems"]] == [f"Start it: {next_step}"]


@pytest.mark.parametrize("script", ["exec sleep 60", "exit 1", "echo nonsense >&2; exit 4"])
def test_a_systemd_that_hangs_or_fails_is_not_waited_for(
    of_the_service: Callable[..., Result], script: str
) -> None:
    done = of_the_service(script, "--json")
    assert done.exit_code == 3
    assert json.loads(done.stdout)["service"] is None
    assert health_cli.SYSTEMD_SECONDS < LONGEST_SECONDS


def test_status_of_a_node_that_is_off_tells_what_it_left_and_starts_nothing(tmp_path: Path) -> None:
    anna = Person("anna", tmp_path, SLOT, link="tls")
    anna.set_up()
    try:
        anna.start()
        anna.postroad("invite")
        anna.stop()
        done = anna.type("status", "--json")
        assert done.returncode == 3
        told = json.loads(done.stdout)
        assert "Start it with: postroad run" in told["error"]
        assert (told["state"], told["health"]) == ("offline", "broken")
        assert (told["contact_count"], told["letters_under_way"], told["holders"]) == (0, 0, 0)
        shown = anna.type("status")
        assert shown.stdout.splitlines() == [
            "Your node is off: no letter comes or goes.",
            "You have no contacts. No letters are on the way.",
        ]
        assert anna.type("queue").returncode == 3
    finally:
        anna.kill()


def test_status_of_a_node_that_was_killed_counts_its_letters(tmp_path: Path) -> None:
    anna, bora = (Person(name, tmp_path, SLOT + 1 + n, link="tls") for n, name in enumerate("ab"))
    try:
        for person in (anna, bora):
            person.set_up()
            person.start()
        meet(anna, bora)
        bora.stop()
        anna.submit(bora.address, f"From: {anna.address}\r\n\r\nHello!\r\n".encode())
        counted = anna.postroad("statistics", "--days", "1")
        assert (counted["accepted"], counted["under_way"], counted["delivered"]) == (1, 1, 0)
        assert counted["by_contact"][0]["address"] == bora.address
        anna.kill()
        told = json.loads(anna.type("status", "--json").stdout)
        assert told["letters_under_way"] == 1
        assert (told["parcels_waiting"], told["parcels_held"]) == (1, 0)
        assert "on this computer alone, until your node runs." in anna.type("status").stdout
    finally:
        anna.kill()
        bora.kill()
