"""The board of a real node whose store is damaged in part, and when the node is looked at again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from socket import socket
from typing import Any

import pytest

from delivery.test_road import is_filed
from postroad.app.mail_doors import Sockets
from postroad.base.bell import Bell
from postroad.contract import CONTACT_PATH, MESSAGE_PATH, PEER_PATH, ROOT_PATH
from postroad.doors.dbus import door
from postroad.doors.dbus.board import Board, Look
from postroad.doors.dbus.bus import Library
from postroad.doors.dbus.door import Door
from postroad.doors.dbus.look import Memory, look
from simulator import loop
from simulator.village import Village, play

HOW_IT_DOES = {"State", "Sentence", "Health", "Problems"}


def below(board: Board, base: str) -> list[str]:
    return [path for path in board.objects if path.startswith(f"{base}/")]


def codes(board: Board) -> list[str]:
    return [one["Code"].value for one in board.objects[ROOT_PATH].properties["Problems"]]


@pytest.fixture
def doors() -> Iterator[Sockets]:
    """All of them are open, or the verdict is grave already."""
    listening = [socket() for _ in range(3)]
    yield Sockets(listening[:1], listening[1:2], None, listening[2:])
    for one in listening:
        one.close()


@pytest.mark.parametrize(
    "gone",
    ["my_drop", "parcel", "content"],
    ids=["read for the verdict", "the queue", "read for the objects alone"],
)
def test_what_the_store_cannot_tell_stays_as_it_was_shown(
    tmp_path: Path, doors: Sockets, gone: str
) -> None:
    async def scene(place: Village) -> None:
        bora, anna = await place.settle_in("bora", "anna")
        await place.meet(bora, anna)
        to = bora.address
        await bora.sleep()
        await anna.write(to)
        requests = anna.node.desks(anna.node.doors(doors))
        before, memory = await look(requests, Memory())
        for base in (CONTACT_PATH, PEER_PATH, MESSAGE_PATH):
            assert below(before.board, base), base
        await damage(anna, gone)
        damaged, memory = await look(requests, memory)
        assert damaged.board.objects.keys() == before.board.objects.keys()
        (path,), (names,) = zip(*changed(before.board, damaged.board).items(), strict=True)
        assert path == ROOT_PATH
        assert {"Health", "Problems"} <= names <= HOW_IT_DOES
        assert codes(damaged.board)[0] == "store"
        await damage(anna, gone, again=True)
        mended, _ = await look(requests, memory)
        assert changed(before.board, mended.board) == {}
        assert not mended.events

    play(tmp_path, scene)


async def damage(resident: Any, table: str, *, again: bool = False) -> None:
    """The table is not there; `again`: it is back."""
    names = (f"{table}_gone", table) if again else (table, f"{table}_gone")
    statement = "ALTER TABLE {} RENAME TO {}".format(*names)
    await resident.node.database.run(lambda sql: sql.execute(statement).rowcount)


def changed(before: Board, now: Board) -> dict[str, set[str]]:
    found = {}
    for path, shown in before.objects.items():
        new = now.objects[path].properties
        names = {name for name, value in shown.properties.items() if new[name] != value}
        if names:
            found[path] = names
    return found


def test_a_store_that_could_never_be_read_is_shown_with_what_is_known(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        (anna,) = await place.settle_in("anna")
        await damage(anna, "my_drop")
        seen, _ = await look(anna.node.desks(anna.node.doors(Sockets())), Memory())
        (path,) = seen.board.objects
        properties = seen.board.objects[path].properties
        assert properties["Address"] == anna.address
        assert (properties["Health"], codes(seen.board)[0]) == ("broken", "store")

    play(tmp_path, scene)


def test_letters_go_on_being_told_after_the_damage_is_over(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        bora, anna = await place.settle_in("bora", "anna")
        await place.meet(bora, anna)
        requests = anna.node.desks(anna.node.doors(Sockets()))
        _, memory = await look(requests, Memory())
        await damage(anna, "my_drop")
        _, memory = await look(requests, memory)
        await damage(anna, "my_drop", again=True)
        await anna.write(bora.address)
        while not await is_filed(bora, "hello"):
            await asyncio.sleep(1)
        seen, _ = await look(requests, memory)
        assert "MessageQueued" in [one.member for one in seen.events]

    play(tmp_path, scene)


def test_a_node_of_which_nobody_rings_is_looked_at_once_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a disk that fills up, for instance."""
    looked: list[float] = []

    async def note(_: Any, memory: Memory) -> tuple[Look, Memory]:
        looked.append(asyncio.get_running_loop().time())
        return Look(Board({})), memory

    async def scene() -> None:
        monkeypatch.setattr(door, "look", note)
        bus = Door(None, Library.NEXT)
        bus.connected()
        bell = Bell()
        following = asyncio.create_task(bus.follow({}, bell))
        await asyncio.sleep(150)
        assert len(looked) == 3
        bell.ring()
        await asyncio.sleep(1)
        assert len(looked) == 4
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    loop.run(scene())
    assert looked[1] - looked[0] < 61
