"""Who can meet whom: each kind of connection with each, a third person being on a public address.

    make netlab ONLY=pairs [SEED=7] [ARGS="cone-cone open-symmetric"]      only these pairs

Hana has a public address, and is a contact of both; where somebody's UDP is blocked, she is a box
with `postroad helper` on it, which serves both. Anna and Bora meet, write a letter each way, and
one of 1 MiB shows which way their packets go. Which pairs can be direct at all is physics: one end
must be reachable, or both NATs keep their ports.
"""

from __future__ import annotations

import sys

import results
from meeting import PAIRS, meet_and_write
from town import try_each


def main() -> None:
    results.must_be_alone()
    chosen = sys.argv[1:] or list(PAIRS)
    chosen = results.dice("pairs").sample(chosen, len(chosen))
    table, failed = try_each(
        chosen, lambda name: meet_and_write(*PAIRS[name], results.dice(f"pairs {name}"))
    )
    results.write("netlab_pairs", {"pairs": dict(sorted(table.items()))}, len(table))
    if failed:
        sys.exit(f"These pairs did not do what they should: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
