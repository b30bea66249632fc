"""Play a day again: the same seed is the same history, to be read in its trace.

    PYTHONPATH=service:tests "$(python3 tools/environment.py dev)" -m simulator SEED [OPTIONS]

Prints the report as JSON; with --trace FILE also everything that arrived, happened or was logged,
each with its virtual moment. Exit status 1 when a promise was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from postroad.app.log import Line
from simulator.day import Plan, play
from simulator.village import life_of_this_task


class _Traced(logging.Handler):
    """Puts what nodes log between what arrived, with whose log it is."""

    def __init__(self, trace: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(Line("%(levelname)s %(name)s: %(message)s"))
        self._trace = trace

    def emit(self, record: logging.LogRecord) -> None:
        life = life_of_this_task.get(None)
        if life is None:
            return
        ghost = "" if life.is_lived else " (ghost)"
        at = asyncio.get_running_loop().time()
        self._trace(f"{at:.6f} {life.resident.name}{ghost} logs {self.format(record)}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="simulator", description=__doc__)
    parser.add_argument("seed", type=int)
    for field in dataclasses.fields(Plan):
        if field.name != "seed":
            name = "--" + field.name.replace("_", "-")
            parser.add_argument(name, type=type(field.default), default=field.default)
    parser.add_argument("--trace", type=Path)
    asked = vars(parser.parse_args())
    path = asked.pop("trace")
    log = logging.getLogger("postroad")
    log.propagate = False
    if path is None:
        report = play(Plan(**asked))
    else:
        with open(path, "w") as file:

            def trace(line: str) -> None:
                file.write(line + "\n")

            log.setLevel(logging.INFO)
            log.addHandler(_Traced(trace))
            report = play(Plan(**asked), trace)
    told = {field.name: getattr(report, field.name) for field in dataclasses.fields(report)}
    print(json.dumps(told))
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
