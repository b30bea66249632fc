"""The border: the networks with which a node speaks at all, as its owner and its policy say.

Purpose: one answer for all who dial, let in and pass on. What lies outside is not dialled, not
answered and not used as a relay, whoever named it.
Invariants: an address that cannot be read is outside; no networks at all means nobody.
What it does not decide: which addresses within may be dialled when a stranger names them
(`protocol.dialable`).
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace

from postroad.base.ids import Contact, HostPort
from postroad.base.seams import Path

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ALL = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True, slots=True)
class Border:
    networks: tuple[Network, ...]

    def lets(self, at: HostPort) -> bool:
        """Whether this address lies within."""
        try:
            ip = at.ip
        except ValueError:
            return False
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        return any(ip in network for network in self.networks)

    def lets_path(self, path: Path) -> bool:
        """Whether packets may go so: those through a relay go to that one, which lies within."""
        return path.address is None or self.lets(path.address)

    def within(self, contact: Contact) -> Contact | None:
        """The contact with only what of it lies within; None when nothing does."""
        addresses = tuple(at for at in contact.addresses if self.lets(at))
        relay = contact.relay
        if relay is not None and not self.lets(relay.address):
            relay = None
        if not addresses and relay is None:
            return None
        return replace(contact, addresses=addresses, relay=relay)


def border(networks: Sequence[str]) -> Border:
    """The border around these networks, like "10.0.0.0/8"; ValueError when one is none."""
    return Border(tuple(ipaddress.ip_network(text) for text in networks))


def intersection(most: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """What lies in both; `wanted` itself where all of it lies in `most`."""
    outer = _collapsed(most)
    found: list[Network] = []
    is_whole = True
    for one in border(wanted).networks:
        if any(_holds(other, one) for other in outer):
            found.append(one)
        else:
            is_whole = False
            found += [other for other in outer if _holds(one, other)]
    if is_whole:
        return tuple(wanted)
    return tuple(str(one) for one in _collapsed([str(one) for one in found]))


def _holds(outer: Network, inner: Network) -> bool:
    if isinstance(outer, ipaddress.IPv4Network) and isinstance(inner, ipaddress.IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(outer, ipaddress.IPv6Network) and isinstance(inner, ipaddress.IPv6Network):
        return inner.subnet_of(outer)
    return False


def _collapsed(networks: Sequence[str]) -> list[Network]:
    parsed = border(networks).networks
    four = [one for one in parsed if isinstance(one, ipaddress.IPv4Network)]
    six = [one for one in parsed if isinstance(one, ipaddress.IPv6Network)]
    return [*ipaddress.collapse_addresses(four), *ipaddress.collapse_addresses(six)]


EVERYWHERE = border(ALL)
