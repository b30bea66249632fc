"""What a check of the network found, and the doors for mail programs, wherever they are seen."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtWidgets import QWidget

from postroad_tray.client import Answer
from postroad_tray.facts import Endpoints
from postroad_tray.window import health, reach
from postroad_tray.window.first_run import MailStep, NetworkStep
from postroad_tray.window.marks import MarkSign
from postroad_tray.window.overview import DoorsCard
from postroad_tray.window.shapes import Mark
from tray import pictures, seeing
from tray.standing_in import StandIn

pytestmark = pytest.mark.usefixtures("qt")
FOUND = [
    {"State": "good", "Summary": "The network is there.", "NextStep": ""},
    {"State": "limited", "Summary": "Others reach you by a relay.", "NextStep": "Open a port."},
    "nonsense",
    {"State": "dreaming", "Summary": "<b>UDP</b>"},
]
Place = Callable[[StandIn], QWidget]


def in_health(client: StandIn) -> QWidget:
    card = health.ReachCard(client)
    card.check()
    return card


def in_the_first_run(client: StandIn) -> QWidget:
    step = NetworkStep(client, lambda: None)
    step.show()
    step.draw(pictures.healthy())
    seeing.settle()
    return step


@pytest.mark.parametrize("place", [in_health, in_the_first_run])
class TestFindings:
    def test_what_is_limited_looks_so_and_says_what_to_do(self, place: Place) -> None:
        client = StandIn(pictures.healthy())
        client.answers["Netcheck"] = Answer(({"Findings": FOUND},))
        widget = place(client)
        marks = [one.mark for one in widget.findChildren(MarkSign) if one.isVisibleTo(widget)]
        assert marks == [Mark.OK, Mark.ATTENTION, Mark.BROKEN]
        assert seeing.shows(widget, "Others reach you by a relay.\nOpen a port.")
        assert seeing.shows(widget, "<b>UDP</b>")

    def test_that_there_is_nothing_or_why_is_said(self, place: Place) -> None:
        client = StandIn(pictures.healthy())
        client.answers["Netcheck"] = Answer(({"Findings": 7},))
        assert seeing.shows(place(client), "nobody could be asked")
        client.answers["Netcheck"] = Answer(error_name="x", sentence="Offline.\u202e")
        assert "Offline." in seeing.seen(place(client))

    def test_of_a_flood_a_bounded_number_is_shown(self, place: Place) -> None:
        client = StandIn(pictures.healthy())
        flood = [{"State": "good", "Summary": "W" * 10_000}] * 1000
        client.answers["Netcheck"] = Answer(({"Findings": flood},))
        widget = place(client)
        assert len(widget.findChildren(MarkSign)) == reach.FINDINGS_MAX
        assert all(len(one) < 2500 for one in seeing.seen(widget))


def test_a_check_is_asked_once_though_the_language_changes_its_button() -> None:
    client = StandIn(pictures.healthy())
    client.is_slow = True
    card = health.ReachCard(client)
    button = seeing.button(card, "Check now")
    card.check()
    card._button.setText("Jetzt prüfen")  # what it says decides nothing
    card.may_check(True)
    card.check()
    assert len(client.asked) == 1
    assert not button.isEnabled()
    card.may_check(False)
    client.answer()
    assert not button.isEnabled()
    card.may_check(True)
    assert button.isEnabled()


@pytest.mark.parametrize("in_first_run", [False, True])
def test_of_a_door_that_is_shut_nothing_is_copied(in_first_run: bool) -> None:
    client = StandIn(pictures.healthy())
    endpoints = Endpoints(imap=10143, user_name="anna")
    widget: MailStep | DoorsCard
    if in_first_run:
        widget = MailStep(client, lambda: None)
        widget.show_endpoints(endpoints)
    else:
        widget = DoorsCard(client, lambda said: None)
        widget.show_doors(endpoints, is_set_up=True)
    names = ("User name", "Incoming mail, IMAP", "Outgoing mail, SMTP", "Incoming mail, POP3")
    copies = [seeing.button(widget, f"Copy: {one}") for one in names]
    assert [one.isEnabled() for one in copies] == [True, True, False, False]
    assert seeing.seen(widget).count("shut") == 2
