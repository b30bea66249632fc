"""What an iroh endpoint costs that does nothing: memory, CPU and wake-ups with 0, 10 and 64 links.

    make bench ONLY=iroh_endpoint [SEED=7] [ARGS=30]      seconds of idling

The links come from as many endpoints in a second process, so that only one end is measured.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import results

if TYPE_CHECKING:
    from postroad.base.seams import Link

LINKS = (0, 10, 64)
SEED = results.seed()


def memory_kilobytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def wakeups() -> int:
    """Voluntary context switches of all threads, also of those that have ended."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw


async def rest(seconds: float) -> dict[str, float]:
    """The cost of doing nothing."""
    await asyncio.sleep(3)  # what a new link still has to say
    cpu, switches = time.process_time(), wakeups()
    await asyncio.sleep(seconds)
    return {
        "memory_kilobytes": memory_kilobytes(),
        "cpu_percent": round((time.process_time() - cpu) / seconds * 100, 3),
        "wakeups_per_second": round((wakeups() - switches) / seconds, 2),
        "threads": len(os.listdir("/proc/self/task")),
        "descriptors": len(os.listdir("/proc/self/fd")),
    }


async def measure(seconds: float) -> dict[str, object]:
    python = memory_kilobytes()
    from postroad.machine.iroh_network import LOOPBACK, IrohNetwork

    imported = memory_kilobytes()
    dice = random.Random(SEED)
    endpoint = await IrohNetwork(LOOPBACK).open(dice.randbytes(32), 0)
    found: dict[str, object] = {
        "python_kilobytes": python,
        "import_kilobytes": imported - python,
        "endpoint_kilobytes": memory_kilobytes() - imported,
    }
    at = endpoint.addresses()[0]
    crowd = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "crowd", endpoint.me.hex(), at.host, str(at.port),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert crowd.stdin is not None
    links: list[Link] = []
    for count in LINKS:
        crowd.stdin.write(b"%d\n" % count)
        began = time.perf_counter()
        while len(links) < count:
            links.append(await endpoint.accept())
        took = time.perf_counter() - began
        found[f"{count} links"] = {**await rest(seconds), "connect_seconds": round(took, 3)}
    crowd.stdin.close()
    await crowd.wait()
    await endpoint.close()
    return found


async def crowd(key: str, host: str, port: str) -> None:
    """Dial until as many links exist as each line of the standard input says."""
    from postroad.base.ids import Contact, HostPort, PeerId
    from postroad.machine.iroh_network import LOOPBACK, IrohNetwork

    there = Contact(PeerId(bytes.fromhex(key)), (HostPort(host, int(port)),))
    dice = random.Random(SEED + 1)
    links: list[Link] = []
    while line := await asyncio.to_thread(sys.stdin.readline):
        while len(links) < int(line):
            endpoint = await IrohNetwork(LOOPBACK).open(dice.randbytes(32), 0)
            links.append(await endpoint.dial(there))


def main() -> None:
    if sys.argv[1:2] == ["crowd"]:
        asyncio.run(crowd(*sys.argv[2:]))
        os._exit(0)  # the other end is gone already
    results.must_be_alone()
    seconds = float(sys.argv[1]) if sys.argv[1:] else 30.0
    results.write("iroh_endpoint", asyncio.run(measure(seconds)), 1)


if __name__ == "__main__":
    main()
