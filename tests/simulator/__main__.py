"""Play a day or a month again: the same seed is the same history, to be read in its trace.

    PYTHONPATH=service:tests "$(python3 tools/environment.py dev)" -m simulator SEED [OPTIONS]
    PYTHONPATH=service:tests "$(python3 tools/environment.py dev)" -m simulator month SEED [OPTIONS]

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
from simulator import day, month
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
    arguments = sys.argv[1:]
    if is_month := arguments[:1] == ["month"]:
        del arguments[0]
    plan = month.Plan if is_month else day.Plan
    parser = argparse.ArgumentParser(prog="simulator", description=__doc__)
    parser.add_argument("seed", type=int)
    for field in dataclasses.fields(plan):
        if field.name != "seed":
            name = "--" + field.name.replace("_", "-")
            parser.add_argument(name, type=type(field.default), default=field.default)
    parser.add_argument("--trace", type=Path)
    asked = vars(parser.parse_args(arguments))
    path = asked.pop("trace")

    def play(trace: Callable[[str], None] | None = None) -> day.Report | month.Report:
        if is_month:
            return month.play(month.Plan(**asked), trace)
        return day.play(day.Plan(**asked), trace)

    log = logging.getLogger("postroad")
    log.propagate = False
    if path is None:
        report = play()
    else:
        with open(path, "w") as file:

            def trace(line: str) -> None:
                file.write(line + "\n")

            log.setLevel(logging.INFO)
            log.addHandler(_Traced(trace))
            report = play(trace)
    told = {field.name: getattr(report, field.name) for field in dataclasses.fields(report)}
    print(json.dumps(told))
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
