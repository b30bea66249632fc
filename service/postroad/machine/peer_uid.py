"""Ask the kernel whose process sits at the other end of a loopback connection.

Purpose: any local user can connect to 127.0.0.1; only the owner may be greeted (promise A2).
Invariants: the answer is yes only when the kernel's tables hold exactly one socket with the
client's four-tuple, it still belongs to a process (inode not 0), and its UID is ours. In a user
namespace that maps only our UID everybody else shows as the overflow UID, so equality still holds.
See: proc_net_tcp in the kernel's documentation.
"""

import ipaddress
import os
import sys
from pathlib import Path

from postroad.base.seams import SocketAddress

TABLES = Path("/proc/self/net")
OVERFLOW_UID = Path("/proc/sys/kernel/overflowuid")
READINGS_MAX = 3
UID_FIELD, INODE_FIELD = 7, 9


class KernelPeerUid:
    """`base.seams.PeerUid`, from /proc/self/net/tcp and tcp6."""

    def __init__(self, tables: Path = TABLES) -> None:
        self._tables = tables
        self._own = os.geteuid()
        # Where our own UID is the one that stands for all unknown users, equality proves nothing.
        self._distinct = self._own != int(OVERFLOW_UID.read_text())

    def is_owner(self, client: SocketAddress, server: SocketAddress) -> bool:
        if not self._distinct:
            return False
        # A large table is read in pieces and may change in between, so that a line is missed.
        for _ in range(READINGS_MAX):
            found = self._find(client, server)
            if found:
                break
        else:
            return False
        return len(found) == 1 and found.pop() == (self._own, True)

    def _find(self, client: SocketAddress, server: SocketAddress) -> list[tuple[int, bool]]:
        """UID and "has an inode" of every socket with the client's four-tuple."""
        near, far = ipaddress.ip_address(client[0]), ipaddress.ip_address(server[0])
        found = []
        if isinstance(near, ipaddress.IPv4Address) and isinstance(far, ipaddress.IPv4Address):
            found += self._lines("tcp", near.packed, client[1], far.packed, server[1])
            # An IPv6 socket that connected to ::ffff:127.0.0.1 stands in tcp6 only.
            mapped = bytes(10) + b"\xff\xff"
            found += self._lines(
                "tcp6", mapped + near.packed, client[1], mapped + far.packed, server[1]
            )
        elif near.version == far.version == 6:
            found += self._lines("tcp6", near.packed, client[1], far.packed, server[1])
        return found

    def _lines(
        self, table: str, near: bytes, near_port: int, far: bytes, far_port: int
    ) -> list[tuple[int, bool]]:
        try:
            lines = (self._tables / table).read_bytes()
        except OSError:  # no IPv6, or nothing that we may read: then it is not found
            return []
        wanted = f" {_hexadecimal(near)}:{near_port:04X} {_hexadecimal(far)}:{far_port:04X} "
        found = []
        at = lines.find(wanted.encode())
        while at >= 0:
            start, end = lines.rfind(b"\n", 0, at) + 1, lines.find(b"\n", at)
            fields = lines[start : end if end >= 0 else len(lines)].split()
            found.append((int(fields[UID_FIELD]), int(fields[INODE_FIELD]) != 0))
            at = lines.find(wanted.encode(), at + len(wanted))
        return found


def _hexadecimal(packed: bytes) -> str:
    """As the kernel prints an address: 32-bit words, each a number in this machine's byte order."""
    words = (packed[at : at + 4] for at in range(0, len(packed), 4))
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)
