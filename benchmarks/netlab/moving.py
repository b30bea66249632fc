"""A letter of 25 MiB is on its way when the network changes: it arrives, whole, and once.

    make netlab ONLY=moving [SEED=7] [ARGS="3 relay-dies"]      rounds, and only these cases

The sender's line carries 4 MB/s, so that there is a middle: at a moment of it that the dice choose
(10 to 70 % of the octets have passed) an address changes, a NAT forgets its mappings, the sender's
node is off for three seconds, or the relay that carries the letter is killed. Hana and Hugo have
public addresses and are contacts of both, so that another relay or a holder is there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import results
from lab import Host, Kind
from mail_program import write_letter
from person import ClaimFailed, Person, until
from town import MIB, Town, make_contacts, must_have_once

LETTER_BYTES = 25 * MIB
KILOBYTES_PER_SECOND = 4000
ARRIVAL_SECONDS_MAX = 300.0
MIDDLE = (0.1, 0.7)


def sender_moves(town: Town, anna: Person, bora: Person) -> str:
    town.lab.move(town.host_of(anna))
    return "sender"


def recipient_moves(town: Town, anna: Person, bora: Person) -> str:
    town.lab.move(town.host_of(bora))
    return "recipient"


def nat_forgets(town: Town, anna: Person, bora: Person) -> str:
    for host in (town.host_of(anna), town.host_of(bora)):
        if host.router is not None:
            host.router.rebind()
    return "both NATs"


def router_restarts(town: Town, anna: Person, bora: Person) -> str:
    router = town.host_of(anna).router
    assert router is not None
    router.die()
    time.sleep(3)
    router.revive()
    return "sender's router"


def relay_dies(town: Town, anna: Person, bora: Person) -> str:
    """Whoever carries the letter now is killed, and stays away."""
    carrier = max(
        (one for one in town.people.values() if one not in (anna, bora)),
        key=lambda one: town.octets(one, bora),
    )
    carrier.kill()
    return carrier.title


Event = Callable[[Town, Person, Person], str]
CASES: dict[str, tuple[Kind, Kind, Event]] = {
    "sender-moves": (Kind.CONE, Kind.OPEN, sender_moves),
    "sender-moves-behind-nats": (Kind.CONE, Kind.CONE, sender_moves),
    "recipient-moves": (Kind.CONE, Kind.OPEN, recipient_moves),
    "recipient-moves-behind-nats": (Kind.CONE, Kind.CONE, recipient_moves),
    "nats-forget": (Kind.CONE, Kind.CONE, nat_forgets),
    "router-restarts": (Kind.CONE, Kind.CONE, router_restarts),
    "relay-dies": (Kind.SYMMETRIC, Kind.SYMMETRIC, relay_dies),
}


def came_out_of(town: Town, host: Host) -> int:
    """What this host sent to anybody."""
    return sum(town.lab.passed(host.outside, other.outside) for other in town.lab.hosts.values())


def disturb(case: str, number: int) -> dict[str, object]:
    a, b, event = CASES[case]
    dice = results.dice(f"moving {case} {number}")
    with Town("moving") as town:
        helpers = [town.move_in(name) for name in ("hana", "hugo")]
        anna, bora = town.move_in("anna", a), town.move_in("bora", b)
        town.start(*helpers, anna, bora)
        for helper in helpers:
            for person in (anna, bora):
                make_contacts(helper, person)
        make_contacts(anna, bora)
        host = town.host_of(anna)
        town.lab.slow_down(host, KILOBYTES_PER_SECOND)
        octets = write_letter(anna.address, bora.address, LETTER_BYTES, 0, dice)
        at = came_out_of(town, host) + dice.uniform(*MIDDLE) * LETTER_BYTES
        with ThreadPoolExecutor(1) as pool:
            submitting = pool.submit(anna.submit, bora.address, octets)
            until(lambda: came_out_of(town, host) > at, "the letter is half-way", 60)
            began = time.monotonic()
            who = event(town, anna, bora)
            submitting.result()
        until(lambda: bora.find("letter 0") is not None, "it arrives", ARRIVAL_SECONDS_MAX)
        took = time.monotonic() - began
        must_have_once(bora, "letter 0", octets)
    return {"who": who, "arrived_after_s": round(took, 1)}


def main() -> None:
    results.must_be_alone()
    rounds = int(sys.argv[1]) if sys.argv[1:] else 3
    chosen = sys.argv[2:] or list(CASES)
    found: dict[str, list[object]] = {case: [] for case in chosen}
    failed = []
    for number in range(rounds):
        for case in results.dice(f"moving order {number}").sample(chosen, len(chosen)):
            try:
                found[case].append(disturb(case, number))
            except ClaimFailed as error:
                found[case].append(f"failed: {error}")
                failed.append(case)
            print(f"{case}: {found[case][-1]}", flush=True)
    results.write("netlab_moving", {"letter_bytes": LETTER_BYTES, **found}, rounds)
    if failed:
        sys.exit(f"The letter did not arrive as it should: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
