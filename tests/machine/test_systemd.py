"""What a service manager hears of a node, at a real socket as systemd has it."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from postroad.base.errors import TemporaryFailure
from postroad.machine.disk import FolderDisk
from postroad.machine.systemd import Manager, feed_watchdog
from service_manager import Hearing


@pytest.fixture(params=["file", "abstract"])
def hearing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hearing]:
    at = f"@postroad-test-{os.getpid()}" if request.param == "abstract" else f"{tmp_path}/notify"
    made = Hearing(at)
    yield made
    made.socket.close()


def test_what_is_said_comes_to_the_manager_and_the_environment_is_ours_alone(
    hearing: Hearing,
) -> None:
    environment = {**hearing.environment, "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": ""}
    manager = Manager(environment)
    assert environment == {"HOME": "/"}
    assert manager.listens
    assert manager.watchdog_seconds == 2.0
    manager.ready("online")
    assert hearing.one() == ["READY=1", "STATUS=online"]
    manager.status("2 letters wait\nREADY=1")
    assert hearing.one() == ["STATUS=2 letters wait READY=1"]
    manager.stopping()
    assert hearing.one() == ["STOPPING=1", "STATUS=stopping"]


def test_a_status_is_said_once(hearing: Hearing) -> None:
    manager = Manager(hearing.environment)
    manager.ready("online")
    manager.status("online")
    manager.status("offline")
    assert hearing.one() == ["READY=1", "STATUS=online"]
    assert hearing.one() == ["STATUS=offline"]


def test_a_reload_says_when_it_began(hearing: Hearing) -> None:
    manager = Manager(hearing.environment)
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    manager.reloading()
    first, second = hearing.one()
    assert first == "RELOADING=1"
    name, _, moment = second.partition("=")
    assert name == "MONOTONIC_USEC"
    assert before <= int(moment) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_a_long_start_asks_for_more_time_now_and_then(hearing: Hearing) -> None:
    manager = Manager(hearing.environment)
    for _ in range(1000):
        manager.still_starting()
    assert hearing.one() == ["EXTEND_TIMEOUT_USEC=30000000", "WATCHDOG=1"]
    assert hearing.nothing_for(0.05)


def test_where_no_manager_is_or_listens_no_more_all_is_quiet(tmp_path: Path) -> None:
    assert not Manager({}).listens
    assert not Manager({"NOTIFY_SOCKET": "vsock:2:1"}).listens
    Manager({}).ready("online")
    Manager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("online")
    Manager({"NOTIFY_SOCKET": "/" + 200 * "x"}).ready("online")


def test_a_watchdog_of_another_process_is_not_ours() -> None:
    assert Manager({"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}).watchdog_seconds is None
    assert Manager({"WATCHDOG_USEC": "0"}).watchdog_seconds is None
    assert Manager({"WATCHDOG_USEC": "x"}).watchdog_seconds is None
    mine = Manager({"WATCHDOG_USEC": "1000", "WATCHDOG_PID": str(os.getpid())})
    assert mine.watchdog_seconds == 0.001


def test_the_watchdog_is_fed_until_the_database_thread_hangs(
    hearing: Hearing, tmp_path: Path
) -> None:
    hanging, released = threading.Event(), threading.Event()
    manager = Manager({**hearing.environment, "WATCHDOG_USEC": "20000"})

    def hang() -> None:
        hanging.set()
        released.wait(30)

    async def play() -> None:
        disk = FolderDisk(tmp_path / "data")
        feeding = asyncio.create_task(feed_watchdog(manager, lambda: disk.run(lambda: None)))
        for _ in range(5):
            assert await asyncio.to_thread(hearing.one) == ["WATCHDOG=1"]
        stuck = asyncio.create_task(disk.run(hang))
        await asyncio.to_thread(hanging.wait)
        while not await asyncio.to_thread(hearing.nothing_for, 0.2):
            pass  # what was said before it hung
        assert await asyncio.to_thread(hearing.nothing_for, 0.2)
        released.set()
        await stuck
        hearing.socket.settimeout(20)
        assert await asyncio.to_thread(hearing.one) == ["WATCHDOG=1"]
        feeding.cancel()
        disk.close()

    asyncio.run(play())


def test_the_watchdog_is_not_fed_while_the_loop_hangs(hearing: Hearing) -> None:
    manager = Manager({**hearing.environment, "WATCHDOG_USEC": "20000"})

    async def answer() -> None:
        pass

    async def play() -> None:
        feeding = asyncio.create_task(feed_watchdog(manager, answer))
        assert await asyncio.to_thread(hearing.one) == ["WATCHDOG=1"]
        while not hearing.nothing_for(0.2):  # the loop stands still in here
            pass
        feeding.cancel()

    asyncio.run(play())


def test_a_question_that_fails_is_an_answer(hearing: Hearing) -> None:
    manager = Manager({**hearing.environment, "WATCHDOG_USEC": "20000"})

    async def fail() -> None:
        raise TemporaryFailure("The disk is full.")

    async def play() -> None:
        feeding = asyncio.create_task(feed_watchdog(manager, fail))
        for _ in range(3):
            assert await asyncio.to_thread(hearing.one) == ["WATCHDOG=1"]
        feeding.cancel()

    asyncio.run(play())
