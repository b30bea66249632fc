"""Addresses that strangers name are dialled only where they can be a node's in public (A4)."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import peer
from postroad.base.ids import Contact, HostPort, Relay
from postroad.protocol.dialable import (
    dialable,
    dialable_of_a_person,
    is_public,
    may_dial,
    may_relay_at,
)

PUBLIC = [
    "8.8.8.8", "1.1.1.1", "193.99.144.80", "100.63.255.255", "100.128.0.1", "172.15.0.1",
    "172.32.0.1", "2a02:2e0:3fe:1001:302::", "2600::1", "2400:cb00::1",
]  # fmt: skip
PRIVATE = [
    "127.0.0.1", "127.255.0.9", "10.0.0.1", "10.9.0.3", "172.16.0.1", "172.31.255.254",
    "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.9", "192.0.2.7", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "192.88.99.1", "::1", "fe80::1", "fc00::1", "fd12:3456::1",
    "2001:db8::7", "2001::1", "2002:7f00:1::", "64:ff9b::7f00:1", "fec0::1", "3fff::1",
]  # fmt: skip
NOBODY = [
    "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "::",
    "ff02::1", "ff0e::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8",
]  # fmt: skip
NO_ADDRESS = ["localhost", "router.local", "fe80::1%eth0", "127.1", "0x7f000001", "", "2130706433"]


@pytest.mark.parametrize("host", PUBLIC)
def test_a_public_address_is_dialled(host: str) -> None:
    assert may_dial(HostPort(host, 46464), private=False)
    assert may_dial(HostPort(host, 443), private=False)


@pytest.mark.parametrize("host", PRIVATE)
def test_a_private_address_is_dialled_only_where_the_owner_said_so(host: str) -> None:
    assert not may_dial(HostPort(host, 46464), private=False)
    assert may_dial(HostPort(host, 46464), private=True)


@pytest.mark.parametrize("host", NOBODY + NO_ADDRESS)
def test_what_no_node_can_have_is_never_dialled(host: str) -> None:
    assert not may_dial(HostPort(host, 46464), private=False)
    assert not may_dial(HostPort(host, 46464), private=True)


@pytest.mark.parametrize("host", PUBLIC + PRIVATE + NOBODY)
def test_whoever_asks_is_told_the_same_of_what_is_public(host: str) -> None:
    assert is_public(HostPort(host, 25)) == (host in PUBLIC)
    assert may_dial(HostPort(host, 46464), private=False) == is_public(HostPort(host, 46464))


def test_a_contacts_relay_may_be_at_home_but_at_no_other_service_and_on_no_link() -> None:
    assert all(
        may_relay_at(HostPort(host, 443)) for host in ("192.168.1.7", "127.0.0.1", "8.8.8.8")
    )
    assert not any(may_relay_at(HostPort(host, 443)) for host in ("169.254.0.1", "fe80::1", "::"))
    assert not may_relay_at(HostPort("192.168.1.7", 80))


@pytest.mark.parametrize("port", [0, 1, 22, 25, 53, 80, 442, 444, 1023, 65536, -1])
def test_a_privileged_port_is_never_dialled(port: int) -> None:
    assert not may_dial(HostPort("8.8.8.8", port), private=False)
    assert not may_dial(HostPort("8.8.8.8", port), private=True)


@given(st.ip_addresses(), st.integers(0, 65535))
def test_python_thinks_no_address_private_that_we_dial(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> None:
    if may_dial(HostPort(str(ip), port), private=False):
        assert ip.is_global
        assert not ip.is_multicast


def test_of_a_contact_only_what_may_be_dialled_is_left() -> None:
    inside, outside = HostPort("192.168.1.7", 46464), HostPort("8.8.8.8", 46464)
    bad, good = (Relay(peer(2), HostPort(host, 443)) for host in ("127.0.0.1", "8.8.4.4"))
    assert dialable(Contact(peer(1), (inside, outside), bad), private=False) == Contact(
        peer(1), (outside,)
    )
    assert dialable(Contact(peer(1), (inside,), good), private=False) == Contact(peer(1), (), good)
    assert dialable(Contact(peer(1), (inside,), bad), private=False) is None
    assert dialable(Contact(peer(1)), private=True) is None


OWN = (HostPort("192.168.1.2", 46464),)


def test_a_person_may_be_in_a_private_network_but_not_in_this_computer() -> None:
    near, here = HostPort("192.168.1.7", 46464), HostPort("127.0.0.1", 46464)
    cable, ssh = HostPort("169.254.1.7", 46464), HostPort("192.168.1.7", 22)
    named = Contact(peer(1), (here, near, cable, ssh), Relay(peer(2), here))
    assert dialable_of_a_person(named, OWN) == Contact(peer(1), (near,))
    assert dialable_of_a_person(Contact(peer(1), (here, cable, ssh)), OWN) is None


def test_where_there_is_only_loopback_it_is_the_network() -> None:
    here = HostPort("127.0.0.1", 46464)
    named = Contact(peer(1), (here,), Relay(peer(2), here))
    assert dialable_of_a_person(named, (here,)) == named
    assert dialable_of_a_person(named, ()) == named
