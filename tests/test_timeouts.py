"""A limit of time holds in every task: also in one that is to end, or only looks so.

Before Python 3.11.3 `asyncio.timeout` fails the three tests whose tasks are cancelled or look so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from postroad.timeouts import timeout


async def too_long() -> None:
    async with timeout(0.01):
        await asyncio.sleep(30)


async def fail() -> None:
    raise OSError


async def leave_a_group_by_the_error_of_a_child() -> None:
    with pytest.raises(ExceptionGroup):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail())


def test_it_runs_out() -> None:
    with pytest.raises(TimeoutError):
        asyncio.run(too_long())


def test_after_the_error_of_a_group_too() -> None:
    async def twice() -> None:
        for _ in range(2):
            await leave_a_group_by_the_error_of_a_child()
            with pytest.raises(TimeoutError):
                await too_long()

    asyncio.run(twice())


def test_while_a_task_that_was_cancelled_tidies_up_too() -> None:
    said = []

    async def tidy() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            with pytest.raises(TimeoutError):
                await too_long()
            said.append("tidy")

    asyncio.run(cancelled(tidy))
    assert said == ["tidy"]


async def cancelled(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """It is, in its first wait, and ends so."""
    task = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


def test_who_is_cancelled_within_it_ends() -> None:
    async def wait() -> None:
        await leave_a_group_by_the_error_of_a_child()
        async with timeout(30):
            await asyncio.sleep(30)

    asyncio.run(cancelled(wait))


def test_so_does_who_is_cancelled_when_it_has_just_run_out() -> None:
    async def wait() -> None:
        task = asyncio.current_task()
        assert task is not None
        async with timeout(0.01) as limit:
            asyncio.get_running_loop().call_at(limit.when() or 0.0, task.cancel)
            await asyncio.sleep(30)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(wait())


def test_of_two_the_one_that_ran_out_says_so() -> None:
    async def wait() -> str:
        await leave_a_group_by_the_error_of_a_child()
        try:
            async with timeout(0.01):
                try:
                    async with timeout(30):
                        await asyncio.sleep(30)
                except TimeoutError:
                    return "inner"
        except TimeoutError:
            return "outer"
        return "none"

    assert asyncio.run(wait()) == "outer"


def test_none_is_no_limit_until_one_is_set() -> None:
    async def wait() -> None:
        async with timeout(None) as limit:
            limit.reschedule(asyncio.get_running_loop().time() + 0.01)
            await asyncio.sleep(30)

    with pytest.raises(TimeoutError):
        asyncio.run(wait())


def test_what_else_is_raised_within_comes_out_as_it_is() -> None:
    async def wait() -> None:
        async with timeout(30):
            raise KeyError

    with pytest.raises(KeyError):
        asyncio.run(wait())
