"""A contact who is blocked: their letters cost next to nothing, and take nobody's place."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from delivery.test_forged import offer
from delivery.test_holders import at, drop_at
from delivery.test_road import ended, is_filed
from postroad.base import limits
from postroad.base.ids import MailId
from postroad.base.tlv import encode
from postroad.delivery.rounds import Outcome
from postroad.peers.client import Client, Sealed
from postroad.peers.exchange import Refused
from postroad.protocol import wire
from postroad.protocol.identity_records import sign_revoke_devices
from postroad.protocol.records import sign_again
from postroad.sealing.keys import Identity
from postroad.store import held, people, standing
from simulator.village import Resident, Village, play, until


async def blocks(owner: Resident, whom: Resident) -> None:
    fingerprint = whom.node.keyring.fingerprint
    await owner.node.database.run(lambda sql: standing.block(sql, fingerprint))
    owner.node.renter.wake()


def test_a_large_letter_of_somebody_blocked_is_refused_before_it_comes(tmp_path: Path) -> None:
    """And its sender is told at once, in words; a small one is refused with a receipt, as ever."""

    async def scene(place: Village) -> None:
        bora, mallory = await place.settle_in("bora", "mallory")
        await place.meet(bora, mallory)
        await blocks(bora, mallory)
        with pytest.raises(Refused) as refused:
            await offer(mallory, bora, bytes(limits.SEALED_BYTES_MAX))
        assert refused.value.refusal == wire.Refusal.UNWANTED
        assert not list((bora.folder / "sealed").glob("*"))
        for subject, text in (("large", "x" * 100_000), ("small", "x")):
            await mallory.write(bora.address, subject=subject, text=text)
            await until(lambda subject=subject: is_returned(mallory, subject))  # type: ignore[misc]
        assert await mallory.states() == [*(await mallory.states())[:-2], "refused", "refused"]

    async def is_returned(mallory: Resident, subject: str) -> bool:
        found = await mallory.with_subject(f"Not delivered: {subject}")
        return any(b"does not want letters from you" in b" ".join(one.split()) for one in found)

    play(tmp_path, scene)


def test_only_the_recipients_own_device_ends_a_letter_by_saying_that_it_is_unwanted(
    tmp_path: Path,
) -> None:
    """A record may name the device of somebody else, who is believed in nothing."""

    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        (hana,) = await place.with_holders(bora, "hana")
        await until(lambda: knows_holder(anna, bora))
        answers = hana.node.links._answers

        async def lie(_: wire.Message, exchange: object) -> None:
            await exchange.send(wire.No(wire.Refusal.UNWANTED, "No."))  # type: ignore[attr-defined]

        answers[wire.Deposit] = lie  # type: ignore[index]
        bora_is = bora.address
        await bora.sleep()
        await anna.write(bora_is)
        await asyncio.sleep(limits.MINUTE)
        assert (await anna.states())[-1] == "waiting"
        await bora.wake()
        await until(lambda: ended(anna, "delivered"), limits.HOUR)

    async def knows_holder(anna: Resident, bora: Resident) -> bool:
        fingerprint = bora.node.keyring.fingerprint
        person = await anna.node.database.read(lambda sql: people.contact(sql, fingerprint))
        return person is not None and bool(person.record.drops)

    play(tmp_path, scene)


def test_who_is_blocked_makes_nobody_unwanted_by_naming_their_device(tmp_path: Path) -> None:
    """A record may name the device of a stranger, who has never said that it is theirs."""

    async def scene(place: Village) -> None:
        anna, bora, mallory = await place.settle_in("anna", "bora", "mallory")
        await place.meet(bora, mallory)
        record = await mallory.node.renter.record()
        theirs = (await anna.node.renter.record()).devices
        claims = replace(
            record, devices=(*record.devices, *theirs), sequence=record.sequence + (1 << 32)
        )
        keyring = mallory.node.keyring
        claimed = sign_again(claims, keyring.certificate, keyring.device)
        now = bora.clock.now()
        assert await bora.node.database.run(lambda sql: people.learn(sql, claimed, now))
        await blocks(bora, mallory)
        for bringer, refusal in (
            (mallory, wire.Refusal.UNWANTED),
            (anna, wire.Refusal.FORBIDDEN),  # a look was taken: it is no letter
        ):
            with pytest.raises(Refused) as refused:
                await offer(bringer, bora, bytes(limits.OPEN_LETTER_BYTES_MAX))
            assert refused.value.refusal == refusal

    play(tmp_path, scene)


def test_a_device_that_is_revoked_while_it_says_no_ends_no_letter(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        await blocks(bora, anna)
        rounds, mine = anna.node.sender._rounds, Identity(bora.entropy)
        word = encode(sign_revoke_devices(mine, {bora.node.keyring.device.peer}, 1 << 32))

        class Meanwhile:
            async def attempt(self, *all_of_it: Any) -> Outcome:
                outcome = await rounds.attempt(*all_of_it)
                assert outcome.is_unwanted
                await anna.node.changes._obeying.obey(word)
                return outcome

        anna.node.sender._rounds = Meanwhile()  # type: ignore[assignment]
        await anna.write(bora.address, subject="large", text="x" * 100_000)
        await asyncio.sleep(limits.MINUTE)
        assert (await anna.states())[-1] == "waiting"

    play(tmp_path, scene)


def test_who_was_blocked_fills_no_drop_under_the_ticket_that_they_had(tmp_path: Path) -> None:
    """Nor is what they left before in the way of others, once its owner was there."""

    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        (hana,) = await place.with_holders(bora, "hana")
        anna, mallory = await place.settle_in("anna", "mallory")
        await place.meet(bora, anna, mallory)
        drop, there = await drop_at(bora, hana), at(hana)
        mine = bora.node.keyring.fingerprint
        ticket = await mallory.node.database.read(
            lambda sql: getattr(people.contact(sql, mine), "my_ticket", None)
        )
        assert ticket is not None

        digest = hashlib.sha256(ticket).digest()

        async def takes() -> bool:
            return await hana.node.database.read(lambda sql: held.takes(sql, drop.drop, digest))

        async def takes_no_more() -> bool:
            return not await takes()

        async def leaves(number: int, size: int) -> None:
            octets = number.to_bytes(4, "big") + bytes(size - 4)
            mail_id = MailId(hashlib.sha256(octets).digest())
            expires = int(place.clock.now() + limits.DAY)
            deposit = wire.Deposit(drop.drop, mail_id, size, expires, ticket, None)
            whole = octets if size <= limits.AT_ONCE_BYTES_MAX else b""

            async def pieces() -> AsyncIterator[bytes]:
                yield octets

            letter = Sealed(mail_id, size, whole, pieces)
            await Client(mallory.node.links).deposit(there, deposit, letter)

        await until(takes)
        await leaves(1, 100_000)
        await blocks(bora, mallory)
        await until(takes_no_more)
        # Large: no room without a ticket that counts. Small: a stranger's, with a stamp.
        with pytest.raises(Refused) as refused:
            await leaves(2, 100_000)
        assert refused.value.refusal == wire.Refusal.STAMP
        with pytest.raises(Refused) as refused:
            await leaves(3, 1_000)
        assert refused.value.refusal == wire.Refusal.STAMP
        bora_is = bora.address
        await bora.sleep()
        await anna.write(bora_is, text="x" * 100_000)
        await bora.wake()
        await until(lambda: is_filed(bora, "hello"))

    play(tmp_path, scene)
