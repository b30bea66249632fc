"""Contacts in bytes: 107 at most, and one form for each."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import peer
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Contact, HostPort, Relay
from postroad.protocol.contacts import CONTACT_BYTES_MAX, decode_contact, encode_contact

ME = peer(1)
ports = st.integers(1, 65535)
ipv4 = st.builds(HostPort, st.ip_addresses(v=4).map(str), ports)
ipv6 = st.builds(HostPort, st.ip_addresses(v=6).map(str), ports)
relays = st.none() | st.builds(Relay, st.just(peer(2)), ipv4 | ipv6)


@given(st.none() | ipv4, st.none() | ipv6, relays)
def test_a_contact_arrives_as_it_was_sent(
    four: HostPort | None, six: HostPort | None, relay: Relay | None
) -> None:
    sent = Contact(ME, tuple(one for one in (four, six) if one is not None), relay)
    octets = encode_contact(sent)
    assert len(octets) <= CONTACT_BYTES_MAX
    assert decode_contact(octets) == sent


@given(st.lists(ipv4 | ipv6, max_size=8))
def test_of_many_addresses_the_first_of_each_family_is_told(addresses: list[HostPort]) -> None:
    found = decode_contact(encode_contact(Contact(ME, tuple(addresses)))).addresses
    families = [ipaddress.ip_address(one.host).version for one in addresses]
    wanted = [addresses[families.index(version)] for version in (4, 6) if version in families]
    assert list(found) == wanted


@given(st.binary(max_size=120))
def test_noise_is_refused_or_is_the_one_form_of_what_it_says(noise: bytes) -> None:
    for octets in (noise, noise[:1] + ME + noise[1:]):
        try:
            found = decode_contact(octets)
        except PeerMisbehaved:
            continue
        assert encode_contact(found) == octets


@given(st.integers(0, 94), st.integers(1, 255))
def test_one_changed_byte_is_refused_or_says_something_else(at: int, change: int) -> None:
    relay = Relay(peer(2), HostPort("192.0.2.8", 443))
    sent = Contact(ME, (HostPort("192.0.2.7", 443), HostPort("2001:db8::7", 444)), relay)
    octets = bytearray(encode_contact(sent))
    octets[at] ^= change
    try:
        found = decode_contact(bytes(octets))
    except PeerMisbehaved:
        return
    assert found != sent
    assert encode_contact(found) == octets


def test_what_is_cut_short_or_goes_on_is_refused() -> None:
    octets = encode_contact(Contact(ME, (HostPort("192.0.2.7", 443), HostPort("2001:db8::7", 444))))
    for wrong in (*(octets[:size] for size in range(len(octets))), octets + b"\0", octets * 2):
        with pytest.raises(PeerMisbehaved):
            decode_contact(wrong)


@pytest.mark.parametrize("flags", [4, 8, 0x80, 0xFF])
def test_a_flag_of_a_later_version_is_refused(flags: int) -> None:
    octets = encode_contact(Contact(ME, ()))
    with pytest.raises(PeerMisbehaved):
        decode_contact(bytes([flags]) + octets[1:])


def test_port_0_and_a_key_of_small_order_are_refused() -> None:
    octets = encode_contact(Contact(ME, (HostPort("192.0.2.7", 443),)))
    with pytest.raises(PeerMisbehaved):
        decode_contact(octets[:-2] + b"\0\0")
    with pytest.raises(PeerMisbehaved):
        decode_contact(octets[:1] + b"\1" + bytes(31) + octets[33:])


def test_the_scope_of_an_ipv6_address_stays_at_home() -> None:
    octets = encode_contact(Contact(ME, (HostPort("fe80::1%eth0", 443),)))
    assert decode_contact(octets).addresses == (HostPort("fe80::1", 443),)
