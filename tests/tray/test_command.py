"""The command `postroad` beside the window: what it writes is bounded, and it ends as it likes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QObject

from postroad_tray.window.command import OUTPUT_BYTES_MAX, Command, CommandAnswer
from tray import seeing

ROOT = Path(__file__).resolve().parents[2]
# A tray of which its owner asks that it ends while the command is at work.
LEAVES = """
import sys
from pathlib import Path
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QWidget
from postroad_tray.window.command import Command

application = QApplication([])
window = QWidget()
command = Command(window, sys.argv[1])
command.run([], 60.0, lambda outcome: None)

def look():
    if Path(sys.argv[2]).exists():
        if sys.argv[3] == "stopped":
            command.stop()
        application.quit()

timer = QTimer()
timer.timeout.connect(look)
timer.start(10)
application.exec()
"""


def script(folder: Path, body: str) -> str:
    path = folder / "postroad"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o700)
    return str(path)


@pytest.mark.usefixtures("qt")
def test_of_what_it_writes_no_more_is_kept_than_an_answer_can_be(tmp_path: Path) -> None:
    parent, ended = QObject(), list[CommandAnswer]()
    command = Command(parent, script(tmp_path, "while :; do printf '%01000d' 0; done"))
    command.run([], 60.0, ended.append)
    seeing.until(lambda: bool(ended))
    assert ended == [CommandAnswer(sentence="It answered far too much, and was broken off.")]
    assert not command.is_running


@pytest.mark.usefixtures("qt")
def test_an_answer_may_be_long(tmp_path: Path) -> None:
    parent, ended = QObject(), list[CommandAnswer]()
    words = "a" * (OUTPUT_BYTES_MAX - 100)
    (tmp_path / "answer").write_text(f'{{"ok": true, "words": "{words}"}}')
    Command(parent, script(tmp_path, f"cat {tmp_path}/answer")).run([], 60.0, ended.append)
    seeing.until(lambda: bool(ended))
    assert ended == [CommandAnswer({"ok": True, "words": words})]


def left(folder: Path, body: str, how: str) -> subprocess.CompletedProcess[str]:
    """A tray whose owner ends it while the command is at work, or `stopped`."""
    words = [script(folder, body), str(folder / "begun"), how]
    folders = os.pathsep.join(str(ROOT / one) for one in ("service", "tray"))
    variables = {**os.environ, "PYTHONPATH": folders, "QT_QPA_PLATFORM": "offscreen"}
    return subprocess.run(
        [sys.executable, "-c", LEAVES, *words],
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def runs(number: Path) -> bool:
    """Whether the process of that number is there, and no mere entry of one that has ended."""
    try:
        stat = Path(f"/proc/{number.read_text().strip()}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("how", ["at work", "stopped"])
def test_when_the_tray_ends_it_is_asked_to_end_and_waited_for(tmp_path: Path, how: str) -> None:
    body = (
        f"trap 'sleep 0.3; touch {tmp_path}/tidied; exit 1' TERM\n"
        f"touch {tmp_path}/begun; while :; do sleep 0.1; done"
    )
    done = left(tmp_path, body, how)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tidied").exists()
    assert done.stderr == ""  # Qt has nothing to say of it


@pytest.mark.usefixtures("qt")
@pytest.mark.parametrize("how", ["at work", "stopped"])
def test_one_that_will_not_end_is_made_to_with_all_whom_it_has_started(
    tmp_path: Path, how: str
) -> None:
    body = (
        f"trap '' TERM\necho $$ > {tmp_path}/its\n"
        f"sleep 120 &\necho $! > {tmp_path}/child\ntouch {tmp_path}/begun\nwait\nsleep 120"
    )
    done = left(tmp_path, body, how)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert not runs(tmp_path / "its")
    seeing.until(lambda: not runs(tmp_path / "child"))  # nobody of ours waits for it


@pytest.mark.usefixtures("qt")
def test_whom_it_leaves_behind_when_it_is_stopped_ends_too(tmp_path: Path) -> None:
    child = f"sh -c 'trap \"\" TERM; echo $$ > {tmp_path}/child; while :; do sleep 0.1; done'"
    parent, ended = QObject(), list[CommandAnswer]()
    command = Command(parent, script(tmp_path, f"{child} &\nwait"))
    command.run([], 60.0, ended.append)
    seeing.until(lambda: (tmp_path / "child").exists() and runs(tmp_path / "child"))
    command.stop()
    seeing.until(lambda: not runs(tmp_path / "child"))
    assert not ended
