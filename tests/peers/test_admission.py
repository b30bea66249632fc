"""Who is let in: those whom we know first, and of the others only so many."""

from __future__ import annotations

import asyncio

import pytest

from fakes import FakeClock, peer
from postroad.base import limits
from postroad.base.errors import TemporaryFailure
from postroad.base.ids import HostPort
from postroad.peers.admission import REMEMBERED_MAX, Admission, Known

FRIEND, FRIENDS_HOST = peer(1), "198.51.100.7"


async def known() -> Known:
    return frozenset([FRIEND]), frozenset([FRIENDS_HOST])


def admission(clock: FakeClock) -> Admission:
    made = Admission(clock, known)
    asyncio.run(made.refresh())
    return made


def at(host: str, port: int = 40_000) -> HostPort:
    return HostPort(host, port)


def let_in(door: Admission, hosts: list[str]) -> int:
    return sum(door.admits(at(host)) for host in hosts)


def test_one_subnet_gets_its_share_however_many_addresses_it_has() -> None:
    clock = FakeClock()
    door = admission(clock)
    many = [f"203.0.113.{number % 256}" for number in range(1000)]
    assert let_in(door, many) == limits.ARRIVALS_OF_SUBNET_AT_ONCE
    clock.advance(10)
    assert let_in(door, many) == 10 * limits.ARRIVALS_OF_SUBNET_PER_SECOND
    six = [f"2001:db8:7:{number:x}::1" for number in range(1000)]
    assert let_in(door, six) == limits.ARRIVALS_OF_SUBNET_AT_ONCE


def test_all_strangers_together_get_no_more_than_a_fixed_part() -> None:
    clock = FakeClock()
    door = admission(clock)
    flood = [f"192.{n % 200}.{n % 251}.1" for n in range(100_000)]
    count = let_in(door, flood)
    assert count <= limits.ARRIVALS_AT_ONCE + limits.ARRIVALS_RESERVED
    clock.advance(1)
    per_second = limits.ARRIVALS_PER_SECOND + limits.ARRIVALS_RESERVED_PER_SECOND
    assert let_in(door, flood) <= per_second
    assert door.refused >= 199_000


def test_while_strangers_flood_whom_we_know_gets_in_and_so_does_a_newcomer() -> None:
    clock = FakeClock()
    door = admission(clock)
    flood = [f"203.0.{n % 20}.{n % 256}" for n in range(5000)]
    for _ in range(60):
        let_in(door, flood)
        clock.advance(1)
        assert door.admits(at(FRIENDS_HOST))  # at the place where they were last
        assert door.admits(None, FRIEND)  # over a relay, which says who they are
    let_in(door, flood)
    assert door.admits(at("192.0.2.99"))  # from a place where nobody ever came from
    assert not door.admits(at("203.0.5.5"))


def test_a_host_of_a_friend_has_no_end_of_places_neither() -> None:
    door = admission(FakeClock())
    count = let_in(door, [FRIENDS_HOST] * 10_000)
    assert count <= limits.ARRIVALS_OF_KNOWN_AT_ONCE + limits.ARRIVALS_OF_SUBNET_AT_ONCE


def test_strangers_are_paced_and_whom_we_know_is_not() -> None:
    clock = FakeClock()
    door = admission(clock)
    assert [door.pause(FRIEND, at(FRIENDS_HOST)) for _ in range(10_000)] == [0.0] * 10_000
    waits = [door.pause(peer(2), at("203.0.113.1")) for _ in range(1000)]
    assert waits[: limits.STRANGER_EXCHANGES_AT_ONCE] == [0.0] * limits.STRANGER_EXCHANGES_AT_ONCE
    assert waits[-1] == pytest.approx(
        (1000 - limits.STRANGER_EXCHANGES_AT_ONCE) / limits.STRANGER_EXCHANGES_PER_SECOND
    )
    # Ten thousand keys in all, of twenty subnets: together no more than their part.
    waits = [door.pause(peer(n + 3), at(f"203.{n % 20}.0.1")) for n in range(10_000)]
    assert waits[-1] >= (10_000 - 3000) / limits.STRANGERS_EXCHANGES_PER_SECOND


def test_what_is_remembered_is_bounded() -> None:
    door = admission(FakeClock())
    for number in range(3 * REMEMBERED_MAX):
        host = f"{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}.1"
        door.admits(at(host))
        door.pause(peer(number + 10), at(host))
    assert len(door._subnets) <= REMEMBERED_MAX
    assert len(door._pace) <= REMEMBERED_MAX


def test_a_disk_that_fails_makes_no_strangers_of_friends() -> None:
    door = admission(FakeClock())

    async def failing() -> Known:
        raise TemporaryFailure("the disk is full")

    door._load = failing
    asyncio.run(door.refresh())
    assert door.knows(FRIEND)
