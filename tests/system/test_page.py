"""docs/first-run.md happens word by word where a systemd is, to two people of one computer.

It has a system of its own, in which nobody has done anything yet. `setup` ends there as the page
says, and nobody types `postroad run`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

import booted
from booted import Booted
from person import ROOT
from programs.transcript import Replay, Somebody, Step, steps
from roots import Unavailable
from system import journals
from system.conftest import PACKAGE, SUITE
from system.people import Figure, Inhabitant

PAGE = ROOT / "docs" / "first-run.md"
SECONDS_MAX = 120.0  # the promise
NAMES = ("anna", "bora")
RUN = "postroad run"


@pytest.fixture(scope="module")
def home() -> Iterator[Booted]:
    """The package and two accounts, and nothing else."""
    try:
        with booted.booted(SUITE) as system:
            system.add("mutt")
            system.install(PACKAGE)
            system.root("useradd", "--create-home", "anna")
            system.root("loginctl", "enable-linger", "anna")  # as Bora has it from the beginning
            yield system
    except Unavailable as why:
        pytest.skip(str(why))


@pytest.fixture(scope="module")
def people(home: Booted) -> dict[str, Somebody]:
    return {name: Inhabitant(home, name) for name in NAMES}


def with_systemd(page: str) -> list[Step]:
    """What the page says of such a system."""
    (ending,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    found = [step for step in steps(page) if step.typed != RUN]
    for step in found:
        if step.typed == "postroad setup":
            at = next(at for at, line in enumerate(step.told) if line.startswith(f"Next: {RUN}"))
            step.told[at:] = ending.splitlines()
    return found


def test_what_stands_on_the_page_happens_word_by_word(
    people: dict[str, Somebody], figure: Figure
) -> None:
    begun = time.monotonic()
    replay = Replay(people, begun + SECONDS_MAX)
    for step in with_systemd(PAGE.read_text("utf-8")):
        replay.expect(step)
    figure("from setup to the first letter and its answer", time.monotonic() - begun)


def test_its_journal_has_no_traceback_and_no_warning_of_ours(home: Booted) -> None:
    assert journals.tracebacks(home) == []
    assert journals.warnings_of_ours(home) == []
