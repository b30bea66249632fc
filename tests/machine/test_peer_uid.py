"""Only the owner's own processes are the owner."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from postroad.base.seams import PeerUid
from postroad.machine import peer_uid
from postroad.machine.peer_uid import KernelPeerUid

NOBODY = 65534
Pair = tuple[socket.socket, socket.socket]

# How the client reaches us: the family it listens on, the family it dials with, the address.
WAYS = {
    "IPv4": (socket.AF_INET, "127.0.0.1", socket.AF_INET, "127.0.0.1"),
    "IPv6": (socket.AF_INET6, "::1", socket.AF_INET6, "::1"),
    "IPv4 mapped into IPv6": (socket.AF_INET, "127.0.0.1", socket.AF_INET6, "::ffff:127.0.0.1"),
}
each_way = pytest.mark.parametrize("way", WAYS)


def connect(family: int, host: str, port: int) -> socket.socket:
    client = socket.socket(family, socket.SOCK_STREAM)
    client.settimeout(10)
    client.connect((host, port))
    return client


def listen(way: str) -> socket.socket:
    family, host, *_ = WAYS[way]
    try:
        return socket.create_server((host, 0), family=family)
    except OSError as error:
        pytest.skip(f"this machine has no {host} ({error.strerror})")


@contextmanager
def connected(way: str) -> Iterator[Pair]:
    *_, family, host = WAYS[way]
    with listen(way) as door:
        client = connect(family, host, door.getsockname()[1])
        server, _ = door.accept()
        with client, server:
            yield client, server


def asked(uid: PeerUid, server: socket.socket) -> bool:
    return uid.is_owner(server.getpeername(), server.getsockname())


VISIT = """
import os, socket, sys
from postroad.machine import peer_uid
from postroad.machine.peer_uid import KernelPeerUid
family, host, port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
os.setuid(65534)
with socket.socket(socket.AddressFamily(family)) as client:
    client.settimeout(20)
    client.connect((host, port))
    print(KernelPeerUid().is_owner(client.getsockname(), client.getpeername()), flush=True)
    sys.stdin.read()  # until the test has looked
"""


@contextmanager
def visit_of_nobody(family: int, host: str, port: int) -> Iterator[str]:
    """UID 65534 is connected; what it would hear if it asked whether it is the owner itself."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    if int(Path("/proc/self/uid_map").read_text().split()[2]) <= NOBODY:
        pytest.skip("this user namespace maps one UID only: there is no other user to become")
    visitor = subprocess.Popen(
        [sys.executable, "-c", VISIT, str(int(family)), host, str(port)],
        env=os.environ | {"PYTHONPATH": str(Path(peer_uid.__file__).parents[2])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with visitor:
        assert visitor.stdout is not None
        yield visitor.stdout.readline().strip()


@each_way
def test_our_own_process_is_the_owner(way: str) -> None:
    with connected(way) as (_, server):
        assert asked(KernelPeerUid(), server)


@each_way
def test_another_user_on_this_machine_is_not_the_owner(way: str) -> None:
    *_, family, host = WAYS[way]
    with listen(way) as door, visit_of_nobody(family, host, door.getsockname()[1]):
        door.settimeout(10)
        server, _ = door.accept()
        with server:
            assert not asked(KernelPeerUid(), server)


def test_a_user_that_stands_for_all_unknown_users_is_never_the_owner() -> None:
    with (
        listen("IPv4") as door,
        visit_of_nobody(socket.AF_INET, "127.0.0.1", door.getsockname()[1]) as answer,
    ):
        assert answer == "False"


@each_way
def test_a_client_that_has_gone_is_nobody_we_know(way: str) -> None:
    """The kernel shows UID 0 and no inode for it, which must not pass for root."""
    with connected(way) as (client, server):
        client.close()
        assert not asked(KernelPeerUid(), server)


def test_another_connection_of_ours_does_not_speak_for_this_one() -> None:
    with connected("IPv4") as (_, server), connected("IPv4") as (_, other):
        assert not KernelPeerUid().is_owner(server.getpeername(), other.getsockname())
        assert not KernelPeerUid().is_owner(server.getsockname(), other.getpeername())


HEADING = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
OWN = "   0: 0100007F:9C40 0100007F:295B 01 00000000:00000000 00:00000000 00000000 {} 0 {} 1 x\n"


@pytest.mark.parametrize(
    ("tables", "answer"),
    [
        ({"tcp": HEADING + OWN.format(os.geteuid(), 4711)}, True),
        ({"tcp": HEADING}, False),
        ({}, False),
        ({"tcp": HEADING + OWN.format(os.geteuid(), 0)}, False),
        ({"tcp": HEADING + OWN.format(os.geteuid() + 1, 4711)}, False),
        ({"tcp": HEADING + OWN.format(os.geteuid(), 4711) * 2}, True),
        ({"tcp": HEADING + OWN.format(os.geteuid(), 4711) + OWN.format(0, 4712)}, False),
    ],
    ids=["one", "none", "no table", "no inode", "another user", "one told twice", "two"],
)
def test_every_doubt_is_a_no(tables: dict[str, str], answer: bool, tmp_path: Path) -> None:
    for name, text in tables.items():
        (tmp_path / name).write_text(text)
    found = KernelPeerUid(tmp_path).is_owner(("127.0.0.1", 40000), ("127.0.0.1", 10587))
    assert found is answer
