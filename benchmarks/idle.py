"""What a node costs that has nothing to do: switches, CPU, memory, messages and packets.

    make bench ONLY=idle [ARGS="600 720"]      seconds watched, seconds of settling before

Fourteen real nodes, everybody on: Anna knows thirteen people, of whom eight hold for her and five
are contacts only; she holds for all. When they have settled (who can reach whom shows after the
second look into a drop, and the first ones are five minutes apart), Anna's process is watched from
/proc, all its threads; its own count of messages is asked before and after; packets of its port on
lo are counted by nftables (left out where that is absent or not allowed). Then the same while it is
paused, for a tenth of the time. How many switches fell in each ten seconds is printed on the way.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import results
from person import PEER_PORT, Person, meet, people, until

HOLDERS, CONTACTS = 8, 5
SLICE_SECONDS = 10


def switches(person: Person) -> int:
    """Voluntary and other context switches of all threads."""
    assert person.process is not None
    total = 0
    for status in Path(f"/proc/{person.process.pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if "ctxt_switches" in line:
                total += int(line.split()[1])
    return total


def cpu_seconds(person: Person) -> float:
    assert person.process is not None
    fields = Path(f"/proc/{person.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def messages(person: Person) -> int:
    """Sent and heard, by the node's own count."""
    status = person.postroad("status")
    return int(status["messages_sent"] + status["messages_heard"])


def packet_counter(port: int) -> Callable[[], int] | None:
    """Counts the packets to and from a port on lo from now on; None where nft cannot."""
    rules = (
        "add table inet idle; add counter inet idle seen; "
        "add chain inet idle input { type filter hook input priority 0; }; "
        f"add rule inet idle input th dport {port} counter name seen; "
        f"add rule inet idle input th sport {port} counter name seen"
    )
    if shutil.which("nft") is None or _nft(rules).returncode != 0:
        return None

    def count() -> int:
        told = re.search(r"packets (\d+)", _nft("list counter inet idle seen").stdout)
        assert told is not None
        return int(told[1])

    return count


def _nft(rules: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["nft", rules], capture_output=True, text=True, check=False)


def watch(person: Person, seconds: float, packets: Callable[[], int] | None) -> dict[str, object]:
    """The cost of so many seconds, a slice at a time."""
    said = messages(person)
    time.sleep(2)  # what the question itself cost
    counted, cpu = packets() if packets else 0, cpu_seconds(person)
    slices: list[int] = []
    began = time.monotonic()
    last = switches(person)
    while time.monotonic() - began < seconds:
        time.sleep(SLICE_SECONDS)
        now = switches(person)
        slices.append(now - last)
        last = now
    took = time.monotonic() - began
    found: dict[str, object] = {
        "switches_in_10_s": round(sum(slices) / took * 10, 1),
        "switches_in_10_s_median": statistics.median(slices),
        "switches_in_10_s_max": max(slices),
        "cpu_percent": round((cpu_seconds(person) - cpu) / took * 100, 3),
        "resident_mb": round(person.memory_bytes("VmRSS") / 1e6, 1),
    }
    if packets:
        found["packets_a_minute"] = round((packets() - counted) / took * 60, 1)
    else:
        print("idle: packets are not counted: nft is not here, or not for us")
    found["messages_a_minute"] = round((messages(person) - said) / took * 60, 2)
    print(f"idle: switches in each 10 s: {slices}", flush=True)
    return found


def play(seconds: float, settling: float) -> dict[str, object]:
    guests = [f"guest{number}" for number in range(1, HOLDERS + CONTACTS + 1)]
    with people("idle", "anna", *guests) as everybody:
        anna, *others = everybody
        for other in others:
            meet(anna, other)
        until(lambda: anna.postroad("status")["holders"] == HOLDERS, "eight hold for Anna")
        for person in everybody:  # as after a night: what they know is on their disks
            person.stop()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(Person.start, everybody))
        packets = packet_counter(PEER_PORT)
        time.sleep(settling)
        found: dict[str, object] = {"seconds": seconds, "settling_seconds": settling}
        found["idle"] = watch(anna, seconds, packets)
        anna.postroad("pause")
        time.sleep(SLICE_SECONDS)
        found["paused"] = watch(anna, max(seconds / 10, 3 * SLICE_SECONDS), packets)
        return found


def main() -> None:
    results.must_be_alone()
    seconds = float(sys.argv[1]) if sys.argv[1:] else 600.0
    settling = float(sys.argv[2]) if sys.argv[2:] else 720.0
    results.write("idle", play(seconds, settling), 1)


if __name__ == "__main__":
    main()
