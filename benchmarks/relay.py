"""What a relay carries and costs: throughput relayed and direct, memory a client, CPU at rest.

    make bench ONLY=relay [ARGS="64 5 60"]      MiB a round, rounds, seconds of rest

The relay is a process of its own, watched from /proc. Two iroh endpoints in this process send to
each other, in turn directly and, with all UDP dropped by nftables, through the relay; once more
through a relay with its limits as they come, from a client and from a guest. Then a hundred iroh
endpoints in a third process have their home at the relay and say nothing but their signs of life.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import results
from postroad.base import limits
from postroad.base.ids import Contact, HostPort, PeerId, Relay
from postroad.base.seams import Endpoint, Link
from postroad.machine.entropy import SystemEntropy
from postroad.machine.iroh_network import LOOPBACK, IrohNetwork
from postroad.machine.listeners import SystemListeners
from postroad.peers.relay import RelayServer, Rules
from postroad.timeouts import timeout

CROWD = 100
DICE = results.dice("relay")


class Watched:
    """A process of this program, what it costs, and its answers."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().strip()

    def cpu_seconds(self) -> float:
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def status(self, name: str) -> int:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(each for each in text.splitlines() if each.startswith(name)).split()[1])

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


async def serve(per_second: float, contacts: set[PeerId]) -> None:
    async def may_relay(peer: PeerId) -> bool:
        return not contacts or peer in contacts

    sockets = SystemListeners({}, ("127.0.0.1",)).relay(0)
    print(sockets[0].getsockname()[1], flush=True)
    await RelayServer(may_relay, SystemEntropy(), Rules(bytes_per_second=per_second)).serve(sockets)


async def crowd(port: int) -> None:
    relay = Relay(PeerId(bytes(32)), HostPort("127.0.0.1", port))
    endpoints = []
    for _ in range(CROWD):
        endpoints.append(await IrohNetwork(LOOPBACK).open(os.urandom(32), 0))
        await endpoints[-1].use_relays([relay])
    while any(each.home_relay() is None for each in endpoints):
        await asyncio.sleep(0.1)
    print("all at home", flush=True)
    await asyncio.sleep(3600)


@contextlib.contextmanager
def without_udp() -> Iterator[None]:
    rules = (
        "add table inet relay_bench; "
        "add chain inet relay_bench out { type filter hook output priority 0; }; "
        "add rule inet relay_bench out meta l4proto udp drop"
    )
    if subprocess.run(["nft", rules], check=False).returncode != 0:
        sys.exit("relay: nft is needed, or what is called relayed would go directly.")
    try:
        yield
    finally:
        subprocess.run(["nft", "delete table inet relay_bench"], check=True)


@contextlib.asynccontextmanager
async def two() -> AsyncIterator[tuple[Endpoint, Endpoint]]:
    made = [await IrohNetwork(LOOPBACK).open(DICE.randbytes(32), 0) for _ in range(2)]
    try:
        yield made[0], made[1]
    finally:
        for one in made:
            await one.close()


async def carry(dialled: Link, accepted: Link, size: int) -> float:
    """Seconds until so much has come across."""

    async def say() -> None:
        stream = await dialled.open()
        piece = bytes(256 * limits.KIB)
        for _ in range(size // len(piece)):
            await stream.write(piece)
        await stream.finish()
        await stream.read(1)

    async def hear() -> None:
        stream = await accepted.accept()
        found = 0
        while octets := await stream.read(256 * limits.KIB):
            found += len(octets)
        assert found == size
        await stream.finish()

    began = time.perf_counter()
    async with timeout(300):
        await asyncio.gather(say(), hear())
    return time.perf_counter() - began


async def at_home(endpoint: Endpoint, relay: Relay) -> None:
    await endpoint.use_relays([relay])
    async with timeout(20):
        while endpoint.home_relay() is None:
            await asyncio.sleep(0.02)


async def relayed(
    endpoints: tuple[Endpoint, Endpoint], port: int, size: int
) -> tuple[float, float]:
    """Seconds for the bytes, and for the dial before them; from the second to the first."""
    home = Relay(endpoints[0].me, HostPort("127.0.0.1", port))
    await at_home(endpoints[0], home)
    began = time.perf_counter()
    async with timeout(20):
        dialled, accepted = await asyncio.gather(
            endpoints[1].dial(Contact(endpoints[0].me, (), home)), endpoints[0].accept()
        )
    took = time.perf_counter() - began
    seconds = await carry(dialled, accepted, size)
    assert not dialled.path().is_direct
    return seconds, took


async def direct(endpoints: tuple[Endpoint, Endpoint], size: int) -> float:
    contact = Contact(endpoints[0].me, endpoints[0].addresses())
    dialled, accepted = await asyncio.gather(endpoints[1].dial(contact), endpoints[0].accept())
    return await carry(dialled, accepted, size)


async def throughput(size: int, rounds: int) -> dict[str, object]:
    ways: dict[str, list[float]] = {"direct": [], "relayed": []}
    dials: list[float] = []
    server = Watched("serve", "1e9")
    try:
        port = int(server.answer())
        busy = 0.0
        for _ in range(rounds):
            async with two() as endpoints:
                ways["direct"].append(size / 1e6 / await direct(endpoints, size))
            with without_udp():
                async with two() as endpoints:
                    cpu = server.cpu_seconds()
                    seconds, dial = await relayed(endpoints, port, size)
                    busy += server.cpu_seconds() - cpu
            ways["relayed"].append(size / 1e6 / seconds)
            dials.append(dial * 1000)
    finally:
        server.end()
    return {
        "mib_a_round": size // limits.MIB,
        **{
            f"{name}_mb_per_second": {
                "median": round(statistics.median(found), 1),
                "least": round(min(found), 1),
                "most": round(max(found), 1),
            }
            for name, found in ways.items()
        },
        "dial_relayed_ms_median": round(statistics.median(dials), 1),
        "relay_cpu_seconds_a_gib": round(busy / rounds / size * (1 << 30), 2),
    }


async def with_limits() -> dict[str, object]:
    """At the rates as they come: what a client's letter of 16 MiB takes, and a guest's of 4."""
    found: dict[str, object] = {}
    with without_udp():
        for name, size in (("client_16_mib", 16 * limits.MIB), ("guest_4_mib", 4 * limits.MIB)):
            async with two() as endpoints:
                contacts = endpoints if name.startswith("client") else endpoints[:1]
                server = Watched(
                    "serve", str(limits.RELAY_BYTES_PER_SECOND), *(one.me.hex() for one in contacts)
                )
                try:
                    port = int(server.answer())
                    found[f"{name}_seconds"] = round((await relayed(endpoints, port, size))[0], 1)
                finally:
                    server.end()
    return found


async def rest(seconds: float) -> dict[str, object]:
    server = Watched("serve", "1e9")
    found: dict[str, object] = {"clients": CROWD}
    try:
        port = int(server.answer())
        await asyncio.sleep(1)
        before, switches = server.cpu_seconds(), server.status("voluntary_ctxt_switches")
        await asyncio.sleep(seconds)
        found["cpu_percent_without_clients"] = round(
            (server.cpu_seconds() - before) / seconds * 100, 3
        )
        found["wakeups_without_clients"] = server.status("voluntary_ctxt_switches") - switches
        empty = server.status("VmRSS:")
        guests = Watched("crowd", str(port))
        try:
            assert guests.answer() == "all at home"
            found["kilobytes_a_client"] = round((server.status("VmRSS:") - empty) / CROWD, 1)
            await asyncio.sleep(5)
            before, switches = server.cpu_seconds(), server.status("voluntary_ctxt_switches")
            await asyncio.sleep(seconds)
            found["cpu_percent"] = round((server.cpu_seconds() - before) / seconds * 100, 3)
            switches = server.status("voluntary_ctxt_switches") - switches
            found["wakeups_a_second"] = round(switches / seconds, 1)
        finally:
            guests.end()
    finally:
        server.end()
    return {"at_rest": found}


async def measure(mib: int, rounds: int, seconds: float) -> dict[str, object]:
    found = await throughput(mib * limits.MIB, rounds)
    found |= await with_limits()
    return found | await rest(seconds)


def main() -> None:
    match sys.argv[1:]:
        case ["serve", per_second, *contacts]:
            keys = {PeerId(bytes.fromhex(each)) for each in contacts}
            asyncio.run(serve(float(per_second), keys))
        case ["crowd", port]:
            asyncio.run(crowd(int(port)))
        case given:
            results.must_be_alone()
            mib, rounds, seconds = [
                float(one) for one in (*given, *("64", "5", "60")[len(given) :])
            ]
            figure = asyncio.run(measure(int(mib), int(rounds), seconds))
            results.write("relay", figure, int(rounds))


if __name__ == "__main__":
    main()
