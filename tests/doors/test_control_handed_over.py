"""The control socket goes from one who serves it to the next, and nobody who asks is let down."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from socket import AF_UNIX, socket
from typing import Any

import pytest

from postroad.doors import control
from postroad.machine import listeners
from postroad.machine.arrivals import next_arrival

TURNS = range(8)  # of the loop, between the one who connects and the end of the first who serves


@pytest.mark.parametrize("turns", TURNS)
def test_whoever_asks_about_the_hand_over_is_answered_by_one_of_them(
    tmp_path: Path, turns: int
) -> None:
    async def scene() -> dict[str, Any]:
        path = tmp_path / "run" / "control"
        over = asyncio.Event()

        async def first(_: dict[str, Any]) -> dict[str, Any]:
            return {"by": "the first"}

        async def second(_: dict[str, Any]) -> dict[str, Any]:
            return {"by": "the second"}

        with listeners.unix(path) as listening, socket(AF_UNIX) as asker:
            asker.settimeout(10)
            serving = asyncio.create_task(
                control.serve_for_a_while(listening, next_arrival, {"who": first}, over)
            )
            await asyncio.sleep(0)
            asker.connect(str(path))  # within this turn
            asker.sendall(b'{"do": "who"}\n')
            for _ in range(turns):
                await asyncio.sleep(0)
            over.set()
            await serving
            next_one = asyncio.create_task(control.serve(listening, {"who": second}))
            line = await asyncio.to_thread(asker.recv, 1000)
            next_one.cancel()
            await asyncio.wait([next_one])
            return dict(json.loads(line))

    answer = asyncio.run(scene())
    assert answer["ok"]
    assert answer["by"] in ("the first", "the second")
