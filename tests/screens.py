"""A screen that nobody sees."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def screen(folder: Path, size: str) -> Iterator[str]:
    """Its name for DISPLAY; `size` is WIDTHxHEIGHT."""
    reading, writing = os.pipe()
    with open(folder / "screen.log", "wb") as log:
        process = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{size}x24", "-nolisten", "tcp"],
            pass_fds=[writing],
            stdout=log,
            stderr=log,
        )
    os.close(writing)
    try:
        with open(reading) as said:
            yield f":{said.readline().strip()}"
    finally:
        process.terminate()
        process.wait(20)
