"""Who can meet whom: each kind of connection with each, a third person being on a public address.

    make netlab ONLY=pairs [SEED=7] [ARGS="cone-cone open-symmetric"]      only these pairs

Hana has a public address, and is a contact of both; where somebody's UDP is blocked, she is a box
with `postroad helper` on it, which serves both. Anna and Bora meet, write a letter each way, and
one of 1 MiB shows which way their packets go. Which pairs can be direct at all is physics: one end
must be reachable, or both NATs keep their ports.
"""

from __future__ import annotations

import sys
import time

import results
from meeting import PAIRS, meet_and_write
from person import ClaimFailed


def main() -> None:
    results.must_be_alone()
    chosen = sys.argv[1:] or list(PAIRS)
    chosen = results.dice("pairs").sample(chosen, len(chosen))
    table: dict[str, object] = {}
    failed = []
    for name in chosen:
        began = time.monotonic()
        try:
            table[name] = meet_and_write(*PAIRS[name], results.dice(f"pairs {name}"))
        except ClaimFailed as error:
            table[name] = {"failed": str(error)}
            failed.append(name)
        print(f"{name}: {table[name]} ({time.monotonic() - began:.1f} s)", flush=True)
    results.write("netlab_pairs", {"pairs": dict(sorted(table.items()))}, len(table))
    if failed:
        sys.exit(f"These pairs did not do what they should: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
