"""A port that somebody else has: one door is shut, the rest runs, and it opens later."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from person import Person, ended, meet, until
from postroad.app import mail_doors
from postroad.app.mail_doors import MailDoors, ShutDoor, Sockets
from postroad.app.service import DOORS
from postroad.base.errors import NotToBeHad
from postroad.machine.listeners import SystemListeners
from postroad.machine.peer_uid import KernelPeerUid

SLOT = 92


@pytest.fixture
def people(short_folder: Path) -> Iterator[list[Person]]:
    made = [Person("anna", short_folder, SLOT), Person("bora", short_folder, SLOT + 1)]
    with ended(made):
        for one in made:
            one.set_up()
        yield made


@pytest.mark.parametrize("door", ["smtp", "imap", "pop3"])
def test_a_taken_port_is_told_with_the_key_and_the_file_and_costs_one_door(
    people: list[Person], door: str
) -> None:
    anna, _ = people
    port = getattr(anna, f"{door}_port")
    with socket.create_server(("127.0.0.1", port)):
        anna.begin_start()
        until(lambda: anna.type("status").returncode == 0, "the node runs")
        status = anna.postroad("status")
    assert [status[f"{one}_port"] is None for one in DOORS] == [one == door for one in DOORS]
    (shut,) = [one for one in status["problems"] if one["code"] == "door-shut"]
    assert f"The {door.upper()} door is shut" in shut["summary"]
    assert "another program has this port" in shut["summary"]
    assert f"To use another one, change {door}_port in {anna.config}" in shut["summary"]
    log = (anna.folder / "log").read_text()
    assert f"{door.upper()} is shut, and tried again: {door} cannot use 127.0.0.1:{port}" in log
    assert "Traceback" not in log


def test_with_a_shut_door_letters_come_and_are_read(people: list[Person]) -> None:
    anna, bora = people
    with socket.create_server(("127.0.0.1", anna.smtp_port)):
        anna.begin_start()
        until(lambda: anna.type("status").returncode == 0, "the node runs")
        bora.start()
        meet(bora, anna)
        bora.submit(
            anna.address,
            f"From: {bora.address}\r\nTo: {anna.address}\r\nSubject: in\r\n\r\nHello\r\n".encode(),
        )
        until(lambda: anna.find("in") is not None, "letters come, and are read by IMAP")


def test_a_door_opens_when_its_port_is_free_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_doors, "AGAIN_SECONDS", 0.01)
    rang: list[dict[str, str]] = []
    served: list[str] = []
    found = SystemListeners({})

    async def scene() -> None:
        taken = socket.create_server(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        held = socket.create_server(("127.0.0.1", 0))  # as if systemd held another address of it
        held.setblocking(False)
        reasons = ["Nobody may."]

        def open_door() -> Sequence[socket.socket]:
            if reasons:
                raise NotToBeHad(reasons[-1])
            return found.loopback("imap", port)

        shut = ShutDoor("Taken.", open_door, [held])
        doors = MailDoors(
            Sockets(shut={"imap": shut}), KernelPeerUid(), lambda: rang.append(dict(doors.shut))
        )
        assert doors.shut == {"smtp": "", "imap": "Taken.", "pop3": ""}
        opened = asyncio.Event()

        async def serve(listening: Sequence[socket.socket]) -> None:
            served.append(str(listening[0].getsockname()[1]))
            opened.set()
            await asyncio.Event().wait()

        running = asyncio.create_task(doors.run({"imap": serve}))
        reader, writer = await asyncio.open_connection(*held.getsockname())
        assert await reader.read() == b"* BYE [UNAVAILABLE] This door is shut: Taken.\r\n"
        writer.close()
        while not rang:
            await asyncio.sleep(0.01)
        assert rang == [{"smtp": "", "imap": "Nobody may.", "pop3": ""}]
        taken.close()
        reasons.clear()
        await opened.wait()
        assert rang[1:] == [{"smtp": "", "pop3": ""}]
        assert (doors.ports, served) == ({"imap": port}, [str(port)])
        running.cancel()
        await asyncio.wait({running})
        doors.sockets.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)

    asyncio.run(scene())
