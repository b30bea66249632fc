"""A holder whose device or identity was revoked: what it has counts for nothing any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from delivery.test_holders import all_know, at, drop_at
from delivery.test_revoked import knows_revoked, peer_of
from delivery.test_road import ended, held_by, is_filed
from postroad.base import limits
from postroad.base.tlv import encode
from postroad.peers.client import Client
from postroad.protocol.identity_records import sign_revoke, sign_revoke_devices
from postroad.sealing.keys import Identity
from postroad.store import queue, rented
from postroad.store.database import Sql
from simulator.village import Resident, Village, play, until


def whole(hana: Resident) -> bytes:
    return encode(sign_revoke(Identity(hana.entropy)))


def device(hana: Resident) -> bytes:
    return encode(sign_revoke_devices(Identity(hana.entropy), {peer_of(hana)}, 1 << 32))


@pytest.mark.parametrize("revocation", [whole, device])
def test_a_lease_of_a_holder_that_was_revoked_counts_no_more(
    tmp_path: Path, revocation: Callable[[Resident], bytes]
) -> None:
    """The letter waits again, in words, and is placed with another holder; the revoked one is not
    asked, and its owner's record names it no more."""

    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        hana, hugo = await place.with_holders(bora, "hana", "hugo")
        (anna,) = await place.settle_in("anna")
        await place.meet(bora, anna)
        await place.meet(hana, anna)
        await until(lambda: all_know(bora, [hana, hugo, anna]))
        hanas = peer_of(hana)
        bora_is = bora.address
        await bora.sleep()
        await hugo.sleep()
        await anna.write(bora_is)
        await until(lambda: held_by(anna, 1))
        assert await anna.node.database.read(holders) == {hanas}
        assert (await anna.states())[-1] == "held"
        record = revocation(hana)
        await Client(hana.node.links).tell_change(at(anna), record, None)
        assert await knows_revoked(anna, hana, hanas)
        assert await anna.node.database.read(holders) == set()
        (row,) = await anna.waiting()
        assert row.parcel.state.value == "waiting"
        await asyncio.sleep(limits.HOUR)
        assert await anna.node.database.read(holders) == set(), "it is not asked any more"
        await hugo.wake()
        await until(lambda: held_by(anna, 1), 5 * limits.HOUR)
        assert await anna.node.database.read(holders) == {peer_of(hugo)}
        await bora.wake()
        await until(lambda: is_filed(bora, "hello"), limits.HOUR)
        await until(lambda: ended(anna, "delivered"), limits.HOUR)
        await Client(hana.node.links).tell_change(at(bora), record, None)
        drops = await bora.node.database.read(rented.my_drops)
        assert hanas not in {drop.holder for drop in drops}
        assert (await drop_at(bora, hugo)).is_ours
        named = {drop.contact.peer for drop in (await bora.node.renter.record()).drops}
        assert hanas not in named

    def holders(sql: Sql) -> set[bytes]:
        return {lease.holder for row in queue.waiting(sql) for lease in queue.leases(sql, row.id)}

    play(tmp_path, scene)


def test_a_lease_signed_by_a_revoked_device_in_time_keeps_no_letter_from_its_end(
    tmp_path: Path,
) -> None:
    """Two holders have it, and one is revoked: the other one's word counts as before."""

    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        hana, hugo = await place.with_holders(bora, "hana", "hugo")
        (anna,) = await place.settle_in("anna")
        await place.meet(bora, anna)
        await place.meet(hana, anna)
        await until(lambda: all_know(bora, [hana, hugo, anna]))
        bora_is = bora.address
        await bora.sleep()
        await anna.write(bora_is)
        await until(lambda: held_by(anna, 2))
        await Client(hana.node.links).tell_change(at(anna), device(hana), None)
        (row,) = await anna.waiting()
        leases = await anna.node.database.read(lambda sql: queue.leases(sql, row.id))
        assert [lease.holder for lease in leases] == [peer_of(hugo)]
        assert row.parcel.state.value == "held"

    play(tmp_path, scene)
