"""Contacts in bytes: where a node may be reached, in at most 107 bytes.

Layout: flags u8 (1: IPv4, 2: IPv6, 4: relay at an IPv4 address, 8: relay at an IPv6 address) |
device key 32 | [IPv4 4, port 2] | [IPv6 16, port 2] | [relay's device key 32, its address 4 or 16,
port 2]. An unknown flag, both kinds of relay, a zero port or a missing byte is refused.
"""

import ipaddress
from functools import lru_cache

from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Contact, HostPort, PeerId, Relay
from postroad.sealing.keys import load_ed25519

CONTACT_BYTES_MIN = 33
CONTACT_BYTES_MAX = 107
CONTACTS_AT_HAND_MAX = 1024
_IPV4 = 1
_IPV6 = 2
_RELAY_IPV4 = 4
_RELAY_IPV6 = 8
_ADDRESS_BYTES = {_IPV4: 4, _IPV6: 16, _RELAY_IPV4: 4, _RELAY_IPV6: 16}


@lru_cache(maxsize=CONTACTS_AT_HAND_MAX)  # the same few are asked for all day long
def encode_contact(contact: Contact) -> bytes:
    """The first IPv4 and the first IPv6 address of the contact, and its relay; the other addresses
    are left out."""
    flags = 0
    written = b""
    for flag, version in ((_IPV4, 4), (_IPV6, 6)):
        for address in contact.addresses:
            ip = address.ip
            if ip.version == version:
                flags |= flag
                written += ip.packed + address.port.to_bytes(2, "big")
                break
    if contact.relay is not None:
        ip = contact.relay.address.ip
        flags |= _RELAY_IPV4 if ip.version == 4 else _RELAY_IPV6
        written += contact.relay.peer + ip.packed + contact.relay.address.port.to_bytes(2, "big")
    return bytes([flags]) + contact.peer + written


@lru_cache(maxsize=CONTACTS_AT_HAND_MAX)
def decode_contact(octets: bytes) -> Contact:
    """The contact that these bytes say, or PeerMisbehaved."""
    flags = octets[0] if octets else 0xFF
    if flags & ~sum(_ADDRESS_BYTES) or (flags & _RELAY_IPV4 and flags & _RELAY_IPV6):
        raise PeerMisbehaved("a contact is not in its one form")
    rest = _Octets(octets[1:])
    peer = PeerId(rest.take(32))
    load_ed25519(peer)
    addresses = tuple(rest.address(flag) for flag in (_IPV4, _IPV6) if flags & flag)
    relay = None
    if flag := flags & (_RELAY_IPV4 | _RELAY_IPV6):
        relay_peer = PeerId(rest.take(32))
        load_ed25519(relay_peer)
        relay = Relay(relay_peer, rest.address(flag))
    if rest.octets:
        raise PeerMisbehaved("a contact is not in its one form")
    return Contact(peer, addresses, relay)


class _Octets:
    """What is still to be read of a contact."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets

    def take(self, size: int) -> bytes:
        taken, self.octets = self.octets[:size], self.octets[size:]
        if len(taken) < size:
            raise PeerMisbehaved("a contact is not in its one form")
        return taken

    def address(self, flag: int) -> HostPort:
        ip = ipaddress.ip_address(self.take(_ADDRESS_BYTES[flag]))
        port = int.from_bytes(self.take(2), "big")
        if not port:
            raise PeerMisbehaved("a contact has port 0")
        return HostPort(str(ip), port)
