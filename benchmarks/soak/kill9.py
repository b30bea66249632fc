"""kill -9 over sender, holders and recipient while letters pass: none is lost, none filed twice.

    make soak ONLY=kill9 [SEED=7] [LINK=tls] [ARGS="200 2000"]      kills and letters

What happens is in tests/crash/storm.py. On failure the seed and the nodes' folders are named, and
the folders stay.
"""

import os
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import results
from crash import harness, storm
from person import ClaimFailed

SLOT = 50


def main() -> None:
    results.must_be_alone()
    kills, letters = (int(text) for text in (sys.argv[1:3] or ("200", "2000")))
    folder = Path(tempfile.mkdtemp(prefix="postroad-kill9-"))
    began = time.monotonic()
    print(f"SEED={results.seed()}: {kills} kills, {letters} letters", flush=True)
    cast = harness.settle_in(folder, SLOT)
    try:
        figures = storm.storm(cast, kills, letters, results.seed())
    except ClaimFailed as error:
        sys.exit(f"kill9 with SEED={results.seed()}: {error}")
    finally:
        harness.kill(*cast.everybody)
    shutil.rmtree(folder)
    figure = {
        **asdict(figures),
        "letters": letters,
        "lost": 0,  # else we would not be here
        "twice": 0,
        "seconds": round(time.monotonic() - began, 1),
    }
    link = os.environ.get("LINK", "iroh")
    name = "kill9" if link == "iroh" else f"kill9_{link}"
    results.write(name, {"link": link, **figure}, sum(figures.kills.values()))


if __name__ == "__main__":
    main()
