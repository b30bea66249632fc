"""Three computers, one of each suite, with the same package; their owners know one another.

`make test-system` runs these once, beside the suites, and is the only one that does: elsewhere they
are not collected. They go in one order: see ORDER.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import booted
import lab
from roots import Unavailable
from system.conftest import JOURNALS, PACKAGE, keep
from system.packages import next_version
from system.people import Resident, meet
from together import mail_programs
from together.computers import OWNERS, Computer

ORDER = ("test_letters", "test_switched_off", "test_killed", "test_two_releases", "test_journals")

IS_MEANT = bool(os.environ.get("POSTROAD_TOGETHER"))
collect_ignore_glob = [] if IS_MEANT else ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if IS_MEANT:
        items.sort(key=lambda item: ORDER.index(item.path.stem))


@pytest.fixture(scope="session")
def newer() -> Path:
    """The package of the next release."""
    return next_version()


@pytest.fixture(scope="session")
def computers() -> Iterator[dict[str, Computer]]:
    """By the names of their owners, who have set up by the command line and met each other."""
    if why := lab.lacking():
        pytest.skip(why)
    try:
        with lab.Lab() as laboratory, contextlib.ExitStack() as running:
            made = {}
            for suite, name in OWNERS.items():
                host = laboratory.host(suite)
                system = running.enter_context(booted.booted(suite, network=Path(host.path)))
                made[name] = Computer(system, host, laboratory, Resident(system, name))
            try:
                with ThreadPoolExecutor(len(made)) as pool:
                    list(pool.map(move_in, made.values()))
                owners = [computer.owner for computer in made.values()]
                for number, inviter in enumerate(owners):
                    for guest in owners[number + 1 :]:
                        meet(inviter, guest)
                yield made
            finally:
                if JOURNALS:
                    for computer in made.values():
                        keep(computer.system, Path(JOURNALS) / computer.system.suite)
    except Unavailable as why:
        pytest.skip(str(why))


def move_in(computer: Computer) -> None:
    computer.furnish(PACKAGE)
    computer.owner.set_up()
    mail_programs.write_settings(computer.owner)
