"""What goes over the bus, without a bus: values, boards, and what becomes of any call whatever."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad import contract
from postroad.base.errors import (
    DiskFull,
    Expired,
    LinkClosed,
    Locked,
    NotPermitted,
    NotSetUp,
    PeerMisbehaved,
    PermanentFailure,
    TemporaryFailure,
    Unknown,
    Unreachable,
    UnusableLink,
)
from postroad.contract import BUS_NAME, ROOT_PATH, BusError
from postroad.doors.dbus import interfaces, methods, reception
from postroad.doors.dbus.board import Board, Shown, news
from postroad.doors.dbus.look import plain
from postroad.doors.dbus.reception import ForTheNode, Outcome, Refused, Said
from postroad.doors.dbus.values import Typed, clean, table
from postroad.protocol.health import Facts, judge

MANAGER, CONTACT = contract.MANAGER_INTERFACE, contract.CONTACT_INTERFACE
MESSAGE, PROPERTIES = contract.MESSAGE_INTERFACE, interfaces.PROPERTIES
INVALID = "org.freedesktop.DBus.Error.InvalidArgs"
NOT_SET_UP = plain(judge(Facts(is_set_up=False)))
PATH = f"{contract.CONTACT_PATH}/{'a' * 32}"
CONTACT_SHOWN = Shown(
    CONTACT,
    {
        "Name": "Bora",
        "Address": f"bora.{'a' * 32}@postroad.alt",
        "Fingerprint": "a" * 32,
        "Online": False,
        "SeenAt": 7,
        "Trust": "unverified",
        "VerifiedAt": 0,
        "Blocked": False,
        "HoldsForUs": True,
        "WeHoldForThem": False,
        "Peers": [],
    },
)
BOARD = Board({**NOT_SET_UP.objects, PATH: CONTACT_SHOWN})


def call(
    path: str, interface: str, member: str, signature: str = "", body: list[Any] | None = None
) -> Outcome:
    return reception.receive(BOARD, path, interface, member, signature, body or [])


# Values


@given(st.text(max_size=2000))
def test_words_of_others_come_out_in_one_line_that_turns_nothing_around(text: str) -> None:
    told = clean(text)
    assert len(told) <= 500
    categories = {unicodedata.category(one) for one in told}
    assert not categories & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    told.encode()  # no half character


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Bora", "Bora"),
        ("Bo\u202era\u200b\x00\x1b[2J", "Bora[2J"),
        ("one\r\ntwo\u2028three", "one  two three"),
        ("\ud800half", "half"),
        ("x" * 501, "x" * 499 + "…"),
    ],
)
def test_what_is_not_fit_to_be_shown_goes(said: str, told: str) -> None:
    assert clean(said) == told


def test_an_answer_of_a_desk_has_a_type_for_everything_and_no_subject() -> None:
    found = {
        "expires_at": 7.9,
        "round_trip_milliseconds": 1.5,
        "is_new": True,
        "count": 3,
        "less": -3,
        "nothing": None,
        "subject": "for your eyes only",
        "text": "Dear Anna",
        "names": ["a", "b"],
        "asked": [1, 2],
        "problems": [],
        "nested": {"subject": "no", "one_more": "x"},
        "nodes": [{"subject": "no", "peer": "ab"}],
    }
    assert table(found) == {
        "ExpiresAt": Typed("t", 7),
        "RoundTripMilliseconds": Typed("d", 1.5),
        "IsNew": Typed("b", True),
        "Count": Typed("t", 3),
        "Less": Typed("x", -3),
        "Names": Typed("as", ["a", "b"]),
        "Asked": Typed("at", [1, 2]),
        "Problems": Typed("aa{sv}", []),
        "Nested": Typed("a{sv}", {"OneMore": Typed("s", "x")}),
        "Nodes": Typed("aa{sv}", [{"Peer": Typed("s", "ab")}]),
    }


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=12), json_like, max_size=8))
def test_whatever_a_desk_says_becomes_a_table(found: dict[str, Any]) -> None:
    for key, value in table(found).items():
        kinds = ("b", "t", "x", "d", "s", "as", "at", "ad", "a{sv}", "aa{sv}")
        assert value.signature in (*kinds, *(["a{ss}"] if key == "Arguments" else []))


# The tables


def test_every_method_that_is_promised_is_in_the_table_and_the_other_way_round() -> None:
    promised = {(one.name, method) for one in interfaces.ours().values() for method in one.methods}
    assert promised == set(methods.METHODS)


def test_the_interfaces_are_those_of_the_contract_and_say_in_words_what_they_do() -> None:
    named = {getattr(contract, name) for name in vars(contract) if name.endswith("_INTERFACE")}
    assert set(interfaces.ours()) == named
    for one in interfaces.ours().values():
        assert all(method.about.endswith(".") for method in one.methods.values()), one.name


def test_nothing_that_is_offered_takes_a_passphrase() -> None:
    assert "assphrase" not in repr(sorted(methods.METHODS))
    for one in interfaces.ours().values():
        assert 'arg name="passphrase"' not in one.xml


# Boards


def test_two_boards_tell_what_has_come_changed_and_gone() -> None:
    other = Shown(CONTACT, {**CONTACT_SHOWN.properties, "Name": "Bora B.", "Online": True})
    changed = Board({**NOT_SET_UP.objects, PATH: other})
    assert list(news(BOARD, BOARD)) == []
    (added,) = news(NOT_SET_UP, BOARD)
    assert (added.path, added.member) == (ROOT_PATH, "InterfacesAdded")
    assert added.body[0] == PATH
    (told,) = news(BOARD, changed)
    assert (told.path, told.member) == (PATH, "PropertiesChanged")
    assert told.body == [CONTACT, {"Name": Typed("s", "Bora B."), "Online": Typed("b", True)}, []]
    (gone,) = news(BOARD, NOT_SET_UP)
    assert (gone.member, gone.body) == ("InterfacesRemoved", [PATH, [CONTACT]])


# Calls


@pytest.mark.parametrize(
    ("path", "interface", "member", "signature", "body", "told"),
    [
        ("/nowhere", "", "Get", "", [], "org.freedesktop.DBus.Error.UnknownObject"),
        (f"{contract.CONTACT_PATH}/b", "", "Ping", "", [], BusError.NO_SUCH_CONTACT),
        (f"{contract.PEER_PATH}/b", MANAGER, "Ping", "", [], BusError.NO_SUCH_PEER),
        (f"{contract.MESSAGE_PATH}/9", MESSAGE, "Retry", "s", ["9"], INVALID),
        (f"{contract.MESSAGE_PATH}/9", MANAGER, "Retry", "", [], BusError.NO_SUCH_MESSAGE),
        (f"{contract.MESSAGE_PATH}/x9", "", "Retry", "", [], BusError.NO_SUCH_MESSAGE),
        (f"{contract.MESSAGE_PATH}/", "", "Retry", "", [], BusError.NO_SUCH_MESSAGE),
        (f"{contract.MESSAGE_PATH}/9", PROPERTIES, "GetAll", "s", [""], BusError.NO_SUCH_MESSAGE),
        (f"{contract.REQUEST_PATH}/9", "", "Accept", "", [], BusError.NO_SUCH_REQUEST),
        (f"{contract.DEVICE_PATH}/9", "", "Revoke", "", [], BusError.NO_SUCH_DEVICE),
        (ROOT_PATH, "a.b", "Pause", "u", [1], "org.freedesktop.DBus.Error.UnknownInterface"),
        (ROOT_PATH, MANAGER, "Paws", "u", [1], "org.freedesktop.DBus.Error.UnknownMethod"),
        (ROOT_PATH, MANAGER, "Pause", "s", ["1"], INVALID),
        (ROOT_PATH, MANAGER, "Setup", "a{sv}", [{}], BusError.INVALID_ARGUMENT),
        (ROOT_PATH, MANAGER, "ProtectKeys", "s", ["passphrase"], BusError.INVALID_ARGUMENT),
        (
            ROOT_PATH,
            MANAGER,
            "Invite",
            "a{sv}",
            [{"Seconds": Typed("s", "7")}],
            BusError.INVALID_ARGUMENT,
        ),
        (
            ROOT_PATH,
            MANAGER,
            "Invite",
            "a{sv}",
            [{"Nmae": Typed("s", "Bora")}],
            BusError.INVALID_ARGUMENT,
        ),
        (
            PATH,
            interfaces.PROPERTIES,
            "Get",
            "ss",
            [CONTACT, "Nmae"],
            "org.freedesktop.DBus.Error.UnknownProperty",
        ),
        (
            PATH,
            interfaces.PROPERTIES,
            "Get",
            "ss",
            [MANAGER, "Name"],
            "org.freedesktop.DBus.Error.UnknownInterface",
        ),
        (
            PATH,
            interfaces.PROPERTIES,
            "Set",
            "ssv",
            [CONTACT, "Name", Typed("s", "x")],
            "org.freedesktop.DBus.Error.PropertyReadOnly",
        ),
        (
            PATH,
            interfaces.OBJECT_MANAGER,
            "GetManagedObjects",
            "",
            [],
            "org.freedesktop.DBus.Error.UnknownInterface",
        ),
    ],
)
def test_a_call_that_cannot_be_is_refused_by_name_and_in_words(
    path: str, interface: str, member: str, signature: str, body: list[Any], told: str
) -> None:
    outcome = call(path, interface, member, signature, body)
    assert isinstance(outcome, Refused)
    assert outcome.name == told
    assert outcome.sentence.endswith(".")


def test_properties_are_read_from_the_board_with_their_types() -> None:
    assert call(PATH, interfaces.PROPERTIES, "Get", "ss", [CONTACT, "SeenAt"]) == Said(
        "v", [Typed("t", 7)]
    )
    everything = call(ROOT_PATH, interfaces.PROPERTIES, "GetAll", "s", [MANAGER])
    assert isinstance(everything, Said)
    found = everything.body[0]
    assert found["State"] == Typed("s", "setup-needed")
    assert found["Health"] == Typed("s", "attention")
    assert {name: one.signature for name, one in found.items()} == interfaces.ours()[
        MANAGER
    ].properties
    assert set(CONTACT_SHOWN.properties) == set(interfaces.ours()[CONTACT].properties)


def test_the_object_manager_tells_of_all_objects_and_the_way_to_them_can_be_walked() -> None:
    outcome = call(ROOT_PATH, interfaces.OBJECT_MANAGER, "GetManagedObjects")
    assert isinstance(outcome, Said)
    assert outcome.body[0].keys() == {ROOT_PATH, PATH}
    path = ""
    for step in PATH.split("/")[1:]:
        walked = call(path or "/", interfaces.INTROSPECTABLE, "Introspect")
        assert isinstance(walked, Said)
        assert f'<node name="{step}"/>' in walked.body[0]
        path += f"/{step}"


def test_a_method_without_its_interface_is_found() -> None:
    outcome = call(PATH, "", "Rename", "s", ["Bora B."])
    assert isinstance(outcome, ForTheNode)
    assert outcome.asked.request == "rename contact"
    assert outcome.asked.arguments == {"name": "a" * 32, "to": "Bora B."}


@pytest.mark.parametrize("member", ["Retry", "Cancel"])
def test_a_letter_that_is_no_object_is_tried_again_and_cancelled_by_its_number(member: str) -> None:
    outcome = call(f"{contract.MESSAGE_PATH}/201", MESSAGE, member)
    assert isinstance(outcome, ForTheNode)
    assert outcome.asked.arguments == {"id": "201"}
    assert outcome.asked.unknown is BusError.NO_SUCH_MESSAGE


names = st.sampled_from([MANAGER, CONTACT, *interfaces.standard(), "", "a.b", BUS_NAME]) | st.text(
    max_size=300
)
members = st.sampled_from(
    sorted(
        {
            name
            for one in (*interfaces.ours().values(), *interfaces.standard().values())
            for name in one.methods
        }
    )
) | st.text(max_size=300)
paths = st.sampled_from([ROOT_PATH, PATH, "/", "/org", contract.PEER_PATH]) | st.text(max_size=300)
signatures = st.sampled_from(["", "s", "ss", "ssv", "u", "t", "b", "a{sv}", "as"])
variants = st.builds(Typed, st.sampled_from("sbutxas"), st.text() | st.integers() | st.booleans())
bodies: dict[str, st.SearchStrategy[list[Any]]] = {
    "": st.just([]),
    "s": st.tuples(st.text()).map(list),
    "ss": st.tuples(st.text(), st.text()).map(list),
    "ssv": st.tuples(st.text(), st.text(), variants).map(list),
    "u": st.tuples(st.integers(0, 2**32 - 1)).map(list),
    "t": st.tuples(st.integers(0, 2**64 - 1)).map(list),
    "b": st.tuples(st.booleans()).map(list),
    "a{sv}": st.tuples(st.dictionaries(st.text(), variants)).map(list),
    "as": st.tuples(st.lists(st.text())).map(list),
}


@given(st.data(), paths, names, members, signatures)
def test_whatever_comes_is_answered(
    data: st.DataObject, path: str, interface: str, member: str, signature: str
) -> None:
    outcome = call(path, interface, member, signature, data.draw(bodies[signature]))
    assert isinstance(outcome, Said | Refused | ForTheNode)
    if isinstance(outcome, Refused):
        assert len(outcome.sentence) < 500


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NotSetUp(), BusError.NOT_SET_UP),
        (Locked("Your keys are locked."), BusError.LOCKED),
        (Unknown("Nobody is called that."), BusError.NO_SUCH_CONTACT),
        (UnusableLink("It was damaged."), BusError.INVALID_CODE),
        (Expired("It has expired."), BusError.EXPIRED),
        (NotPermitted("It is not allowed."), BusError.NOT_PERMITTED),
        (Unreachable("It is off."), BusError.NETWORK),
        (LinkClosed("It broke off."), BusError.NETWORK),
        (PeerMisbehaved("It said nonsense."), BusError.NETWORK),
        (TemporaryFailure("Later."), BusError.BUSY),
        (DiskFull("Full."), BusError.BUSY),
        (TimeoutError(), BusError.BUSY),
        (PermanentFailure("No."), BusError.FAILED),
        (ValueError("a fault of ours: secret"), BusError.FAILED),
    ],
)
def test_errors_have_names_and_say_nothing_of_our_insides(
    error: BaseException, told: BusError
) -> None:
    assert methods.error_name(error, BusError.NO_SUCH_CONTACT) is told
    assert "secret" not in methods.sentence(error)
