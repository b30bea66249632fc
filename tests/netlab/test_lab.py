"""The laboratory is what it says: NATs translate as they should, and nothing leads out."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Host, Kind, Lab, Space

PORT = 7777


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(v6=True) as made:
        yield made


@contextlib.contextmanager
def socket_at(host: Host, family: int = socket.AF_INET) -> Iterator[socket.socket]:
    with host.inside(lambda: socket.socket(family, socket.SOCK_DGRAM)) as made:
        made.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", PORT))
        made.settimeout(5)
        yield made


def seen_from(there: Host, sender: socket.socket) -> tuple[str, int]:
    """The address at which a host sees what this socket sends."""
    with socket_at(there) as hearing:
        sender.sendto(b"?", (there.outside, PORT))
        host, port = hearing.recvfrom(10)[1]
    return str(host), int(port)


def can_connect(host: Host, there: Host, port: int) -> bool:
    with there.inside(lambda: socket.create_server(("0.0.0.0", port))):
        try:
            host.inside(lambda: socket.create_connection((there.outside, port), 0.5)).close()
        except TimeoutError:
            return False
    return True


def test_a_cone_keeps_its_outside_port_and_a_symmetric_nat_does_not(lab: Lab) -> None:
    one, other = lab.host("one"), lab.host("other")
    cone, symmetric = lab.host("cone", Kind.CONE), lab.host("symmetric", Kind.SYMMETRIC)
    with socket_at(cone) as sender:
        assert seen_from(one, sender) == seen_from(other, sender) == (cone.outside, PORT)
    with socket_at(symmetric) as sender:
        assert seen_from(one, sender) != seen_from(other, sender)


def test_a_nat_lets_in_only_whom_somebody_inside_wrote_to(lab: Lab) -> None:
    one, other, cone = lab.host("one"), lab.host("other"), lab.host("cone", Kind.CONE)
    with socket_at(one) as first, socket_at(other) as second, socket_at(cone) as inside:
        inside.sendto(b"hello", (one.outside, PORT))
        first.recvfrom(10)
        second.sendto(b"uncalled", (cone.outside, PORT))
        first.sendto(b"answer", (cone.outside, PORT))
        assert inside.recv(10) == b"answer"


def test_a_firewall_of_the_blocked_kind_lets_only_tcp_443_out(lab: Lab) -> None:
    there, blocked = lab.host("there"), lab.host("blocked", Kind.UDP_BLOCKED)
    with socket_at(there) as hearing, socket_at(blocked) as sender:
        hearing.settimeout(0.3)
        sender.sendto(b"lost", (there.outside, PORT))
        with pytest.raises(TimeoutError):
            hearing.recv(10)
    assert can_connect(blocked, there, 443)
    assert not can_connect(blocked, there, 8443)


def test_a_nat_that_forgets_gives_another_port_and_stays_a_cone(lab: Lab) -> None:
    one, other, cone = lab.host("one"), lab.host("other"), lab.host("cone", Kind.CONE)
    assert cone.router is not None
    with socket_at(cone) as sender:
        before = seen_from(one, sender)
        cone.router.rebind()
        after = seen_from(one, sender)
        assert after != before
        assert seen_from(other, sender) == after


def test_nothing_passes_a_router_until_it_is_revived(lab: Lab) -> None:
    there, host = lab.host("there"), lab.host("host", Kind.CONE)
    assert host.router is not None
    with socket_at(host) as sender, socket_at(there) as hearing:
        hearing.settimeout(0.3)
        host.router.die()
        sender.sendto(b"lost", (there.outside, PORT))
        with pytest.raises(TimeoutError):
            hearing.recv(10)
        host.router.revive()
        sender.sendto(b"hello", (there.outside, PORT))
        assert hearing.recv(10) == b"hello"


@pytest.mark.parametrize("kind", [Kind.OPEN, Kind.CONE])
def test_a_host_that_moved_is_heard_from_its_new_address(lab: Lab, kind: Kind) -> None:
    there, host = lab.host("there"), lab.host("host", kind)
    before = host.address
    with socket_at(host) as sender:
        seen_from(there, sender)
        lab.move(host)
        assert host.address != before
        assert seen_from(there, sender)[0] == host.outside


def test_a_line_loses_about_as_many_packets_as_it_is_told(lab: Lab) -> None:
    there, host = lab.host("there"), lab.host("host", Kind.CONE)
    came = there.count_packets("came", "input", f"udp dport {PORT}")
    lab.lose(host, 20)
    with socket_at(host) as sender:
        for _ in range(1000):
            sender.sendto(b"?", (there.outside, PORT))
        assert 730 < came() < 870  # 5.5 standard deviations
        lab.lose(host, 0)
        before = came()
        for _ in range(100):
            sender.sendto(b"?", (there.outside, PORT))
        assert came() == before + 100
        lab.lose(host, 100)
        for _ in range(100):
            sender.sendto(b"?", (there.outside, PORT))
        assert came() == before + 100


def test_a_narrow_line_carries_no_more_than_it_is_told(lab: Lab) -> None:
    there, host = lab.host("there"), lab.host("host", Kind.CONE)
    lab.slow_down(host, 1000)
    with socket_at(host) as sender:
        for _ in range(2500):
            sender.sendto(bytes(1000), (there.outside, PORT))
        before, began = lab.passed(host.outside, there.outside), time.monotonic()
        while time.monotonic() < began + 0.5:
            sender.sendto(bytes(1000), (there.outside, PORT))
        took = time.monotonic() - began
    carried = lab.passed(host.outside, there.outside) - before
    assert 0.5 < carried / took / 1_024_000 < 1.5


def test_what_the_internet_carried_is_counted_by_its_ends(lab: Lab) -> None:
    there, host = lab.host("there"), lab.host("host", Kind.CONE)
    with socket_at(host) as sender:
        seen_from(there, sender)
    assert lab.passed(host.outside, there.outside) == 20 + 8 + 1
    assert lab.passed(there.outside, host.outside) == 0


def test_ipv6_is_routed_but_nobody_comes_in_uncalled(lab: Lab) -> None:
    there, home = lab.host("there"), lab.host("home", Kind.CONE)
    with socket_at(there, socket.AF_INET6) as outside, socket_at(home, socket.AF_INET6) as inside:
        inside.settimeout(0.3)
        outside.sendto(b"uncalled", (home.address_v6, PORT))
        with pytest.raises(TimeoutError):
            inside.recv(10)
        inside.sendto(b"hello", (there.address_v6, PORT))
        assert outside.recvfrom(10)[1][0] == home.address_v6
        outside.sendto(b"answer", (home.address_v6, PORT))
        assert inside.recv(10) == b"answer"


def test_nothing_leads_out_and_nothing_is_left() -> None:
    links = socket.if_nameindex()
    with contextlib.ExitStack() as kept, Lab() as lab:
        host = lab.host("host", Kind.CONE)
        assert host.router is not None
        # Held until the end, so that no other namespace on this computer gets the number of one.
        spaces = [held(each, kept) for each in (host, host.router, lab.backbone)]
        left = host.inside(lambda: subprocess.Popen(["sleep", "600"]))
        assert socket.if_nameindex() == links
        assert spaces_in_use() & {*spaces} == {spaces[0]}
        with host.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
            sender.sendto(b"?", ("192.0.2.1", PORT))  # the backbone has no way on
            passed = lab.backbone.run("ip", "-o", "route", "show", "default")
            assert passed == ""
        lab.close()
        assert left.wait(10) == -9
        assert spaces_in_use() & {*spaces} == set()
        assert socket.if_nameindex() == links


def held(space: Space, until: contextlib.ExitStack) -> int:
    """The number of this namespace, which is there until then."""
    handle = os.open(space.path, os.O_RDONLY)
    until.callback(os.close, handle)
    return os.fstat(handle).st_ino


def spaces_in_use() -> set[int]:
    """The network namespaces in which a process lives that we may see."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found.add(os.stat(process / "ns/net").st_ino)
    return found
