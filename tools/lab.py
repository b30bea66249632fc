"""A laboratory of networks: homes behind NATs and firewalls, and an internet between them.

Purpose: real processes meet as they would across the world, on one machine. Each host and each
router is a network namespace; nftables gives the routers their manners and counts what passes.
Invariants: nothing leads out: the namespaces are joined to one another only, and to no network of
the machine. They have no names: they live by the file descriptors of this process, so that they
go when it does, however it ends. For root. Standard library only.

What a Linux router does is restricted (it lets in only whom somebody inside wrote to): CONE keeps
the outside port, SYMMETRIC takes another one for each destination. What is lost is chosen by the
kernel's own dice, which no seed governs.
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")

# Whoever asks takes them for public. Nothing leads to whoever may really have them. Each line to
# the backbone is in a network of its own, as people who meet are.
PUBLIC_V4, PUBLIC_V6 = "192.88.{}.1", "3ffe:88:{}::1"
HOME_V4, HOME_V6 = "192.168.{}.{}", "3ffe:168:{}::{}"
HOMES = (HOME_V4, HOME_V6)
BACKBONE = 1  # its number among the public addresses
HOSTS_MAX = 98  # 192.88.99.0/24 is special
MOVED = 100  # what a move adds to the last number of an address
COMMAND_SECONDS_MAX = 20
PROGRAMS = {"ip": "iproute2", "nft": "nftables"}
NAT_PORTS = ("20000-29999", "30000-39999", "40000-49999")  # taken in turn when a NAT forgets

CLONE_NEWNET = 0x40000000
CTNETLINK_DELETE = 1 << 8 | 2  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE
NETLINK_NETFILTER = 12
REQUEST_AND_ACK = 0x1 | 0x4


class Kind(enum.Enum):
    """How a host is connected."""

    OPEN = "open"  # a public address, and nothing in between
    CONE = "cone"  # behind a NAT that keeps the outside port
    SYMMETRIC = "symmetric"  # behind a NAT with another outside port for each destination
    UDP_BLOCKED = "udpblocked"  # behind a NAT, and a firewall that lets only TCP to port 443 out


class LabBroken(Exception):
    """The laboratory itself could not do what it was told."""


def lacking() -> str | None:
    """Why there can be no laboratory here, with the line to type if there is one; None: it can."""
    if os.geteuid() != 0:
        return "The laboratory makes network namespaces, which is for root. Type: sudo make netlab"
    if packages := [PROGRAMS[name] for name in PROGRAMS if shutil.which(name) is None]:
        return f"The laboratory needs more. Type: sudo apt-get install -y {' '.join(packages)}"
    try:
        with contextlib.closing(Space("trial")) as trial:
            trial.nft("table inet trial { chain c { type nat hook postrouting priority 100; }\n}")
    except (OSError, LabBroken) as error:
        return f"Network namespaces with nftables are not allowed here ({error})."
    return None


class Space:
    """One network namespace, with its loopback up."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._handle = _in_a_thread(_make_space)
        self.path = f"/proc/{os.getpid()}/fd/{self._handle}"
        self.ip("link set lo up")

    def close(self) -> None:
        """Let go of it, and end with kill -9 what still runs in it."""
        if self._handle < 0:
            return
        inode = os.fstat(self._handle).st_ino
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                if (process / "ns/net").stat().st_ino == inode:
                    os.kill(int(process.name), signal.SIGKILL)
        os.close(self._handle)
        self._handle = -1

    def inside(self, work: Callable[[], T]) -> T:
        """Do this where the network is that of this space: sockets and processes begun there
        belong to it, and may be used from outside."""

        def moved() -> T:
            _libc(b"setns", self._handle, CLONE_NEWNET)
            return work()

        return _in_a_thread(moved)

    def run(self, *command: str, told: str = "") -> str:
        """What the command says; LabBroken with its last words when it fails."""
        done = self.inside(
            lambda: subprocess.run(
                command,
                input=told,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS_MAX,
                check=False,
            )
        )
        if done.returncode:
            raise LabBroken(f"{self.name}: {' '.join(command)} {told}: {done.stderr.strip()}")
        return done.stdout

    def ip(self, *lines: str) -> None:
        self.run("ip", "-batch", "-", told="\n".join(lines) + "\n")

    def nft(self, rules: str) -> None:
        self.run("nft", "-f", "-", told=rules)

    def allow_forwarding(self) -> None:
        def write() -> None:
            for key in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
                Path(f"/proc/sys/net/{key}").write_text("1")

        self.inside(write)

    def forget_connections(self) -> None:
        """Empty the table of connections, as the restart of a router does."""
        self.inside(_flush_conntrack)

    def count_packets(self, name: str, hook: str, match: str) -> Callable[[], int]:
        """Counts what matches at this hook from now on, e.g. "output", "ip daddr 10.0.0.0/8"."""
        self.nft(f"""
            table inet {name} {{
                chain c {{
                    type filter hook {hook} priority -300;
                    {match} counter
                }}
            }}""")

        def count() -> int:
            told = json.loads(self.run("nft", "-j", "list", "chain", "inet", name, "c"))
            rules = [each["rule"]["expr"] for each in told["nftables"] if "rule" in each]
            return sum(part["counter"]["packets"] for part in rules[0] if "counter" in part)

        return count


class Router(Space):
    """The router of one home: `wan` leads out, `lan` in."""

    def __init__(self, name: str, kind: Kind) -> None:
        super().__init__(name)
        self.kind = kind
        self._forgot = 0
        self.allow_forwarding()

    def take_up(self) -> None:
        """NAT and firewall. IPv6 is not translated, but nobody comes in uncalled either."""
        manners = {Kind.SYMMETRIC: "fully-random"}.get(self.kind, "")
        if self._forgot:
            manners = manners or f"to :{NAT_PORTS[(self._forgot - 1) % len(NAT_PORTS)]}"
        out = "tcp dport 443 accept" if self.kind is Kind.UDP_BLOCKED else "accept"
        ported = f"meta l4proto {{ tcp, udp }} masquerade {manners}" if manners else "masquerade"
        self.nft(f"""
            table inet router {{}}
            delete table inet router
            table inet router {{
                chain outside {{
                    type nat hook postrouting priority srcnat;
                    oifname wan meta nfproto ipv4 {ported}
                }}
                chain through {{
                    type filter hook forward priority filter; policy drop;
                    ct state established,related accept
                    iifname lan {out}
                }}
                chain to_me {{
                    type filter hook input priority filter;
                    iifname wan ct state established,related accept
                    meta l4proto ipv6-icmp accept  # neighbour discovery
                    iifname wan drop
                }}
            }}""")

    def rebind(self) -> None:
        """Forget who spoke with whom, and give other outside ports from now on."""
        self._forgot += 1
        self.take_up()
        self.forget_connections()

    def die(self) -> None:
        """Nothing passes any more, and nobody says so."""
        self.nft("""
            table inet death {
                chain any { type filter hook prerouting priority -400; policy drop; }
            }""")

    def revive(self) -> None:
        """On again, as after a restart: whom it let in before is forgotten."""
        self.nft("delete table inet death")
        self.forget_connections()


class Host(Space):
    """A computer. `address`: its own; `outside`: the one that the world sees."""

    def __init__(self, name: str, kind: Kind, number: int) -> None:
        super().__init__(name)
        self.kind = kind
        self.number = number
        self.outside = PUBLIC_V4.format(number)
        if kind is Kind.OPEN:
            self.address, self.address_v6 = self.outside, PUBLIC_V6.format(number)
            self.gateway = PUBLIC_V4.format(BACKBONE)
        else:
            self.address, self.address_v6 = (pattern.format(number, 2) for pattern in HOMES)
            self.gateway = HOME_V4.format(number, 1)
        self.router: Router | None = None


class Lab:
    """The internet of a laboratory, and those who are connected to it; `with` takes it down."""

    def __init__(self, *, v6: bool = False) -> None:
        self.has_v6 = v6
        self.hosts: dict[str, Host] = {}
        self._spaces: list[Space] = []
        self._number = BACKBONE
        self.backbone = self._keep(Space("backbone"))
        self.backbone.allow_forwarding()
        self.backbone.nft("""
            table inet backbone {
                set flows { type ipv4_addr . ipv4_addr; flags dynamic; counter; size 65535; }
                set flows6 { type ipv6_addr . ipv6_addr; flags dynamic; counter; size 65535; }
                chain count {
                    type filter hook forward priority 0;
                    update @flows { ip saddr . ip daddr }
                    update @flows6 { ip6 saddr . ip6 daddr }
                }
            }""")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        while self._spaces:
            self._spaces.pop().close()

    def host(self, name: str, kind: Kind = Kind.OPEN) -> Host:
        """Connect one more computer, in a home of its own unless it is OPEN."""
        assert self._number < HOSTS_MAX, "the laboratory is full"
        self._number += 1
        number = self._number
        host = self._keep(Host(name, kind, number))
        if kind is Kind.OPEN:
            self._plug_in(host, "eth0", number)
        else:
            host.router = self._keep(Router(f"{name}'s router", kind))
            self._plug_in(host.router, "wan", number)
            self._build_home(host, host.router, number)
        self.hosts[name] = host
        return host

    def move(self, host: Host) -> None:
        """Give the host another address, as a new lease or another network does."""
        head, _, last = host.address.rpartition(".")
        new = f"{head}.{int(last) + MOVED}"
        length = 32 if host.router is None else 24
        host.ip("address flush dev eth0 scope global", f"address add {new}/{length} dev eth0")
        if host.router is None:
            self.backbone.ip(f"route add {new} dev to-{host.number}", f"route del {host.address}")
            host.outside = new
        host.ip(f"route replace default via {host.gateway} dev eth0 onlink")
        host.address = new

    def take_away(self, host: Host, version: int) -> None:
        """The host has no address of this version of IP (4 or 6) any more."""
        host.run("ip", f"-{version}", "address", "flush", "dev", "eth0", "scope", "global")

    def unplug(self, host: Host) -> None:
        host.ip("link set eth0 down")

    def lose(self, host: Host, percent: float) -> None:
        """From now on lose so many packets on their way from and to this host; 0 ends it.

        With 100 nobody hears of it any more, as of one that is switched off."""
        share = f"numgen random mod 1000 < {round(10 * percent)}" if percent < 100 else ""
        self._disturb("loss", host, f"{share} drop" if percent else "")

    def slow_down(self, host: Host, kilobytes_per_second: int) -> None:
        """From now on this host's line carries no more than this, each way; 0 ends it.

        nftables lets what a second may carry pass at once before it begins to count."""
        rate = f"limit rate over {kilobytes_per_second} kbytes/second burst 64 kbytes drop"
        self._disturb("narrow", host, rate if kilobytes_per_second else "")

    def _disturb(self, chain: str, host: Host, rule: str) -> None:
        chain = f"{chain}-{host.number}"
        lines = "\n".join(f"{way} to-{host.number} {rule}" for way in ("iifname", "oifname"))
        self.backbone.nft(f"""
            table inet backbone {{ chain {chain} {{ type filter hook forward priority -10; }}
            }}
            flush chain inet backbone {chain}
            table inet backbone {{
                chain {chain} {{
                    {lines if rule else ""}
                }}
            }}""")

    def passed(self, source: str, target: str) -> int:
        """Octets that the backbone carried from one address to the other up to now."""
        name = "flows6" if ":" in source else "flows"
        told = json.loads(self.backbone.run("nft", "-j", "list", "set", "inet", "backbone", name))
        found = [each["set"] for each in told["nftables"] if "set" in each]
        for element in found[0].get("elem", []):
            if element["elem"]["val"]["concat"] == [source, target]:
                return int(element["elem"]["counter"]["bytes"])
        return 0

    def _keep(self, space: S) -> S:
        self._spaces.append(space)
        return space

    def _plug_in(self, space: Space, device: str, number: int) -> None:
        """A line of its own to the backbone: neighbours on the internet share no segment."""
        space.ip(f"link add {device} type veth peer name to-{number} netns {self.backbone.path}")
        v4, gateway = PUBLIC_V4.format(number), PUBLIC_V4.format(BACKBONE)
        self.backbone.ip(
            f"address add {gateway}/32 dev to-{number}",
            f"link set to-{number} up",
            f"route add {v4} dev to-{number}",
        )
        space.ip(
            f"address add {v4}/32 dev {device}",
            f"link set {device} up",
            f"route add default via {gateway} dev {device} onlink",
        )
        if self.has_v6:
            v6, gateway = PUBLIC_V6.format(number), PUBLIC_V6.format(BACKBONE)
            self.backbone.ip(
                f"address add {gateway}/128 dev to-{number}",
                f"route add {v6}/128 dev to-{number}",
            )
            space.ip(
                f"address add {v6}/128 dev {device}",
                f"route add default via {gateway} dev {device} onlink",
            )

    def _build_home(self, host: Host, router: Router, number: int) -> None:
        router.ip(
            f"link add lan type veth peer name eth0 netns {host.path}",
            f"address add {host.gateway}/24 dev lan",
            "link set lan up",
        )
        host.ip(
            f"address add {host.address}/24 dev eth0",
            "link set eth0 up",
            f"route add default via {host.gateway}",
        )
        if self.has_v6:
            gateway = HOME_V6.format(number, 1)
            router.ip(f"address add {gateway}/64 dev lan")
            host.ip(
                f"address add {host.address_v6}/64 dev eth0", f"route add default via {gateway}"
            )
            home, way = HOME_V6.format(number, ""), PUBLIC_V6.format(number)
            self.backbone.ip(f"route add {home}/64 via {way} dev to-{number} onlink")
        router.take_up()


S = TypeVar("S", bound=Space)


def _in_a_thread(work: Callable[[], T]) -> T:
    """A thread alone changes its namespace: this one, and with it the process, stays."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


def _make_space() -> int:
    _libc(b"unshare", CLONE_NEWNET)
    for name in ("all", "default"):  # an address serves at once, not after a second of doubt
        with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
            Path(f"/proc/sys/net/ipv6/conf/{name}/accept_dad").write_text("0")
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY)


def _libc(name: bytes, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)  # os.unshare and os.setns come with Python 3.12
    if getattr(libc, name.decode())(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _flush_conntrack() -> None:
    """IPCTNL_MSG_CT_DELETE with no attribute: all of them. See linux/netfilter/nfnetlink.h."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as asked:
        asked.settimeout(COMMAND_SECONDS_MAX)
        family = struct.pack("=BBH", socket.AF_UNSPEC, 0, 0)
        head = struct.pack("=IHHII", 16 + len(family), CTNETLINK_DELETE, REQUEST_AND_ACK, 1, 0)
        asked.send(head + family)
        (error,) = struct.unpack_from("=i", asked.recv(4096), 16)
        if error:
            raise OSError(-error, os.strerror(-error))
