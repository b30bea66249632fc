"""One target under Atheris, in the environment of packaging/locks/fuzz.lock.

    python under_atheris.py NAME [options of libFuzzer] [folders of inputs]

benchmarks/soak/fuzz.py calls it; a find ends it with a traceback and an artifact.
"""

from __future__ import annotations

import logging
import sys

import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

with atheris.instrument_imports(include=["postroad"]):
    from fuzzing.registry import TARGETS


def main() -> None:
    logging.disable(logging.CRITICAL)
    target = TARGETS[sys.argv[1]]
    target.run(b"")  # what is made once, and would count as slow
    for one in target.seeds():
        target.run(one)
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
