"""The local network as a hostile neighbour makes it: calls without number, and false addresses."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest

import wires
from fakes import FakeEntropy
from postroad.base import limits
from postroad.machine.interfaces import local_interfaces
from postroad.machine.lan import ZeroconfLan, _is_near, _tag_of
from postroad.timeouts import timeout

ROOT = Path(__file__).parents[2]
HOME = (IPv4Interface("192.168.7.20/24"),)
on_a_cable = pytest.mark.skipif(
    not wires.are_allowed(), reason="network namespaces with a cable need root and iproute2"
)


@pytest.mark.parametrize(
    ("host", "is_near"),
    [
        ("192.168.7.21", True),
        ("192.168.7.20", True),  # another user of this computer
        ("192.168.7.255", False),
        ("192.168.8.1", False),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.251", False),
        ("198.51.100.7", False),
        ("fe80::1", False),
        ("x", False),
    ],
)
def test_only_computers_of_our_own_network_are_near(host: str, is_near: bool) -> None:
    assert _is_near(host, HOME) is is_near


def test_an_instance_s_tag() -> None:
    assert _tag_of("00112233445566ff-abcd._postroad._udp.local.") == bytes.fromhex(
        "00112233445566ff"
    )
    for name in ("", "x", "00112233445566f", "Anna's printer._postroad._udp.local.", "é" * 20):
        assert _tag_of(name) is None


def test_loopback_leads_to_no_neighbour() -> None:
    assert all(not one.ip.is_loopback for one in local_interfaces())


LISTEN = """
import asyncio, json, sys
from postroad.machine.entropy import SystemEntropy
from postroad.machine.lan import ZeroconfLan

def memory(name):
    for line in open("/proc/self/status"):
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024

def switches():
    lines = [line for line in open("/proc/self/status") if "ctxt_switches" in line]
    return sum(int(line.split()[1]) for line in lines)

async def main():
    seconds, wanted = float(sys.argv[1]), bytes.fromhex(sys.argv[2])
    heard, asked = [], 0
    def is_wanted(tag):
        nonlocal asked
        asked += 1
        return tag == wanted
    lan = ZeroconfLan(SystemEntropy())
    serving = asyncio.create_task(lan.serve(bytes(8), lambda: 46464, is_wanted, heard.append))
    await asyncio.sleep(2)
    before = memory("VmRSS")
    print("ready", flush=True)
    slowest, loop = 0.0, asyncio.get_running_loop()
    ends = loop.time() + seconds
    while loop.time() < ends:
        began = loop.time()
        await asyncio.sleep(0.02)
        slowest = max(slowest, loop.time() - began - 0.02)
    after = memory("VmHWM")
    at = switches()
    await asyncio.sleep(10)
    idle = switches() - at
    serving.cancel()
    await asyncio.wait({serving})
    print(json.dumps({
        "heard": [[one.tag.hex(), [str(at) for at in one.addresses]] for one in heard],
        "asked": asked, "grown": after - before, "slowest": slowest, "switches": idle,
    }))

asyncio.run(main())
"""
SHOUT = """
import random, socket, struct, sys, time
count, wanted, pace = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
TYPE = "_postroad._udp.local."

def name(text):
    return b"".join(bytes([len(one)]) + one.encode() for one in text.split(".") if one) + b"\\0"

def record(owner, kind, data, ttl=4500):
    unique = 0x8000 if kind != 12 else 0
    return name(owner) + struct.pack(">HHIH", kind, 1 | unique, ttl, len(data)) + data

def packet(*records):
    return struct.pack(">6H", 0, 0x8400, 0, len(records), 0, 0) + b"".join(records)

def one(tag, host, port):
    instance = f"{tag}-{random.randrange(2**32):08x}.{TYPE}"
    server = f"{random.randrange(2**64):016x}.local."
    return (
        record(TYPE, 12, name(instance)),
        record(instance, 33, struct.pack(">HHH", 0, 0, port) + name(server)),
        record(instance, 16, b"\\0"),
        record(server, 1, socket.inet_aton(host)),
    )

out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.77.0.2"))
out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
out.bind(("10.77.0.2", 0))
where = ("224.0.0.251", 5353)
far, near = "198.51.100.9", "10.77.0.2"
for host, port in (("127.0.0.1", 4646), (far, 4646), ("10.77.0.1", 22), (near, 46465)):
    out.sendto(packet(*one(wanted, host, port)), where)
    time.sleep(0.2)
for _ in range(count // 4):
    tags = [f"{random.randrange(2**64):016x}" for _ in range(4)]
    out.sendto(packet(*(each for tag in tags for each in one(tag, "10.77.0.9", 9999))), where)
    time.sleep(pace)
"""


def listen(computer: wires.Computer, seconds: float, wanted: str) -> subprocess.Popen[str]:
    """Somebody who listens there; returns when they do."""
    command = [*computer.enter, sys.executable, "-c", LISTEN, str(seconds), wanted]
    ours = {**os.environ, "PYTHONPATH": str(ROOT / "service")}
    listening = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ours)
    assert listening.stdout is not None
    assert listening.stdout.readline() == "ready\n"
    return listening


def what_was_heard(listening: subprocess.Popen[str]) -> dict[str, Any]:
    answer, _ = listening.communicate(timeout=120)
    found = json.loads(answer)
    assert isinstance(found, dict)
    return found


@on_a_cable
def test_many_who_shout_cost_little_and_false_addresses_are_not_passed_on() -> None:
    wanted = "00aa11bb22cc33dd"
    with wires.two_computers() as (ours, theirs):
        for one in (ours, theirs):
            one.plug_in()
        listening = listen(ours, 12, wanted)
        theirs.python(SHOUT, "20000", wanted, "0.001")
        found = what_was_heard(listening)
    print(found)
    assert found["heard"] == [[wanted, ["10.77.0.2:46465"]]]
    assert found["asked"] > 1000  # they were heard at all
    assert found["grown"] < 64 * limits.MIB


@on_a_cable
def test_whoever_listens_in_a_quiet_place_is_at_rest() -> None:
    with wires.two_computers() as (ours, theirs):
        for one in (ours, theirs):
            one.plug_in()
        found = what_was_heard(listen(ours, 20, "00aa11bb22cc33dd"))
    print(found)
    assert found["switches"] <= 10  # in 10 seconds


def test_a_network_that_goes_while_we_join_it_does_not_end_the_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What fails inside of a stay comes in a group of errors."""
    looks = 0

    def interfaces(_: ZeroconfLan) -> tuple[IPv4Interface, ...]:
        nonlocal looks
        looks += 1
        if looks == 1:
            return (IPv4Interface("127.0.0.1/8"),)
        raise OSError("too many open files")

    async def run() -> None:
        lan = ZeroconfLan(FakeEntropy(1))
        serving = asyncio.create_task(
            lan.serve(bytes(8), lambda: 46464, lambda _: False, lambda _: None)
        )
        async with timeout(10):
            while looks < 2:
                await asyncio.sleep(0.05)
        done, _ = await asyncio.wait({serving}, timeout=3)
        serving.cancel()
        await asyncio.wait({serving})
        assert not done, serving

    monkeypatch.setattr(ZeroconfLan, "_interfaces", interfaces)
    asyncio.run(run())
