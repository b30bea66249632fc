"""Run a Python program whose clock on the wall is wrong.

    python tools/wrong_clock.py SECONDS python -m MODULE [ARGUMENT ...]

Only what asks `time.time` is deceived: files and other processes have the right time.
"""

# ruff: noqa: TID251  (this is where the clock is replaced)

import runpy
import sys
import time


def main() -> None:
    seconds = float(sys.argv[1])
    right = time.time

    def wrong() -> float:
        return right() + seconds

    time.time = wrong
    module, sys.argv = sys.argv[4], sys.argv[4:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
