"""The line to a real node on a real bus: what it tells, what it is asked, and what it does when the
node or the bus is stopped, slow, killed, absent or back; with each library."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus_scene import Scene, folder_of, scene, wait_for_name, write
from drawing import Asking, Drawing, drawn
from person import until
from postroad import contract
from postroad.contract import BusError, MessageState, State
from postroad_tray import errors
from postroad_tray.client import Question, Typed
from postroad_tray.facts import Link
from session_bus import SessionBus

SHOWN_SECONDS_MAX = 2.0  # of the issue: after so long it is seen that the service is not there


@pytest.fixture(scope="module", params=["dbus-next", "dbus-fast"])
def alive(request: pytest.FixtureRequest) -> Iterator[Scene]:
    with scene(request.param) as found:
        yield found


@pytest.fixture
def asking(alive: Scene) -> Iterator[Asking]:
    with drawn() as found:
        found.drawing.until_link(Link.THERE)
        yield found


def send(found: Scene, number: int) -> None:
    assert found.anna.process is not None
    found.anna.process.send_signal(number)


def told(drawing: Drawing, member: str, path: str) -> bool:
    """Whether a signal of this kind came that is about this object."""
    return any(one.member == member and one.values[0] == path for one in drawing.signals)


def test_all_that_the_service_tells_is_in_the_picture(alive: Scene, asking: Asking) -> None:
    drawing = asking.drawing
    drawing.until(lambda: drawing.now.contacts and drawing.now.node.contact_count, "they have met")
    seen = drawing.now
    assert seen.node.address == alive.anna.address
    assert seen.node.state in (State.ONLINE, State.OFFLINE, State.STARTING, State.DEGRADED)
    assert (seen.node.contact_count, seen.node.endpoints.smtp) == (1, alive.anna.smtp_port)
    (contact,) = seen.contacts
    assert (contact.address, contact.name) == (alive.bora.address, "bora")
    (peer,) = seen.peers
    assert peer.contact == contact.object_path


def test_a_letter_is_seen_from_its_coming_to_its_end(
    alive: Scene, asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing = asking.drawing
    drawing.until(lambda: not drawing.now.messages, "what was written before has arrived")
    alive.bora.stop()
    try:
        write(alive.anna, alive.bora, 1)
        drawing.until(lambda: drawing.now.messages, "the letter is seen")
        (message,) = drawing.now.messages
        assert message.recipient == alive.bora.address
        assert message.state in (MessageState.WAITING, MessageState.HELD)
        drawing.until(lambda: told(drawing, "MessageQueued", message.object_path), "it is told")
        again = asking.answer(
            Question("Retry", object_path=message.object_path, interface=contract.MESSAGE_INTERFACE)
        )
        assert again.is_good, again
    finally:
        with monkeypatch.context() as patch:
            patch.delenv("DBUS_SESSION_BUS_ADDRESS")  # Anna's node alone is on the bus
            alive.bora.start()
    drawing.until(lambda: not drawing.now.messages, "the letter has gone", 60.0)
    drawing.until(lambda: told(drawing, "MessageDelivered", message.object_path), "it is told")


def test_answers_and_refusals_come_as_they_were_meant(asking: Asking) -> None:
    status = asking.answer(Question("GetStatus"))
    assert status.is_good
    assert status.fields["State"] == asking.drawing.now.node.state
    invited = asking.answer(
        Question("Invite", "a{sv}", ({"Name": Typed("s", "Carla & Co")},), seconds=20.0)
    )
    assert str(invited.value).startswith("postroad:")
    unknown = asking.answer(
        Question("Remove", "b", (True,), f"{contract.CONTACT_PATH}/0", contract.CONTACT_INTERFACE)
    )
    assert unknown.error_name == BusError.NO_SUCH_CONTACT
    assert unknown.sentence.endswith(".")
    wrong = asking.answer(Question("Pause", "s", ("an hour",)))
    assert wrong.error_name == errors.INVALID_ARGUMENTS
    newer = asking.answer(Question("Somersault"))
    assert (newer.error_name, "version" in newer.sentence) == (
        "org.freedesktop.DBus.Error.UnknownMethod", True,
    )  # fmt: skip


@pytest.mark.parametrize(
    "question",
    [
        Question("Accept", "s", ("a zero \0 in it",)),
        Question("Accept", "s", ("half a character \ud800",)),
        Question("Pause", "u", (-1,)),
        Question("Pause", "u", ("text",)),
        Question("Pause", "(((", ()),
        Question("Pa use"),
        Question("Pause", object_path="no path"),
    ],
)
def test_what_cannot_be_said_over_the_bus_is_refused_and_ends_nothing(
    asking: Asking, question: Question
) -> None:
    refused = asking.answer(question)
    assert (refused.error_name, bool(refused.sentence)) == (errors.INVALID_ARGUMENTS, True)
    assert asking.answer(Question("GetStatus")).is_good
    assert {one.link for one in asking.drawing.pictures} == {Link.ASKED, Link.THERE}


def test_who_is_stopped_is_seen_to_be_silent_and_comes_back(alive: Scene, asking: Asking) -> None:
    drawing = asking.drawing
    asking.line.look_closely(True)
    drawing.pump(1.0)
    assert drawing.now.link is Link.THERE
    send(alive, signal.SIGSTOP)
    try:
        assert drawing.until_link(Link.SILENT) < SHOWN_SECONDS_MAX
        silent = asking.answer(Question("GetStatus", seconds=0.5))
        assert silent.error_name == errors.NO_REPLY
        assert drawing.now.node.address == alive.anna.address  # what it told last stays
    finally:
        send(alive, signal.SIGCONT)
    drawing.until_link(Link.THERE, 10.0)
    assert asking.answer(Question("GetStatus")).is_good


def test_while_nobody_looks_nobody_asks(alive: Scene, asking: Asking) -> None:
    drawing = asking.drawing
    drawing.pump(0.5)
    shown = len(drawing.pictures)
    send(alive, signal.SIGSTOP)
    try:
        drawing.pump(2.5)
        assert {one.link for one in drawing.pictures[shown:]} <= {Link.THERE}
        asking.line.look_closely(True)  # the menu is opened
        assert drawing.until_link(Link.SILENT) < SHOWN_SECONDS_MAX
        asking.line.look_closely(False)
    finally:
        send(alive, signal.SIGCONT)
    drawing.until_link(Link.THERE, 10.0)  # it has spoken: nobody needs to look for that


def test_who_is_killed_is_seen_to_be_absent_and_comes_back(alive: Scene, asking: Asking) -> None:
    drawing = asking.drawing
    alive.anna.kill()
    try:
        assert drawing.until_link(Link.ABSENT) < SHOWN_SECONDS_MAX
        began = time.monotonic()
        absent = asking.answer(Question("GetStatus"))
        assert (absent.error_name, time.monotonic() - began < 1.0) == (errors.NO_OWNER, True)
    finally:
        alive.anna.start()
    drawing.until_link(Link.THERE)
    drawing.until(lambda: drawing.now.node.address == alive.anna.address, "it is set up")
    drawing.until(lambda: drawing.now.contacts, "its contacts are there again")
    assert asking.answer(Question("GetStatus")).is_good


def test_a_bus_that_is_killed_is_missed_and_found_again(alive: Scene, asking: Asking) -> None:
    drawing = asking.drawing
    alive.bus.kill()
    try:
        assert drawing.until_link(Link.NO_BUS) < SHOWN_SECONDS_MAX
        assert asking.answer(Question("GetStatus")).error_name == errors.DISCONNECTED
        tries = time.process_time()
        drawing.pump(2.0)
        assert time.process_time() - tries < 0.5, "it tries without a pause"
    finally:
        alive.bus.start()
        wait_for_name()
    asking.line.look_closely(True)
    drawing.until_link(Link.THERE, 10.0)
    assert asking.answer(Question("GetStatus")).is_good


def test_a_bus_that_hangs_is_no_reason_to_hang(alive: Scene, asking: Asking) -> None:
    drawing = asking.drawing
    asking.line.look_closely(True)
    alive.bus.freeze()
    try:
        assert drawing.until_link(Link.SILENT) < SHOWN_SECONDS_MAX
        assert not asking.answer(Question("GetStatus", seconds=0.5)).is_good
    finally:
        alive.bus.thaw()
    drawing.until_link(Link.THERE, 10.0)


def test_after_the_end_nothing_is_called_any_more(alive: Scene) -> None:
    with drawn() as found:
        found.drawing.until_link(Link.THERE)
        found.line.ask(Question("GetStatus"), lambda answer: pytest.fail("it was closed"))
        found.line.close()
        found.drawing.pump(1.0)
        found.line.ask(Question("GetStatus"), lambda answer: pytest.fail("it was closed"))
        found.drawing.pump(0.5)


NOTHING_IS_LOADED = """
import os, queue, sys, time
from postroad_tray.bus import Line
from postroad_tray.client import Question
posted = queue.Queue()
answers = []
line = Line(posted.put)
line.ask(Question("GetStatus"), answers.append)
before = set(sys.modules)
line.start()
while not answers:
    posted.get(timeout=20)()
print(answers[0].is_good, *set(sys.modules) - before)
os._exit(0)
"""


def test_the_other_thread_loads_nothing(alive: Scene) -> None:
    """Qt walks through all that is loaded while it is loaded itself, which fails then."""
    done = subprocess.run(
        [sys.executable, "-c", NOTHING_IS_LOADED],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "True\n", done.stdout + done.stderr


def test_questions_before_the_first_answer_are_answered(alive: Scene) -> None:
    with drawn() as found:
        assert found.answer(Question("GetStatus")).is_good


@pytest.mark.parametrize("library", ["dbus-next", "dbus-fast"])
def test_only_whoever_wants_it_starts_the_service(
    library: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("POSTROAD_DBUS_LIBRARY", library)
    folder = folder_of("start")
    started = folder / "started"
    services = tmp_path / "dbus-1" / "services"
    services.mkdir(parents=True)
    (services / f"{contract.BUS_NAME}.service").write_text(
        f'[D-BUS Service]\nName={contract.BUS_NAME}\nExec=/bin/sh -c "touch {started}; exit 1"\n'
    )
    bus = SessionBus(folder, tmp_path)
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus.address)
    bus.start()
    try:
        with drawn() as found:
            found.line.look_closely(True)
            found.drawing.until_link(Link.ABSENT)
            absent = found.answer(Question("GetStatus"))
            assert (absent.error_name, "off" in absent.sentence) == (errors.NO_OWNER, True)
            found.drawing.pump(1.0)
            assert not started.exists()
            failed = found.said(found.line.start_service)  # it takes no name
            assert "postroad log" in failed.sentence
            until(started.exists, "it was started")
    finally:
        bus.kill()
        shutil.rmtree(folder)


def test_what_cannot_be_started_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = folder_of("no-start")
    bus = SessionBus(folder)
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus.address)
    bus.start()
    try:
        with drawn() as found:
            failed = found.said(found.line.start_service)
            assert "postroad service enable" in failed.sentence
    finally:
        bus.kill()
        shutil.rmtree(folder)


def test_without_a_session_there_is_no_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with drawn() as found:
        found.drawing.until_link(Link.NO_BUS, 5.0)
        assert found.answer(Question("GetStatus")).error_name == errors.DISCONNECTED
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            found.line.look_closely(True)
        found.drawing.pump(0.5)
        assert len(os.listdir("/proc/self/fd")) == before
