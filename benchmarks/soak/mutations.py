"""Thousands of mutations of letters, records, receipts, invitations and bundles, brought to a node.

    make soak ONLY=mutations [SEED=7] [ARGS="2000 1"]      how many, and for how many seeds

Octets turned, fields swapped, recipient or From exchanged, chunks reordered, truncated, extended;
most of them signed or sealed anew afterwards by somebody with a valid key: another contact, a
recipient who passes a letter on, the author. One that is believed, or that raises anything but the
error of its kind, is named with its seed.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from pathlib import Path

import results
from mutating import trial
from mutating.report import Report

COUNT, SEEDS = 3000, 3


def main() -> None:
    count, seeds = [int(one) for one in sys.argv[1:]] or (COUNT, SEEDS)
    logging.disable(logging.CRITICAL)  # each refusal has its line
    reports: dict[str, Report] = {}
    began = time.monotonic()
    for seed in range(results.seed(), results.seed() + seeds):
        with tempfile.TemporaryDirectory(prefix="postroad-mutations-") as folder:
            reports[str(seed)] = trial.run(Path(folder), seed, count)
        wrong = len(reports[str(seed)].wrong)
        print(f"mutations: seed {seed}: {count} tried, {wrong} not as they should be", flush=True)
    figure = {
        "seconds": round(time.monotonic() - began, 1),
        "not_as_they_should_be": sum(len(one.wrong) for one in reports.values()),
        "seeds": {
            seed: {
                "tried": report.tried.total(),
                "with_a_valid_key_afterwards": report.keyed.total(),
                "of": dict(sorted(report.tried.items())),
                "outcomes": dict(sorted(report.outcomes.items())),
                "ways": dict(sorted(report.ways.items())),
                "wrong": report.wrong[:50],
            }
            for seed, report in reports.items()
        },
    }
    results.write("mutations", figure, count * seeds)
    if figure["not_as_they_should_be"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
