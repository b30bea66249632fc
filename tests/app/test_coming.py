"""A node that is on its way up, as after a login: it is waited for a moment, and never called off.

A program that answers so is called systemctl; tests/system have the real one.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import answer_check
from app.answering import node_that_says, set_up, typed
from postroad.app import asking
from postroad.app.asking import Going, NotThere, Starting

SECONDS_MAX = 20.0
SHOWN = "printf '%s\\n' FragmentPath={} ActiveState={} Job={} Result={} StatusText="
UNIT = "/usr/lib/systemd/user/postroad.service"
ACTIVATING = SHOWN.format(UNIT, "activating", 19, "success")
WAITS_FOR_ITS_TURN = SHOWN.format(UNIT, "inactive", 19, "success")
GOING = SHOWN.format(UNIT, "deactivating", 19, "success")
OFF = SHOWN.format(UNIT, "inactive", "", "success")
FAILED = SHOWN.format(UNIT, "failed", "", "exit-code")
FAILS_AGAIN_AND_AGAIN = SHOWN.format(UNIT, "activating", "", "exit-code")
EMPTY_QUEUE = b'{"ok": true, "queue": []}\n'


@pytest.fixture
def usual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The usual configuration, of somebody who is set up and has a systemd."""
    with set_up() as config:
        folder = config.parent / "postroad"
        folder.mkdir()
        path = folder / "config.toml"
        path.write_bytes(config.read_bytes().replace(b"/run", b"/postroad/run"))
        (folder / "run").mkdir()
        (tmp_path / "systemd").mkdir()
        (tmp_path / "systemd" / "private").touch()
        unit = config.parent / "systemd" / "user" / "postroad.service"
        unit.parent.mkdir(parents=True)
        unit.touch()
        monkeypatch.setenv("XDG_CONFIG_HOME", str(config.parent))
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        yield path


@pytest.fixture
def systemd_says(tmp_path: Path) -> Callable[..., Path]:
    """systemctl says these, one after the other, and then always the last; the file that is there
    once it was asked."""
    program, asked = tmp_path / "systemctl", tmp_path / "asked"

    def says(*answers: str) -> Path:
        cases = "".join(f"{at}) {one} ;;\n" for at, one in enumerate(answers[:-1], 1))
        count = f'echo >> "{asked}"; case $(wc -l < "{asked}") in\n'
        program.write_text(f"#!/bin/sh\n{count}{cases}*) {answers[-1]} ;;\nesac\n")
        program.chmod(0o700)
        return asked

    return says


def error(config: Path, *words: str) -> tuple[int, str]:
    done = typed(config, *words, "--json")
    return done.exit_code, json.loads(done.stdout)["error"]


@pytest.mark.parametrize("state", [ACTIVATING, WAITS_FOR_ITS_TURN])
def test_a_node_that_systemd_starts_is_waited_for(
    usual: Path, systemd_says: Callable[..., Path], state: str
) -> None:
    asked = systemd_says(state)

    with ExitStack() as cleanup:

        def come() -> None:
            ends = time.monotonic() + SECONDS_MAX
            while not asked.exists() and time.monotonic() < ends:
                time.sleep(0.01)
            cleanup.enter_context(node_that_says(usual, EMPTY_QUEUE))

        coming = threading.Thread(target=come)
        coming.start()
        done = typed(usual, "queue", "--json")
        coming.join(SECONDS_MAX)
    assert (done.exit_code, json.loads(done.stdout)["queue"]) == (0, [])


def test_one_that_is_started_anew_is_waited_for_while_it_ends(
    usual: Path, systemd_says: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(asking.PATIENCE_SECONDS, Going, SECONDS_MAX)
    monkeypatch.setitem(asking.PATIENCE_SECONDS, Starting, 0.0)
    systemd_says(GOING, WAITS_FOR_ITS_TURN)
    assert error(usual, "queue")[1].startswith("Your node is starting")


def test_one_that_ends_for_good_is_off_as_soon_as_systemd_says_so(
    usual: Path, systemd_says: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(asking.PATIENCE_SECONDS, Going, SECONDS_MAX)
    asked = systemd_says(GOING, OFF)
    code, said = error(usual, "queue")
    assert (code, said) == (3, "Your node is not running. Start it with: postroad service restart")
    assert asked.read_text() == "\n\n"  # twice
    monkeypatch.setitem(asking.PATIENCE_SECONDS, Going, 0.3)
    systemd_says(GOING)
    assert error(usual, "queue") == (code, said)


@pytest.mark.parametrize("words", [("queue",), ("contacts",), ("bundle", "write", "letters")])
def test_one_that_does_not_come_in_time_is_said_to_be_starting(
    usual: Path,
    systemd_says: Callable[..., Path],
    words: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(usual.parent)
    systemd_says(ACTIVATING)
    monkeypatch.setitem(asking.PATIENCE_SECONDS, Starting, 0.3)
    code, said = error(usual, *words)
    assert code == 3
    assert said.startswith("Your node is starting, and does not answer yet. Try again in a moment")
    assert "restart" not in said
    assert not (usual.parent / "letters").exists()


def test_one_that_fails_meanwhile_is_waited_for_no_longer(
    usual: Path, systemd_says: Callable[..., Path]
) -> None:
    systemd_says(ACTIVATING, FAILED)
    code, said = error(usual, "queue")
    assert code == 3
    assert said == "Your node is not running. Start it with: postroad service restart"


def test_one_that_is_off_is_not_waited_for(usual: Path, systemd_says: Callable[..., Path]) -> None:
    asked = systemd_says(OFF)
    assert error(usual, "queue")[0] == 3
    assert asked.read_text() == "\n"  # once


def test_one_that_was_begun_in_another_terminal_is_waited_for(
    usual: Path, systemd_says: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd_says(OFF)
    monkeypatch.setitem(asking.PATIENCE_SECONDS, NotThere, 0.3)
    data = usual.parent.parent / "data"
    with (data / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, said = error(usual, "queue")
        assert (code, "it is starting or stopping" in said) == (1, True)
        monkeypatch.setitem(asking.PATIENCE_SECONDS, NotThere, SECONDS_MAX)
        timer = threading.Timer(0.3, lambda: fcntl.flock(lock, fcntl.LOCK_UN))
        timer.start()
        assert error(usual, "queue")[0] == 3  # it was stopping


def test_status_says_that_it_is_starting_and_waits_for_nobody(
    usual: Path, systemd_says: Callable[..., Path]
) -> None:
    systemd_says(ACTIVATING)
    done = typed(usual, "status")
    assert done.exit_code == 3
    assert done.stdout.startswith("Your node is starting.\n")
    assert "As a service of systemd it is activating.\n" in done.stdout
    assert "Your node is starting, and does not answer yet." in done.stderr
    told = json.loads(typed(usual, "status", "--json").stdout)
    assert answer_check.fault(["status"], told) == ""
    assert (told["state"], told["health"], told["problems"]) == ("starting", "ok", [])


def test_status_says_of_one_that_fails_again_and_again_that_it_is_off_and_why(
    usual: Path, systemd_says: Callable[..., Path]
) -> None:
    systemd_says(FAILS_AGAIN_AND_AGAIN)
    done = typed(usual, "status")
    assert done.exit_code == 3
    assert done.stdout.startswith("Your node is off: no letter comes or goes.\n")
    assert "As a service of systemd it is activating (exit-code).\n" in done.stdout
