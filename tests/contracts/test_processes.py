"""The other end is a process of its own, which is killed, leaves, or stands still."""

import asyncio
import os
import signal
import time

import pytest

from contracts.another_process import meet, started
from contracts.networks import REAL, SECRETS, SOON, maker, run, within
from postroad.base.errors import LinkClosed
from postroad.machine import mux_link
from postroad.timeouts import timeout


def test_a_killed_peer_is_noticed_in_bounded_time(body: str) -> None:
    """TCP sees its kernel close the socket. With iroh nothing comes: 30 s of silence are its own
    limit, which is too long for a test and for a letter; there the caller's deadline must work."""
    if body not in REAL:
        pytest.skip("not for the simulator: test_simulated has World.crash instead of a kill")

    async def test() -> None:
        one = await maker(body)().open(SECRETS[0], 0)
        with started(body, "stay") as child:
            link, stream = await meet(one, child)
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            began = time.monotonic()
            with pytest.raises(LinkClosed if body == "tls" else TimeoutError):
                await within(2, stream.read(100))
            assert time.monotonic() - began < 5
            if body == "tls":
                assert link.closed
            async with timeout(SOON):
                await link.close()
                await one.close()

    run(test())


def test_the_interpreter_exits_without_close(body: str) -> None:
    if body not in REAL:
        pytest.skip("not for the simulator: nothing outside of the interpreter can hang")

    async def test() -> None:
        one = await maker(body)().open(SECRETS[0], 0)
        with started(body, "leave") as child:
            await meet(one, child)
            out, errors = await asyncio.to_thread(child.communicate, timeout=SOON)
            assert out.startswith("leaving")
            assert errors == ""
            assert child.returncode == 0
        await one.close()

    run(test())


def test_a_frozen_peer_is_missed_after_the_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS only: its kernel still answers for a process that stands still, so we ask ourselves."""
    monkeypatch.setattr(mux_link, "PING_SECONDS", 0.1)
    monkeypatch.setattr(mux_link, "SILENCE_SECONDS_MAX", 0.3)

    async def test() -> None:
        one = await maker("tls")().open(SECRETS[0], 0)
        with started("tls", "stay") as child:
            link, stream = await meet(one, child)
            await asyncio.sleep(0.6)
            assert not link.closed  # it answers when it is asked
            os.kill(child.pid, signal.SIGSTOP)
            with pytest.raises(LinkClosed):
                await within(SOON, stream.read(100))
            await within(SOON, one.close())

    run(test())
