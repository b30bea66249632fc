"""A service begins again however it failed, ends when told to, and never in silence."""

from __future__ import annotations

import asyncio

import pytest

from postroad.app import supervision
from postroad.app.supervision import Service, keep_running
from postroad.base.errors import TemporaryFailure

WAIT_SECONDS_MAX = 10.0


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "RESTART_SECONDS_FIRST", 0.001)


async def fail() -> None:
    await asyncio.sleep(0)
    raise TemporaryFailure("The disk is full.")


async def fail_in_a_child() -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(fail())
        tasks.create_task(asyncio.sleep(30))


async def fail_in_a_child_and_beside_it() -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(fail())
        await asyncio.sleep(30)


@pytest.mark.parametrize("service", [fail, fail_in_a_child, fail_in_a_child_and_beside_it])
def test_it_begins_again_however_it_failed(service: Service) -> None:
    begun = [0]
    noted: list[str] = []

    async def run() -> None:
        enough = asyncio.Event()

        async def counted() -> None:
            begun[0] += 1
            if begun[0] == 4:
                enough.set()
            await service()

        running = asyncio.create_task(
            keep_running("sender", counted, lambda name, why, _: noted.append(f"{name}: {why}"))
        )
        ending = asyncio.create_task(enough.wait())
        await asyncio.wait(
            {running, ending}, timeout=WAIT_SECONDS_MAX, return_when=asyncio.FIRST_COMPLETED
        )
        assert not running.done()
        running.cancel()
        await asyncio.wait({running}, timeout=WAIT_SECONDS_MAX)
        assert running.cancelled()

    asyncio.run(run())
    assert begun == [4]
    assert noted[:3] == ["sender: The disk is full."] * 3


def test_told_to_end_while_it_fails_it_ends() -> None:
    """The group of errors swallows the cancellation. Nobody hears that it begins again."""
    noted: list[str] = []

    async def run() -> None:
        leaving = asyncio.Event()

        async def slow() -> None:
            try:
                await asyncio.sleep(30)
            finally:
                leaving.set()
                await asyncio.sleep(0.05)

        async def service() -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(slow())
                tasks.create_task(fail())

        running = asyncio.create_task(
            keep_running("sender", service, lambda name, *_: noted.append(name))
        )
        await leaving.wait()
        running.cancel()
        await asyncio.wait({running}, timeout=WAIT_SECONDS_MAX)
        assert running.cancelled()

    asyncio.run(run())
    assert noted == []


def test_a_fault_of_ours_is_heard_also_when_it_is_told_to_end_in_that_turn() -> None:
    async def run() -> None:
        now = asyncio.Event()

        async def service() -> None:
            await now.wait()
            raise KeyError("a fault")

        running = asyncio.create_task(keep_running("sender", service))
        await asyncio.sleep(0.01)
        now.set()
        asyncio.get_running_loop().call_soon(running.cancel)
        await running

    with pytest.raises(KeyError):
        asyncio.run(run())


def test_a_fault_of_ours_beside_one_of_the_disk_ends_it_and_nobody_hears_that_it_goes_on() -> None:
    noted: list[str] = []

    async def service() -> None:
        raise ExceptionGroup("both", [TemporaryFailure("The disk is full."), KeyError("a fault")])

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(keep_running("sender", service, lambda name, *_: noted.append(name)))
    assert caught.value.subgroup(KeyError) is not None
    assert noted == []


@pytest.mark.parametrize("how", ["ended", "was cancelled by nobody's order"])
def test_one_that_ends_of_itself_is_a_fault_of_ours(how: str) -> None:
    async def service() -> None:
        await asyncio.sleep(0)
        if how != "ended":
            raise asyncio.CancelledError

    with pytest.raises(AssertionError, match=f"sender {how}"):
        asyncio.run(keep_running("sender", service))
