"""The network interfaces of this machine that lead to a local network, and when they change.

Purpose: multicast DNS speaks to each of them by itself. Only IPv4 addresses count, one for each
interface; loopback and point-to-point interfaces (tunnels, most VPNs) are left out: neighbours are
not behind them.
See: netdevice(7), rtnetlink(7).
"""

import asyncio
import fcntl
import ipaddress
import logging
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Interface

log = logging.getLogger(__name__)
_SIOCGIFFLAGS, _SIOCGIFADDR, _SIOCGIFNETMASK = 0x8913, 0x8915, 0x891B
_UP, _LOOPBACK, _POINT_TO_POINT, _RUNNING, _MULTICAST = 0x1, 0x8, 0x10, 0x40, 0x1000
_ALL = _UP | _LOOPBACK | _POINT_TO_POINT | _RUNNING | _MULTICAST
_WANTED = _UP | _RUNNING | _MULTICAST
_LINKS_AND_IPV4 = 0x1 | 0x10  # RTMGRP_LINK, RTMGRP_IPV4_IFADDR
_REQUEST = struct.Struct("16sH14x")
_ADDRESS_AT = slice(20, 24)  # in a struct ifreq: name 16, family 2, port 2, address


def local_interfaces() -> tuple[IPv4Interface, ...]:
    """The addresses of the interfaces that lead to a local network, with their networks."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for _, name in socket.if_nameindex():
            try:
                if _flags(control, name) & _ALL != _WANTED:
                    continue
                address = _address(control, name, _SIOCGIFADDR)
                found.append(IPv4Interface((str(address), _mask(control, name))))
            except OSError:  # it has no IPv4 address, or has just gone
                continue
    return tuple(found)


@asynccontextmanager
async def changes() -> AsyncIterator[asyncio.Event]:
    """An event that is set whenever interfaces or their addresses change; never where the kernel
    does not tell us."""
    changed = asyncio.Event()
    loop = asyncio.get_running_loop()
    try:
        kernel = _told_by_kernel()
    except OSError as error:
        log.info("changes of the network are not told to us: %s", error)
        yield changed
        return

    def heard() -> None:
        try:
            while kernel.recv(65536):
                changed.set()
        except BlockingIOError:
            return
        except OSError:  # it told more than we took: something has changed
            changed.set()

    with kernel:
        loop.add_reader(kernel, heard)
        try:
            yield changed
        finally:
            loop.remove_reader(kernel)


def _told_by_kernel() -> socket.socket:
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    try:
        kernel.bind((0, _LINKS_AND_IPV4))
    except OSError:
        kernel.close()
        raise
    return kernel


def _flags(control: socket.socket, name: str) -> int:
    answer = fcntl.ioctl(control, _SIOCGIFFLAGS, _REQUEST.pack(name.encode(), 0))
    return int(_REQUEST.unpack(answer)[1])


def _address(control: socket.socket, name: str, what: int) -> ipaddress.IPv4Address:
    request = struct.pack("16s24x", name.encode())
    return ipaddress.IPv4Address(fcntl.ioctl(control, what, request)[_ADDRESS_AT])


def _mask(control: socket.socket, name: str) -> int:
    mask = int(_address(control, name, _SIOCGIFNETMASK))
    return mask.bit_count()
