"""Both dial at the same moment: they are connected within 3 seconds, every time.

    make netlab ONLY=both [SEED=7] [ARGS=25]      times for each of two pairs

Anna and Bora pause, and write to each other meanwhile; both resume at one moment, so that both
nodes open their endpoints and dial. The time runs from the end of the later `postroad resume` until
both letters are filed; neither may have gone by a holder. One pair has public addresses; the other
is behind two NATs, with Hana as a contact of both.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import results
from lab import Kind
from mail_program import incoming, quantiles, write_letter
from person import ClaimFailed, Person
from town import Town, log_of, make_contacts

CONNECTED_SECONDS_MAX = 3.0


def dial_at_once(anna: Person, bora: Person, number: int) -> float:
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
            to_anna.wait_for(wanted[0])
            to_bora.wait_for(wanted[1])
            took = time.perf_counter() - began
    leased = [one.title for one in people if "parcel leased" in log_of(one)[logged[one.name] :]]
    if took > CONNECTED_SECONDS_MAX or leased:
        by = f"; {' and '.join(leased)} gave it to a holder" if leased else ""
        raise ClaimFailed(f"time {number}: the letters took {took:.1f} s{by}.")
    return took


def play(kind: Kind, times: int) -> dict[str, object]:
    took, failed = [], []
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
                took.append(dial_at_once(anna, bora, number))
            except ClaimFailed as error:
                failed.append(str(error))
                print(f"both: {kind.value}: {error}", flush=True)
    return {"times": times, "ms": quantiles(took) if took else {}, "failed": failed}


def main() -> None:
    results.must_be_alone()
    times = int(sys.argv[1]) if sys.argv[1:] else 25
    found = {f"{kind.value}-{kind.value}": play(kind, times) for kind in (Kind.OPEN, Kind.CONE)}
    results.write("netlab_both", dict(found), 2 * times)
    if any(each["failed"] for each in found.values()):
        sys.exit("Not everybody was connected in time.")


if __name__ == "__main__":
    main()
