"""All tests at once: each worker is alone on its loopback, and none of the tests goes missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dev
import spread
from environment import Stopped

ROOT = Path(__file__).resolve().parent.parent
# Both have the port at the same time, and only then go on.
MEETING = """
import socket, time
from pathlib import Path

def test_the_port_is_mine():
    with socket.create_server(("127.0.0.1", 47999)):
        Path("{mine}").touch()
        ends = time.monotonic() + 60
        while not Path("{theirs}").exists():
            assert time.monotonic() < ends
            time.sleep(0.02)
"""
LOSING = """
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    return True if item.name == "test_lost" else None
"""
THREE = "def test_first(): pass\n\ndef test_lost(): pass\n\ndef test_last(): pass\n"


def run(folder: Path, **files: str) -> subprocess.CompletedProcess[str]:
    """What `make test` would say of these files, by two workers."""
    if not dev.may_be_alone():
        pytest.skip("no network namespace is allowed here")
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -ra\n")
    command = [sys.executable, "-m", "pytest", *dev.spread(sys.executable, 2), "."]
    ours = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=ours, capture_output=True, text=True, check=False, timeout=120
    )


def test_each_worker_is_alone_on_its_loopback(tmp_path: Path) -> None:
    names = [str(tmp_path / name) for name in "ab"]
    texts = [MEETING.format(mine=mine, theirs=them) for mine, them in (names, names[::-1])]
    done = run(tmp_path, test_a=texts[0], test_b=texts[1])
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0
    assert dev.reasons_of_skips(done.stdout.splitlines()) == {}


def test_a_test_that_nobody_came_to_is_told_and_is_no_success(tmp_path: Path) -> None:
    done = run(tmp_path, conftest=LOSING, test_three=THREE)
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    told = dev.reasons_of_skips(done.stdout.splitlines())
    assert told == {"no worker came to it": 1}


def test_what_is_skipped_is_told_with_its_reason_by_workers_too(tmp_path: Path) -> None:
    lacks = 'import pytest\n\n@pytest.mark.skip(reason="a telescope")\ndef test_far(): pass\n'
    whole = 'import pytest\n\npytest.skip("a microscope", allow_module_level=True)\n'
    done = run(tmp_path, test_near=THREE, test_far=lacks, test_small=whole)
    told = dev.reasons_of_skips(done.stdout.splitlines())
    assert told == {"a telescope": 1, "a microscope": 1}, done.stdout + done.stderr


def test_what_is_shared_stays_with_one_worker() -> None:
    assert spread.share("tests/crash/test_points.py::test_it[a::b]") == "tests/crash"
    assert spread.share("tests/app/test_node.py::Test::test_it") == "tests/app/test_node.py"


def test_the_long_ones_are_begun_first() -> None:
    files = ["tests/wires.py", "tests/app/test_cli.py", "tests/simulator/test_day.py"]
    files += ["tests/simulator/test_month.py", "tests/crash/test_kill9.py"]
    assert sorted((f"{file}::test" for file in files), key=spread.place) == [
        f"{file}::test" for file in reversed(files)
    ]
    for name in (*spread.LONG, *spread.TOGETHER):
        assert (ROOT / name).exists(), f"{name} is no more"


@pytest.mark.parametrize(
    ("asked", "arguments", "workers"),
    [
        ("", "", len(os.sched_getaffinity(0))),
        ("", "-k word", 1),  # -x, --pdb and a path mean what they always meant
        ("1", "", 1),
        ("4", "-k word", 4),
    ],
)
def test_how_many_run_at_once(
    monkeypatch: pytest.MonkeyPatch, asked: str, arguments: str, workers: int
) -> None:
    monkeypatch.setenv("JOBS", asked)
    monkeypatch.setenv("ARGS", arguments)
    assert dev.workers_asked() == workers


@pytest.mark.parametrize("asked", ["0", "-1", "many", "²"])
def test_a_number_that_is_none_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setenv("JOBS", asked)
    with pytest.raises(Stopped, match=re.escape(repr(asked))):
        dev.workers_asked()
