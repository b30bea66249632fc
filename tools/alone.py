#!/usr/bin/env python3
"""Run a command where the only network is loopback, so that no packet can leave this machine.

Purpose: an iroh endpoint speaks SSDP by multicast, even with its relays off. Nodes of tests, demo
and benchmarks therefore live in a network namespace of their own, with nothing but `lo` in it.
Invariants: the command runs alone or not at all, and as the same user. Standard library only.

    tools/alone.py COMMAND [ARGUMENT ...]     exit status of COMMAND; 125 where it is not allowed
    tools/alone.py --allowed                  0 or 125, and silence
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

NOT_ALLOWED = 125
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1
RESERVED_PORTS = Path("/proc/sys/net/ipv4/ip_local_reserved_ports")
NODES_PORTS = "46464-46663"  # postroad's own, for as many people as there may be at once


def leave_the_network() -> None:
    """Enter a network namespace where only `lo` is up; OSError where that is denied."""
    try:
        _unshare(CLONE_NEWNET)  # root may do just this,
        _raise_loopback()
    except PermissionError:  # and anybody else with a user namespace around it
        user, group = os.geteuid(), os.getegid()
        _unshare(CLONE_NEWUSER | CLONE_NEWNET)
        # Map ourselves to ourselves: a command that asks who it is must hear what it hears outside.
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        _raise_loopback()


def _unshare(flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)  # os.unshare is there only from Python 3.12 on
    if libc.unshare(flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", b"lo", 0)
        name, flags = struct.unpack("16sH14x", fcntl.ioctl(control, SIOCGIFFLAGS, request))
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", name, flags | IFF_UP))


def _reserve_ports() -> None:
    """No outgoing connection is given a port that a node asks for: they lie in the same range."""
    with contextlib.suppress(OSError):  # /proc may be read-only: then it happens, once in a while
        RESERVED_PORTS.write_text(NODES_PORTS)


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 2
    try:
        leave_the_network()
    except OSError as error:
        if arguments != ["--allowed"]:
            print(f"alone: a network namespace is not allowed here ({error})", file=sys.stderr)
        return NOT_ALLOWED
    _reserve_ports()
    if arguments == ["--allowed"]:
        return 0
    try:
        os.execvp(arguments[0], arguments)
    except OSError as error:
        print(f"alone: cannot run {arguments[0]} ({error.strerror})", file=sys.stderr)
        return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
