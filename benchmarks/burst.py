"""A burst of 100 letters: from the first word of the first one until all are filed.

    make bench ONLY=burst [SEED=7] [LINK=tls] [ARGS=5]      rounds

Both nodes are on. Each round once through one session that pipelines as far as RFC 2920 lets it,
and once through 4 sessions side by side; the end is the recipient's IDLE notice of the last one.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import results
from mail_program import Incoming, incoming, outgoing, sizes, write_letter
from person import Person, meet, people

LETTERS = 100
SESSIONS = (1, 4)


def send(anna: Person, bora: Person, letters: Sequence[bytes], sessions: int) -> None:
    """All letters, shared out among so many sessions that are open already when the time begins."""
    with ExitStack() as stack:
        doors = [stack.enter_context(outgoing(anna)) for _ in range(sessions)]
        shares = [letters[number::sessions] for number in range(sessions)]

        def one(number: int) -> None:
            doors[number].hand_over_all(bora.address, shares[number])

        with ThreadPoolExecutor(sessions) as pool:
            list(pool.map(one, range(sessions)))


def burst(
    anna: Person, bora: Person, watching: Incoming, sessions: int, number: int
) -> tuple[float, float]:
    """Seconds until the last 250, and until all are filed."""
    dice = results.dice(f"burst {sessions} {number}")
    letters = [
        write_letter(anna.address, bora.address, size, at, dice)
        for at, size in enumerate(sizes(dice, LETTERS))
    ]
    wanted = watching.count + LETTERS
    began = time.perf_counter()
    send(anna, bora, letters, sessions)
    accepted = time.perf_counter() - began
    watching.wait_for(wanted)
    return accepted, time.perf_counter() - began


def main() -> None:
    results.must_be_alone()
    rounds = int(sys.argv[1]) if sys.argv[1:] else 5
    found: dict[int, list[tuple[float, float]]] = {sessions: [] for sessions in SESSIONS}
    with people("burst", "anna", "bora") as (anna, bora):
        meet(bora, anna)
        with incoming(bora) as watching:
            burst(anna, bora, watching, 1, -1)  # a warm-up
            for number in range(rounds):
                for sessions in results.dice(f"burst order {number}").sample(SESSIONS, 2):
                    found[sessions].append(burst(anna, bora, watching, sessions, number))
    figure: dict[str, object] = {}
    for sessions, times in found.items():
        filed = [round(filed, 3) for _, filed in times]
        figure["1 session" if sessions == 1 else f"{sessions} sessions"] = {
            "all_accepted_s": round(statistics.median(accepted for accepted, _ in times), 3),
            "all_filed_s": statistics.median(filed),
            "all_filed_s_max": max(filed),
            "rounds": filed,
        }
    results.write("burst", figure, rounds)


if __name__ == "__main__":
    main()
