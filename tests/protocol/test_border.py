"""The border: with whom a node speaks at all."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad.base.ids import Contact, HostPort, PeerId, Relay
from postroad.base.seams import Path
from postroad.protocol.border import ALL, EVERYWHERE, Border, border, intersection

INSIDE = border(["10.0.0.0/8", "2001:db8::/32"])
PEER = PeerId(b"p" * 32)


def at(host: str) -> HostPort:
    return HostPort(host, 46464)


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "10.255.255.255", "2001:db8::7", "::ffff:10.1.2.3", "2001:db8::7%eth0"]
)
def test_within(host: str) -> None:
    assert INSIDE.lets(at(host))
    assert EVERYWHERE.lets(at(host))
    assert not Border(()).lets(at(host))


@pytest.mark.parametrize(
    "host", ["11.0.0.1", "9.255.255.255", "::1", "2001:db9::", "::ffff:11.1.2.3", "127.0.0.1"]
)
def test_beyond(host: str) -> None:
    assert not INSIDE.lets(at(host))
    assert EVERYWHERE.lets(at(host))


def test_what_is_no_address_is_beyond_every_border() -> None:
    for host in ("", "example.org", "10.0.0.256", "10.0.0"):
        assert not EVERYWHERE.lets(at(host))


def test_of_a_contact_only_what_lies_within_is_left() -> None:
    near, far = at("10.0.0.1"), at("192.0.2.1")
    assert INSIDE.within(Contact(PEER, (near, far))) == Contact(PEER, (near,))
    assert INSIDE.within(Contact(PEER, (far,), Relay(PEER, far))) is None
    assert INSIDE.within(Contact(PEER, (far,), Relay(PEER, near))) == Contact(
        PEER, (), Relay(PEER, near)
    )


def test_a_way_through_a_relay_is_that_of_the_relay() -> None:
    assert INSIDE.lets_path(Path(False, None, 0.0))
    assert INSIDE.lets_path(Path(True, at("10.0.0.1"), 0.0))
    assert not INSIDE.lets_path(Path(True, at("192.0.2.1"), 0.0))


NETWORKS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(
            lambda one: str(ipaddress.ip_network(one, strict=False))
        ),
        st.tuples(st.integers(2**120, 2**128 - 1), st.integers(0, 128)).map(
            lambda one: str(ipaddress.ip_network(one, strict=False))
        ),
        st.sampled_from([*ALL, "10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16"]),
    ),
    max_size=5,
)


@given(NETWORKS, NETWORKS)
def test_the_intersection_is_what_lies_in_both(most: list[str], wanted: list[str]) -> None:
    cut = border(intersection(most, wanted))
    outer, inner = border(most), border(wanted)
    edges = {net[place] for one in (outer, inner) for net in one.networks for place in (0, -1)}
    for ip in edges:
        here = at(str(ip))
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            continue
        assert cut.lets(here) == (outer.lets(here) and inner.lets(here))
    if all(outer.lets(at(str(net[place]))) for net in inner.networks for place in (0, -1)):
        assert len(most) > 1 or list(intersection(most, wanted)) == wanted
