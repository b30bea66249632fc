"""Whoever calls Postroad on the bus starts it."""

from __future__ import annotations

import configparser
import os
import shutil
import signal
from pathlib import Path

import pytest

from bus_scene import folder_of
from person import Person, until
from postroad.app import service
from postroad.contract import BUS_NAME, MANAGER_INTERFACE, ROOT_PATH
from session_bus import LibraryClient, SessionBus, client

UNITS = Path(__file__).resolve().parents[2] / "service" / "postroad" / "units"


def test_the_file_names_our_name_and_the_unit_that_is_installed_beside_it() -> None:
    file = configparser.ConfigParser()
    file.read(UNITS / f"{BUS_NAME}.service")
    told = dict(file["D-BUS Service"])
    assert told["name"] == BUS_NAME
    unit = (UNITS / told["systemdservice"]).read_text()
    assert f"ExecStart={told['exec']}\n" in unit


def test_a_call_starts_the_node_and_is_answered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    folder = folder_of("activated")
    anna = Person("anna", folder, 0)
    bus = SessionBus(folder, tmp_path)
    try:
        anna.set_up()
        script = folder / "it's to start"
        command = " ".join(anna.command)
        script.write_text(
            f"#!/bin/sh\necho $$ > {folder}/pid\nexec {command} run > {folder}/log 2>&1\n"
        )
        script.chmod(0o700)
        rooms = [str(UNITS.parents[1]), os.environ.get("PYTHONPATH", "")]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(rooms))
        bus.start()
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus.address)
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
        monkeypatch.setattr(service, "OF_PACKAGES", ())
        monkeypatch.setattr(service, "program", lambda: [str(script)])
        service.lay_activation()  # the bus runs already, and hears of it
        found = client("busctl").properties(ROOT_PATH, MANAGER_INTERFACE)
        assert found["State"] in ("starting", "online", "offline", "degraded")
        asker = LibraryClient("dbus-next")
        until(
            lambda: asker.properties(ROOT_PATH, MANAGER_INTERFACE)["Address"] == anna.address,
            "the node is there",
        )
    finally:
        if (folder / "pid").exists():
            os.kill(int((folder / "pid").read_text()), signal.SIGKILL)
        bus.kill()
        shutil.rmtree(folder)
