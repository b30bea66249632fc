"""Programs that send nonsense, or far too much: the node says no by name, and stays small."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus_objects import Remote, variant
from bus_scene import Scene, error_of, scene, wait_for_name
from person import until
from postroad import contract
from postroad.contract import MANAGER_INTERFACE, ROOT_PATH, BusError
from postroad.doors.dbus import interfaces
from session_bus import PROPERTIES, Asker, LibraryClient, Said, memory_kib

STANDARD = "org.freedesktop.DBus.Error"
MEMORY_KIB_MAX = 100_000  # more than before, whatever is sent
HARMLESS = (  # of all methods, those that a flood of nonsense may call
    "Accept",
    "Introduce",
    "WithdrawInvitation",
    "AcceptProposal",
    "DeclineProposal",
    "RemoveHelper",
    "VerifyAudit",
    "ExportContacts",
    "ProtectKeys",
    "PublishRevocation",
)


@pytest.fixture(scope="module", params=["dbus-next", "dbus-fast"])
def alone(request: pytest.FixtureRequest) -> Iterator[Scene]:
    with scene(request.param, met=False) as found:
        yield found


@pytest.fixture
def manager(alone: Scene) -> Remote:
    return Remote(LibraryClient("dbus-next"), ROOT_PATH, MANAGER_INTERFACE)


def memory(found: Scene) -> int:
    assert found.anna.process is not None
    return memory_kib(found.anna.process.pid)


@pytest.mark.parametrize(
    ("signature", "arguments"),
    [
        ("", []),
        ("s", ["60"]),
        ("x", [-1]),
        ("uu", [1, 2]),
        ("v", [variant("u", 1)]),
        ("as", [["1"] * 1000]),
        ("a{sv}", [{}]),
        ("(u)", [[1]]),
        ("ay", [b"\x00" * 1000]),
        ("aaaaaaas", [[]]),
    ],
)
def test_arguments_of_wrong_types_are_refused(
    alone: Scene, signature: str, arguments: list[Any]
) -> None:
    asker = LibraryClient("dbus-next")
    refused = error_of(asker.call, ROOT_PATH, MANAGER_INTERFACE, "Pause", signature, *arguments)
    assert refused.name == f"{STANDARD}.InvalidArgs"


@given(
    st.sampled_from(HARMLESS),
    st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_said_is_answered_by_an_error_with_a_name(
    alone: Scene, method: str, text: str
) -> None:
    takes = interfaces.ours()[MANAGER_INTERFACE].methods[method].takes
    refused = what_is_said(method, takes, text)
    if refused is None:
        assert method in ("VerifyAudit", "ProtectKeys")  # of a few words there is a use
    else:
        assert refused.name.startswith((contract.BUS_NAME, STANDARD))
        assert "Traceback" not in refused.sentence
        assert len(refused.sentence) <= 500


def what_is_said(method: str, takes: str, text: str) -> Said | None:
    """The error that this call brings, if it brings one."""
    asker = LibraryClient("dbus-next")
    try:
        asker.call(ROOT_PATH, MANAGER_INTERFACE, method, takes, *[text] * len(takes))
    except Said as refused:
        return refused
    return None


@pytest.mark.parametrize("length", [10_000, 900_000])
def test_huge_words_are_refused_in_short_ones(alone: Scene, manager: Remote, length: int) -> None:
    for words in ("x" * length, "\u202e" * (length // 3)):
        refused = error_of(manager, "Accept", words)
        assert refused.name == BusError.INVALID_CODE
        assert len(refused.sentence) < 500
    assert error_of(manager, "Introduce", "x" * length, "y").name == BusError.NO_SUCH_CONTACT


def test_a_hundred_thousand_entries_are_refused(alone: Scene, manager: Remote) -> None:
    before = memory(alone)
    options = {f"{number}": variant("b", True) for number in range(40_000)}
    assert error_of(manager, "Invite", options).name == BusError.INVALID_ARGUMENT
    assert error_of(manager, "FinishRotation", [""] * 100_000).name == BusError.FAILED
    assert memory(alone) - before < MEMORY_KIB_MAX


def test_ids_that_nobody_has_are_told_so(alone: Scene) -> None:
    asker = LibraryClient("dbus-next")
    for base, interface, error in (
        (contract.PEER_PATH, contract.PEER_INTERFACE, BusError.NO_SUCH_PEER),
        (contract.CONTACT_PATH, contract.CONTACT_INTERFACE, BusError.NO_SUCH_CONTACT),
        (contract.MESSAGE_PATH, contract.MESSAGE_INTERFACE, BusError.NO_SUCH_MESSAGE),
        (contract.REQUEST_PATH, contract.REQUEST_INTERFACE, BusError.NO_SUCH_REQUEST),
        (contract.DEVICE_PATH, contract.DEVICE_INTERFACE, BusError.NO_SUCH_DEVICE),
    ):
        for name in ("0", "f" * 64, "_" * 200, "9" * 5000):
            refused = error_of(asker.call, f"{base}/{name}", PROPERTIES, "GetAll", "s", interface)
            assert refused.name == error


def test_a_message_that_is_too_long_costs_a_reconnection_and_no_memory(alone: Scene) -> None:
    before = memory(alone)

    async def send(ask: Asker) -> None:
        message = ask.library.Message(
            destination=contract.BUS_NAME,
            path=ROOT_PATH,
            interface=MANAGER_INTERFACE,
            member="Accept",
            signature="as",
            body=[["x" * 1000] * 8000],
        )
        await ask.bus.send(message)

    LibraryClient("dbus-next").session(send)
    wait_for_name()
    until(lambda: is_answering(), "the node is back", 30.0)
    assert memory(alone) - before < MEMORY_KIB_MAX


def is_answering() -> bool:
    asker = LibraryClient("dbus-next")
    try:
        return bool(asker.properties(ROOT_PATH, MANAGER_INTERFACE))
    except Said:
        return False


def test_octets_that_are_no_message_and_no_utf8_do_not_get_through(alone: Scene) -> None:
    """The bus itself shows their sender out; the node hears nothing of it."""
    until(is_answering, "the node answers")
    for octets in (b"\xff" * 4096, b"l\1\0\1" + b"\xff" * 60, message_of(b"\xff\xfe\xfd")):
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(10)
            line.connect(str(alone.bus.path))
            uid = str(os.getuid()).encode().hex()
            line.sendall(f"\0AUTH EXTERNAL {uid}\r\n".encode())
            assert line.recv(4096).startswith(b"OK")
            line.sendall(b"BEGIN\r\n" + octets)
            with suppress(ConnectionResetError):
                while line.recv(4096):
                    pass
    assert is_answering()


def message_of(text: bytes) -> bytes:
    """A call of Accept with these octets in the place of a text."""
    from jeepney import DBusAddress, new_method_call  # type: ignore[import-untyped]

    address = DBusAddress(ROOT_PATH, contract.BUS_NAME, MANAGER_INTERFACE)
    hello = new_method_call(
        DBusAddress("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus"),
        "Hello",
    )
    call = new_method_call(address, "Accept", "s", ("@" * len(text),)).serialise(serial=2)
    octets: bytes = hello.serialise(serial=1) + call.replace(b"@" * len(text), text)
    return octets


def test_who_asks_too_much_hears_busy_and_the_node_stays_itself(
    alone: Scene, tmp_path: Path
) -> None:
    async def flood(ask: Asker) -> list[str]:
        async def one() -> str:
            try:
                await ask(ROOT_PATH, MANAGER_INTERFACE, "GetStatus")
            except Said as refused:
                return refused.name
            return "answered"

        found = []
        for _ in range(10):
            found += await asyncio.gather(*(one() for _ in range(50)))
        return found

    until(is_answering, "the node answers")
    before = memory(alone)
    told = LibraryClient("dbus-next").session(flood)
    assert set(told) == {"answered", BusError.BUSY}
    assert memory(alone) - before < MEMORY_KIB_MAX
    assert alone.anna.postroad("status")["address"] == alone.anna.address
