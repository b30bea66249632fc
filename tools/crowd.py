"""Many nodes of the directory in several processes, for tests and benchmarks.

Each node is real but for the rest of the house: an endpoint, links, the directory, its store in a
database of its own (in memory-backed files where the machine has such, since a hundred nodes do not
share one disk in life). A process hosts several of them and does what its standard input says, a
line of JSON each; killed, it takes all of them along at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from fakes import FakeEntropy, someone
from postroad.base.ids import Contact, HostPort, Instant, PeerId, SureInstant
from postroad.base.seams import Network
from postroad.base.tlv import encode
from postroad.machine.clock import SystemClock
from postroad.machine.disk import FolderDisk
from postroad.peers.directory.service import Directory
from postroad.peers.exchange import Answer
from postroad.peers.link import Links
from postroad.protocol import wire
from postroad.protocol.directory import record_key
from postroad.protocol.records import PERSON
from postroad.store.database import Database
from postroad.store.directory import DirectoryShelf
from postroad.timeouts import timeout

JOIN_SECONDS_MAX = 60.0
SHARED_MEMORY = "/dev/shm"


def record(name: str, counter: int, now: float) -> bytes:
    """Somebody's record, the same in every process."""
    issued = Instant(float(int(now)))
    return encode(someone(name, issued).record(counter, expires=issued + 45 * 86400))


def _network() -> Network:
    if os.environ.get("LINK") == "tls":
        from postroad.machine.tls_network import TlsNetwork

        return TlsNetwork(("127.0.0.1",))
    from postroad.machine.iroh_network import IrohNetwork

    return IrohNetwork(("127.0.0.1", "::1"))


class RightClock(SystemClock):
    """`base.seams.SureClock`: that of the machine is believed here."""

    def sure_now(self) -> SureInstant | None:
        return SureInstant(self.now())


class Member:
    """One node, in the process that hosts it."""

    def __init__(self, name: str, folder: Path) -> None:
        self._entropy = FakeEntropy(name)
        self._folder = folder
        self.knows: list[Contact] = []
        self.dials = 0
        self.links: Links
        self.directory: Directory
        self.contact: Contact
        self._started = asyncio.Event()

    async def live(self) -> None:
        disk = FolderDisk(self._folder, reserve_bytes=0)
        endpoint = await _network().open(self._entropy.token(32), 0)
        loopback = [at for at in endpoint.addresses() if at.host == "127.0.0.1"]
        self.contact = Contact(endpoint.me, tuple(loopback[:1]))
        answers: dict[type[wire.Message], Answer] = {}
        async with Database(disk) as database:
            self.links = Links(endpoint, SystemClock(), answers, self._on_link)
            self.directory = Directory(
                endpoint.me,
                self.links,
                DirectoryShelf(database),
                RightClock(),
                self._entropy,
                lambda: self.contact,
                self._acquaintances,
                self._own_records,
                private=True,
            )
            answers.update(self.directory.answers)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.links.serve())
                await asyncio.sleep(0)
                self._started.set()
                await self.directory.run()

    def _on_link(self, _: PeerId, came: bool) -> None:
        self.dials += not came

    async def _acquaintances(self) -> list[Contact]:
        return self.knows

    async def _own_records(self) -> list[bytes]:
        return []

    async def join(self, tasks: asyncio.TaskGroup) -> float:
        """Seconds until its neighbours are known."""
        began = time.perf_counter()
        tasks.create_task(self.live())
        await self._started.wait()
        async with timeout(JOIN_SECONDS_MAX):
            while self.knows and not self.directory.has_joined:  # noqa: ASYNC110
                await asyncio.sleep(0.002)
        return time.perf_counter() - began


class _Host:
    """The process's side."""

    def __init__(self, seed: str, folder: Path, now: float) -> None:
        self._seed = seed
        self._folder = folder
        self._now = now
        self._members: list[Member] = []

    async def run(self) -> None:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
        )
        async with asyncio.TaskGroup() as tasks:
            while line := await reader.readline():
                asked = json.loads(line)
                answer = await getattr(self, asked.pop("do"))(tasks, **asked)
                print(json.dumps(answer), flush=True)
            os._exit(0)

    async def join(self, tasks: asyncio.TaskGroup, knows: list[list[Any]]) -> dict[str, Any]:
        number = len(self._members)
        folder = self._folder / f"{number}"
        folder.mkdir(mode=0o700)
        member = Member(f"{self._seed} {number}", folder)
        member.knows = [
            Contact(PeerId(bytes.fromhex(key)), (HostPort(host, port),))
            for key, host, port in knows
        ]
        seconds = await member.join(tasks)
        self._members.append(member)
        (at,) = member.contact.addresses
        return {"seconds": seconds, "contact": [member.contact.peer.hex(), at.host, at.port]}

    async def put(self, _: asyncio.TaskGroup, node: int, name: str, counter: int) -> dict[str, Any]:
        octets = record(name, counter, self._now)
        key = record_key(PERSON, someone(name, Instant(float(int(self._now)))).fingerprint)
        began = time.perf_counter()
        stored = await self._members[node].directory.put(octets, key)
        return {
            "seconds": time.perf_counter() - began, "yes": stored.yes, "asked": stored.asked,
        }  # fmt: skip

    async def get(self, _: asyncio.TaskGroup, node: int, name: str, counter: int) -> dict[str, Any]:
        octets = record(name, counter, self._now)
        fingerprint = someone(name, Instant(float(int(self._now)))).fingerprint
        began = time.perf_counter()
        found = await self._members[node].directory.find(fingerprint)
        seconds = time.perf_counter() - began
        right = None if found is None else encode(found) == octets
        return {"seconds": seconds, "right": right}

    async def count(self, _: asyncio.TaskGroup) -> dict[str, Any]:
        return {
            "messages": sum(one.links.counts.sent for one in self._members),
            "dials": sum(one.dials for one in self._members),
            "links": [one.links.count for one in self._members],
            "table": [len(one.directory.table) for one in self._members],
            "rss_kilobytes": _memory_kilobytes(),
        }


def _memory_kilobytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


class Crowd:
    """Processes with as many nodes each, driven one question at a time."""

    def __init__(self, dice: Random, processes: int) -> None:
        self.dice = dice
        self.now = SystemClock().now() - 60
        memory = SHARED_MEMORY if os.path.isdir(SHARED_MEMORY) else None
        self.folder = tempfile.TemporaryDirectory(prefix="postroad-crowd-", dir=memory)
        self.hosts: list[subprocess.Popen[str]] = []
        self.nodes: list[tuple[int, int]] = []  # process and number
        self.contacts: list[list[Any]] = []
        for number in range(processes):
            folder = Path(self.folder.name) / f"{number}"
            folder.mkdir(mode=0o700)
            command = [
                sys.executable, __file__, f"{dice.random()}", str(folder), str(self.now),
            ]  # fmt: skip
            self.hosts.append(
                subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                )
            )

    def ask(self, host: int, do: str, **more: Any) -> dict[str, Any]:
        process = self.hosts[host]
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        process.stdin.flush()
        answer: dict[str, Any] = json.loads(process.stdout.readline())
        return answer

    def grow(self, each: int) -> list[float]:
        """So many nodes more in each process; how long each took to join, in seconds."""
        took = []
        for _ in range(each):
            for host in range(len(self.hosts)):
                knows = self.dice.sample(self.contacts, min(2, len(self.contacts)))
                answer = self.ask(host, "join", knows=knows)
                self.nodes.append((host, sum(one == host for one, _ in self.nodes)))
                self.contacts.append(answer["contact"])
                took.append(answer["seconds"])
        return took

    def somebody(self, do: str, **more: Any) -> dict[str, Any]:
        """Let any of the nodes do it."""
        host, node = self.dice.choice(self.nodes)
        return self.ask(host, do, node=node, **more)

    def kill(self, count: int) -> int:
        """kill -9 for so many processes, at once; how many nodes went with them."""
        living = [host for host, one in enumerate(self.hosts) if one.poll() is None]
        chosen = self.dice.sample(living, count)
        for host in chosen:
            self.hosts[host].kill()
        before = len(self.nodes)
        self.nodes = [one for one in self.nodes if one[0] not in chosen]
        for host in chosen:
            self.hosts[host].wait(10)
        return before - len(self.nodes)

    def counts(self) -> list[dict[str, Any]]:
        living = [host for host, one in enumerate(self.hosts) if one.poll() is None]
        return [self.ask(host, "count") for host in living]

    def close(self) -> None:
        for process in self.hosts:
            process.kill()
            process.wait(10)
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdout.close()
            process.stdin.close()
        self.folder.cleanup()


if __name__ == "__main__":
    asyncio.run(_Host(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])).run())
