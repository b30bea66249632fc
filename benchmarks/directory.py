"""The directory with a hundred nodes: join, publish, find; with losses, and with many killed.

    make bench ONLY=directory [SEED=7] [LINK=tls] [ARGS="10 10 60"]
                                                 processes, nodes in each, lookups of each kind

Real nodes over iroh on loopback, each with its links, its table and its own database
(`tools/crowd`), in several processes. Undisturbed; then nftables drops 5 % and 20 % of all UDP
packets (left out where nft is absent); then kill -9 for 30 % of the nodes at once, and in a second
crowd for 50 %. Every answer is compared with the octets that were published. Messages are those
that nodes send; packets and bytes are those of the loopback device, QUIC's own included. The
library as it is, over its own UDP, does the same in one process beside it (a tenth as often where
nodes are dead or packets are lost, for each costs it five seconds).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from kademlia.network import Server  # type: ignore[import-untyped]

import results
from crowd import Crowd
from postroad.timeouts import timeout

STOCK_SECONDS_MAX = 180.0


def wire() -> tuple[int, int]:
    """Packets and bytes that crossed loopback."""
    for line in Path("/proc/self/net/dev").read_text().splitlines():
        if line.strip().startswith("lo:"):
            octets, packets = line.split()[1:3]
            return int(packets), int(octets)
    raise AssertionError("no loopback")


def may_drop() -> bool:
    with contextlib.suppress(FileNotFoundError):
        return subprocess.run(["nft", "list", "tables"], capture_output=True).returncode == 0
    return False


@contextlib.contextmanager
def loss(percent: int) -> Iterator[None]:
    """Of all UDP packets, so many in a hundred do not arrive."""
    rules = (
        "add table inet loss; add chain inet loss input { type filter hook input priority 0; }; "
        f"add rule inet loss input meta l4proto udp numgen random mod 100 < {percent} drop"
    )
    subprocess.run(["nft", rules], check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete table inet loss"], check=True)


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """At the median, at 99 of 100 (nearest rank), and the longest."""
    ordered = sorted(seconds)
    rank = max(0, -(-99 * len(ordered) // 100) - 1)
    return {
        "p50_ms": round(statistics.median(ordered) * 1000, 1),
        "p99_ms": round(ordered[rank] * 1000, 1),
        "max_ms": round(ordered[-1] * 1000, 1),
    }


class Measured:
    """What a crowd does in one weather."""

    def __init__(self, crowd: Crowd, name: str, lookups: int) -> None:
        self._crowd = crowd
        self._name = name
        self._lookups = lookups
        self.figure: dict[str, Any] = {}

    def put(self) -> None:
        with self._costs("put"):
            answers = [
                self._crowd.somebody("put", name=f"{self._name}-{number}", counter=1)
                for number in range(self._lookups)
            ]
        self.figure["put"] |= milliseconds([one["seconds"] for one in answers])
        self.figure["put"]["keepers_min"] = min(one["yes"] for one in answers)

    def get(self, times: int = 1) -> None:
        with self._costs("get", times):
            answers = [
                self._crowd.somebody("get", name=f"{self._name}-{number}", counter=1)
                for _ in range(times)
                for number in range(self._lookups)
            ]
        right = [one["right"] for one in answers]
        self.figure["get"] |= {
            **milliseconds([one["seconds"] for one in answers]),
            "right": right.count(True),
            "wrong": right.count(False),
            "none": right.count(None),
        }

    @contextlib.contextmanager
    def _costs(self, what: str, times: int = 1) -> Iterator[None]:
        """Messages, new dials, packets and bytes for each."""
        before, (packets, octets) = self._crowd.counts(), wire()
        yield
        after, (more_packets, more_octets) = self._crowd.counts(), wire()
        each = self._lookups * times

        def grown(name: str) -> int:
            return sum(int(one[name]) for one in after) - sum(int(one[name]) for one in before)

        self.figure[what] = {
            "messages": round(grown("messages") / each, 1),
            "new_dials": round(grown("dials") / each, 2),
            "packets": round((more_packets - packets) / each),
            "bytes": round((more_octets - octets) / each),
        }


def grown(dice: Random, processes: int, each: int) -> tuple[Crowd, dict[str, Any]]:
    """A crowd that has joined, and what that took."""
    crowd = Crowd(dice, processes)
    empty = statistics.mean(crowd.ask(host, "count")["rss_kilobytes"] for host in range(processes))
    packets, octets = wire()
    took = crowd.grow(each)
    counts, (more_packets, more_octets) = crowd.counts(), wire()
    nodes = processes * each
    table = [size for one in counts for size in one["table"]]
    full = statistics.mean(one["rss_kilobytes"] for one in counts)
    return crowd, {
        **milliseconds(took[1:]),
        "messages": round(sum(one["messages"] for one in counts) / nodes, 1),
        "dials": round(sum(one["dials"] for one in counts) / nodes, 1),
        "packets": round((more_packets - packets) / nodes),
        "bytes": round((more_octets - octets) / nodes),
        "nodes_in_table_mean": round(statistics.mean(table), 1),
        "links_max": max(links for one in counts for links in one["links"]),
        "memory_kilobytes_of_a_node": round((full - empty) / each),
    }


def ours(processes: int, each: int, lookups: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    crowd, found["join"] = grown(results.dice("directory"), processes, each)
    with contextlib.closing(crowd):
        quiet = Measured(crowd, "quiet", lookups)
        quiet.put()
        quiet.get(times=3)
        found["undisturbed"] = dict(quiet.figure)  # it is asked once more when many are dead
        say(found)
        for percent in (5, 20) if may_drop() else ():
            lossy = Measured(crowd, f"lossy{percent}", lookups)
            with loss(percent):
                lossy.put()
                lossy.get()
            found[f"{percent} % of packets lost"] = lossy.figure
            say(lossy.figure)
        found["30 % killed at once"] = after_killing(crowd, quiet, round(processes * 0.3))
    crowd, _ = grown(results.dice("directory, half"), processes, each)
    with contextlib.closing(crowd):
        half = Measured(crowd, "half", lookups)
        half.put()
        found["50 % killed at once"] = after_killing(crowd, half, round(processes * 0.5))
    return found


def after_killing(crowd: Crowd, measured: Measured, processes: int) -> dict[str, Any]:
    """All that was published before is looked for at once, and then once more."""
    figure: dict[str, Any] = {"nodes_killed": crowd.kill(processes)}
    for what in ("at once", "the second time"):
        measured.get()
        figure[what] = measured.figure["get"]
    say(figure)
    return figure


async def stock(count: int, lookups: int) -> dict[str, Any]:
    """The library as it is: in one process, its values as large as a record."""
    logging.getLogger("kademlia").setLevel(logging.CRITICAL)
    logging.getLogger("rpcudp").setLevel(logging.CRITICAL)
    dice = results.dice("directory, stock")
    servers: list[Any] = []
    joins = []
    for _ in range(count):
        server = Server()
        await server.listen(0, "127.0.0.1")
        knows = [place(one) for one in dice.sample(servers, min(2, len(servers)))]
        began = time.perf_counter()
        if knows:
            await server.bootstrap(knows)
        joins.append(time.perf_counter() - began)
        servers.append(server)
    found: dict[str, Any] = {"join": milliseconds(joins[1:])}
    found["undisturbed"] = await ask_stock(servers, dice, "quiet", lookups, puts=True)
    say(found)
    if may_drop():
        with loss(5):
            found["5 % of packets lost"] = await ask_stock(
                servers, dice, "lossy", lookups // 10, puts=True
            )
    gone = dice.sample(servers, count * 3 // 10)
    for server in gone:
        server.stop()
    living = [one for one in servers if one not in gone]
    found["30 % killed at once"] = await ask_stock(living, dice, "quiet", lookups // 10, puts=False)
    for server in living:
        server.stop()
    return found


def place(server: Any) -> tuple[str, int]:
    host, port = server.transport.get_extra_info("sockname")
    return host, port


async def ask_stock(
    servers: list[Any], dice: Random, name: str, count: int, *, puts: bool
) -> dict[str, Any]:
    octets = {f"{name} {number}": f"{number}".encode() + bytes(3500) for number in range(count)}
    figure: dict[str, Any] = {}
    took, right = [], []
    for key, value in octets.items() if puts else ():
        took.append(await timed(dice.choice(servers).set(key, value), []))
    if puts:
        figure["put"] = milliseconds(took)
    took = []
    for key, value in octets.items():
        answer: list[Any] = []
        took.append(await timed(dice.choice(servers).get(key), answer))
        right.append(None if answer[0] is None else answer[0] == value)
    figure["get"] = {
        **milliseconds(took),
        "right": right.count(True), "wrong": right.count(False), "none": right.count(None),
    }  # fmt: skip
    return figure


async def timed(work: Any, answer: list[Any]) -> float:
    """Seconds; an error of the library's counts as no answer."""
    began = time.perf_counter()
    try:
        async with timeout(STOCK_SECONDS_MAX):
            answer.append(await work)
    except Exception as error:
        print(f"stock: {error!r}", flush=True)
        answer.append(None)
    return time.perf_counter() - began


def say(figure: dict[str, Any]) -> None:
    print(figure, flush=True)


def main() -> None:
    results.must_be_alone()
    processes, each, lookups = (
        int(given) for given in (sys.argv[1:4] if sys.argv[1:] else ("10", "10", "60"))
    )
    figure: dict[str, Any] = {
        "nodes": processes * each,
        "ours": ours(processes, each, lookups),
    }
    figure["library"] = asyncio.run(stock(processes * each, lookups))
    quiet, theirs = figure["ours"]["undisturbed"], figure["library"]["undisturbed"]
    figure["ratio_to_library"] = {
        what: round(quiet[what]["p50_ms"] / max(theirs[what]["p50_ms"], 0.1), 1)
        for what in ("put", "get")
    }
    if not may_drop():
        figure["loss"] = "left out: nft is absent or not allowed"
    results.write("directory", figure, lookups)
    gets = [
        one[name]
        for one in figure["ours"].values()
        for name in ("get", "at once", "the second time")
        if name in one
    ]
    wrong = sum(one["wrong"] + one["none"] for one in gets)
    if wrong:
        sys.exit(f"{wrong} lookups were not answered rightly")


if __name__ == "__main__":
    main()
