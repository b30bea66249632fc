"""The door that `postroad` asks: what a running node tells its owner."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import pytest

from fakes import NOW, FakeClock
from postroad.base import limits
from postroad.base.bell import Bell
from postroad.base.errors import PermanentFailure, TemporaryFailure
from postroad.delivery.progress import Progress
from postroad.doors import control
from postroad.machine import listeners
from postroad.machine.disk import FolderDisk
from postroad.message.address import Address
from postroad.store.database import Database
from postroad.store.helpers import HelperRow
from postroad.store.pauses import Pauses
from postroad.store.people import Person
from postroad.timeouts import timeout


class NobodyAnswers:
    """Introductions whose network never answers."""

    async def invite(self, seconds: float, name: str) -> tuple[str, int, int]:
        await asyncio.sleep(3600)
        raise AssertionError("somebody waited for an hour")

    async def accept(self, link: str) -> tuple[Address, bool]:
        raise AssertionError(link)


class NoHelpers:
    async def all(self) -> list[HelperRow]:
        return []

    async def add(self, link: str) -> str:
        raise TemporaryFailure("It could not be reached.")

    async def remove(self, name: str) -> None:
        raise PermanentFailure(f"You have no helper called {name!r}.")


class NoNetwork:
    questions: Mapping[str, control.Question] = MappingProxyType({})

    async def wait_until_joined(self) -> None:
        pass

    def why_not_met(self, person: Person) -> str:
        return ""


class ReadsOnly:
    """A database that can be read, and in which no transaction may be begun."""

    def __init__(self, database: Database) -> None:
        self.read = database.read


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="pr-"))  # a socket's path is short
    yield made
    shutil.rmtree(made)


def asked(folder: Path, *requests: str | bytes | dict[str, Any]) -> list[dict[str, Any]]:
    """What a node answers to each request."""

    async def play() -> list[dict[str, Any]]:
        disk = FolderDisk(folder / "data", reserve_bytes=0)
        async with Database(disk) as database:
            desk = control.OwnersDesk(
                cast(Database, ReadsOnly(database)),
                NobodyAnswers(),
                FakeClock(),
                Pauses(disk, FakeClock()),
                NoHelpers(),
                NoNetwork(),
                Progress(Bell()),
            )
            serving = asyncio.create_task(
                control.serve(listeners.unix(folder / "control"), desk.questions)
            )
            answers = [await ask(folder / "control", request) for request in requests]
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
        disk.close()
        return answers

    return asyncio.run(play())


def test_one_that_ends_hangs_up_on_who_says_nothing(folder: Path) -> None:
    """From Python 3.12 on a server that is closed waits for them: a stop took a minute."""

    async def play() -> bytes:
        serving = asyncio.create_task(control.serve(listeners.unix(folder / "control"), {}))
        await asyncio.sleep(0)
        reader, writer = await asyncio.open_unix_connection(str(folder / "control"))
        await asyncio.sleep(0.05)  # it has been let in
        serving.cancel()
        await asyncio.wait({serving}, timeout=5)
        assert serving.done()
        async with timeout(5):
            said = await reader.read()
        writer.close()
        return said

    assert asyncio.run(play()) == b""


async def ask(path: Path, request: str | bytes | dict[str, Any]) -> dict[str, Any]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    asking = {"do": request} if isinstance(request, str) else request
    writer.write((asking if isinstance(asking, bytes) else json.dumps(asking).encode()) + b"\n")
    answer = json.loads(await reader.readline())
    writer.close()
    assert isinstance(answer, dict)
    return answer


def test_reading_begins_no_transaction(folder: Path) -> None:
    (queue,) = asked(folder, "queue")
    not_paused = {"paused": False, "paused_until": None}
    assert queue == {"ok": True, "queue": [], "now": NOW, **not_paused}


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 60_000,
        b'{"do":' * 10_000,
        b'{"do": ' + b"9" * 5000 + b"}",
        b'{"do": ["status"]}',
        b'{"do": {}}',
        b'{"do": null}',
        b"[]",
        b"7",
        b"\xff\xfe",
        b"",
    ],
)
def test_no_line_that_a_program_says_ends_the_node(folder: Path, line: bytes) -> None:
    unknown, status = asked(folder, line, "queue")
    assert unknown == {"ok": False, "error": "This node does not know that request."}
    assert status["ok"]


@pytest.mark.parametrize("what", ["name", "link", "for"])
def test_half_a_character_is_no_text(folder: Path, what: str) -> None:
    """It went as far as the store, and left a traceback in the log."""
    half = json.dumps({"do": "remove helper", what: "caf\udce9"}).encode()
    refused, status = asked(folder, half, "queue")
    assert refused == {
        "ok": False,
        "error": "What was asked is no text: half a character is in it.",
    }
    assert status["ok"]


def test_a_pause_is_told_and_keeps_invitations_for_later(folder: Path) -> None:
    paused, status, invited, accepted, resumed, again = asked(
        folder,
        {"do": "pause", "seconds": 7200},
        "queue",
        "invite",
        {"do": "accept", "link": "postroad:x"},
        "resume",
        "resume",
    )
    assert paused == {"ok": True, "paused": True, "paused_until": int(NOW) + 7200}
    assert (status["paused"], status["paused_until"]) == (True, int(NOW) + 7200)
    sentence = "Your node is paused. Type first: postroad resume"
    parts = [{"template": sentence, "arguments": {}}]
    assert invited == accepted == {"ok": False, "error": sentence, "error_parts": parts}
    assert (resumed["was_paused"], again["was_paused"]) == (True, False)


@pytest.mark.parametrize("seconds", [0, -1, "2h", 1e9, 10**12])
def test_a_pause_has_a_sensible_length(folder: Path, seconds: object) -> None:
    refused, status = asked(folder, {"do": "pause", "seconds": seconds}, "queue")
    assert refused["error"] == "A pause lasts between a second and 365 days."
    assert not status["paused"]


def test_a_request_that_takes_too_long_is_answered_in_words(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CONTROL_SECONDS_MAX", 0.05)
    (answer,) = asked(folder, "invite")
    assert answer == {
        "ok": False,
        "error": "Your node is too busy to answer this. Try again.",
    }


def test_helpers_are_listed_added_and_removed_by_their_own_requests(folder: Path) -> None:
    listed, added, removed = asked(
        folder,
        "helpers",
        {"do": "accept", "link": "postroad-helper:abc"},
        {"do": "remove helper", "name": "box"},
    )
    assert listed == {"ok": True, "helpers": []}
    assert added == {"ok": False, "error": "It could not be reached."}
    assert removed == {"ok": False, "error": "You have no helper called 'box'."}
