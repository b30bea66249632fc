"""One target under Atheris, in the environment of packaging/locks/fuzz.lock.

    python under_atheris.py NAME [options of libFuzzer] [folders of inputs]

benchmarks/soak/fuzz.py calls it; a find ends it with a traceback and an artifact.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress

import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

with atheris.instrument_imports(include=["postroad"]):
    from fuzzing.registry import TARGETS


def main() -> None:
    logging.disable(logging.CRITICAL)
    target = TARGETS[sys.argv[1]]
    for one in (b"", *target.seeds()):  # what is made once would count as slow
        with suppress(*target.errors):
            target.feed(one)
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
