"""Many streams on one link: they do not mix, one that waits or fails holds up no other."""

import asyncio
import contextlib

import pytest

from contracts.networks import KIB, MIB, SOON, ask, echo, joined, pour, read_all, run, say, within
from postroad.base import limits
from postroad.base.errors import LinkClosed


def test_a_peer_answers_on_the_stream_that_was_opened_to_it(body: str) -> None:
    async def test() -> None:
        async with joined(body) as pair, asyncio.TaskGroup() as tasks:
            tasks.create_task(echo(pair.accepted))
            assert await ask(pair.dialled, b"good morning") == b"good morning"
            stream = await pair.dialled.open()
            await stream.write(b"a" * 100_000)
            await stream.write(b"")
            await stream.finish()
            await stream.finish()
            assert await read_all(stream) == b"a" * 100_000
            assert await stream.read(1) == b""
            stream.abort()
            await pair.dialled.close()

    run(test())


def test_both_sides_open_streams(body: str) -> None:
    async def test() -> None:
        async with joined(body) as pair, asyncio.TaskGroup() as tasks:
            tasks.create_task(echo(pair.accepted))
            tasks.create_task(echo(pair.dialled))
            answers = await asyncio.gather(
                *[ask(link, b"%d" % n) for n in range(8) for link in (pair.dialled, pair.accepted)]
            )
            assert answers == [b"%d" % n for n in range(8) for _ in range(2)]
            await pair.dialled.close()

    run(test())


def test_many_streams_at_once_do_not_mix(body: str) -> None:
    async def test() -> None:
        async with joined(body) as pair, asyncio.TaskGroup() as tasks:
            tasks.create_task(echo(pair.accepted))
            sent = [bytes([n % 256]) * (1 + 997 * n) for n in range(200)]
            assert await asyncio.gather(*[ask(pair.dialled, octets) for octets in sent]) == sent
            await pair.dialled.close()

    run(test())


def test_a_stream_is_over_when_both_have_finished_though_nobody_read_the_end(body: str) -> None:
    async def test() -> None:
        async with joined(body) as pair, asyncio.TaskGroup() as tasks:

            async def answer() -> None:
                with contextlib.suppress(LinkClosed):
                    while True:
                        stream = await pair.accepted.accept()
                        await say(stream, await stream.read(5))

            tasks.create_task(answer())
            for n in range(6 * limits.STREAMS_PER_LINK_MAX):
                stream = await within(SOON, pair.dialled.open())
                await stream.write(b"%5d" % n)
                assert await stream.read(5) == b"%5d" % n
                await stream.finish()
            await pair.dialled.close()

    run(test())


def test_opening_waits_while_as_many_streams_are_open_as_allowed(body: str) -> None:
    async def test() -> None:
        async with joined(body) as pair:
            streams = [await pair.dialled.open() for _ in range(limits.STREAMS_PER_LINK_MAX)]
            one_more = asyncio.create_task(pair.dialled.open())
            await asyncio.sleep(0.05)
            assert not one_more.done()
            streams[0].abort()
            await (await one_more).write(b"at last")
            waiting = asyncio.create_task(pair.dialled.open())
            await asyncio.sleep(0)
            await pair.dialled.close()
            with pytest.raises(LinkClosed):
                await waiting

    run(test())


def test_a_writer_waits_for_a_slow_reader_and_nobody_else_does(body: str) -> None:
    async def test() -> None:
        async with joined(body) as pair:
            slow = await pair.dialled.open()
            written = 0

            async def send() -> None:
                nonlocal written
                for n in range(128):
                    await slow.write(bytes([n]) * (64 * KIB))
                    written += 64 * KIB
                await slow.finish()

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(send())
                unread = await pair.accepted.accept()
                tasks.create_task(echo(pair.accepted))
                before = -1
                while before != written:
                    before = written
                    await asyncio.sleep(0.2)
                assert 0 < written <= 2 * MIB
                assert await ask(pair.dialled, b"not held up") == b"not held up"
                found = await read_all(unread)
                assert found == b"".join(bytes([n]) * (64 * KIB) for n in range(128))
                await unread.finish()
                await pair.dialled.close()

    run(test())


def test_an_aborted_stream_leaves_the_others_alone(body: str) -> None:
    async def test() -> None:
        async with joined(body) as pair, asyncio.TaskGroup() as tasks:
            doomed = await pair.dialled.open()
            await doomed.write(b"half a")
            there = await pair.accepted.accept()
            assert await there.read(100) == b"half a"
            tasks.create_task(echo(pair.accepted))
            doomed.abort()
            doomed.abort()
            with pytest.raises(LinkClosed):
                await there.read(100)
            with pytest.raises(LinkClosed):
                await there.read(100)  # and never an end that looks whole
            with pytest.raises(LinkClosed):
                await pour(there)
            with pytest.raises(LinkClosed):
                await doomed.read(1)
            with pytest.raises(LinkClosed):
                await doomed.write(b"letter")
            assert await ask(pair.dialled, b"still here") == b"still here"
            await pair.dialled.close()

    run(test())


def test_what_was_finished_is_still_read_after_an_abort(body: str) -> None:
    async def test() -> None:
        async with joined(body) as pair:
            asking = await pair.dialled.open()
            await asking.write(b"may I?")
            refusing = await pair.accepted.accept()
            await say(refusing, b"no")
            refusing.abort()
            with pytest.raises(LinkClosed):
                await pour(asking)
            await asking.finish()  # says nothing that the other still wants to hear
            assert await read_all(asking) == b"no"
            asking.abort()

    run(test())


def test_a_cancelled_read_or_write_aborts_its_stream_only(body: str) -> None:
    async def test() -> None:
        async with joined(body) as pair, asyncio.TaskGroup() as tasks:
            silent = await pair.dialled.open()
            await silent.write(b"x")
            unread = await pair.accepted.accept()
            with pytest.raises(TimeoutError):
                await within(0.05, silent.read(100))
            with pytest.raises(LinkClosed):
                await silent.read(100)
            with contextlib.suppress(LinkClosed):  # the abort may overtake what was unread
                assert await unread.read(1) == b"x"
            full = await pair.dialled.open()
            with pytest.raises(TimeoutError):
                await within(0.3, pour(full))
            with pytest.raises(LinkClosed):
                await full.write(b"x")
            tasks.create_task(echo(pair.accepted))
            assert await ask(pair.dialled, b"fine") == b"fine"
            await pair.dialled.close()

    run(test())
