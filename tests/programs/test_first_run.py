"""docs/first-run.md happens as it stands there, in two minutes at most."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from needed import needs
from person import ROOT, surroundings
from programs.transcript import FORMS, Replay, Somebody, form, steps

SECONDS_MAX = 120.0  # the promise
SLOT = 60
PAGE = ROOT / "docs" / "first-run.md"


@pytest.fixture
def people(tmp_path: Path, quiet_network: None) -> Iterator[dict[str, Somebody]]:
    """Anna and Bora with homes of their own, and loopback in place of the networks between them."""
    base = Path("/tmp") / f"pr-{os.getpid()}-{tmp_path.name[-8:]}"  # a socket's path is short
    base.mkdir(mode=0o700)
    made = {}
    for at, name in enumerate(("anna", "bora")):
        home = base / name
        settings = home / ".config" / "postroad"
        settings.mkdir(parents=True)
        (settings / "config.toml").write_text(
            'peer_hosts = ["127.0.0.1"]\ndial_private = true\nlan = false\n'
            f"smtp_port = {10587 + SLOT + at}\nimap_port = {10143 + SLOT + at}\n"
            f"pop3_port = {10110 + SLOT + at}\npeer_port = {46464 + SLOT + at}\n"
        )
        (home / "bin").mkdir()
        (home / "bin" / "postroad").write_text(
            f'#!/bin/sh\nexec "{sys.executable}" -m postroad "$@"\n'
        )
        (home / "bin" / "postroad").chmod(0o755)
        (home / "run").mkdir(mode=0o700)
        ours = {
            key: value
            for key, value in surroundings().items()
            if not key.startswith(("XDG_", "DBUS_"))
        }
        ours |= {"XDG_RUNTIME_DIR": str(home / "run"), "LC_ALL": "C.UTF-8"}
        ours["PATH"] = f"{home / 'bin'}:{ours['PATH']}"
        made[name] = Somebody(name, home, ours)
    try:
        yield made
    finally:
        for one in made.values():
            one.end()
        shutil.rmtree(base)


@pytest.mark.program
@needs("mutt")
def test_what_stands_on_the_page_happens_word_by_word(people: dict[str, Somebody]) -> None:
    replay = Replay(people, time.monotonic() + SECONDS_MAX)
    for step in steps(PAGE.read_text("utf-8")):
        replay.expect(step)


def test_only_what_differs_each_time_is_held_to_its_form() -> None:
    assert form("port 10587") == form("port 10588")
    assert form("Your node is running.") != form("Your node is not running.")
    first = form("   user name   anna.giodrzd2xwwhpvmi76qht7fxae74ankj@postroad.alt")
    assert first == "   user name   anna.<fingerprint>@postroad.alt"
    assert len(FORMS) < 10, "a page of forms says nothing"
