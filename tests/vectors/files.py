"""Read and write files of vectors (docs/protocol/README.md)."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from second_reader import page
from second_reader.vectors import NO, read_file

FOLDER = page.PAGES
_RUN = re.compile(rb"(.)\1{95,}", re.DOTALL)
ABOUT = (
    "Test vectors of {page}.md, in hexadecimal. Made by: PYTHONPATH=service:tests python -m vectors"
)


def path_of(name: str) -> Path:
    return FOLDER / f"{name}.vectors"


def load(name: str) -> dict[str, bytes]:
    return read_file(path_of(name).read_text())


def _hexadecimal(octets: bytes) -> Iterator[str]:
    """Lines of it; a long run of one byte is one line."""
    at = 0
    for run in _RUN.finditer(octets):
        yield from textwrap.wrap(octets[at : run.start()].hex(), 96)
        yield f"{run[1].hex()}*{len(run[0])}"
        at = run.end()
    yield from textwrap.wrap(octets[at:].hex(), 96)


def write(name: str, made: dict[str, bytes]) -> str:
    """The text of a file; what must be refused says why, as its page does."""
    why = page.refused(name)
    lines = [f"# {ABOUT.format(page=name)}"]
    for vector, octets in made.items():
        lines.append("")
        if vector.startswith(NO):
            lines.append(f"# {why.get(vector, 'its page does not say why')}")
        lines += [f"{vector} =", *(f"    {line}" for line in _hexadecimal(octets))]
    return "\n".join(lines) + "\n"
