"""python3 -m second_reader [--show] FILE...: read vectors, and say whether each is as it should be.

Exit code 0: all that must be read was read, and all that must be refused was refused; 1: not so;
2: a file could not be read, or is none of vectors.
"""

from __future__ import annotations

import sys
from pathlib import Path

try:
    from second_reader import vectors
    from second_reader.tlv import Refused
except ImportError as missing:
    sys.exit(
        "This needs Python 3.11 and `cryptography` 50 or newer, and nothing else: "
        f"pip install 'cryptography>=50'  ({missing})"
    )

USAGE = "usage: python3 -m second_reader [--show] FILE...   (files of vectors, docs/protocol/)"


def main(arguments: list[str]) -> int:
    names = [one for one in arguments if not one.startswith("-")]
    options = {one for one in arguments if one.startswith("-")}
    if not names or options - {"--show"}:
        print(USAGE, file=sys.stdout if options <= {"-h", "--help"} and options else sys.stderr)
        return 0 if options and options <= {"-h", "--help"} else 2
    wrong = 0
    for name in names:
        try:
            found = vectors.read_file(Path(name).read_text())
        except (OSError, UnicodeDecodeError, Refused) as error:
            print(f"{name}: cannot be read: {error}", file=sys.stderr)
            return 2
        results = list(vectors.check(found))
        bad = [one for one in results if not one.is_as_it_should_be]
        wrong += len(bad)
        for one in results if "--show" in options else bad:
            said = f"refused: {one.why}" if one.said is None else f"read: {one.said}"
            mark = "  " if one.is_as_it_should_be else "! "
            print(f"{mark}{one.name}: {said[:300]}")
        refused = sum(one.said is None for one in results)
        print(f"{name}: {len(results) - refused} read, {refused} refused, {len(bad)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
