"""What the service calls wrong, read in German: it is English on the bus, with the parts beside it
of which it is made, and the tray says them by its own catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import catalogues
from bus_scene import scene
from drawing import drawn
from postroad import contract, phrases
from postroad.delivery import reasons
from postroad.delivery.reasons import in_parts
from postroad.doors.dbus.values import Typed, table
from postroad.protocol.delivery import REFUSALS
from postroad.protocol.health import Facts, Unwilling, judge
from postroad.sealing.receipt import Verdict
from postroad_tray import errors, facts, notices, plain, tongue
from postroad_tray.client import Answer, Signal
from postroad_tray.facts import Link, Picture
from postroad_tray.window import open_window
from tray import pictures, seeing
from tray.standing_in import StandIn


@pytest.fixture
def german(tmp_path: Path) -> Iterator[None]:
    catalogues.compile_into(tmp_path)
    tongue.speak(["de"], tmp_path)
    yield
    tongue.speak(["en"], tmp_path)


def unwrapped(told: Any) -> Any:
    """As the tray's reader has it from the bus: a variant is its value."""
    if isinstance(told, Typed):
        return unwrapped(told.value)
    if isinstance(told, dict):
        return {key: unwrapped(value) for key, value in told.items()}
    return [unwrapped(one) for one in told] if isinstance(told, list) else told


def of_a_node(**known: Any) -> list[dict[str, Any]]:
    """What a service tells that knows this."""
    return [unwrapped(table(one)) for one in judge(Facts(**known)).told()["problems"]]


def told(problems: list[dict[str, Any]]) -> Picture:
    node = {"State": "degraded", "Health": "broken", "Problems": problems}
    return facts.picture(Link.THERE, {contract.ROOT_PATH: {contract.MANAGER_INTERFACE: node}})


@pytest.mark.usefixtures("german", "qt")
def test_the_health_page_says_a_problem_of_the_service_in_german() -> None:
    picture = told(of_a_node(doors_shut=(("SMTP", "errno 98"),), late_here=2))
    frame = open_window(StandIn(picture), page="health", now=lambda: pictures.NOW)
    assert seeing.shows(
        frame, "Der SMTP-Zugang ist zu: Ihr Mailprogramm kann nicht senden. errno 98"
    )
    assert seeing.shows(
        frame,
        "Er öffnet sich von selbst, sobald er kann. Mit einem anderen Port in Ihrer Konfiguration: "
        "Beenden Sie ihn mit Strg-C, dann geben Sie ein: postroad run",
    )
    late = picture.node.problems[1]
    assert late.summary.startswith("2 Briefe von Ihnen sind seit mehr als einem Tag unterwegs,")
    assert late.next_step == "Warum, und was hilft: postroad queue"


@pytest.mark.usefixtures("german", "qt")
def test_what_a_check_of_the_network_finds_is_said_in_german() -> None:
    client = StandIn(pictures.healthy())
    said = phrases.phrase("This computer has no network: no letter comes or goes.")
    found = table({"state": "bad", "summary": said, "summary_parts": phrases.told(said)})
    client.answers["Netcheck"] = Answer(({"Findings": [unwrapped(found)]},))
    frame = open_window(client, page="health", now=lambda: pictures.NOW)
    seeing.click(seeing.button(frame, "Jetzt prüfen"))
    seeing.settle()
    assert seeing.shows(frame, "Dieser Computer hat kein Netz: Kein Brief kommt oder geht.")


@pytest.mark.usefixtures("german")
def test_a_long_problem_is_read_to_its_end() -> None:
    (few,) = told(of_a_node(holders=2)).node.problems
    assert few.summary.endswith("verloren gehen, bevor Sie ihn haben.")


@pytest.mark.usefixtures("german")
def test_nobody_but_the_reader_is_called_sie() -> None:
    """At the beginning of a German sentence it would be "they" and "you" alike."""
    late, nobody = told(of_a_node(unanswered=5, contacts=5, late_here=2)).node.problems
    assert nobody.summary.endswith(
        " Die anderen sind aus, oder etwas zwischen Ihnen und ihnen hält die Verbindung auf."
    )
    assert late.summary.endswith(": Die Briefe liegen nur auf diesem Computer.")


@pytest.mark.usefixtures("german", "qt")
def test_the_longest_problems_fit_into_a_narrow_window() -> None:
    failing = (("directory", "The directory could not be asked: errno 101, network unreachable."),)
    picture = told(of_a_node(doors_not_held=("SMTP", "IMAP", "POP3"), holders=0, failing=failing))
    frame = open_window(StandIn(picture), now=lambda: pictures.NOW)
    for entry in seeing.narrow_pages(frame):
        assert not seeing.cut_off(frame), entry


@pytest.mark.usefixtures("german")
def test_names_that_look_like_fields_or_markup_stay_what_they_are() -> None:
    name = "{command} {0.__class__} <b>%s"
    known = Unwilling(name, True, "{name} \u202e{n}")
    (one,) = told(of_a_node(unwilling=(known,))).node.problems
    assert one.summary == f"Der Knoten von {name} bewahrt nichts für Sie auf: {{name}} {{n}}"


@pytest.mark.usefixtures("german")
def test_why_a_letter_waits_is_said_in_german_and_words_of_others_as_they_are() -> None:
    reason = in_parts("It waits at 3 of the recipient's holders. A holder said: \"{n} <b>No\"")
    (message,) = with_letter(Reason=str(reason), ReasonParts=parts_of(reason)).messages
    assert message.reason == (
        "Er wartet bei 3 Haltern des Empfängers. Ein Halter sagte: \"{n} <b>No\""
    )
    (message,) = with_letter(Reason="A.", ReasonParts=parts_of(reason), TriesParts=[]).messages
    assert (message.reason, message.tries) == ("A.", 0)


@pytest.mark.usefixtures("german")
def test_a_refusal_of_the_bus_is_german_as_far_as_nothing_was_put_into_it() -> None:
    used = REFUSALS[Verdict.INVITATION_USED][1]
    told = errors.refused("x", used).sentence
    assert told.startswith("Jemand anders hat diese Einladung schon benutzt; jede gilt einmal. ")
    assert told.endswith("Bitten Sie um eine neue.")
    paused = errors.refused("x", "Your node is paused. Type first: postroad resume").sentence
    assert paused == "Ihr Knoten macht Pause. Geben Sie zuerst ein: postroad resume"
    for said in ("Nobody knows this.", "{name} {n}: no. Ask for a new one.", "x. " * 9000):
        assert errors.refused("x", said).sentence == plain.line(said, plain.PARAGRAPH_MAX)
    assert errors.refused("x", "").sentence == "Das ging nicht."


@pytest.mark.usefixtures("german")
def test_a_letter_that_came_back_is_told_in_german_with_the_words_of_others() -> None:
    reason = reasons.node_said("Go {words}.")
    text = "".join(reason)  # as it comes over the bus
    told = Signal(
        contract.MANAGER_INTERFACE,
        "MessageFailed",
        contract.ROOT_PATH,
        ("/m/1", "failed", text, {"TextParts": parts_of(reason)}),
    )
    memory = notices.hear(notices.Memory(), told, pictures.healthy())
    (cause,) = memory.returned
    assert cause.what == "Der Knoten des Empfängers sagte: Go {words}."
    for details in ({}, {"TextParts": [HOSTILE]}, {"TextParts": parts_of("All lies.")}):
        lies = replace(told, values=(*told.values[:3], details))
        (cause,) = notices.hear(notices.Memory(), lies, pictures.healthy()).returned
        assert cause.what == text


def parts_of(text: str) -> list[dict[str, Any]]:
    return [unwrapped(table(one)) for one in phrases.told(text)]


def with_letter(**properties: Any) -> Picture:
    path = f"{contract.MESSAGE_PATH}/1"
    return facts.picture(Link.THERE, {path: {contract.MESSAGE_INTERFACE: properties}})


HOSTILE = {"Template": "{name.__class__.__init__}", "Arguments": {"name": "x"}}


@pytest.mark.usefixtures("german")
@pytest.mark.parametrize(
    "parts",
    [
        [HOSTILE],
        [{"Template": "Nothing is lost.", "Arguments": {}}],  # not what the summary says
        [{"Template": "{a}" * 300, "Arguments": {"a": "x" * 1000}}],
        [{"Template": "{n}", "Plural": "{n}", "Count": -1, "Arguments": []}],
        [[]] * 10_000,
        {"Template": "x"},
        "x",
        None,
    ],
)
def test_parts_of_a_hostile_service_do_nothing(parts: Any) -> None:
    said = {"Code": "x", "Severity": "info", "Summary": "All lies.", "SummaryParts": parts}
    (one,) = told([said]).node.problems
    assert one.summary == "All lies."


@pytest.mark.usefixtures("german")
def test_a_real_service_is_read_in_german_on_a_real_bus() -> None:
    with scene("dbus-next") as found, drawn() as asking:
        drawing = asking.drawing
        drawing.until_link(Link.THERE)
        drawing.until(lambda: few_holders(drawing.now), "it tells that few hold")
        assert few_holders(drawing.now)[0] in (
            "Niemand bewahrt Briefe für Sie auf, solange dieser Computer aus ist.",
            "1 Halter von 8 bewahrt Briefe für Sie auf, während Sie weg sind.",
        )
        assert "holders" in found.anna.type("status").stdout  # and to who types without German


def few_holders(picture: Picture) -> list[str]:
    codes = ("no-holders", "few-holders")
    said = [one.summary for one in picture.node.problems if one.code in codes]
    return [one.split(". ")[0] + "." for one in said]
