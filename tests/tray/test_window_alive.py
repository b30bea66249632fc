"""The window before a real node on a real bus: what it shows, and what its buttons bring about."""

from __future__ import annotations

import imaplib
from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtWidgets import QApplication, QLineEdit

from bus_scene import Scene, scene, wait_for_name, write
from postroad_tray.bus import Line
from postroad_tray.facts import Link
from postroad_tray.window import open_window
from postroad_tray.window.frame import Frame
from postroad_tray.window.overview import SecretDialog
from postroad_tray.window.peers import Peers
from postroad_tray.window.queue import Queue
from tray import seeing

SHOWN_SECONDS_MAX = 2.0  # of the issue: after so long it is seen that the service is not there
SECONDS_MAX = 60.0


class Poster(QObject):
    """Has things called in the thread of Qt."""

    posted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.posted.connect(self._call, Qt.ConnectionType.QueuedConnection)

    @Slot(object)
    def _call(self, deliver: Callable[[], None]) -> None:
        deliver()


@pytest.fixture(scope="module")
def alive() -> Iterator[Scene]:
    with scene("dbus-next") as found:
        yield found


@pytest.fixture
def line(qt: QApplication, alive: Scene) -> Iterator[Line]:
    poster = Poster()
    made = Line(poster.posted.emit)
    made.start()
    seeing.until(lambda: made.picture.link is Link.THERE, SECONDS_MAX)
    yield made
    made.close()
    made.join(5.0)


@pytest.fixture
def frame(line: Line) -> Frame:
    return open_window(line, page="overview")


@pytest.fixture
def away(alive: Scene, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Bora's node is off meanwhile."""
    alive.bora.stop()
    yield
    with monkeypatch.context() as patch:
        patch.delenv("DBUS_SESSION_BUS_ADDRESS")  # Anna's node alone is on the bus
        alive.bora.start()


def logs_in(found: Scene, password: str) -> bool:
    with imaplib.IMAP4("127.0.0.1", found.anna.imap_port, timeout=20) as imap:
        try:
            imap.login(found.anna.address, password)
        except imaplib.IMAP4.error:
            return False
    return True


def test_the_first_page_tells_of_the_node(alive: Scene, frame: Frame) -> None:
    assert frame.page is not None
    page = frame.page
    seeing.until(lambda: alive.anna.address in seeing.seen(page))
    assert f"127.0.0.1:{alive.anna.imap_port}" in seeing.seen(page)
    assert f"127.0.0.1:{alive.anna.smtp_port}" in seeing.seen(page)
    seeing.until(lambda: "–" not in seeing.seen(page), SECONDS_MAX)  # the day is counted


def test_a_new_password_opens_the_mailbox_and_the_one_before_does_not(
    alive: Scene, frame: Frame
) -> None:
    assert frame.page is not None
    before = alive.anna.password
    seeing.click(seeing.button(frame.page, "New password …"))
    seeing.click(seeing.button(seeing.question(), "Make a new one"))
    shown: list[SecretDialog] = []

    def is_shown() -> bool:
        shown[:] = [one for one in QApplication.topLevelWidgets() if isinstance(one, SecretDialog)]
        return bool(shown)

    seeing.until(is_shown, SECONDS_MAX)
    field = shown[0].findChild(QLineEdit)
    assert field is not None
    alive.anna.password = field.text()
    seeing.click(seeing.button(shown[0], "I have it"))
    assert logs_in(alive, alive.anna.password)
    assert not logs_in(alive, before)


def test_a_peer_is_pinged_and_answers_in_words(alive: Scene, line: Line) -> None:
    frame = open_window(line, page="peers")
    page = frame.page
    assert isinstance(page, Peers)
    seeing.until(lambda: page._table.rows.rowCount() == 1, SECONDS_MAX)
    assert page._table.rows.row(0).cells[0].text == "bora"
    page._table.setFocus()
    seeing.press(page._table, "Home")
    page._table.choose([page._table.rows.row(0).key])
    seeing.click(seeing.button(page, "Ping"))
    seeing.until(lambda: bool(frame.outcome), SECONDS_MAX)
    assert frame.outcome.startswith("bora's node answers: direct, ")
    seeing.until(lambda: page._table.rows.row(0).cells[1].text == "direct", SECONDS_MAX)


@pytest.mark.usefixtures("away")
def test_letters_are_tried_and_given_up_from_the_queue(alive: Scene, line: Line) -> None:
    frame = open_window(line, page="queue")
    page = frame.page
    assert isinstance(page, Queue)
    write(alive.anna, alive.bora, 3)
    rows = page._table.rows
    seeing.until(lambda: rows.rowCount() == 3, SECONDS_MAX)
    assert rows.row(0).cells[0].text == "bora"
    page._table.setFocus()
    seeing.press(page._table, "Ctrl+A")
    seeing.click(seeing.button(page, "Try now"))
    seeing.until(lambda: frame.outcome == "3 letters are tried now.", SECONDS_MAX)
    page._table.choose([rows.row(1).key])
    seeing.press(page._table, "Delete")
    assert seeing.question().text() == "Give up the letter to bora?"
    seeing.click(seeing.button(seeing.question(), "Give up"))
    seeing.until(lambda: frame.outcome.startswith("1 letter is given up."), SECONDS_MAX)
    seeing.until(lambda: rows.rowCount() == 2, SECONDS_MAX)
    assert len(alive.anna.postroad("queue")["queue"]) == 2
    seeing.click(seeing.button(page, "Try all now"))
    seeing.until(lambda: frame.outcome == "2 letters are tried now.", SECONDS_MAX)


def test_a_service_that_ends_is_seen_so_and_comes_back(
    alive: Scene, line: Line
) -> None:
    frame = open_window(line, page="queue")
    alive.anna.stop()
    seeing.until(lambda: bool(frame._banner.sentence), SHOWN_SECONDS_MAX)
    assert frame._banner.sentence == "Postroad is off: no letter comes or goes."
    seeing.click(seeing.button(frame, "Start Postroad"))
    seeing.until(lambda: bool(frame.outcome), SECONDS_MAX)  # nothing is installed on this bus
    assert seeing.button(frame, "Start Postroad").isEnabled()
    alive.anna.start()
    wait_for_name()
    seeing.until(lambda: not frame._banner.isVisible(), SECONDS_MAX)


def test_how_mail_went_is_told_on_its_page(alive: Scene, frame: Frame) -> None:
    write(alive.anna, alive.bora, 1)
    seeing.until(lambda: alive.anna.postroad("statistics")["under_way"] == 0, SECONDS_MAX)
    frame.turn_to("health")
    assert frame.page is not None
    page = frame.page
    seeing.until(lambda: seeing.shows(page, "of the last 30 days arrived"), SECONDS_MAX)
    seeing.until(lambda: seeing.shows(page, "No holder failed when it was needed."))
