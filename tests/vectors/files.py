"""Read and write files of vectors (docs/protocol/README.md)."""

from __future__ import annotations

import textwrap
from pathlib import Path

from second_reader import page
from second_reader.vectors import NO, read_file

FOLDER = page.PAGES
ABOUT = (
    "Test vectors of {page}.md, in hexadecimal. Made by: PYTHONPATH=service:tests python -m vectors"
)


def path_of(name: str) -> Path:
    return FOLDER / f"{name}.vectors"


def load(name: str) -> dict[str, bytes]:
    return read_file(path_of(name).read_text())


def write(name: str, made: dict[str, bytes]) -> str:
    """The text of a file; what must be refused says why, as its page does."""
    why = page.refused(name)
    lines = [f"# {ABOUT.format(page=name)}"]
    for vector, octets in made.items():
        lines.append("")
        if vector.startswith(NO):
            lines.append(f"# {why.get(vector, 'its page does not say why')}")
        lines.append(f"{vector} =")
        lines += textwrap.wrap(octets.hex(), 96, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines) + "\n"
