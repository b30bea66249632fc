"""Names that run from the right to the left, in sentences of ours, which run the other way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from PySide6.QtWidgets import QDialog, QMessageBox, QWidget

from postroad import contract, phrases
from postroad.contract import Severity
from postroad.protocol.health import Facts, Unwilling, judge
from postroad_tray import facts, plain
from postroad_tray.client import Answer, Signal
from postroad_tray.facts import Picture, Problem
from postroad_tray.notices import Memory, Slot, hear, look
from postroad_tray.window import contact_rows, open_window, peer_rows
from postroad_tray.window.frame import Frame
from postroad_tray.window.people_dialogs import Rename, Verify
from postroad_tray.window.rows import Table
from tray import pictures, seeing
from tray.standing_in import StandIn

NAME = "שלום 3"
APART = f"\u2068{NAME}\u2069"


def right_to_left() -> Picture:
    known = pictures.with_people(2, letters=3, requests=1)
    bad = Problem("x", Severity.ATTENTION, NAME, NAME)
    return replace(
        known,
        node=replace(known.node, problems=(bad,)),
        peers=tuple(replace(one, name=NAME, address=NAME) for one in known.peers),
        messages=tuple(replace(one, recipient=NAME, reason=NAME) for one in known.messages),
        contacts=tuple(replace(one, name=NAME, address=NAME) for one in known.contacts),
        requests=tuple(replace(one, address=NAME) for one in known.requests),
    )


def answering() -> StandIn:
    client = StandIn(right_to_left())
    later = pictures.NOW + pictures.DAY
    one = {"Id": "a", "State": "open", "ExpiresAt": later, "Name": NAME}
    client.answers["ListInvitations"] = Answer(([one],))
    proposal = {**one, "Introducer": NAME, "Address": NAME}
    client.answers["ListProposals"] = Answer(([proposal],))
    seen = [{"Name": NAME, "Seen": [1.0] * 24, "Missed": [1.0] * 24}]
    client.answers["GetStatistics"] = Answer(({"HoursByContact": seen},))
    return client


def told(widget: QWidget) -> Iterator[str]:
    """All that is read or heard of it."""
    yield from seeing.seen(widget)
    for one in (widget, *widget.findChildren(QWidget)):
        yield from (one.accessibleName(), one.accessibleDescription(), one.windowTitle())


def is_kept_apart(text: str) -> bool:
    """What is nothing but the name has no neighbours."""
    return NAME not in text.replace(APART, "") or text.strip() == NAME


def opened(page: str) -> tuple[Frame, StandIn]:
    client = answering()
    return open_window(client, page=page, now=lambda: pictures.NOW), client


@pytest.mark.usefixtures("qt")
@pytest.mark.parametrize("page", ["overview", "peers", "queue", "health", "contacts"])
def test_on_each_page_a_name_takes_nothing_of_its_sentence_along(page: str) -> None:
    frame, _ = opened(page)
    for table in frame.findChildren(Table):
        table.selectRow(0)
    seeing.settle()
    texts = [one for one in told(frame) if NAME in one]
    assert texts
    assert [one for one in texts if not is_kept_apart(one)] == []


@pytest.mark.usefixtures("qt")
@pytest.mark.parametrize("what", ["Block …", "Remove …", "Safety number …", "Rename …"])
def test_what_is_asked_about_somebody_keeps_their_name_apart(what: str) -> None:
    frame, _ = opened("contacts")
    page = frame.page
    assert page is not None
    page._table.choose([page._table.rows.row(0).key])  # type: ignore[attr-defined]
    seeing.click(seeing.button(frame, what))
    asked = [
        one for one in page.findChildren(QDialog) if isinstance(one, QMessageBox | Verify | Rename)
    ]
    texts = [one for dialog in asked for one in told(dialog) if NAME in one]
    assert texts
    assert [one for one in texts if not is_kept_apart(one)] == []


@pytest.mark.usefixtures("qt")
@pytest.mark.parametrize("what", ["Accept", "Decline"])
def test_what_came_of_it_keeps_the_name_apart(what: str) -> None:
    frame, _ = opened("contacts")
    page = frame.page
    assert page is not None
    lines = page._proposals if what == "Decline" else page._requests  # type: ignore[attr-defined]
    seeing.click(seeing.button(lines, what))
    assert APART in frame.outcome


def test_what_is_said_of_an_answer_keeps_the_name_apart() -> None:
    for details in ({"Name": NAME, "Address": NAME}, {"Name": NAME, "IsNew": False}):
        assert is_kept_apart(contact_rows.accepted(details))
    assert is_kept_apart(contact_rows.accepted({"Helper": NAME}))
    for direct in (True, False):
        assert is_kept_apart(peer_rows.ping_words(NAME, {"Milliseconds": 3, "Direct": direct}))


def retold(summary: phrases.Phrase) -> str:
    told = {"Summary": "".join(summary), "SummaryParts": phrases.told(summary)}
    return facts.retold(told, "Summary")


def test_in_a_problem_of_the_service_a_name_is_kept_apart() -> None:
    """In English and in any other language: the tray puts its sentences together itself."""
    known = Facts(unwilling=(Unwilling(NAME, True, "no room"),), helpers_refusing=((NAME, "3"),))
    told = [one for one in judge(known).problems if NAME in one.summary]
    assert len(told) == 2
    for one in told:
        summary = one.summary
        assert isinstance(summary, phrases.Phrase)
        assert APART in retold(summary)
        assert is_kept_apart(retold(summary))
        assert facts.retold({"Summary": "".join(summary)}, "Summary") == summary  # no parts


@pytest.mark.parametrize("length", range(1, 40))
def test_however_a_sentence_is_cut_what_begins_in_it_ends_in_it(length: int) -> None:
    for text in (f"{APART} writes to {APART}.", "\u2068\u2068ש\u2069\u2069\u2069 and \u202e\u2068"):
        cut = plain.sentences(text, length)
        assert len(cut) <= length
        assert "\u202e" not in cut
        depth = 0
        for one in cut:
            depth += {"\u2068": 1, "\u2069": -1}.get(one, 0)
            assert 0 <= depth <= 1
        assert depth == 0


def test_a_template_of_nobody_turns_nothing_around() -> None:
    bad = phrases.phrase("Look \u202e\u2067at {name}\u2069.", name=f"{NAME}\u202e\u2069")
    assert retold(bad) == f"Look at {APART}."


def test_in_a_notification_a_name_is_kept_apart_and_a_reason_is_plain() -> None:
    picture = right_to_left()
    old = tuple(
        replace(one, accepted_at=pictures.NOW - pictures.DAY, tries=5, holders=0)
        for one in picture.messages
    )
    picture = replace(picture, messages=old)
    values = (old[0].object_path, "failed", f"{NAME}\u202e" + "W" * 10_000 + "\n")
    memory = hear(
        Memory(),
        Signal(contract.MANAGER_INTERFACE, "MessageFailed", contract.ROOT_PATH, values),
        picture,
    )
    bodies: dict[Slot, str] = {}
    for minute in range(40):
        outcome = look(memory, picture, pictures.NOW + minute * pictures.MINUTE)
        memory = outcome.memory
        bodies |= {one.slot: one.body for one in outcome.notices}
    assert {Slot.RETURNED, Slot.STUCK, Slot.REQUESTS} <= bodies.keys()
    returned = bodies.pop(Slot.RETURNED)
    assert all(is_kept_apart(one) for one in bodies.values())
    assert returned.startswith(f"{APART}: \u2068{NAME}W")
    assert "\u202e" not in returned
    assert len(returned) < 300
