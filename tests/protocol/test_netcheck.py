"""What the owner reads about the ways to their node."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import peer
from postroad.base.ids import Contact, HostPort, Relay
from postroad.protocol.netcheck import Facts, State, Way, findings, why_not_met
from postroad.protocol.reach import Nat, Outside, Picture

HOME = HostPort("192.168.1.2", 46464)
DOOR = HostPort("192.88.99.11", 46464)
RELAY = Relay(peer(9), HostPort("192.88.99.2", 443))
BLIND = Picture((), Nat.UNKNOWN, Nat.UNKNOWN, None, None)
CONE = Picture((Outside(DOOR, True, False),), Nat.CONE, Nat.UNKNOWN, True, None)
SYMMETRIC = Picture((), Nat.SYMMETRIC, Nat.UNKNOWN, True, None)
OPEN = Picture((Outside(DOOR, True, True),), Nat.NONE, Nat.UNKNOWN, True, True)
FACTS = Facts((HOME,), CONE, None, None, False, True, 0, 3, 2, None)
FRIEND = Contact(peer(1), (DOOR,))


def of(facts: Facts, about: str) -> Way:
    (found,) = [one for one in findings(facts) if one.about == about]
    return found


def words(found: Way) -> str:
    return f"{found.summary} {found.next_step}"


def test_without_a_network_there_is_one_sentence() -> None:
    for own in ((), (HostPort("127.0.0.1", 46464), HostPort("::1", 46464))):
        (found,) = findings(replace(FACTS, own=own, picture=BLIND, reached=0))
        assert found.state is State.BAD
        assert "no network" in found.summary


def test_udp_that_is_blocked_needs_a_relay() -> None:
    blocked = replace(FACTS, picture=replace(BLIND, udp=False))
    assert of(blocked, "udp").state is State.BAD
    assert "helper" in of(blocked, "udp").next_step
    with_one = of(replace(blocked, relay=RELAY), "udp")
    assert (with_one.state, with_one.next_step) == (State.LIMITED, "")


def test_who_knows_nobody_is_told_to_invite() -> None:
    found = of(replace(FACTS, contacts=0, reached=0, picture=BLIND), "peers")
    assert "postroad invite" in found.next_step


def test_a_wrong_clock_is_told() -> None:
    assert "20 minutes ahead" in of(replace(FACTS, clock_error=1200.0), "clock").summary
    assert "20 minutes behind" in of(replace(FACTS, clock_error=-1200.0), "clock").summary
    assert not [one for one in findings(FACTS) if one.about == "clock"]


@pytest.mark.parametrize("picture", [CONE, SYMMETRIC])
def test_behind_a_nat_without_a_relay_three_ways_out_are_named(picture: Picture) -> None:
    found = of(replace(FACTS, picture=picture), "incoming")
    assert found.state is State.BAD
    for way in ("helper", "bundle"):
        assert way in found.next_step
    assert ("same time" in found.next_step) == (picture is CONE)  # it would not help the other
    assert of(replace(FACTS, picture=picture, relay=RELAY), "incoming").state is State.LIMITED


def test_who_is_open_is_fine() -> None:
    facts = replace(FACTS, picture=OPEN, own=(DOOR,), relay=RELAY, is_own_relay=True)
    assert {one.state for one in findings(facts)} == {State.GOOD}


def test_the_worst_comes_first() -> None:
    states = [one.state for one in findings(replace(FACTS, clock_error=1200.0))]
    assert states == sorted(states, key=lambda one: one is not State.BAD)


@given(
    st.sampled_from([BLIND, CONE, SYMMETRIC, OPEN, replace(BLIND, udp=False)]),
    st.sampled_from([None, RELAY]),
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from([None, 0.0123]),
)
def test_every_finding_is_a_sentence(
    picture: Picture, relay: Relay | None, contacts: int, helpers: int, seconds: float | None
) -> None:
    facts = Facts((HOME,), picture, relay, seconds, False, True, helpers, contacts, 0, None)
    for found in findings(facts):
        assert found.summary[0].isupper()
        assert found.summary.endswith(".")
        assert not found.next_step or found.next_step.endswith(".")


def test_two_who_cannot_meet_read_what_will_do() -> None:
    assert why_not_met(CONE, None, [FRIEND], True).count(";") == 2
    assert "same time" not in why_not_met(SYMMETRIC, None, [FRIEND], True)
    assert "blocks UDP" in why_not_met(replace(BLIND, udp=False), RELAY, [FRIEND], False)
    for us, ours, them in (
        (OPEN, None, FRIEND),
        (CONE, RELAY, FRIEND),
        (SYMMETRIC, None, replace(FRIEND, relay=RELAY)),
    ):
        assert why_not_met(us, ours, [them], True) == ""
