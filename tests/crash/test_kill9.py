"""kill -9 while letters pass, the short version; the whole is `make soak ONLY=kill9`."""

import results
from crash.harness import Cast, revive
from crash.storm import storm

KILLS, LETTERS = 8, 60


def test_no_letter_is_lost_or_filed_twice_when_nodes_are_killed(cast: Cast) -> None:
    print(f"SEED={results.seed()}")
    revive(*cast.everybody)
    figures = storm(cast, KILLS, LETTERS, results.seed())
    assert sum(figures.kills.values()) >= KILLS
    assert figures.accepted + figures.unknown == LETTERS
