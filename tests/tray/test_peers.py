"""The page of peers, with the real widgets."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt

from postroad import contract
from postroad_tray.client import Answer
from postroad_tray.facts import Link
from postroad_tray.trails import Trails
from postroad_tray.window import open_window, peer_rows
from postroad_tray.window.frame import Frame
from postroad_tray.window.peers import Peers
from tray import pictures, seeing
from tray.standing_in import StandIn

pytestmark = pytest.mark.usefixtures("qt")
NOW = pictures.NOW


def opened(client: StandIn, trails: Trails | None = None) -> tuple[Frame, Peers]:
    frame = open_window(client, page="peers", trails=trails, now=lambda: NOW)
    assert isinstance(frame.page, Peers)
    return frame, frame.page


def line(page: Peers, number: int) -> list[str]:
    rows = page._table.rows
    return [cell.text for cell in rows.row(number).cells]


def test_a_peer_is_told_in_words() -> None:
    _frame, page = opened(StandIn(pictures.healthy()))
    assert seeing.shows(page, "You know 7 nodes, and are connected with 6 at this moment.")
    assert line(page, 0) == ["Anna", "direct", "3.4 ms", "", "now", "for each other", "verified"]
    assert line(page, 2)[1:3] == ["relayed", "37 ms"]
    assert line(page, 3) == [
        "Deniz", "not connected", "–", "–", "20 h ago", "you for them", "verified",
    ]  # fmt: skip


def test_the_chosen_one_is_told_in_a_sentence_with_the_hour_that_is_drawn() -> None:
    client = StandIn(pictures.healthy())
    trails = Trails()
    for minute in range(30):
        drifting = replace(
            client.picture.peers[0], round_trip_milliseconds=10.0 + minute
        )
        trails.note(replace(client.picture, peers=(drifting,)), NOW - 60 * (30 - minute))
    _frame, page = opened(client, trails)
    page._table.setFocus()
    seeing.press(page._table, "Home")
    seeing.press(page._table, "Down")
    seeing.press(page._table, "Up")
    said = "In the last hour between 10 ms and 39 ms, half below 25 ms."
    assert seeing.shows(page, f"Anna: direct. Last seen: now. {said} You keep letters for each")
    spoken = page._table.rows.index(0, 3).data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken == said
    assert not page.grab().isNull()


def test_a_ping_is_answered_in_words() -> None:
    client = StandIn(pictures.healthy())
    client.answers["Ping"] = Answer(({"Direct": True, "Milliseconds": 12.3},))
    frame, page = opened(client)
    assert not seeing.button(page, "Ping").isEnabled()
    bora = page._table.visualRect(page._table.rows.index(1, 0))
    seeing.click(page._table.viewport(), bora.center())
    seeing.click(seeing.button(page, "Ping"))
    asked = client.asked[-1]
    assert (asked.member, asked.interface) == ("Ping", contract.PEER_INTERFACE)
    assert asked.object_path == pictures.peer(1).object_path
    assert frame.outcome == "Bora's node answers: direct, 12 ms."
    client.answers["Ping"] = Answer((), contract.BusError.NETWORK, "Bora's node is off.")
    seeing.press(page._table, "Return")
    assert frame.outcome == "Bora's node is off."


def test_while_one_is_asked_no_other_is() -> None:
    client = StandIn(pictures.healthy())
    client.is_slow = True
    client.answers["Ping"] = Answer(({"Direct": False, "Milliseconds": 1234},))
    _frame, page = opened(client)
    page._table.choose([pictures.peer(0).object_path])
    seeing.click(seeing.button(page, "Ping"))
    assert not seeing.button(page, "Asking …").isEnabled()
    client.show(pictures.healthy())
    assert not seeing.button(page, "Asking …").isEnabled()
    client.answer()
    assert seeing.button(page, "Ping").isEnabled()


def test_where_nobody_is_known_the_next_step_is_offered() -> None:
    client = StandIn(pictures.empty())
    _frame, page = opened(client)
    assert seeing.shows(page, "You have no contacts yet, so there is nobody to reach.")
    assert seeing.button(page, "Invite someone …").isEnabled()
    assert not page._table.isVisible()
    client.show(pictures.healthy())
    assert page._table.isVisible()


def test_what_nobody_can_mean_is_still_told() -> None:
    odd = replace(pictures.peer(0), round_trip_milliseconds=2.0**53, name="")
    cells = peer_rows.row(odd, (), NOW).cells
    assert (cells[0].text, cells[2].text) == ("without a name", "more than 99 s")
    assert peer_rows.ping_words("", {"Milliseconds": "odd"}) == (
        "without a name's node answers: through a relay, 0.0 ms."
    )


@pytest.mark.parametrize("link", [one for one in Link if one is not Link.THERE])
def test_where_nobody_tells_nobody_is_said_to_be_on(link: Link) -> None:
    client = StandIn(pictures.healthy())
    _frame, page = opened(client)
    page._table.choose([page._table.rows.row(0).key])
    client.show(replace(client.picture, link=link))
    assert seeing.shows(page, "Who is connected is not known")
    assert not seeing.shows(page, "at this moment")
    rows = [line(page, n) for n in range(page._table.rows.rowCount())]
    assert {one[1] for one in rows} == {"not known"}
    assert "now" not in [one[4] for one in rows]
    assert seeing.shows(page, "Anna: not known. Last seen: just now.")
