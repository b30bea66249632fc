"""Of a large letter under way its owner is told how much has gone, and of nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from postroad.app.mail_doors import Sockets
from postroad.app.telling_queue import how_much
from postroad.base import limits, seams
from postroad.base.bell import Bell
from postroad.base.errors import LinkClosed
from postroad.base.ids import PeerId
from postroad.base.seams import Stream
from postroad.delivery.progress import SHOWN_FROM_BYTES, STEPS, Gone, Progress
from postroad.peers.exchange import Exchange
from simulator.village import Resident, Village, play, until


async def is_held(anna: Resident) -> bool:
    return (await anna.states())[-1] == "held"


@pytest.mark.parametrize("size", [3_000_000, 500_000])
def test_a_large_letter_is_seen_to_go_piece_by_piece(tmp_path: Path, size: int) -> None:
    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        await place.with_holders(bora, "hana", "hugo")
        (anna,) = await place.settle_in("anna")
        await place.meet(bora, anna)
        address = bora.address
        await bora.sleep()
        progress, seen = anna.node.sender.progress, set[tuple[int, int]]()

        def look() -> None:
            seen.update((gone.octets, gone.size) for one in range(9) if (gone := progress.of(one)))

        with anna.node.bell.heard_by(look):
            await anna.write(address, subject="large", text="x" * size)
            await until(lambda: is_held(anna))
        if size < SHOWN_FROM_BYTES:
            assert not seen
            return
        (total,) = {of for _, of in seen}
        assert total > size
        gone = sorted(octets for octets, _ in seen)
        assert len(gone) > STEPS / 2
        assert gone[0] <= limits.BULK_CHUNK_BYTES
        assert gone[-1] == total
        row = (await anna.waiting())[-1]
        nothing = {"gone_bytes": None, "sealed_bytes": None}
        assert progress.told(row.id) == nothing
        (told,) = (await anna.node.desks(anna.node.doors(Sockets()))["queue"]({}))["queue"]
        assert {name: told[name] for name in nothing} == nothing

    play(tmp_path, scene)


def test_it_is_as_far_as_it_is_with_whoever_has_most_of_it() -> None:
    async def scene() -> None:
        rung: list[Gone | None] = []
        bell = Bell()
        progress = Progress(bell)
        size = 4 * limits.MIB

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(64):
                yield bytes(size // 64)

        with bell.heard_by(lambda: rung.append(progress.of(7))), progress.of_a_round(7):
            one = progress.counted(7, size, pieces)()
            other = progress.counted(7, size, pieces)()
            for _ in range(33):
                await anext(one)
            for _ in range(9):
                await anext(other)
            assert progress.of(7) == Gone(size // 2, size)
            assert progress.of(8) is None
            async for _ in other:
                pass
            assert progress.of(7) == Gone(size, size)
            await one.aclose()  # type: ignore[attr-defined]
        assert progress.of(7) is None
        assert len(rung) == STEPS + 2  # the first piece, each step, and the end
        assert rung[-1] is None

    asyncio.run(scene())


class Breaking:
    """A stream of somebody who goes after so many pieces."""

    def __init__(self, after: int) -> None:
        self.left = after

    async def write(self, _: bytes) -> None:
        self.left -= 1
        if not self.left:
            raise LinkClosed("The peer closed the link.")


def test_it_does_not_stay_where_somebody_had_it_who_went() -> None:
    async def scene() -> None:
        bell = Bell()
        progress = Progress(bell)
        size = 4 * limits.MIB

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(64):
                yield bytes(size // 64)

        with progress.of_a_round(7):
            counted = progress.counted(7, size, pieces)
            slow = counted()
            for _ in range(9):
                await anext(slow)
            with pytest.raises(LinkClosed):
                await to_somebody(Breaking(after=33)).send_bulk(counted())
            assert progress.of(7) == Gone(size // 8, size)
            rung = bell.count
            await slow.aclose()  # type: ignore[attr-defined]
            assert progress.of(7) is None
            assert bell.count == rung + 1

    asyncio.run(scene())


def to_somebody(stream: Breaking) -> Exchange:
    return Exchange(cast(Stream, stream), PeerId(bytes(32)), lambda: seams.Path(True, None, 0.0))


def test_the_bar_says_how_much() -> None:
    letter = {"gone_bytes": 3 * limits.MIB, "sealed_bytes": 6 * limits.MIB}
    assert how_much(letter) == "[##########..........] 3.0 of 6.0 MiB"
    assert how_much({"gone_bytes": None, "sealed_bytes": None}) == ""
