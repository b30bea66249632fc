"""Whether an address that somebody named may be dialled, and which addresses are public.

Purpose: promise A4 in one place. Whoever answers a question of ours may name any address; without
this check they could make us knock at the router, at a service of this computer, or at a neighbour
who never heard of us.
Invariants: only public unicast addresses, port 443 or from 1024 on. Where the owner's network is
one of private addresses (`private`: a LAN, a laboratory) those are dialled as well; what no node
can have (multicast, broadcast, unspecified) never is.
See: RFC 6890 and the IANA registries of special-purpose addresses.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from postroad.base.ids import Contact, HostPort

ADDRESSES_AT_HAND_MAX = 4096
PORT_MIN = 1024
PORT_TLS = 443  # where a relay or a helper waits for those whose network lets nothing else out

# An address of a node may never be one of these,
_NOBODY = tuple(
    ipaddress.ip_network(text)
    for text in ("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "::/128", "ff00::/8", "::ffff:0:0/96")
)
# and one of these only where `private` says that the network is such a one.
_NOT_PUBLIC_IPV4 = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24",
    )
)  # fmt: skip
# Of IPv6, only this is given to hosts in public; what is carved out of it carries an IPv4 address
# inside (Teredo, 6to4), is for documents, or for protocols.
_PUBLIC_IPV6 = ipaddress.ip_network("2000::/3")
_NOT_PUBLIC_IPV6 = tuple(
    ipaddress.ip_network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)


@lru_cache(maxsize=ADDRESSES_AT_HAND_MAX)  # each answer names the same few again
def may_dial(at: HostPort, *, private: bool) -> bool:
    """Whether we dial this address when a stranger names it. `private`: addresses that are not
    public are dialled too, because the owner said so (`dial_private`)."""
    if at.port != PORT_TLS and not PORT_MIN <= at.port <= 0xFFFF:
        return False
    try:
        ip = at.ip
    except ValueError:
        return False
    if "%" in at.host:  # a zone means something on one machine only
        return False
    if any(ip in network for network in _NOBODY):
        return False
    return private or is_public(at)


def may_relay_at(at: HostPort) -> bool:
    """Whether a relay of a contact may be there, in public or not: no service of somebody else's is
    asked for it."""
    return may_dial(at, private=True) and not at.ip.is_link_local


def dialable(contact: Contact, *, private: bool) -> Contact | None:
    """The contact with only what may be dialled of it; None when nothing is left."""
    addresses = tuple(at for at in contact.addresses if may_dial(at, private=private))
    relay = contact.relay
    if relay is not None and not may_dial(relay.address, private=private):
        relay = None
    if not addresses and relay is None:
        return None
    return replace(contact, addresses=addresses, relay=relay)


def dialable_of_a_person(contact: Contact, own: Sequence[HostPort]) -> Contact | None:
    """The same for what a person named whom the owner accepted: they may stand in a network of
    private addresses, as ours is perhaps. Nothing of this computer itself, unless it has no
    network at all (`own`: our addresses), and nothing that only this cable knows."""
    is_alone = all(at.ip.is_loopback for at in own)

    def may(at: HostPort) -> bool:
        return may_relay_at(at) and (is_alone or not at.ip.is_loopback)

    addresses = tuple(at for at in contact.addresses if may(at))
    relay = contact.relay if contact.relay is not None and may(contact.relay.address) else None
    return Contact(contact.peer, addresses, relay) if addresses or relay else None


def is_public(at: HostPort) -> bool:
    """Whether people elsewhere could reach it."""
    ip = at.ip
    if any(ip in network for network in _NOBODY):
        return False
    if ip.version == 4:
        return not any(ip in network for network in _NOT_PUBLIC_IPV4)
    return ip in _PUBLIC_IPV6 and not any(ip in network for network in _NOT_PUBLIC_IPV6)
