"""What nodes say to each other about the ways between them. Kinds 40 to 49 of `wire`.

Nobody is ever sent to an address that a message names: a peer tells at which address it sees the
asker, and knocks at that one only. So no node can be made a reflector (promise A4).
"""

import ipaddress
from dataclasses import dataclass

from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import HostPort
from postroad.base.tlv import fixed, flag, number, octets, optional


@dataclass(frozen=True, slots=True)
class Who:
    """Where do you see me? Answer: Seen, or No to whom the node does not know."""


@dataclass(frozen=True, slots=True)
class Seen:
    """`address`: where the asker's packets come from (4 or 16 bytes and the port); absent when they
    come through a relay. `now`: seconds UTC by this node's clock. `relay_port`: the TCP port at
    which it passes packets on for the asker; absent when it does not."""

    now: int = number(1, 8)
    address: bytes | None = optional(octets(2, 6, 18))
    relay_port: bytes | None = optional(fixed(3, 2))

    @property
    def seen_at(self) -> HostPort | None:
        """The address in its canonical form; PeerMisbehaved when it is none."""
        return None if self.address is None else read_address(self.address)


@dataclass(frozen=True, slots=True)
class DialBack:
    """Knock at the address where you see me, from a port that I have never heard of. Answer:
    DialledBack, or No. `relay_port`: try TCP there, too."""

    relay_port: bytes | None = optional(fixed(1, 2))


@dataclass(frozen=True, slots=True)
class DialledBack:
    """`address` is where it knocked; the two others: whether somebody answered there."""

    address: bytes = octets(1, 6, 18)
    by_udp: bool = flag(2)
    by_tcp: bool = flag(3)

    @property
    def knocked_at(self) -> HostPort:
        """PeerMisbehaved when it is no address."""
        return read_address(self.address)


def write_address(at: HostPort) -> bytes:
    return at.ip.packed + at.port.to_bytes(2, "big")


def read_address(written: bytes) -> HostPort:
    """The address of a Seen or DialledBack, or PeerMisbehaved."""
    port = int.from_bytes(written[-2:], "big")
    if len(written) not in (6, 18) or not port:
        raise PeerMisbehaved("an address is not in its one form")
    return HostPort(str(ipaddress.ip_address(written[:-2])), port)


def write_port(port: int | None) -> bytes | None:
    return None if port is None else port.to_bytes(2, "big")
