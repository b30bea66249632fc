"""From what peers say of us to where we can be reached."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import peer
from postroad.base import limits
from postroad.base.ids import HostPort, Relay
from postroad.protocol.reach import (
    ANNOUNCE_SECONDS_FIRST,
    ANNOUNCE_SECONDS_MAX,
    TOGETHER_SECONDS,
    Knock,
    Nat,
    Observation,
    announce_pause,
    best_first,
    choose_relay,
    clock_error,
    is_contradicted,
    look,
)

HOME = HostPort("192.168.1.2", 46464)
DOOR = HostPort("192.88.9.11", 46464)
OTHER_PORT = HostPort("192.88.9.11", 20017)
VICTIM = HostPort("9.9.9.9", 53)
SIX = HostPort("3ffe:9:1::2", 46464)
FROM = [HostPort(f"192.88.{n}.5", 46464) for n in range(9)]


def seen(number: int, address: HostPort | None, at: float = 0.0, network: int = 0) -> Observation:
    return Observation(peer(number), FROM[network or number % 9], address, at)


def test_an_address_that_two_networks_saw_is_sure() -> None:
    picture = look([seen(1, DOOR), seen(2, DOOR)], [], [HOME])
    (outside,) = picture.outside
    assert (outside.address, outside.is_sure, outside.is_open) == (DOOR, True, None)
    assert (picture.nat4, picture.nat6, picture.udp) == (Nat.CONE, Nat.UNKNOWN, True)


def test_an_address_that_one_network_saw_is_used_but_not_sure() -> None:
    for observations in ([seen(1, DOOR)], [seen(1, DOOR, network=3), seen(2, DOOR, network=3)]):
        (outside,) = look(observations, [], [HOME]).outside
        assert (outside.address, outside.is_sure) == (DOOR, False)


def test_the_kind_of_nat_shows_from_the_second_peer_on() -> None:
    assert look([seen(1, DOOR)], [], [HOME]).nat4 is Nat.SOME
    assert look([seen(1, DOOR), seen(2, DOOR)], [], [HOME]).nat4 is Nat.CONE
    assert look([seen(1, DOOR), seen(2, OTHER_PORT)], [], [HOME]).nat4 is Nat.SYMMETRIC
    assert look([seen(1, DOOR)], [], [DOOR]).nat4 is Nat.NONE


def test_a_symmetric_nat_leaves_no_address_to_tell() -> None:
    assert look([seen(1, DOOR), seen(2, OTHER_PORT)], [], [HOME]).outside == ()


def test_a_mapping_that_was_forgotten_meanwhile_is_no_symmetric_nat() -> None:
    picture = look([seen(1, DOOR, 0.0), seen(2, OTHER_PORT, TOGETHER_SECONDS + 1)], [], [HOME])
    assert picture.nat4 is Nat.SOME
    assert [one.address for one in picture.outside] == [OTHER_PORT]


def test_a_router_with_another_address_is_believed_when_two_say_so() -> None:
    before = [seen(1, DOOR), seen(2, DOOR), seen(3, DOOR)]
    one, two = seen(1, OTHER_PORT, 3600.0), seen(2, OTHER_PORT, 3700.0)
    for observations, address in (
        (before, DOOR),
        ([*before, one], DOOR),
        ([*before, one, two], OTHER_PORT),
    ):
        assert [each.address for each in look(observations, [], [HOME]).outside] == [address]
        assert is_contradicted(observations, [HOME]) == (observations != before)


def test_a_neighbour_tells_nothing_of_the_outside() -> None:
    assert look([seen(1, HOME)], [], [HOME]).outside == ()
    assert look([seen(1, HOME)], [], [HOME]).udp is True


@given(st.permutations([seen(1, DOOR, 5.0), seen(2, DOOR, 6.0), seen(3, VICTIM, 7.0)]))
def test_one_liar_does_not_overrule_two_who_agree(observations: list[Observation]) -> None:
    picture = look(observations, [], [HOME])
    assert [one.address for one in picture.outside] == [DOOR]


def test_many_nodes_of_one_network_do_not_overrule_two_networks() -> None:
    """A contact's record may name four devices."""
    liars = [seen(number, OTHER_PORT, 9.0, network=7) for number in range(3, 7)]
    picture = look([seen(1, DOOR), seen(2, DOOR), *liars], [], [HOME])
    assert [one.address for one in picture.outside] == [DOOR]


@pytest.mark.parametrize(
    "address",
    [
        HostPort("224.0.0.251", 5353),
        HostPort("255.255.255.255", 4646),
        HostPort("0.0.0.0", 4646),
        HostPort("9.9.9.9", 53),
        HostPort("10.0.0.138", 8080),
        HostPort("127.0.0.1", 4646),
        HostPort("ff02::1", 4646),
        HostPort("fd00::1", 4646),
        HostPort("::ffff:10.0.0.1", 4646),
    ],
)
def test_nobody_in_public_has_us_tell_others_an_address_that_is_no_nodes(address: HostPort) -> None:
    """Our contacts dial what our record says, whatever it is."""
    assert look([seen(1, address), seen(2, address)], [], [HOME]).outside == ()


def test_in_a_network_of_private_addresses_those_are_believed() -> None:
    one = Observation(peer(1), HostPort("10.1.0.5", 46464), HostPort("10.2.0.5", 46464), 0.0)
    assert [each.address for each in look([one], [], [HOME]).outside] == [one.address]


def test_one_liar_does_not_take_the_place_of_a_public_address_of_our_own() -> None:
    """A contact in bytes has room for one IPv4 address."""
    ours, lie = DOOR, HostPort("9.9.9.9", 4646)
    picture = look([seen(1, lie)], [Knock(lie, True, None)], [ours, HOME])
    assert best_first(picture, [ours, HOME]) == (ours, lie, HOME)
    picture = look([seen(1, lie), seen(2, lie)], [], [ours, HOME])
    assert best_first(picture, [ours, HOME]) == (lie, ours, HOME), "our router translates"


@given(
    st.lists(
        st.builds(
            seen,
            st.integers(1, 30),
            st.sampled_from([None, HOME, DOOR, OTHER_PORT, VICTIM, SIX]),
            st.floats(0, 1e6),
        )
    ),
    st.lists(
        st.builds(Knock, st.sampled_from([DOOR, SIX]), st.booleans(), st.none() | st.booleans())
    ),
)
def test_every_picture_makes_sense(observations: list[Observation], knocks: list[Knock]) -> None:
    picture = look(observations, knocks, [HOME])
    families = [":" in one.address.host for one in picture.outside]
    assert len(set(families)) == len(families)
    said = {one.address for one in observations}
    assert {one.address for one in picture.outside} <= said
    assert picture.is_open <= any(knock.udp for knock in knocks)
    if picture.nat4 is Nat.SYMMETRIC:
        assert False not in families
    assert (picture.udp is None) == (said <= {None})
    assert set(best_first(picture, [HOME])) == {HOME, *(one.address for one in picture.outside)}


def test_who_was_knocked_at_is_open_or_not() -> None:
    observations = [seen(1, DOOR), seen(2, DOOR)]
    shut = look(observations, [Knock(DOOR, False, None)], [HOME])
    assert (shut.is_open, shut.outside[0].is_open, shut.relay_is_open) == (False, False, None)
    for knocks in ([Knock(DOOR, False, True), Knock(DOOR, True, False)],):
        picture = look(observations, knocks, [HOME])
        assert (picture.is_open, picture.relay_is_open) == (True, True)
    elsewhere = look(observations, [Knock(OTHER_PORT, True, None)], [HOME])
    assert elsewhere.outside[0].is_open is None


def test_udp_is_blocked_when_open_nodes_answer_by_tcp_only() -> None:
    assert look([], [], [HOME]).udp is None
    assert look([], [], [HOME], [(False, False)]).udp is None
    assert look([seen(1, None)], [], [HOME], [(False, True)]).udp is False
    assert look([], [], [HOME], [(False, True), (True, True)]).udp is True


def test_the_best_address_comes_first() -> None:
    picture = look([seen(1, DOOR), seen(2, SIX)], [Knock(SIX, True, None)], [HOME])
    assert best_first(picture, [HOME]) == (SIX, DOOR, HOME)


def test_the_home_relay_is_left_only_for_one_that_is_clearly_nearer() -> None:
    near, far = (Relay(peer(n), HostPort(f"192.88.{n}.1", 443)) for n in (1, 2))
    assert choose_relay({}, near) is None
    assert choose_relay({near: 0.010, far: 0.030}, None) == near
    assert choose_relay({near: 0.020, far: 0.030}, far) == far
    assert choose_relay({near: 0.050, far: 0.060}, far) == far
    assert choose_relay({near: 0.050, far: 0.150}, far) == near
    assert choose_relay({near: 0.050}, far) == near


@given(st.lists(st.floats(0, 7200), max_size=200), st.floats(0, 7200))
def test_flapping_tells_others_ever_more_rarely(announced: list[float], now: float) -> None:
    pause = announce_pause(announced, now)
    assert ANNOUNCE_SECONDS_FIRST <= pause <= ANNOUNCE_SECONDS_MAX
    assert announce_pause([*announced, now], now) >= pause


def test_a_hundred_changes_in_an_hour_make_few_records() -> None:
    now, announced = 0.0, list[float]()
    while now < 3600:
        now += announce_pause(announced, now) + 1
        announced.append(now)
    assert len(announced) <= 16


def test_a_wrong_clock_shows_when_most_peers_say_so() -> None:
    wrong = limits.CLOCK_DRIFT_SECONDS + 1
    assert clock_error([]) is None
    assert clock_error([wrong]) == wrong
    assert clock_error([-wrong, -wrong, 0.5]) == -wrong
    assert clock_error([wrong, 0.0]) is None
    assert clock_error([wrong, -wrong]) is None
