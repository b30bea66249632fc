"""A week's letters and receipts, brought again in any order, by anybody who kept them."""

import asyncio
import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from delivery.test_forged import offer
from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, TemporaryFailure
from postroad.base.ids import MailId
from postroad.peers.client import Client
from postroad.store.database import Sql
from postroad.store.filed import REMEMBER_SECONDS
from postroad.store.sealed import SealedStore
from simulator.village import Resident, Village, play, until

LETTERS_A_DAY = 3


@dataclass(slots=True)
class Kept:
    """What somebody on the way has kept: sealed letters, and sealed receipts by their mail ids."""

    letters: dict[bytes, bytes] = field(default_factory=dict)
    receipts: set[tuple[bytes, bytes]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Stand:
    """What must not go back: subjects in the INBOX, and the states of all parcels."""

    inbox: Counter[str]
    states: dict[tuple[bytes, str], str]


async def stand(who: Resident) -> Stand:
    subjects: Counter[str] = Counter()
    for octets in await who.inbox():
        at = octets.index(b"\r\nSubject: ") + 11
        subjects[octets[at : octets.index(b"\r\n", at)].decode()] += 1

    def states(sql: Sql) -> dict[tuple[bytes, str], str]:
        rows = sql.execute(
            "SELECT nonce, recipient, state FROM parcel JOIN letter ON letter.id = letter_id"
        )
        return {(nonce, to): state for nonce, to, state in rows}

    return Stand(subjects, await who.node.database.run(states))


async def collect(kept: Kept, who: Resident) -> None:
    """Note all receipts that this node has or gave."""

    def read(sql: Sql) -> list[tuple[bytes, bytes]]:
        gave = sql.execute("SELECT mail_id, sealed FROM receipt_due").fetchall()
        got = sql.execute("SELECT mail_id, receipt FROM parcel WHERE receipt IS NOT NULL")
        buried = sql.execute("SELECT mail_id, tombstone FROM held_letter WHERE tombstone NOTNULL")
        return [*gave, *got.fetchall(), *buried.fetchall()]

    kept.receipts.update((bytes(one), bytes(two)) for one, two in await who.node.database.run(read))


async def replay(kept: Kept, everybody: list[Resident], dice: Random) -> Counter[str]:
    """Everything to everybody, in any order; what they answered."""
    said: Counter[str] = Counter()
    letters = [(octets, None) for octets in kept.letters.values()]
    receipts = [(mail_id, receipt) for mail_id, receipt in sorted(kept.receipts)]
    things: list[tuple[bytes, bytes | None]] = [*letters, *receipts]
    for first, second in dice.sample(things, len(things)):
        for node in dice.sample(everybody, len(everybody)):
            bringer = dice.choice([one for one in everybody if one is not node])
            try:
                if second is None:
                    answer = await offer(bringer, node, first)
                    said["letter answered" if isinstance(answer, bytes) else "to seal anew"] += 1
                else:
                    (there,) = (await node.node.renter.record()).contacts
                    client = Client(bringer.node.links)
                    await client.tell_receipt(there, MailId(first), second)
                    said["receipt taken"] += 1
            except (PeerMisbehaved, TemporaryFailure):
                said["refused"] += 1
    return said


def is_the_end(state: str) -> bool:
    return state in ("delivered", "refused", "cancelled")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_week_that_is_brought_again_files_nothing_and_sets_nothing_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice, kept = Random(f"replay {seed}"), Kept()
    put_all = SealedStore.put_all

    def keeping(store: SealedStore, sql: Sql, chunks: object, size: int) -> MailId:
        octets = b"".join(chunks)  # type: ignore[arg-type]
        kept.letters[hashlib.sha256(octets).digest()] = octets
        return put_all(store, sql, [octets], size)

    async def scene(place: Village) -> None:
        anna, bora, carl = await place.settle_in("anna", "bora", "carl")
        (hana,) = await place.with_holders(bora, "hana")
        await place.meet(bora, anna, carl)
        await place.meet(anna, carl)
        everybody = [anna, bora, carl, hana]
        monkeypatch.setattr(SealedStore, "put_all", keeping)
        addresses = {one.name: one.address for one in everybody}
        for day in range(7):
            away = dice.choice([bora, carl, None])
            if away is not None:
                await away.sleep()
            for number in range(LETTERS_A_DAY):
                sender = dice.choice([one for one in (anna, bora, carl) if one is not away])
                to = dice.choice([one for one in (anna, bora, carl) if one is not sender])
                text = "x" * dice.choice((10, 500, 40_000))
                await sender.write(addresses[to.name], subject=f"{day}.{number}", text=text)
                await asyncio.sleep(dice.uniform(0, 3 * limits.HOUR))
            if away is not None:
                await away.wake()
            await asyncio.sleep(limits.HOUR)
            for one in everybody:
                await collect(kept, one)

        async def all_ended() -> bool:
            waiting = [await one.waiting() for one in everybody]
            return not any(waiting)

        await until(all_ended, limits.DAY)
        for one in everybody:
            await collect(kept, one)
        before = {one.name: await stand(one) for one in everybody}
        week = 7 * LETTERS_A_DAY
        assert len(kept.letters) >= week
        assert len(kept.receipts) >= week
        written = [name for one in before.values() for name in one.inbox if name[0].isdigit()]
        assert len(written) == len(set(written)) == week

        answered = await replay(kept, everybody, dice)
        assert answered["letter answered"] >= week  # with the receipt that it got
        assert answered["receipt taken"] >= week
        assert {one.name: await stand(one) for one in everybody} == before

        # After all that was remembered of it is forgotten, nothing can be taken any more.
        place.put_forward(limits.EXPIRY_SECONDS_MAX + REMEMBER_SECONDS + limits.DAY)
        await asyncio.sleep(30 * limits.HOUR)
        for one in everybody:
            remembered = await one.node.database.run(
                lambda sql: sql.execute("SELECT count(*) FROM filed").fetchone()[0]
            )
            assert remembered == 0
        for _ in range(2):
            await replay(kept, everybody, dice)
            await asyncio.sleep(limits.HOUR)
            for one in everybody:
                now = await stand(one)
                assert now.inbox == before[one.name].inbox
                for parcel, state in now.states.items():
                    was = before[one.name].states[parcel]
                    assert state == was or not is_the_end(was)

    play(tmp_path, scene)
