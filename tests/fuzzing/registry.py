"""All targets, and the corpus of each: what once was a find, and what reaches far into a parser.

The corpus is a text for each target, `corpus/NAME`: one input a line, in base64. It holds octets of
our own making, and is small; `make soak ONLY=fuzz ARGS="--keep"` adds to it what reached further.
"""

from __future__ import annotations

import base64
from pathlib import Path

from fuzzing import sealed, streams, texts
from fuzzing.target import Target

TARGETS: dict[str, Target] = {
    one.name: one for one in (*sealed.TARGETS, *streams.TARGETS, *texts.TARGETS)
}
CORPUS = Path(__file__).resolve().parent / "corpus"
INPUTS_MAX = 40  # of one target
INPUT_BYTES_MAX = 2600  # of one that is kept
BYTES_MAX = 12_000  # of all of one target


def corpus(name: str) -> list[bytes]:
    """The inputs that are kept for this target."""
    path = CORPUS / name
    lines = path.read_text().split() if path.exists() else []
    return [base64.b64decode(line, validate=True) for line in lines]


def keep(name: str, inputs: list[bytes]) -> None:
    """Write them down, the shortest first."""
    chosen: list[bytes] = []
    for one in sorted(set(inputs), key=lambda one: (len(one), one)):
        room = BYTES_MAX - sum(map(len, chosen))
        if 0 < len(one) <= min(room, INPUT_BYTES_MAX) and len(chosen) < INPUTS_MAX:
            chosen.append(one)
    lines = [base64.b64encode(one).decode() for one in chosen]
    (CORPUS / name).write_text("".join(f"{line}\n" for line in lines))
