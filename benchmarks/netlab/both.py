"""Both dial at the same moment: they are connected within 3 seconds, every time.

    make netlab ONLY=both [SEED=7] [ARGS=25]      times for each of two pairs

Anna and Bora pause, and write to each other meanwhile; both resume at one moment, so that both
nodes open their endpoints and dial. The time runs from the end of the later `postroad resume`,
which ends when the node is on the network, until both have typed `postroad peers ping` and been
answered, and until both letters are filed. One pair has public addresses; the other is behind two
NATs, with Hana as a contact of both. She also holds for both, which is counted: whose computer is a
second earlier may leave the letter there.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import results
from lab import Kind
from mail_program import incoming, quantiles, write_letter
from person import ClaimFailed, Person
from town import Town, log_of, make_contacts

CONNECTED_SECONDS_MAX = 3.0


@dataclass(frozen=True, slots=True)
class Meeting:
    """Seconds, how many of the two letters went to a holder as well, and how many of the two links
    were direct already."""

    connected: float
    filed: float
    leases: int
    directs: int


def dial_at_once(anna: Person, bora: Person, number: int) -> Meeting:
    dice = results.dice(f"both {number}")
    people = dice.sample((anna, bora), 2)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda one: one.postroad("pause"), people))
        for sender, to in ((anna, bora), (bora, anna)):
            sender.submit(to.address, write_letter(sender.address, to.address, 2048, number, dice))
        logged = {one.name: len(log_of(one)) for one in people}
        with incoming(anna) as to_anna, incoming(bora) as to_bora:
            wanted = to_anna.count + 1, to_bora.count + 1
            list(pool.map(lambda one: one.postroad("resume"), people))
            began = time.perf_counter()
            pings = [
                pool.submit(one.type, "peers", "ping", other.name, "--json")
                for one, other in (people, people[::-1])
            ]
            answers = [ping.result() for ping in pings]
            connected = time.perf_counter() - began
            to_anna.wait_for(wanted[0])
            to_bora.wait_for(wanted[1])
            filed = time.perf_counter() - began
    for said in answers:
        if said.returncode or connected > CONNECTED_SECONDS_MAX or filed > CONNECTED_SECONDS_MAX:
            raise ClaimFailed(f"{connected:.1f} s, letters {filed:.1f} s, {said.stdout.strip()}")
    leases = sum("parcel leased" in log_of(one)[logged[one.name] :] for one in people)
    directs = sum(json.loads(said.stdout)["direct"] for said in answers)
    return Meeting(connected, filed, leases, directs)


def play(kind: Kind, times: int) -> dict[str, object]:
    met: list[Meeting] = []
    failed = []
    with Town("both") as town:
        anna, bora = town.move_in("anna", kind), town.move_in("bora", kind)
        town.start(anna, bora)
        if kind is not Kind.OPEN:
            hana = town.move_in("hana")
            hana.start()
            make_contacts(hana, anna)
            make_contacts(hana, bora)
        make_contacts(anna, bora)
        for number in range(times):
            try:
                met.append(dial_at_once(anna, bora, number))
            except ClaimFailed as error:
                failed.append(f"time {number}: {error}")
                print(f"both: {kind.value}: {failed[-1]}", flush=True)
    return {
        "times": times,
        "connected_ms": quantiles([one.connected for one in met]) if met else {},
        "filed_ms": quantiles([one.filed for one in met]) if met else {},
        "letters_that_a_holder_got_too": sum(one.leases for one in met),
        "links_direct_at_once": sum(one.directs for one in met),
        "failed": failed,
    }


def main() -> None:
    results.must_be_alone()
    times = int(sys.argv[1]) if sys.argv[1:] else 25
    found = {f"{kind.value}-{kind.value}": play(kind, times) for kind in (Kind.OPEN, Kind.CONE)}
    results.write("netlab_both", dict(found), 2 * times)
    if any(each["failed"] for each in found.values()):
        sys.exit("Not everybody was connected in time.")


if __name__ == "__main__":
    main()
