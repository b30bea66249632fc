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
        # The kernel gives its table a page at a time. While connections come and go, a line may
        # be given twice, which is one socket with one inode, or seldom not at all.
        for _ in range(READINGS_MAX):
            found = self._find(client, server)
            if len(found) == 1:
                uid, inode = found.pop()
                return uid == self._own and inode != 0
        return False

    def _find(self, client: SocketAddress, server: SocketAddress) -> set[tuple[int, int]]:
        """UID and inode of every socket with the client's four-tuple."""
        near, far = ipaddress.ip_address(client[0]), ipaddress.ip_address(server[0])
        if near.version == far.version == 4:
            # An IPv6 socket that connected to ::ffff:127.0.0.1 stands in tcp6 only.
            mapped = bytes(10) + b"\xff\xff"
            return self._lines("tcp", near.packed, client[1], far.packed, server[1]) | self._lines(
                "tcp6", mapped + near.packed, client[1], mapped + far.packed, server[1]
            )
        if near.version == far.version == 6:
            return self._lines("tcp6", near.packed, client[1], far.packed, server[1])
        return set()

    def _lines(
        self, table: str, near: bytes, near_port: int, far: bytes, far_port: int
    ) -> set[tuple[int, int]]:
        try:
            lines = (self._tables / table).read_bytes()
        except OSError:  # no IPv6, or nothing that we may read: then it is not found
            return set()
        wanted = f" {_hexadecimal(near)}:{near_port:04X} {_hexadecimal(far)}:{far_port:04X} "
        found = set()
        at = lines.find(wanted.encode())
        while at >= 0:
            start, end = lines.rfind(b"\n", 0, at) + 1, lines.find(b"\n", at)
            fields = lines[start : end if end >= 0 else len(lines)].split()
            found.add((int(fields[UID_FIELD]), int(fields[INODE_FIELD])))
            at = lines.find(wanted.encode(), at + len(wanted))
        return found


def _hexadecimal(packed: bytes) -> str:
    """As the kernel prints an address: 32-bit words, each a number in this machine's byte order."""
    words = (packed[at : at + 4] for at in range(0, len(packed), 4))
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)
