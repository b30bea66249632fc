"""Contacts in bytes: where a node may be reached, in at most 97 bytes.

Layout: flags u8 (1: IPv4, 2: IPv6; 4: relay, not used yet) | device key 32 | [IPv4 4, port 2] |
[IPv6 16, port 2]. An unknown flag, a zero port or a missing byte is refused.
"""

import ipaddress
from functools import lru_cache

from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Contact, HostPort, PeerId
from postroad.sealing.keys import load_ed25519

CONTACT_BYTES_MIN = 33
CONTACT_BYTES_MAX = 97
CONTACTS_AT_HAND_MAX = 1024
_IPV4 = 1
_IPV6 = 2


def encode_contact(contact: Contact) -> bytes:
    """The first IPv4 and the first IPv6 address of the contact; the rest are left out."""
    flags = 0
    written = b""
    for flag, version in ((_IPV4, 4), (_IPV6, 6)):
        for address in contact.addresses:
            ip = ipaddress.ip_address(address.host.partition("%")[0])
            if ip.version == version:
                flags |= flag
                written += ip.packed + address.port.to_bytes(2, "big")
                break
    return bytes([flags]) + contact.peer + written


@lru_cache(maxsize=CONTACTS_AT_HAND_MAX)  # the same few are asked for all day long
def decode_contact(octets: bytes) -> Contact:
    """The contact that these bytes say, or PeerMisbehaved."""
    flags = octets[0] if octets else 0xFF
    sizes = [size for flag, size in ((_IPV4, 4), (_IPV6, 16)) if flags & flag]
    if flags & ~(_IPV4 | _IPV6) or len(octets) != CONTACT_BYTES_MIN + sum(sizes) + 2 * len(sizes):
        raise PeerMisbehaved("a contact is not in its one form")
    load_ed25519(octets[1:33])
    addresses = []
    at = CONTACT_BYTES_MIN
    for size in sizes:
        ip = ipaddress.ip_address(octets[at : at + size])
        port = int.from_bytes(octets[at + size : at + size + 2], "big")
        if not port:
            raise PeerMisbehaved("a contact has port 0")
        addresses.append(HostPort(str(ip), port))
        at += size + 2
    return Contact(PeerId(octets[1:33]), tuple(addresses))
