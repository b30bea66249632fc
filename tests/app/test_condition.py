"""What rings when a service fails and is well again, and what is looked at without a bell."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from postroad.app import running, status_line
from postroad.app.condition import WELL_SECONDS, Troubles
from postroad.base.bell import Bell
from postroad.base.errors import DiskFull
from postroad.machine.systemd import Manager
from postroad.protocol.health import Facts, Room, judge


def test_a_failure_rings_and_so_does_its_end() -> None:
    async def scene() -> None:
        bell = Bell()
        troubles = Troubles(bell.ring)
        troubles.note("sender", "The disk is full.", 1.0)
        assert bell.count == 1
        troubles.note("sender", "Nobody answers.", -WELL_SECONDS)  # it is well at once
        assert bell.count == 2
        assert troubles.now() == [("sender", "Nobody answers.")]
        over = asyncio.Event()
        with bell.heard_by(over.set):
            await over.wait()
        assert (bell.count, troubles.now()) == (3, [])

    asyncio.run(scene())


def test_what_rings_no_bell_is_in_the_status_line_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(status_line, "LOOK_SECONDS_MIN", 0.0)
    monkeypatch.setattr(status_line, "LOOK_SECONDS_MAX", 0.01)
    said: list[str] = []
    full = judge(Facts(room=Room.NONE))

    class Heard:
        listens = True

        def status(self, text: str) -> None:
            said.append(text)

    async def scene() -> None:
        facts = Facts()

        async def health(_: dict[str, Any]) -> dict[str, Any]:
            return judge(facts).told()

        following = asyncio.create_task(
            status_line.follow(cast(Manager, Heard()), {"health": health}, Bell())
        )
        while not said:
            await asyncio.sleep(0)
        facts = Facts(room=Room.NONE)
        while said[-1] != status_line.line(full.told()):
            await asyncio.sleep(0.01)
        following.cancel()

    asyncio.run(scene())


def test_what_a_full_disk_does_not_take_is_noted_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "NOTE_AGAIN_SECONDS", 0.0)
    noted: list[str] = []
    is_full = [True, True]

    async def note() -> None:
        if is_full:
            is_full.pop()
            raise DiskFull("The disk is full.")
        noted.append("started")

    async def scene() -> None:
        async with running.done_once_there_is_room(note, "the start"):
            assert noted == []
            while not noted:
                await asyncio.sleep(0)
        async with running.done_once_there_is_room(note, "the start"):
            assert noted == ["started", "started"]

    asyncio.run(scene())
