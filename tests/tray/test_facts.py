"""Whatever comes over the bus can be read, and what is shown of it is plain."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad import contract
from postroad.contract import Health, MessageState, Severity, State
from postroad_tray import plain
from postroad_tray.facts import OBJECTS_MAX, Link, Picture, objects, picture

INTERFACES = [
    contract.MANAGER_INTERFACE,
    contract.PEER_INTERFACE,
    contract.MESSAGE_INTERFACE,
    contract.CONTACT_INTERFACE,
    contract.REQUEST_INTERFACE,
    contract.DEVICE_INTERFACE,
]
NAMES = [
    "State", "Health", "Problems", "Endpoints", "Name", "Address", "Online", "Path", "Trust",
    "RoundTripMilliseconds", "SeenAt", "Peers", "Size", "Reason", "ParcelsUnderWay",
]  # fmt: skip
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda one: st.lists(one, max_size=4) | st.dictionaries(st.text(), one, max_size=4),
    max_leaves=8,
)


def of_the_node(**properties: object) -> Picture:
    return picture(Link.THERE, {contract.ROOT_PATH: {contract.MANAGER_INTERFACE: properties}})


@given(
    st.dictionaries(
        st.sampled_from([contract.ROOT_PATH, f"{contract.PEER_PATH}/1", "/other"]),
        st.dictionaries(
            st.sampled_from(INTERFACES), st.dictionaries(st.sampled_from(NAMES), ANYTHING)
        ),
    )
)
def test_whatever_a_service_tells_can_be_read(objects: dict[str, Any]) -> None:
    read = picture(Link.THERE, objects)
    assert isinstance(read.node.state, State)
    assert read.node.parcels_under_way >= 0
    for peer in read.peers:
        assert peer.round_trip_milliseconds >= 0.0
        assert "\n" not in peer.name


def test_a_word_of_tomorrow_is_the_gravest_of_its_kind() -> None:
    node = of_the_node(State="dreaming", Health="odd", Problems=[{"Severity": "dire"}]).node
    assert (node.state, node.health) == (State.DEGRADED, Health.BROKEN)
    assert node.problems[0].severity is Severity.BROKEN
    path = f"{contract.MESSAGE_PATH}/1"
    read = picture(Link.THERE, {path: {contract.MESSAGE_INTERFACE: {"State": "lost in thought"}}})
    assert read.messages[0].state is MessageState.LATE
    assert read.messages[0].object_path == path


def test_what_is_told_is_read_field_by_field() -> None:
    node = of_the_node(
        State="online",
        Health="attention",
        Problems=[{"Code": "few-holders", "Severity": "info", "Summary": "S.", "NextStep": "N."}],
        Endpoints={"Smtp": 10587, "Imap": 10143, "UserName": "anna"},
        ParcelsUnderWay=3,
        PausedUntil=7,
    ).node
    assert (node.state, node.health) == (State.ONLINE, Health.ATTENTION)
    assert (node.problems[0].code, node.problems[0].next_step) == ("few-holders", "N.")
    assert (node.endpoints.smtp, node.endpoints.imap, node.endpoints.pop3) == (10587, 10143, 0)
    assert (node.parcels_under_way, node.paused_until) == (3, 7)


def test_of_a_flood_of_objects_a_bounded_number_is_kept() -> None:
    flood: dict[str, Any] = {
        f"{contract.PEER_PATH}/{n}": {contract.PEER_INTERFACE: {}} for n in range(3 * OBJECTS_MAX)
    }
    assert len(picture(Link.THERE, flood).peers) == OBJECTS_MAX


def test_what_is_told_anew_changes_that_and_nothing_else() -> None:
    path = f"{contract.PEER_PATH}/1"
    told = objects({path: {contract.PEER_INTERFACE: {"Name": "Bora", "Address": "b@x"}}})
    told.change(path, contract.PEER_INTERFACE, {"Name": "Bora B.", "ObjectPath": "/elsewhere"})
    told.change(f"{contract.PEER_PATH}/2", contract.PEER_INTERFACE, {"Name": "nobody"})
    told.change(contract.ROOT_PATH, contract.MANAGER_INTERFACE, {"State": "online"})
    seen = told.picture(Link.THERE)
    (peer,) = seen.peers
    assert (peer.object_path, peer.name, peer.address) == (path, "Bora B.", "b@x")
    assert seen.node.state is State.ONLINE
    told.remove(path, [contract.PEER_INTERFACE])
    assert not told.picture(Link.THERE).peers


@given(ANYTHING, ANYTHING, ANYTHING)
def test_a_change_of_whatever_kind_does_no_harm(path: Any, interface: Any, told: Any) -> None:
    known = objects({f"{contract.PEER_PATH}/1": {contract.PEER_INTERFACE: {}}})
    for one in (path, f"{contract.PEER_PATH}/1", contract.ROOT_PATH):
        for each in (interface, contract.PEER_INTERFACE, contract.MANAGER_INTERFACE):
            known.change(one, each, told)
            known.add(one, {each: told} if isinstance(each, str) else told)
            known.remove(one, [each])
    assert len(objects(told).picture(Link.THERE).peers) == 0


@pytest.mark.parametrize(
    "path", ["/", "/other/peer/1", f"{contract.ROOT_PATH}er/1", f"{contract.PEER_PATH}/{'1' * 300}"]
)
def test_what_is_not_below_our_objects_is_not_ours(path: str) -> None:
    assert not picture(Link.THERE, {path: {contract.PEER_INTERFACE: {}}}).peers


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("Anna", "Anna"),
        ("moc.live\u202e@anna", "moc.live@anna"),
        ("a\u2066b\u2069c\u200fd", "abcd"),
        ("two\nlines\tand\x00 more\x1b[31m", "two lines and more[31m"),
        ("x" * 300, "x" * 199 + "…"),
        ("\u0430nn\u0430 \U000e0041", "\u0430nn\u0430"),
        (17, ""),
        ("\u3164", ""),
        ("\u2800 \u115f\uffa0", ""),
        ("Anna\u3164\u2800Bora", "Anna Bora"),
        ("An\u034fna\ufe0f\u180b\U000e0100\u2065", "Anna"),
        ("a" + "\u0301" * 100 + "b", "a" + "\u0301" * plain.MARKS_MAX + "b"),
        ("a" + "\u0301\u200d\u0489" * 100, "a" + "\u0301\u0489" * (plain.MARKS_MAX // 2)),
        ("\u0301\u0301anna \u0301b", "anna b"),
        ("Nguye\u0302\u0303n", "Nguye\u0302\u0303n"),
        ("\u05e9\u05bc\u05b8\u05c1\u0591", "\u05e9\u05bc\u05b8\u05c1\u0591"),
    ],
)
def test_a_name_is_one_plain_line(told: object, shown: str) -> None:
    assert plain.line(told) == shown


@given(st.text(max_size=3000))
def test_no_text_reorders_its_neighbours_or_grows(text: str) -> None:
    for shown in (plain.line(text, 50), plain.paragraph(text, 50)):
        assert len(shown) <= 50
        hidden = {one for one in shown if unicodedata.category(one)[0] == "C"}
        assert {unicodedata.category(one) for one in hidden - {"\n"}} <= {"Cn"}  # new letters
        marks = "".join("m" if unicodedata.category(one)[0] == "M" else "-" for one in shown)
        assert "m" * (plain.MARKS_MAX + 1) not in marks
        assert not marks.startswith("m")
    assert "\n" not in plain.line(text, 50)


def test_a_paragraph_keeps_its_lines() -> None:
    assert plain.paragraph("One.\r\nTwo\u202e.\n\n") == "One.\nTwo."


@pytest.mark.parametrize(
    ("name", "in_a_sentence"),
    [
        ("Anna", "Anna"),
        ("anna.k7q2@postroad.alt", "anna.k7q2@postroad.alt"),
        ("Müller 3", "Müller 3"),
        ("שלום 3", "\u2068שלום 3\u2069"),
        ("٣", "\u2068٣\u2069"),
        ("", ""),
    ],
)
def test_a_name_that_runs_the_other_way_is_kept_apart_in_a_sentence(
    name: str, in_a_sentence: str
) -> None:
    assert plain.apart(name) == in_a_sentence
    assert plain.line(in_a_sentence) == name  # and nobody else can bring their own
