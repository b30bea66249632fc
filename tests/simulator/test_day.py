"""Days of a small town hold to the model, and one seed is one history."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parents[1]
SMALL = ("--people", "6", "--letters", "80", "--crashes", "20")


def begin(seed: int, hash_seed: int) -> subprocess.Popen[str]:
    """A day of 24 hours in an interpreter of its own, where sets have an order of their own."""
    return subprocess.Popen(
        [sys.executable, "-m", "simulator", str(seed), *SMALL],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTHONHASHSEED": f"{hash_seed}",
        },
        cwd=TESTS,
        stdout=subprocess.PIPE,
        text=True,
    )


def end(day: subprocess.Popen[str]) -> dict[str, Any]:
    told, _ = day.communicate(timeout=600)
    assert told, "the simulator itself failed"
    report: dict[str, Any] = json.loads(told)
    return report


@pytest.mark.parametrize("seed", [1, 2])
def test_a_day_breaks_no_promise_and_is_the_same_again(seed: int) -> None:
    days = [begin(seed, hash_seed) for hash_seed in (seed, seed + 100)]
    first, second = [end(day) for day in days]
    assert first["broken"] == []
    assert first["digest"] == second["digest"]
    assert first["counts"] == second["counts"]
    # A day on which nothing happened would prove nothing.
    assert first["virtual_hours"] >= 24
    assert first["counts"]["crashes"] >= 5
    assert first["counts"]["parcels delivered"] >= 50
