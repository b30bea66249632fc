"""What was measured, written down so that anybody can run it again.

Purpose: one form for every long target: benchmarks/results/NAME.json says the figure, how often it
was taken (n), the seed, the commit, the machine and the day. SEED= in the environment is the seed.
Tests that throw dice take their seed here, too.
Invariants: a tree with changes that are not committed says so; nothing is measured where a packet
could leave the machine.
"""

from __future__ import annotations

import json
import os
import platform
import random
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def seed() -> int:
    """The seed that was asked for, else 1."""
    text = os.environ.get("SEED") or "1"
    if not text.isdigit():
        sys.exit(f"SEED must be a whole number, and is {text!r}, for instance SEED=7.")
    return int(text)


def dice(name: str) -> random.Random:
    """The dice of this seed for one purpose: what one program throws moves no other's."""
    return random.Random(f"{name} {seed()}")


def must_be_alone() -> None:
    """End here, with a sentence, where iroh's multicast could leave the machine."""
    if os.environ.get("LINK") == "tls" or os.environ.get("POSTROAD_OPEN_NETWORK") == "1":
        return
    if [name for _, name in socket.if_nameindex()] != ["lo"]:
        program = Path(sys.argv[0]).resolve()
        folder = program.parent.name
        target = folder if folder in ("soak", "netlab") else "bench"
        sys.exit(
            "Nodes are measured where loopback is the only network, since iroh multicasts. Type:\n"
            f"    make {target} ONLY={program.stem}"
        )


def write(name: str, figure: dict[str, Any], n: int) -> None:
    """Print the result and keep it. `n`: how many runs or cases the figures are of."""
    result = {
        "figure": figure,
        "n": n,
        "seed": seed(),
        "commit": _commit(),
        "machine": machine(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    text = json.dumps(result, indent=2)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text + "\n")
    print(f"{name}: {text}", flush=True)


def machine() -> str:
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        system = platform.system()
    return (
        f"{system}, Linux {platform.release()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, {platform.machine()}"
    )


def _commit() -> str:
    def git(*words: str) -> str:
        command = ["git", *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", ":!benchmarks/results")
    return git("rev-parse", "HEAD") + (" and changes" if changed else "")
