"""A listening socket goes from one who serves it to the next; whoever knocks just then waits."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

from postroad.machine.arrivals import next_arrival
from postroad.timeouts import timeout


def test_who_knocks_in_the_moment_of_the_hand_over_is_answered_by_the_next(tmp_path: Path) -> None:
    async def scene() -> None:
        faults: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: faults.append(context))
        with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as asker:
            listening.bind(str(tmp_path / "control"))
            listening.listen()
            listening.setblocking(False)
            first = asyncio.create_task(next_arrival(listening))
            await asyncio.sleep(0)
            asker.connect(str(tmp_path / "control"))
            loop.call_soon(first.cancel)  # in the turn in which the loop sees who came
            await asyncio.wait([first])
            assert first.cancelled()
            async with timeout(5):
                connection, _ = await next_arrival(listening)
            with connection:
                connection.sendall(b"here")
                assert asker.recv(4) == b"here"
                assert not connection.getblocking()
        await asyncio.sleep(0)
        assert faults == []

    asyncio.run(scene())


def test_a_socket_that_is_closed_first_is_an_end_like_any_other(tmp_path: Path) -> None:
    async def scene() -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(tmp_path / "control"))
            listening.listen()
            listening.setblocking(False)
            waiting = asyncio.create_task(next_arrival(listening))
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()

    asyncio.run(scene())
