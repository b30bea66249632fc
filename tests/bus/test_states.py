"""A node on the bus that is not set up, or whose keys are locked; and strangers who write."""

from __future__ import annotations

import os
import shutil
import smtplib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bus_objects import Remote, below, variant
from bus_scene import error_of, folder_of, wait_for_name
from person import Person, knock, meet, until
from postroad.app import asking
from postroad.app.session_bus import LIBRARY
from postroad.contract import (
    MANAGER_INTERFACE,
    REQUEST_INTERFACE,
    REQUEST_PATH,
    ROOT_PATH,
    BusError,
)
from service_manager import ServiceManager
from session_bus import LibraryClient, Monitor, SessionBus, session_bus

PASSPHRASE = "five words that nobody guesses"


@pytest.fixture
def folder() -> Iterator[Path]:
    made = folder_of("states")
    yield made
    shutil.rmtree(made)


@pytest.fixture(params=["dbus-next", "dbus-fast"])
def bus(request: pytest.FixtureRequest, folder: Path) -> Iterator[SessionBus]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("XDG_RUNTIME_DIR", raising=False)
        patch.setenv(LIBRARY, request.param)
        with session_bus(folder) as made:
            yield made


@pytest.fixture
def manager() -> Remote:
    return Remote(LibraryClient("dbus-next"), ROOT_PATH, MANAGER_INTERFACE)


@pytest.fixture
def systemd(bus: SessionBus, folder: Path, manager: Remote) -> Iterator[ServiceManager]:
    """It runs the node of Anna, who is not set up."""
    made = ServiceManager(Person("anna", folder, 0))
    try:
        made.start()
        wait_for_name()
        assert manager["State"] == "setup-needed"
        yield made
    finally:
        made.close()


def finish_setup(manager: Remote, drafted: Any) -> Any:
    words = drafted["Words"].split()
    return manager("FinishSetup", [words[number - 1] for number in drafted["Asked"]])


def test_a_node_that_is_not_set_up_comes_up_says_so_and_is_set_up_over_the_bus(
    folder: Path, manager: Remote, systemd: ServiceManager
) -> None:
    assert manager["Address"] == ""
    assert manager["Problems"][0]["Code"] == "not-set-up"
    assert error_of(manager, "Invite", {}).name == BusError.NOT_SET_UP
    assert error_of(manager, "GetStatus").name == BusError.NOT_SET_UP
    assert error_of(manager, "FinishSetup", ["a", "b", "c"]).name == BusError.FAILED
    assert error_of(manager, "Setup", {}).name == BusError.INVALID_ARGUMENT
    bad = {"Name": variant("s", "Anna Müller")}
    assert error_of(manager, "Setup", bad).name == BusError.FAILED
    drafted = manager("Setup", {"Name": variant("s", "anna")})
    words = drafted["Words"].split()
    assert (len(words), len(drafted["Asked"])) == (24, 3)
    wrong = error_of(manager, "FinishSetup", ["abandon"] * 3)
    assert "not the words" in wrong.sentence
    assert not (folder / "anna" / "data" / "keys").exists()
    made = finish_setup(manager, drafted)
    until(lambda: manager["Address"] == made["Address"], "the node starts")
    assert manager["State"] != "setup-needed"
    assert manager["Endpoints"]["Smtp"] == systemd.port("smtp")
    with smtplib.SMTP("127.0.0.1", systemd.port("smtp"), timeout=30) as smtp:
        smtp.login(made["Address"], made["Password"])
    for secret in (made["Password"], words[0] + " " + words[1]):
        assert secret not in (folder / "anna" / "log").read_text()
    again = error_of(manager, "Setup", {"Name": variant("s", "bora")})
    assert again.name == BusError.FAILED


def test_a_node_that_looks_again_and_again_is_not_shown_as_one_that_starts(
    folder: Path, manager: Remote, systemd: ServiceManager
) -> None:
    drafted = manager("Setup", {"Name": variant("s", "anna")})
    systemd.heard("READY=1")
    monitor = Monitor(folder, "type='signal'")
    try:
        for _ in range(3):
            asking.ask(folder / "anna" / "run" / "control", do="look again")
            systemd.heard("READY=1")
            assert manager["State"] == "setup-needed"
        assert b"starting" not in monitor.heard()
    finally:
        monitor.end()
    made = finish_setup(manager, drafted)
    until(lambda: manager["Address"] == made["Address"], "the node starts")


def test_a_node_whose_keys_are_locked_comes_up_and_says_so(
    bus: SessionBus, folder: Path, manager: Remote
) -> None:
    anna = Person("anna", folder, 0)
    try:
        anna.set_up()
        protected = anna.type(
            "keys", "protect", "--passphrase", "--json", stdin=f"{PASSPHRASE}\n{PASSPHRASE}\n"
        )
        assert protected.returncode == 0, protected
        anna.begin_start()
        wait_for_name()
        until(lambda: manager["State"] == "locked", "the node says that it is locked")
        assert error_of(manager, "Invite", {}).name == BusError.LOCKED
        assert error_of(manager, "Unlock").name == BusError.LOCKED
        assert manager("GetKeys")["Locked"] is True
        unlocked = anna.type("unlock", "--json", stdin=f"{PASSPHRASE}\n")
        assert unlocked.returncode == 0, unlocked
        until(lambda: manager["Address"] == anna.address, "the node starts")
        refused = error_of(manager, "GetRevocationSheet")  # it wants the passphrase
        assert refused.name == BusError.NOT_PERMITTED
    finally:
        anna.kill()


def test_letters_of_strangers_are_objects_until_they_are_decided_on(
    bus: SessionBus, folder: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        address = os.environ["DBUS_SESSION_BUS_ADDRESS"]
        patch.delenv("DBUS_SESSION_BUS_ADDRESS")
        everybody = [Person(name, folder, slot) for slot, name in enumerate("hc")]
        anna = Person("anna", folder, 2)
        try:
            for one in everybody:
                one.set_up()
                one.start()
            hana, carla = everybody
            anna.set_up()
            patch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
            anna.start()
            wait_for_name()
            meet(hana, anna)
            meet(hana, carla)
            asker = LibraryClient("dbus-next")
            for number, decide in enumerate((refuse, accept)):
                knock(carla, anna, f"Secret-{number}")
                until(lambda: below(asker, REQUEST_PATH), "the request is shown", 60.0)
                (path,) = below(asker, REQUEST_PATH)
                request = Remote(asker, path, REQUEST_INTERFACE)
                assert request["Address"] == carla.address
                assert request["ExpiresAt"] > request["CameAt"] > 0
                decide(request)
                until(lambda: not below(asker, REQUEST_PATH), "the request goes")
                assert error_of(request, "Accept").name == BusError.NO_SUCH_REQUEST
            assert carla.address in anna.type("contacts").stdout
        finally:
            for one in (*everybody, anna):
                one.kill()


def refuse(request: Remote) -> None:
    assert request("Refuse", {"Silently": variant("b", True)})["Silently"] is True


def accept(request: Remote) -> None:
    answer = request("Accept")
    assert "Address" in answer
    assert "Secret" not in str(answer)  # subjects stay where they are
