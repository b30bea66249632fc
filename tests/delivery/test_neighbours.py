"""Contacts on the local network, and others who shout there: who is dialled, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from delivery.test_road import ended, is_filed, put_off
from fakes import NOW, peer
from postroad.base import limits
from postroad.base.ids import Contact, HostPort, Instant, PeerId
from postroad.base.seams import Lan, Neighbour
from postroad.peers.sightings import ADDRESSES_MAX, PEERS_MAX, Sightings
from postroad.protocol.neighbourhood import day_of, next_day, tag, tags
from simulator.village import Resident, Village, play, until

AT = HostPort("10.77.0.2", 46464)


class Street:
    """`base.seams.Lan` in which the test shouts."""

    def __init__(self) -> None:
        self.shown: list[bytes] = []
        self.port = 0
        self._wanted: Callable[[bytes], bool] = lambda _: False
        self._heard: Callable[[Neighbour], None] = lambda _: None

    async def serve(
        self,
        tag: bytes,
        port: Callable[[], int],
        wanted: Callable[[bytes], bool],
        heard: Callable[[Neighbour], None],
    ) -> None:
        self.shown.append(tag)
        self.port = port()
        self._wanted, self._heard = wanted, heard
        try:
            await asyncio.Event().wait()
        finally:
            self._wanted = lambda _: False

    def shout(self, tag: bytes, *addresses: HostPort) -> bool:
        """As somebody there; whether anybody cares."""
        is_wanted = self._wanted(tag)
        if is_wanted:
            self._heard(Neighbour(tag, addresses))
        return is_wanted


async def moved_apart(place: Village) -> tuple[Resident, Resident, Street]:
    """Two contacts who both moved while they were off; Anna hears what is shouted in the street."""
    anna, bora = await place.settle_in("anna", "bora")
    street = Street()
    await place.meet(bora, anna)
    await asyncio.sleep(limits.MINUTE)
    for one in (anna, bora):
        await one.sleep()
        one.move()
    anna.lan = street
    for one in (anna, bora):
        await one.wake()
    await until(lambda: _serves(street))
    return anna, bora, street


async def _serves(street: Street) -> bool:
    return bool(street.shown)


def test_a_letter_goes_to_whoever_is_heard_next_door(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora, street = await moved_apart(place)
        await anna.write(bora.address)
        await until(lambda: put_off(anna))
        await asyncio.sleep(limits.HOUR)
        assert not await bora.with_subject("hello")
        assert bora.peer is not None
        today = tag(bora.peer, day_of(place.clock.now()))
        assert street.shout(today, *bora.node.endpoint.addresses())
        await until(lambda: is_filed(bora, "hello"), 10)
        await until(lambda: ended(anna, "delivered"), 10)
        assert street.port == anna.node.endpoint.addresses()[0].port

    play(tmp_path, scene)


def test_strangers_shout_in_vain(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, _, street = await moved_apart(place)
        await asyncio.sleep(limits.MINUTE)
        dials = count_dials(anna)
        for number in range(1, 3000):
            assert not street.shout(number.to_bytes(8, "big"), AT)
        await asyncio.sleep(10 * limits.MINUTE)
        assert not [contact for contact in dials if AT in contact.addresses]

    play(tmp_path, scene)


def count_dials(who: Resident) -> list[Contact]:
    """All that this node dials from now on."""
    dials: list[Contact] = []
    endpoint = who.node.endpoint._endpoint
    assert endpoint is not None
    dial = endpoint.dial

    async def counted(contact: Contact) -> object:
        dials.append(contact)
        return await dial(contact)

    endpoint.dial = counted  # type: ignore[method-assign,assignment]
    return dials


def test_a_stolen_tag_costs_a_dial_a_minute_and_no_letter(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora, street = await moved_apart(place)
        assert bora.peer is not None
        dials = count_dials(anna)
        today = tag(bora.peer, day_of(place.clock.now()))
        await asyncio.sleep(10 * limits.MINUTE)
        without = len(dials)  # to tell Bora of Anna's new address
        for number in range(10 * limits.MINUTE):
            assert street.shout(today, HostPort("10.77.0.9", 2000 + number))
            await asyncio.sleep(1)
        because_of_it = len(dials) - 2 * without
        assert 2 <= because_of_it <= 11
        assert {contact.peer for contact in dials} == {bora.peer}
        assert all(len(contact.addresses) <= ADDRESSES_MAX + 2 for contact in dials)
        await anna.write(bora.address)
        assert street.shout(today, *bora.node.endpoint.addresses())
        await until(lambda: is_filed(bora, "hello"), 5 * limits.MINUTE)

    play(tmp_path, scene)


def test_who_becomes_a_contact_can_be_heard_at_once(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await anna.sleep()
        anna.lan = street = Street()
        await anna.wake()
        await until(lambda: _serves(street))
        assert bora.peer is not None
        today = tag(bora.peer, day_of(place.clock.now()))
        assert not street.shout(today, AT)
        await place.meet(bora, anna)
        await asyncio.sleep(30)
        assert street.shout(today, AT)

    play(tmp_path, scene)


def test_a_new_day_a_new_tag_and_none_in_a_pause(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora, street = await moved_apart(place)
        assert anna.peer is not None
        assert bora.peer is not None
        day = day_of(place.clock.now())
        assert street.shown == [tag(anna.peer, day)]
        await asyncio.sleep(limits.DAY)
        assert street.shown == [tag(anna.peer, day), tag(anna.peer, day + 1)]
        assert street.shout(tag(bora.peer, day + 2), AT)  # Bora's clock is ahead
        assert not street.shout(tag(bora.peer, day + 3), AT)
        await anna.node.pauses.begin(None)
        await asyncio.sleep(limits.MINUTE)
        assert not street.shout(tag(bora.peer, day + 1), AT)
        await anna.node.pauses.end()
        await asyncio.sleep(limits.MINUTE)
        assert street.shout(tag(bora.peer, day + 1), AT)

    play(tmp_path, scene)


# What tags and sightings are


@given(st.integers(1, 2**64), st.floats(0, 2**32))
def test_tags_are_known_to_whoever_knows_the_device_for_a_day_and_its_neighbours(
    number: int, now: float
) -> None:
    device, day = peer(number), day_of(Instant(now))
    if day == 0:
        return
    shown = tag(device, day)
    assert len(shown) == 8
    assert shown in tags(device, day - 1)
    assert shown in tags(device, day + 1)
    assert shown not in tags(device, day + 2)
    assert shown not in tags(peer(number + 1), day)
    assert 0 < next_day(Instant(now)) - now <= limits.DAY


def test_a_tag_is_what_the_page_says() -> None:
    page = Path(__file__).parents[2] / "docs" / "protocol" / "lan.md"
    assert day_of(NOW) == 20486
    assert f"`{tag(PeerId(bytes(32)), 20486).hex()}`" in page.read_text()


def test_where_somebody_was_seen_is_tried_first() -> None:
    sightings = Sightings()
    record = Contact(peer(1), (HostPort("192.0.2.7", 1), AT))
    assert sightings.widen(record) == record
    assert sightings.note(peer(1), (AT,))
    assert not sightings.note(peer(1), (AT,))
    assert sightings.widen(record).addresses == (AT, HostPort("192.0.2.7", 1))
    assert sightings.is_near(peer(1))
    assert not sightings.is_near(peer(2))
    sightings.forget(peer(1))
    assert sightings.widen(record) == record


def test_sightings_have_an_end() -> None:
    sightings = Sightings()
    for number in range(1, 2 * PEERS_MAX):
        sightings.note(peer(number), (AT,))
    near = [number for number in range(1, 2 * PEERS_MAX) if sightings.is_near(peer(number))]
    assert near == list(range(PEERS_MAX, 2 * PEERS_MAX))
    for port in range(1, 20):
        sightings.note(peer(600), (HostPort("10.77.0.2", port),))
    widened = sightings.widen(Contact(peer(600)))
    assert [at.port for at in widened.addresses] == [19, 18, 17, 16]


street_keeps_the_protocol: type[Lan] = Street
