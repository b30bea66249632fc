"""How `make test` has all tests run by several workers at once, and misses none (a pytest plugin).

Purpose: which tests stay together with one worker, and in which order they are begun. Invariants: a
file's tests go one after another in their order, with what they share; a test that no worker came
to is told, and is a failure. See tools/dev.py for the network that each worker has to itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

# What these share (nodes that have met, the package that was built) is worth more than any spread.
TOGETHER = ("tests/crash", "tests/packaging", "tests/programs")
# Begun first, the longest first, so that no worker is left alone with them at the end.
LONG = (
    "tests/crash",
    "tests/simulator/test_month.py",
    "tests/simulator",
    "tests/programs",
    "tests/app",
    "tests/bus",
    "tests/tray",
    "tests/packaging",
    "tests/delivery",
    "tests/machine",
    "tests/peers",
    "tests/netlab",
    "tests/store",
    "tests/test_house.py",
)


def share(nodeid: str) -> str:
    """The name of what one worker does in one go: a file, or a folder of TOGETHER."""
    path = nodeid.partition("::")[0]
    return next((folder for folder in TOGETHER if path.startswith(f"{folder}/")), path)


def place(nodeid: str) -> int:
    """Where in the order a test is begun; among equals the order stays as it was."""
    path = PurePath(nodeid.partition("::")[0])
    places = [number for number, long in enumerate(LONG) if path.is_relative_to(long)]
    return min(places, default=len(LONG))


def pytest_configure(config: pytest.Config) -> None:
    if not _is_worker(config):
        config.pluginmanager.register(Roll())


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduler:
    return Scheduler(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: place(item.nodeid))


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


class Scheduler(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return share(nodeid)


class Roll:
    """Calls the tests' names at the end, and whoever does not answer was never run."""

    def __init__(self) -> None:
        self._missing: dict[str, None] = {}

    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        if not self._missing:
            self._missing = dict.fromkeys(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "setup":  # also one whose worker died under it, which is a failure
            self._missing.pop(report.nodeid, None)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._missing and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        files = Counter(nodeid.partition("::")[0] for nodeid in self._missing)
        for path, count in files.items():
            terminalreporter.write_line(f"SKIPPED [{count}] {path}: no worker came to it")
