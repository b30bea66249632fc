"""Where the light icon cannot be: a sentence, and the line to type. Where it can: test_hosts."""

from __future__ import annotations

import os
import subprocess
import sys
import types

import pytest

import dev
from person import surroundings
from postroad_tray.light import PACKAGES, Lacking, back_end

DISTRIBUTION = "/usr/lib/python3/dist-packages"  # where python3-gi is
ASK = "from postroad_tray.light import Lacking, back_end\ntry: back_end()\n"
ASK += "except Lacking as lacking: print(lacking.sentence, lacking.line, sep='|')"


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Neither was imported before."""
    for name in ("gi", "pystray"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setenv("PYSTRAY_BACKEND", "xorg")  # whatever somebody wanted
    return monkeypatch


def test_without_its_packages_the_line_to_type_is_said(forgotten: pytest.MonkeyPatch) -> None:
    forgotten.setitem(sys.modules, "gi", None)
    with pytest.raises(Lacking) as lacking:
        back_end()
    assert lacking.value.line == f"sudo apt install {' '.join(PACKAGES)}"
    assert lacking.value.sentence.endswith(".")
    assert os.environ["PYSTRAY_BACKEND"] == "appindicator"


def test_without_the_library_of_indicators_the_same_is_said(
    forgotten: pytest.MonkeyPatch,
) -> None:
    def require_version(name: str, _version: str) -> None:
        raise ValueError(f"Namespace {name} not available")

    without = types.ModuleType("gi")
    without.require_version = require_version  # type: ignore[attr-defined]
    without.repository = types.ModuleType("gi.repository")  # type: ignore[attr-defined]
    forgotten.setitem(sys.modules, "gi", without)
    with pytest.raises(Lacking) as lacking:
        back_end()
    assert lacking.value.line.startswith("sudo apt install python3-gi")


def test_without_a_display_it_is_said_so() -> None:
    if not dev.has_indicator():
        pytest.skip(f"needs Debian packages: {', '.join(PACKAGES)}")
    ours = surroundings()
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        ours.pop(name, None)
    ours["PYTHONPATH"] += f":{DISTRIBUTION}"
    done = subprocess.run(
        [sys.executable, "-c", ASK], env=ours, capture_output=True, text=True, check=False
    )
    assert done.stdout == (
        "There is no display on which an icon could be shown. Log in to a desktop.|\n"
    ), done.stderr
