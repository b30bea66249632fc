"""One booted system for all tests of a run, with the package installed and two people in it.

`make test-system` runs these once for each suite, and is the only one that does: elsewhere they are
not collected. They go in one order, since a system is a long story: see ORDER.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import booted
from booted import Booted
from postroad.machine.clock import SystemClock
from roots import Unavailable
from system.journals import NOTHING, Chapter
from system.packages import next_version
from system.people import MAIL_PROGRAM, Figure, Resident, meet

SUITE = os.environ.get("POSTROAD_SUITE", "")
PACKAGE = Path(os.environ.get("POSTROAD_PACKAGE", ""))
JOURNALS = os.environ.get("POSTROAD_JOURNALS", "")
ORDER = (
    "test_page",
    "test_readme",
    "test_tray",
    "test_installed",
    "test_first_run",
    "test_log",
    "test_service",
    "test_reload",
    "test_bus",
    "test_confined",
    "test_second_user",
    "test_changed",
    "test_supply",
    "test_denied",
    "test_reboot",
    "test_upgraded",
    "test_anybodys_manager",
    "test_backup",
    "test_removed",
    "test_next_release",
    "test_downgraded",
    "test_repository",
    "test_from_source",
    "test_journal",
)
_FIGURES: dict[str, float] = {}

collect_ignore_glob = [] if SUITE else ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if SUITE:
        items.sort(key=lambda item: ORDER.index(item.path.stem))


@pytest.fixture(scope="session")
def system() -> Iterator[Booted]:
    try:
        with booted.booted(SUITE) as running:
            took = running.install(PACKAGE)
            _FIGURES["to install the package"] = took
            running.write(f"/opt/{MAIL_PROGRAM.name}", MAIL_PROGRAM.read_bytes())
            try:
                yield running
            finally:
                if JOURNALS:
                    keep(running, Path(JOURNALS))
    except Unavailable as why:
        pytest.skip(str(why))


@pytest.fixture(scope="session")
def chapters() -> list[Chapter]:
    """The test files so far, the last of which is the one that runs."""
    return []


@pytest.fixture(scope="module", autouse=True)
def _chapter(request: pytest.FixtureRequest, chapters: list[Chapter]) -> None:
    """Each file says itself what the journal may say of it: a pattern of the name EXPECTED."""
    expected = getattr(request.module, "EXPECTED", NOTHING)
    chapters.append(Chapter(request.module.__name__, SystemClock().now(), expected))


@pytest.fixture(scope="session")
def newer() -> Path:
    """The package of the next release."""
    return next_version()


@pytest.fixture(scope="session")
def figure() -> Figure:
    """Tells how long something took, at the end of all tests."""
    return _FIGURES.__setitem__


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for what, seconds in _FIGURES.items():
        terminalreporter.write_line(f"{what}: {seconds:.1f} s")


def keep(running: Booted, folder: Path) -> None:
    """What was said in there, for whoever wants to know why a test failed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "journal").write_text(running.journal("--output=short-precise"))
    (folder / "console").write_text(running.console())


@pytest.fixture(scope="session")
def alice(system: Booted) -> Resident:
    """Somebody who has set up, which makes their node a service."""
    person = Resident(system, "alice")
    person.set_up()
    return person


@pytest.fixture(scope="session")
def bora(system: Booted, alice: Resident) -> Resident:
    """Somebody else on the same computer, who has met Alice."""
    person = Resident(system, "bora")
    person.set_up()
    assert person.greeting(person.imap_port).startswith("* OK ")
    meet(alice, person)
    return person
