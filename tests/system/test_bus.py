"""The node on the session bus, asked with the programs that every system has: busctl and gdbus."""

import json
import re

import pytest

from person import until
from postroad.contract import (
    BUS_NAME,
    MANAGER_INTERFACE,
    MESSAGE_INTERFACE,
    PEER_INTERFACE,
    ROOT_PATH,
    BusError,
)
from system.people import Resident
from whole_system import Done

PROPERTIES = "org.freedesktop.DBus.Properties"


def busctl(person: Resident, *words: str, check: bool = True) -> Done:
    return person.type("busctl", "--user", *words, check=check)


def gdbus(person: Resident, path: str, method: str, *words: str, check: bool = True) -> Done:
    where = ("--session", "--dest", BUS_NAME, "--object-path", path)
    return person.type("gdbus", "call", *where, "--method", method, *words, check=check)


def objects(person: Resident) -> list[str]:
    """All but letters on their way, which may have arrived before the next question."""
    until(lambda: tree(person, "peer"), "the node shows the peer")
    return [path for path in tree(person) if "/message/" not in path]


def tree(person: Resident, kind: str = "") -> list[str]:
    told = busctl(person, "tree", "--list", BUS_NAME).stdout.split()
    return [path for path in told if path.startswith(f"{ROOT_PATH}/{kind}" if kind else ROOT_PATH)]


def readable(person: Resident, path: str) -> list[tuple[str, str]]:
    """Interface and name of each property of an object, by its introspection."""
    interface, found = "", []
    for line in busctl(person, "introspect", BUS_NAME, path).stdout.splitlines():
        name, kind, *_ = line.split()
        if kind == "interface":
            interface = name
        elif kind == "property" and interface.startswith(BUS_NAME):
            found.append((interface, name.removeprefix(".")))
    return found


@pytest.mark.usefixtures("bora")
def test_busctl_reads_every_property_of_every_object(alice: Resident) -> None:
    paths = objects(alice)
    kinds = {path.removeprefix(ROOT_PATH).split("/")[1] for path in paths if path != ROOT_PATH}
    assert {"peer", "contact", "device"} <= kinds
    read = 0
    for path in paths:
        by_interface: dict[str, list[str]] = {}
        for interface, name in readable(alice, path):
            by_interface.setdefault(interface, []).append(name)
        for interface, names in by_interface.items():
            told = busctl(alice, "get-property", BUS_NAME, path, interface, *names).stdout
            assert len(told.splitlines()) == len(names), (path, interface)
            read += len(names)
    assert read > 40


@pytest.mark.usefixtures("bora")
def test_gdbus_reads_every_property_of_every_object(alice: Resident) -> None:
    for path in objects(alice):
        for interface in {interface for interface, _ in readable(alice, path)}:
            names = {name for each, name in readable(alice, path) if each == interface}
            told = gdbus(alice, path, f"{PROPERTIES}.GetAll", interface).stdout
            assert names <= set(re.findall(r"'(\w+)': <", told)), (path, interface)


def test_it_says_the_same_as_the_command_line(alice: Resident) -> None:
    told = busctl(
        alice, "--json=short", "get-property", BUS_NAME, ROOT_PATH, MANAGER_INTERFACE, "Address"
    )
    assert json.loads(told.stdout)["data"] == alice.address


def test_methods_are_called_by_both(alice: Resident, bora: Resident) -> None:
    invited = busctl(
        alice,
        "call",
        BUS_NAME,
        ROOT_PATH,
        MANAGER_INTERFACE,
        "Invite",
        "a{sv}",
        "1",
        "Name",
        "s",
        "Cleo",
    )
    assert "postroad:" in invited.stdout
    assert "Cleo" in gdbus(alice, ROOT_PATH, f"{MANAGER_INTERFACE}.ListInvitations").stdout
    (peer,) = [path for path in objects(alice) if "/peer/" in path]
    assert gdbus(alice, peer, f"{PEER_INTERFACE}.Ping").returncode == 0


def test_errors_have_names_and_sentences(alice: Resident) -> None:
    wrong = gdbus(alice, ROOT_PATH, f"{MANAGER_INTERFACE}.Accept", "nonsense", check=False)
    assert BusError.INVALID_CODE.value in wrong.stderr
    nobody = f"{ROOT_PATH}/peer/{'0' * 64}"
    wrong = gdbus(alice, nobody, f"{PEER_INTERFACE}.Ping", check=False)
    assert BusError.NO_SUCH_PEER.value in wrong.stderr
    call = ("call", BUS_NAME, ROOT_PATH, MANAGER_INTERFACE, "Accept", "s", "nonsense")
    assert busctl(alice, *call, check=False).stderr.startswith("Call failed: ")


def test_a_call_starts_a_service_that_is_off(alice: Resident) -> None:
    alice.systemctl("stop", "postroad.service")
    gdbus(alice, ROOT_PATH, f"{PROPERTIES}.Get", MANAGER_INTERFACE, "State")
    until(lambda: alice.shown("ActiveState") == "active", "the service is up")


def test_status_never_starts_it(alice: Resident) -> None:
    alice.systemctl("stop", "postroad.service")
    assert alice.type("postroad", "status", "--json", check=False).returncode == 3
    assert alice.shown("ActiveState") == "inactive"
    alice.systemctl("start", "postroad.service")


def test_the_interfaces_that_are_installed_are_those_that_are_served(alice: Resident) -> None:
    told = gdbus(alice, ROOT_PATH, "org.freedesktop.DBus.Introspectable.Introspect").stdout
    served = told.replace(r"\"", '"')  # gdbus quotes a text with an apostrophe in it like this
    file = f"/usr/share/dbus-1/interfaces/{MANAGER_INTERFACE}.xml"
    installed = alice.type("cat", file).stdout
    for kind in ("method", "property", "signal"):
        pattern = rf'<{kind} name="(\w+)"'
        there = set(re.findall(pattern, installed))
        assert there, kind
        assert there <= set(re.findall(pattern, served))


def test_a_letter_on_its_way_is_an_object(alice: Resident, bora: Resident) -> None:
    bora.systemctl("stop", "postroad.socket", "postroad.service")
    alice.send(bora, "on its way")
    until(lambda: len(tree(alice, "message/")) == 1, "the letter is shown")
    (path,) = tree(alice, "message/")
    names = [name for interface, name in readable(alice, path) if interface == MESSAGE_INTERFACE]
    told = busctl(alice, "get-property", BUS_NAME, path, MESSAGE_INTERFACE, *names).stdout
    assert bora.address in told
    assert "on its way" not in told
    bora.systemctl("start", "postroad.socket", "postroad.service")
    bora.expect("on its way")
